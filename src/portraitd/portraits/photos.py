"""Pictures that clients send: the contract's limits, and what a face check says of them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from portraitd import images
from portraitd.errors import InvalidFileSize, InvalidImageFormat, InvalidImageResolution, PortraitdError
from portraitd.images import Image, Size

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """What a picture file may be. Sides in pixels, upright."""

    formats: frozenset[str]
    max_mb: int
    min_short_side: int
    max_short_side: int
    max_long_side: int

    @property
    def max_bytes(self) -> int:
        return self.max_mb * MEGABYTE

    def decode(self, data: bytes) -> Image:
        """The picture, (H, W, 3) uint8 sRGB, upright.

        Raises InvalidFileSize, InvalidImageFormat or InvalidImageResolution; nothing is decoded before its header
        passed.
        """
        if len(data) > self.max_bytes:
            raise InvalidFileSize(self.max_mb)
        info = images.probe(data)
        if info.format not in self.formats:
            raise InvalidImageFormat
        if not self._fits(info.size):
            raise InvalidImageResolution
        return images.decode(data)

    def _fits(self, size: Size) -> bool:
        short, long = sorted(size)
        return self.min_short_side <= short <= self.max_short_side and long <= self.max_long_side


#: Wire-contract section 1.2. The template's bounds hold in either orientation.
TEMPLATE = Limits(frozenset({"jpeg", "png"}), 5, 512, 1260, 1680)
USER_PHOTO = Limits(frozenset({"jpeg", "png"}), 3, 256, 2048, 2048)
#: Wire-contract section 3; training photos have no table of their own and take this one.
CHECKED_PHOTO = Limits(frozenset({"jpeg", "png", "webp"}), 5, 256, 4096, 4096)


class Purpose(enum.Enum):
    """What a face is wanted for, which decides how strictly it is judged."""

    TEMPLATE = "template"
    PHOTO = "photo"
    DETECT = "detect"


class Verdict(Protocol):
    """What a judge says of the face in a picture."""

    @property
    def reason(self) -> str:
        """ "" when the face is usable, else why not, in the words of wire-contract section 3."""

    @property
    def error(self) -> PortraitdError | None:
        """The error that fails a task over it; None when the face is usable."""


Judge: TypeAlias = Callable[[Image, Purpose], Verdict]


class Fetches(Protocol):
    """Gets what a client's URL points at."""

    def fetch(self, url: str, limit_bytes: int) -> bytes:
        """The bytes, no more than the limit. Raises InvalidURL or a kin of it, MediaDownloadFailed, InvalidFileSize."""
