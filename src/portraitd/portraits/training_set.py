"""The photos a training is made of: out of URLs, files and zip archives of files."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from portraitd import images
from portraitd.blobs import BlobMissing, Blobs
from portraitd.db import files
from portraitd.db.engine import Database
from portraitd.errors import FileMissing, InvalidImageFormat, InvalidParameter
from portraitd.portraits.photos import CHECKED_PHOTO, MEGABYTE, Fetches

MAX_PHOTOS = 10
MAX_UNPACKED_BYTES = 100 * MEGABYTE
#: More entries than this are no photo album.
MAX_ENTRIES = 1000

#: Most that zipfile may read at once: its directory, or a piece of an entry.
_LARGEST_SIP = 2 * MEGABYTE
#: zipfile unpacks these piece by piece. Of the others it unpacks whatever it has read at once, and 600 bytes of bzip2
#: hold a gigabyte.
_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

_ARCHIVE_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True)
class RawPhoto:
    """A picture file as it came, and what to call it in a log: not by its own name or URL, which may tell too much."""

    name: str
    data: bytes


class TooManyPhotos(InvalidParameter):
    text = f"the parameters must conform to the specification: at most {MAX_PHOTOS} images."


class BadArchive(InvalidParameter):
    text = "the parameters must conform to the specification: a plain zip file of at most 100 MB of images."


@dataclass(frozen=True)
class SourceReader:
    """Reads what `training_file_ids` names."""

    database: Database
    blobs: Blobs
    fetcher: Fetches

    def read(self, account_id: str, sources: tuple[str, ...]) -> tuple[RawPhoto, ...]:
        """Every photo in order, at most MAX_PHOTOS of them, not decoded yet.

        Raises FileMissing, TooManyPhotos, BadArchive, or what a fetch raises.
        """
        found: list[RawPhoto] = []
        for source in sources:
            for data in self._photos(account_id, source):
                if len(found) == MAX_PHOTOS:
                    raise TooManyPhotos
                found.append(RawPhoto(f"photo {len(found) + 1}", data))
        return tuple(found)

    def _photos(self, account_id: str, source: str) -> Iterator[bytes]:
        if is_url(source):
            yield self.fetcher.fetch(source, CHECKED_PHOTO.max_bytes)
            return
        with self.database.read() as conn:
            file = files.get(conn, source, account_id)
        if file is None:
            raise FileMissing
        try:
            stream = self.blobs.open(file.blob_key)
        except BlobMissing as error:
            raise FileMissing from error
        if stream.read(4).startswith(b"PK"):
            yield from unzip(stream)
        else:
            # One byte too many is enough for the limits to refuse it; the rest of a huge file is never read.
            stream.seek(0)
            yield bytes(stream.read(CHECKED_PHOTO.max_bytes + 1))


def is_url(source: str) -> bool:
    """Does the source name a place rather than a file id?"""
    return "://" in source


def unzip(stream: BinaryIO) -> Iterator[bytes]:
    """The picture files in a zip file, in the order of their names. Nothing is written anywhere: names are only names.

    Folders, dotfiles, macOS's `__MACOSX` and files that are no pictures are passed over; an archive inside, an
    encrypted or broken one, an unusual compression, or more than 100 MB unpacked raises BadArchive, whatever the
    headers claim.
    """
    stream.seek(0)
    budget = MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(_Sips(stream)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise BadArchive
            for entry in sorted(filter(_is_wanted, entries), key=lambda entry: entry.filename):
                data = _inflate(archive, entry, budget)
                budget -= len(data)
                if _is_picture(data):
                    yield data
    # zipfile tells of broken, encrypted and unknown archives in many ways; all mean the same to a client.
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
        EOFError,
        OSError,
        ValueError,
        io.UnsupportedOperation,
    ) as error:
        raise BadArchive from error


class _Sips(io.RawIOBase):
    """A stream that refuses to be read in one large piece.

    zipfile reads an archive's directory whole and makes an object of each entry before anybody can count them; a file
    of a gigabyte that is all directory would fill the memory.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = _LARGEST_SIP + 1 if size < 0 else size
        if size > _LARGEST_SIP or len(data := self._stream.read(wanted)) > _LARGEST_SIP:
            raise BadArchive
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    # A backslash is no separator here: in names that are not UTF-8 it is the second half of many a Chinese character.
    parts = PurePosixPath(entry.filename).parts
    hidden = any(part.startswith(".") and part not in {".", ".."} for part in parts)
    return bool(parts) and not entry.is_dir() and "__MACOSX" not in parts and not hidden


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: int) -> bytes:
    """The entry's bytes; raises BadArchive as soon as they are more than `budget`."""
    if entry.compress_type not in _BOUNDED:
        raise BadArchive
    data = bytearray()
    with archive.open(entry) as packed:
        while chunk := packed.read(MEGABYTE):
            data += chunk
            if len(data) > budget:
                raise BadArchive
    if data.startswith(_ARCHIVE_STARTS):
        raise BadArchive
    return bytes(data)


def _is_picture(data: bytes) -> bool:
    try:
        images.probe(data)
    except InvalidImageFormat:
        return False
    return True
