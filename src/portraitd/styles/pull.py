"""A pinned pack's pictures to the styles' folders: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import httpx

from portraitd.errors import SetupError
from portraitd.styles.pinned import Picture, PinnedPack

TRIES = 3
RETRY_PAUSE_S = 0.3
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
MAX_REDIRECTS = 5

#: A picture's bytes, checked already. Raises SetupError that says why it cannot be had.
Source: TypeAlias = Callable[[Picture], bytes]


class _BrokenPictureError(Exception):
    """What arrived is not the picture that the pack names."""


def lacking(pack: PinnedPack, folder: Path) -> tuple[Picture, ...]:
    """The pictures that are missing or broken below `folder`, for one of their styles at least."""
    return tuple(p for p in pack.pictures if not all(_is(path, p) for path in _places(pack, p, folder)))


def pull(pack: PinnedPack, folder: Path, source: Source) -> tuple[Path, ...]:
    """Where pictures were written to, `<folder>/<style_id>/<pack>-<file>`; what is there is not asked for again.

    Each picture is asked of the source once, however many styles it serves. What came before a SetupError is kept.
    """
    written = []
    for picture in pack.pictures:
        wanted = [path for path in _places(pack, picture, folder) if not _is(path, picture)]
        if not wanted:
            continue
        content = next((p.read_bytes() for p in _places(pack, picture, folder) if _is(p, picture)), None)
        content = source(picture) if content is None else content
        for path in wanted:
            _write(path, content)
            written.append(path)
    return tuple(written)


def remove(pack: PinnedPack, folder: Path) -> tuple[Path, ...]:
    """The pictures of the pack that were there, and are no more; folders left empty go too."""
    places = [path for picture in pack.pictures for path in _places(pack, picture, folder)]
    found = tuple(path for path in places if path.is_file())
    try:
        for path in found:
            path.unlink()
        for inside in {path.parent for path in found}:
            if not any(inside.iterdir()):
                inside.rmdir()
    except OSError as error:
        raise SetupError(f"{folder}: cannot be written to: {error.strerror}") from error
    return found


def from_folder(source: Path) -> Source:
    """Takes pictures from anywhere below a local folder, known by their names and sha256."""
    if not source.is_dir():
        raise SetupError(f"{source} is no folder.")

    def find(picture: Picture) -> bytes:
        name = PurePosixPath(picture.path).name
        for path in source.rglob(name):
            if _is(path, picture):
                return path.read_bytes()
        raise SetupError(f"{source} has no {name} with the sha256 {picture.sha256}.")

    return find


@contextmanager
def from_web(pack: PinnedPack, url: str | None = None, limit_s: float = 60.0) -> Iterator[Source]:
    """Fetches pictures from the pack's address, or from a mirror's `url`; each within `limit_s` seconds."""
    base = (url or pack.url).rstrip("/")
    if not base.startswith(("https://", "http://")):
        raise SetupError(f"{base} is no web address; a folder is named with --from.")
    headers = {"Accept-Encoding": "identity", "User-Agent": "portraitd"}
    with httpx.Client(headers=headers, timeout=TIMEOUT, follow_redirects=True, max_redirects=MAX_REDIRECTS) as client:
        yield lambda picture: _fetch(client, f"{base}/{picture.path}", picture, limit_s)


def _fetch(client: httpx.Client, url: str, picture: Picture, limit_s: float) -> bytes:
    """The picture's bytes; tried again when cut off or broken. Raises SetupError that says what to do instead."""
    give_up_at = time.monotonic() + limit_s
    for tried in range(1, TRIES + 1):
        try:
            return _download(client, url, picture, give_up_at)
        except (httpx.HTTPError, httpx.InvalidURL, _BrokenPictureError) as error:
            final = isinstance(error, httpx.HTTPStatusError | httpx.TooManyRedirects | httpx.InvalidURL)
            if final or tried == TRIES or time.monotonic() > give_up_at:
                raise SetupError(_advice(url, picture, error)) from error
            time.sleep(RETRY_PAUSE_S * tried)
    raise AssertionError("the last try returns or raises")


def _download(client: httpx.Client, url: str, picture: Picture, give_up_at: float) -> bytes:
    content = bytearray()
    with client.stream("GET", url) as reply:
        reply.raise_for_status()
        for chunk in reply.iter_raw():
            content += chunk
            if len(content) > picture.bytes:
                raise _BrokenPictureError(f"more than its {picture.bytes} bytes arrived")
            if time.monotonic() > give_up_at:
                raise httpx.ReadTimeout("it took too long")
    if not _matches(bytes(content), picture):
        raise _BrokenPictureError("another file lies there (sha256 differs)")
    return bytes(content)


def _advice(url: str, picture: Picture, error: Exception) -> str:
    """Why the picture could not be had, and other ways to get it."""
    why = f"HTTP {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else error
    return (
        f"{_without_login(url)} could not be fetched: {why or type(error).__name__}. "
        "Run the command again later, or name a mirror that you trust with --mirror URL: each picture is asked for at "
        f"URL/{picture.path}. Or bring the pictures into a folder and name that with --from FOLDER. "
        "What came already is kept."
    )


def _without_login(url: str) -> str:
    return str(httpx.URL(url).copy_with(userinfo=b"")) if "@" in url else url


def _places(pack: PinnedPack, picture: Picture, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / style / pack.filename(picture) for style in picture.styles)


def _is(path: Path, picture: Picture) -> bool:
    """Whether the file at `path` is the picture."""
    return path.is_file() and path.stat().st_size == picture.bytes and _matches(path.read_bytes(), picture)


def _matches(content: bytes, picture: Picture) -> bool:
    return len(content) == picture.bytes and hashlib.sha256(content).hexdigest() == picture.sha256


def _write(path: Path, content: bytes) -> None:
    """The content at `path` in one move: nobody reads half a picture."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error
