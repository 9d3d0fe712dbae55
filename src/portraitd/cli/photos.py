"""Photos named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from portraitd.errors import InvalidFileSize, InvalidImageFormat, InvalidImageResolution, SetupError

if TYPE_CHECKING:
    from portraitd.engines.base import Photo

#: A camera's own files are larger than what the API takes.
_MAX_MB = 50
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def read_photos(paths: Sequence[Path]) -> tuple[Photo, ...]:
    """The pictures; raises SetupError that names the file and says what is wrong with it."""
    return tuple(read_photo(path) for path in paths)


def pictures_in(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files named, and for a folder the picture files in it, by name."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [file for file in inside if file == path or file.suffix.lower() in _PICTURES]
    return tuple(found)


def read_photo(path: Path) -> Photo:
    """The picture; raises SetupError that names the file and says what is wrong with it."""
    from portraitd.engines.base import Photo
    from portraitd.portraits.photos import CHECKED_PHOTO

    limits = replace(CHECKED_PHOTO, max_mb=_MAX_MB)
    try:
        return Photo(path.name, limits.decode(path.read_bytes()))
    except InvalidImageFormat as error:
        raise SetupError(f"{path}: no JPEG, PNG or WebP picture, or a damaged one") from error
    except InvalidImageResolution as error:
        sides = f"{limits.min_short_side} to {limits.max_long_side}"
        raise SetupError(f"{path}: too small or too large, its sides must be {sides} pixels") from error
    except InvalidFileSize as error:
        raise SetupError(f"{path}: larger than {_MAX_MB} MB") from error
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
