"""The synchronous face check (wire-contract section 3)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from portraitd.errors import (
    InvalidFileSize,
    InvalidImageFormat,
    InvalidImageResolution,
    InvalidURL,
    MediaDownloadFailed,
)
from portraitd.logs import carried
from portraitd.portraits.photos import CHECKED_PHOTO, Fetches, Judge, Purpose
from portraitd.portraits.requests import Account, FaceVerdict

_FETCHES_AT_ONCE = 4


@dataclass(frozen=True)
class FaceDesk:
    """The `Faces` door of services.py."""

    fetcher: Fetches
    judge: Judge

    def check(self, account: Account, urls: tuple[str, ...]) -> tuple[FaceVerdict, ...]:
        """A verdict per picture, in order. Raises InvalidURL or a kin of it when one cannot be fetched."""
        with ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="face-check") as pool:
            return tuple(self.judge_file(data) for data in pool.map(carried(self._fetch), urls))

    def judge_file(self, data: bytes | None) -> FaceVerdict:
        """The verdict on a picture file; None stands for one that was too large to fetch."""
        if data is None:
            return FaceVerdict(False, "image size exceeds limit")
        try:
            reason = self.judge(CHECKED_PHOTO.decode(data), Purpose.DETECT).reason
        except InvalidFileSize:
            reason = "image size exceeds limit"
        except InvalidImageFormat:
            reason = "image format not supported"
        except InvalidImageResolution:
            reason = "image resolution out of range"
        return FaceVerdict(reason == "", reason)

    def _fetch(self, url: str) -> bytes | None:
        try:
            return self.fetcher.fetch(url, CHECKED_PHOTO.max_bytes)
        except InvalidFileSize:
            return None
        except MediaDownloadFailed as error:  # the code of tasks; a face check knows InvalidURL only
            raise InvalidURL from error
