"""Whole models that can be pulled: `<name>.toml` in this folder, read and checked like code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitd.errors import SetupError

BUILT_IN = Path(__file__).parent

#: Relative, one way to write it, nothing that leads out of the model's folder; data as safetensors, and no code at all.
_FILE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*[A-Za-z0-9_][A-Za-z0-9._-]*\.(?:json|jinja|txt|md|safetensors)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TEXTS = ("title", "publisher", "licence", "origin", "commit")


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    #: Below the model's folder, and below each source's address.
    path: str
    bytes: int
    sha256: str

    @property
    def label(self) -> str:
        """What a progress bar calls it."""
        return self.path


@dataclass(frozen=True)
class Model:
    """A published model, file by file."""

    #: What commands call it, and its folder.
    name: str
    title: str
    publisher: str
    #: SPDX identifier.
    licence: str
    #: Where it is published, for people, and at which commit.
    origin: str
    commit: str
    #: What a file's path is put behind to fetch it; the first that answers serves.
    sources: tuple[str, ...]
    files: tuple[ModelFile, ...]

    @property
    def bytes(self) -> int:
        """All of its files together."""
        return sum(file.bytes for file in self.files)


def model_names(folder: Path = BUILT_IN) -> tuple[str, ...]:
    """The models that can be pulled."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def read_model(name: str, folder: Path = BUILT_IN) -> Model:
    """The model called `name`; raises SetupError for an unknown one, or one with a mistake in its file."""
    if name not in model_names(folder):
        raise SetupError(f"No model is called {name}. Known: {', '.join(model_names(folder))}.")
    path = folder / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: {error}") from error
    if set(raw) != {*_TEXTS, "sources", "files"}:
        raise SetupError(f"{path}: expected {', '.join(_TEXTS)}, sources and files, found {', '.join(raw)}")
    sources, files = raw.pop("sources"), raw.pop("files")
    if not isinstance(sources, list) or not sources:
        raise SetupError(f"{path}: sources must be a list that is not empty")
    if not all(isinstance(text, str) and text for text in (*raw.values(), *sources)):
        raise SetupError(f"{path}: {', '.join(_TEXTS)} and each source must be text that is not empty")
    if not _COMMIT.fullmatch(raw["commit"]):
        raise SetupError(f"{path}: commit must be 40 lower-case hexadecimal digits")
    if not isinstance(files, Mapping) or not files:
        raise SetupError(f"{path}: files must be a table that is not empty")
    pinned = tuple(_file(f"{path}: {name}", name, entry) for name, entry in files.items())
    return Model(name=name, **raw, sources=tuple(sources), files=pinned)


def _file(place: str, name: str, entry: Any) -> ModelFile:
    if not _FILE.fullmatch(name):
        raise SetupError(f"{place}: is no path of a file that would be taken")
    if not isinstance(entry, Mapping) or set(entry) != {"bytes", "sha256"}:
        raise SetupError(f"{place}: expected bytes and sha256")
    if type(entry["bytes"]) is not int or entry["bytes"] <= 0:
        raise SetupError(f"{place}: bytes must be a whole number over 0")
    if type(entry["sha256"]) is not str or not _SHA256.fullmatch(entry["sha256"]):
        raise SetupError(f"{place}: sha256 must be 64 lower-case hexadecimal digits")
    return ModelFile(name, entry["bytes"], entry["sha256"])
