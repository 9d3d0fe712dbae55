"""One known file from the web: resumed when cut off, redone once when broken, in place only when it is right."""

from __future__ import annotations

import hashlib
import time
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import httpx

from portraitd.weights.progress import Progress

TRIES = 4
RETRY_PAUSE_S = 0.3
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


class BrokenFile(Exception):
    """A file is not the one that is known."""


class Known(Protocol):
    """A file of which all is known but its bytes."""

    @property
    def label(self) -> str:
        """What people are told that it is."""

    @property
    def bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...


def download(client: httpx.Client, url: str, whole: Path, known: Known, progress: Progress) -> None:
    """Put the file behind `url` at `whole`. Raises httpx.HTTPError, OSError, BrokenFile.

    Leaves `<name>.part` beside it when cut off, to be resumed by the next call.
    """
    part = part_of(whole)
    try:
        _download(client, url, part, known, progress)
        settle(whole, known)
    except BrokenFile:
        _download(client, url, part, known, progress)
        settle(whole, known)


def part_of(whole: Path) -> Path:
    """Where a file lies until it is known to be whole."""
    return whole.with_name(whole.name + ".part")


def settle(whole: Path, known: Known) -> None:
    """Rename a part that turns out to be the file; remove one that does not, so that nothing resumes it."""
    part = part_of(whole)
    if part.stat().st_size != known.bytes or sha256_of(part) != known.sha256:
        part.unlink()
        raise BrokenFile("another file arrived (sha256 differs)")
    part.replace(whole)


def sha256_of(path: Path) -> str:
    """The file's sha256 in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(client: httpx.Client, url: str, part: Path, known: Known, progress: Progress) -> None:
    """Stream until `part` is as long as the file; gives up after TRIES requests in a row that got no further."""
    idle = 0
    have = _length(part)
    while True:
        try:
            _stream(client, url, part, known, progress)
        except httpx.TransportError:
            idle = 0 if _length(part) > have else idle + 1
            if idle == TRIES:
                raise
            time.sleep(RETRY_PAUSE_S * idle)
            have = _length(part)
        else:
            return


def _stream(client: httpx.Client, url: str, part: Path, known: Known, progress: Progress) -> None:
    """One request: append to `part` what is missing of it, or all of it where the server knows no ranges."""
    have = _length(part)
    if have >= known.bytes:
        return  # cut off after the last byte; the sha256 decides
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as reply:
        reply.raise_for_status()
        if reply.status_code != HTTPStatus.PARTIAL_CONTENT:
            have = 0
        with part.open("ab" if have else "wb") as file:
            progress.report(known.label, have, known.bytes)
            for chunk in reply.iter_raw():
                file.write(chunk)
                have += len(chunk)
                if have > known.bytes:
                    raise BrokenFile(f"more than the {known.bytes} bytes of {known.label} arrived")
                progress.report(known.label, have, known.bytes)


def _length(path: Path) -> int:
    """Bytes in the file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
