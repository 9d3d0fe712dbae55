"""One store for bytes, by key. Keys are made by portraitd alone: no part of one ever comes from a client."""

from __future__ import annotations

import io
import logging
import re
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar
from urllib.parse import urlsplit

from portraitd.errors import SetupError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig
    from typing_extensions import Buffer

_log = logging.getLogger(__name__)

T = TypeVar("T")

_KEY = re.compile(r"[a-z0-9]+(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
#: Between two tries to reach a store that is away, in seconds.
_PAUSE_S = 0.5
#: What a file that is read in pieces fetches at once.
_READ_AHEAD_BYTES = 1 << 20
_DELETED_AT_ONCE = 500
#: Of a file that is put in parts of 5 MB, how many are in memory.
_PARTS_AT_ONCE = 2


class BlobMissing(LookupError):
    """There is nothing under this key."""


class StoreAway(Exception):
    """The store cannot be reached, is full or refuses us; the same call may work later."""


@dataclass(frozen=True)
class Held:
    """One key that the store holds."""

    key: str
    size: int


class Blobs:
    """Bytes by key such as `tasks/<id>/0.jpg`. A key holds all of what was put, or what it held before.

    Every method raises StoreAway when the store has been out of reach for `patience_s` seconds.
    """

    def __init__(self, store: ObjectStore, folder: Path | None = None, patience_s: float = 0.0) -> None:
        self._store = store
        #: Where a local store lies, None for a remote one.
        self._folder = folder
        self._patience_s = patience_s

    def patient(self, patience_s: float) -> Blobs:
        """The same store, waited for when it is away: for workers, which have the time that a request has not."""
        return Blobs(self._store, self._folder, patience_s)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """Keep `data`, a file's from its beginning, under `key`, replacing what was there.

        A file is never held in memory as a whole.
        """
        import obstore

        path = _checked(key)

        def put() -> None:
            if not isinstance(data, bytes):
                data.seek(0)
            obstore.put(self._store, path, data, max_concurrency=_PARTS_AT_ONCE)

        self._reach(put)

    def get(self, key: str) -> bytes:
        """What lies under `key`; raises BlobMissing."""
        import obstore

        path = _checked(key)
        try:
            return self._reach(lambda: bytes(obstore.get(self._store, path).bytes()))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    def open(self, key: str) -> BinaryIO:
        """What lies under `key`, to seek and read without holding it all in memory; raises BlobMissing."""
        size = self._size(key)
        if size is None:
            raise BlobMissing(key)
        return io.BufferedReader(_Reader(lambda start, end: self._range(key, start, end), size), _READ_AHEAD_BYTES)

    def exists(self, key: str) -> bool:
        return self._size(key) is not None

    def list(self, prefix: str) -> tuple[Held, ...]:
        """Everything under `prefix/`, in no order."""
        import obstore

        below = _checked(prefix) + "/"
        # As a whole: after a stumble, an iterator would end early as though that were all.
        entries = self._reach(lambda: [entry for batch in obstore.list(self._store, below) for entry in batch])
        return tuple(Held(str(entry["path"]), int(entry["size"])) for entry in entries)

    def delete(self, key: str) -> None:
        """Erase one key; nothing happens when it holds nothing."""
        self._delete([_checked(key)])

    def delete_prefix(self, prefix: str) -> None:
        """Erase `prefix/...`, whatever is below it, half-written remains of a killed process included."""
        keys = [held.key for held in self.list(prefix)]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            self._delete(keys[start : start + _DELETED_AT_ONCE])
        if self._folder:
            # A put cut short by a kill leaves a staged file that the store does not list.
            shutil.rmtree(self._folder / prefix, ignore_errors=True)

    def _delete(self, keys: Sequence[str]) -> None:
        import obstore

        with suppress(FileNotFoundError):
            self._reach(lambda: obstore.delete(self._store, keys))

    def _size(self, key: str) -> int | None:
        """Bytes under the key, None when there is nothing."""
        import obstore

        path = _checked(key)
        try:
            return int(self._reach(lambda: obstore.head(self._store, path))["size"])
        except FileNotFoundError:
            return None

    def _range(self, key: str, start: int, end: int) -> bytes:
        import obstore

        try:
            return self._reach(lambda: bytes(obstore.get_range(self._store, key, start=start, end=end)))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    def _reach(self, act: Callable[[], T]) -> T:
        """What `act` returns, called again while the store is away."""
        from obstore.exceptions import BaseError

        give_up_at = time.monotonic() + self._patience_s
        told = False
        while True:
            try:
                return act()
            except FileNotFoundError:
                raise
            except (BaseError, OSError) as error:
                if time.monotonic() >= give_up_at:
                    raise StoreAway(str(error)) from error
                if not told:
                    _log.warning("the store is out of reach or full, waiting for it: %s", error)
                    told = True
                time.sleep(_PAUSE_S)


class _Reader(io.RawIOBase):
    """A blob as a file of the standard library, read in ranges: a store that went away costs one of them."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read_range = read
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        into = memoryview(buffer)
        end = min(self._at + len(into), self._size)
        if end <= self._at:
            return 0
        data = self._read_range(self._at, end)
        into[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("a place before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at


def open_blobs(url: str) -> Blobs:
    """The store at a folder path or an s3:// url; raises SetupError when it cannot be opened."""
    import obstore.store
    from obstore.exceptions import BaseError

    try:
        if urlsplit(url).scheme == "s3":
            return Blobs(obstore.store.from_url(url, client_options=_client(), retry_config=_retries()))
        folder = Path(url).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return Blobs(obstore.store.LocalStore(prefix=folder), folder)
    except (BaseError, OSError, ValueError) as error:
        raise SetupError(f"PORTRAITD_STORAGE_URL={url}: cannot open the store: {error}") from error


def _client() -> ClientConfig:
    # Plain http is spoken to an AWS_ENDPOINT_URL that says so, and to nothing else.
    return {"allow_http": True, "connect_timeout": timedelta(seconds=3), "timeout": timedelta(seconds=60)}


def _retries() -> RetryConfig:
    """For stumbles that are not worth a word; longer waits are `Blobs.patient`'s: a request has no time for them."""
    return {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a blob key: {key!r}")
    return key
