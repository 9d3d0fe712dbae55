"""Packs that can be pulled: `<name>.toml` beside this file, read and checked like code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from portraitd.errors import SetupError

BUILT_IN = Path(__file__).parent

#: No picture of a pack may be larger, whatever its manifest says.
MAX_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Picture:
    """One file of a pack, and the styles that it serves."""

    #: Below the pack's address.
    path: str
    bytes: int
    sha256: str
    styles: tuple[str, ...]


@dataclass(frozen=True)
class PinnedPack:
    """Pictures of somebody else's, each known by its sha256."""

    name: str
    #: SPDX identifier.
    licence: str
    #: Where the pictures come from, for people, and at which commit.
    origin: str
    commit: str
    #: What a picture's path is put behind to fetch it.
    url: str
    pictures: tuple[Picture, ...]

    def filename(self, picture: Picture) -> str:
        """What the picture is called in a style's folder: never like a picture that the operator added."""
        return f"{self.name}-{PurePosixPath(picture.path).name}"


def pack_names(folder: Path = BUILT_IN) -> tuple[str, ...]:
    """The packs that can be pulled."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def read_pinned(name: str, folder: Path = BUILT_IN) -> PinnedPack:
    """The pack called `name`; raises SetupError for an unknown one, or one with a mistake in its file."""
    if name not in pack_names(folder):
        raise SetupError(f"No pack is called {name}. Known: {', '.join(pack_names(folder))}.")
    path = folder / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: {error}") from error
    entries = raw.pop("pictures", [])
    _check(str(path), PinnedPack, {**raw, "pictures": entries}, {"name"})
    pictures = tuple(_picture(f"{path}: picture {number}", entry) for number, entry in enumerate(entries, 1))
    names = [PurePosixPath(picture.path).name for picture in pictures]
    if len(set(names)) != len(names):
        raise SetupError(f"{path}: two pictures share a file name")
    return PinnedPack(name=name, **raw, pictures=pictures)


def _picture(place: str, entry: Mapping[str, Any]) -> Picture:
    _check(place, Picture, entry, set())
    path = PurePosixPath(entry["path"])
    if path.is_absolute() or ".." in path.parts or str(path) != entry["path"]:
        raise SetupError(f"{place}: path must be a plain path below the pack's address")
    if not re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]):
        raise SetupError(f"{place}: sha256 must be 64 lower-case hexadecimal digits")
    if not 0 < entry["bytes"] <= MAX_BYTES:
        raise SetupError(f"{place}: bytes must be 1 to {MAX_BYTES}")
    if not all(isinstance(style, str) for style in entry["styles"]):
        raise SetupError(f"{place}: styles must be ids of styles")
    return Picture(**{**entry, "styles": tuple(entry["styles"])})


_TYPES: Mapping[str, type] = {"bytes": int, "styles": list, "pictures": list}  # every other key is text


def _check(place: str, kind: type[Picture | PinnedPack], entry: Mapping[str, Any], given: set[str]) -> None:
    """Refuse missing and unknown keys, wrong types and empty values."""
    expected = {field.name for field in fields(kind)} - given
    if set(entry) != expected:
        unknown, missing = sorted(set(entry) - expected), sorted(expected - set(entry))
        raise SetupError(f"{place}: unknown keys {unknown}, missing keys {missing}")
    for key, value in entry.items():
        wanted = _TYPES.get(key, str)
        if type(value) is not wanted or not value:
            raise SetupError(f"{place}: {key} must be a {wanted.__name__} that is not empty")
