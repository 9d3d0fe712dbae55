"""One store for bytes, by key. Keys are made by portraitd alone: no part of one ever comes from a client."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from portraitd.errors import SetupError

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import ObjectStore
    from typing_extensions import Buffer

_KEY = re.compile(r"[a-z0-9]+(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class BlobMissing(LookupError):
    """There is nothing under this key."""


class Blobs:
    """Bytes by key such as `tasks/<id>/0.jpg`. A key holds all of what was put, or what it held before."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        #: Where a local store lies, None for a remote one.
        self._folder = folder

    def put(self, key: str, data: bytes) -> None:
        """Keep `data` under `key`, replacing what was there."""
        import obstore

        obstore.put(self._store, _checked(key), data)

    def get(self, key: str) -> bytes:
        """What lies under `key`; raises BlobMissing."""
        import obstore

        try:
            return bytes(obstore.get(self._store, _checked(key)).bytes())
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    def open(self, key: str) -> BinaryIO:
        """What lies under `key`, to seek and read without holding it all in memory; raises BlobMissing."""
        import obstore

        try:
            return io.BufferedReader(_Reader(obstore.open_reader(self._store, _checked(key))))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    def exists(self, key: str) -> bool:
        import obstore

        try:
            obstore.head(self._store, _checked(key))
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Erase one key; nothing happens when it holds nothing."""
        import obstore

        try:
            obstore.delete(self._store, _checked(key))
        except FileNotFoundError:
            return

    def delete_prefix(self, prefix: str) -> None:
        """Erase `prefix/...`, whatever is below it, half-written remains of a killed process included."""
        import obstore

        below = _checked(prefix) + "/"
        for batch in obstore.list(self._store, below, chunk_size=500):
            obstore.delete(self._store, [str(entry["path"]) for entry in batch])
        if self._folder:
            # A put cut short by a kill leaves a staged file that the store does not list.
            shutil.rmtree(self._folder / below, ignore_errors=True)


class _Reader(io.RawIOBase):
    """obstore's reader as a file of the standard library, which wants plain bytes."""

    def __init__(self, reader: ReadableFile) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        into = memoryview(buffer)
        data = bytes(self._reader.read(len(into)))
        into[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


def open_blobs(url: str) -> Blobs:
    """The store at a folder path or an s3:// url; raises SetupError when it cannot be opened."""
    import obstore.store
    from obstore.exceptions import BaseError

    try:
        if urlsplit(url).scheme == "s3":
            return Blobs(obstore.store.from_url(url))
        folder = Path(url).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return Blobs(obstore.store.LocalStore(prefix=folder), folder)
    except (BaseError, OSError, ValueError) as error:
        raise SetupError(f"PORTRAITD_STORAGE_URL={url}: cannot open the store: {error}") from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a blob key: {key!r}")
    return key
