"""What signed links lead to: pictures of tasks, and files."""

from __future__ import annotations

import io
from typing import BinaryIO

from portraitd import images
from portraitd.blobs import BlobMissing, Blobs
from portraitd.db import files as file_rows
from portraitd.db import tasks as task_rows
from portraitd.db.engine import Database
from portraitd.errors import InvalidImageFormat
from portraitd.portraits.links import Links
from portraitd.portraits.requests import StoredPicture
from portraitd.portraits.uploads import UPLOADS

#: A larger file is never looked into: no picture of the contract comes near it, and an upload may fill the memory.
_LARGEST_SHOWN_BYTES = 16 * 1024 * 1024


class ResultStore:
    """Opens signed links. A link's path names a row, the row names the blob: no key comes from outside."""

    def __init__(self, database: Database, blobs: Blobs, links: Links) -> None:
        self._database = database
        self._blobs = blobs
        self._links = links

    def open(self, path: str, expires: int, signature: str) -> StoredPicture | None:
        """What the link leads to, or None when it is wrong, expired or the picture is gone."""
        if not self._links.holds(path, expires, signature):
            return None
        kind, _, rest = path.partition("/")
        try:
            if kind == UPLOADS:
                return self._upload(path)
            return self._picture(rest) if kind == "tasks" else self._file(rest)
        except BlobMissing:
            return None

    def read(self, url: str, most_bytes: int) -> bytes | None:
        """The first `most_bytes` behind one of our own links, read without a request; None for any other URL."""
        link = self._links.split(url)
        picture = self.open(*link) if link else None
        if picture is None:
            return None
        with picture.content:
            return picture.content.read(most_bytes)

    def _picture(self, rest: str) -> StoredPicture | None:
        task_id, _, name = rest.partition("/")
        key = picture_key(task_id, name)
        with self._database.read() as conn:
            known = any(result.blob_key == key for result in task_rows.results_of(conn, task_id))
        if not known:
            return None
        data = self._blobs.get(key)
        return StoredPicture(io.BytesIO(data), len(data), "image/jpeg", name)

    def _upload(self, key: str) -> StoredPicture:
        content = self._blobs.open(key)
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        return StoredPicture(content, size, _media_type(content, size), "")

    def _file(self, file_id: str) -> StoredPicture | None:
        with self._database.read() as conn:
            file = file_rows.get(conn, file_id)
        if file is None:
            return None
        content = self._blobs.open(file.blob_key)
        return StoredPicture(content, file.size, _media_type(content, file.size), file.name)


def picture_key(task_id: str, name: str) -> str:
    """Where a task's picture lies, in the blob store and in its link."""
    return f"tasks/{task_id}/{name}"


def _media_type(content: BinaryIO, size: int) -> str:
    """What a browser may take the file for; the stream stands at its start again."""
    if size > _LARGEST_SHOWN_BYTES:
        return "application/octet-stream"
    data = content.read()
    content.seek(0)
    try:
        return f"image/{images.probe(data).format}"
    except InvalidImageFormat:
        return "application/octet-stream"
