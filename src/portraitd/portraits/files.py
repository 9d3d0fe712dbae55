"""Files that accounts keep, mostly photos to train from."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from portraitd.blobs import BlobMissing, Blobs
from portraitd.db import accounts, repeats
from portraitd.db import files as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.files import FileRow, NewFile, Space
from portraitd.db.repeats import Once
from portraitd.errors import FileMissing, PayloadTooLarge, TooManyFiles
from portraitd.portraits.erase import Eraser
from portraitd.portraits.links import Links
from portraitd.portraits.once import once
from portraitd.portraits.requests import (
    Account,
    FailedUpload,
    FileFilter,
    FilePage,
    FileRun,
    StoredFile,
    StoredPicture,
    Upload,
    UploadOutcome,
)

_LINK_LIFE = timedelta(hours=24)
_BITE_BYTES = 1 << 20


@dataclass(frozen=True)
class Quota:
    """What one account may keep."""

    max_files: int
    max_file_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class FileCabinet:
    """The `Files` door of services.py."""

    database: Database
    blobs: Blobs
    eraser: Eraser
    links: Links
    quota: Quota
    clock: Clock

    def upload(self, account: Account, uploads: tuple[Upload, ...], key: str | None = None) -> UploadOutcome:
        """Keep what fits the account's limits; the rest is named with its reason.

        Under a `key` that was used, what came of it then. Raises IdempotencyKeyReused.
        """
        files = [_new(account, upload, self.clock()) for upload in uploads]
        asked = once(account, key, "files", [_asked(file) for file in files])
        with self._put(files, uploads) as kept:
            outcome = self._add(account, files, asked)
            kept |= {file.id for file in outcome.stored}
        return outcome

    def keep(self, account: Account, upload: Upload, key: str | None = None) -> StoredFile:
        """Keep one file; raises PayloadTooLarge, TooManyFiles, IdempotencyKeyReused.

        Under a `key` that was used, the file kept then; FileMissing where that is being erased.
        """
        file = _new(account, upload, self.clock())
        asked = once(account, key, "file", _asked(file))
        with self._put([file], [upload]) as kept:
            found = self._add_one(account, file, asked)
            kept.add(found.id)
        return self._shown(found)

    def list(self, account: Account, page: int, page_size: int) -> FilePage:
        """Files, newest first."""
        with self.database.read() as conn:
            found, total = rows.page(conn, account.id, page, page_size)
        return FilePage(tuple(self._shown(file) for file in found), total)

    def find(self, account: Account, wanted: FileFilter) -> FileRun:
        """Files, by age; raises FileMissing when the list is to go on after one that is not there."""
        with self.database.read() as conn:
            after = rows.get(conn, wanted.after, account.id) if wanted.after else None
            if wanted.after and after is None:
                raise FileMissing
            found = rows.run(conn, account.id, wanted, after)
        return FileRun(tuple(self._shown(file) for file in found[: wanted.most]), len(found) > wanted.most)

    def get(self, account: Account, file_id: str) -> StoredFile:
        """The file; raises FileMissing."""
        return self._shown(self._row(account, file_id))

    def open(self, account: Account, file_id: str) -> StoredPicture:
        """The file's bytes; raises FileMissing."""
        file = self._row(account, file_id)
        try:
            return StoredPicture(self.blobs.open(file.blob_key), file.size, "application/octet-stream", file.name)
        except BlobMissing as error:  # erased between the two
            raise FileMissing from error

    def delete(self, account: Account, file_id: str) -> None:
        """Erase the file; raises FileMissing."""
        self.eraser.file(self._row(account, file_id))
        self.database.scrub()

    def _row(self, account: Account, file_id: str) -> FileRow:
        with self.database.read() as conn:
            file = rows.get(conn, file_id, account.id)
        if file is None:
            raise FileMissing
        return file

    @contextmanager
    def _put(self, files: Sequence[NewFile], uploads: Sequence[Upload]) -> Iterator[set[str]]:
        """The bytes lie in the store while the block runs; afterwards, those of the ids it put into the set."""
        kept: set[str] = set()
        put: list[NewFile] = []
        try:
            for file, upload in zip(files, uploads, strict=True):
                if file.size <= self.quota.max_file_bytes:
                    put.append(file)
                    self.blobs.put(file.blob_key, upload.content)
            yield kept
        finally:
            for file in put:
                if file.id not in kept:
                    self.blobs.delete(file.blob_key)

    def _add(self, account: Account, files: Sequence[NewFile], asked: Once | None) -> UploadOutcome:
        """What came of the files, now or when it was first asked for; those that fit are kept, all at one moment."""
        with self.database.write() as conn:

            def add() -> str:
                accounts.lock_account(conn, account.id)
                stored, failed = [], []
                for file in files:
                    try:
                        self._check(file, rows.space(conn, account.id))
                        stored.append(rows.add(conn, file).id)
                    except (PayloadTooLarge, TooManyFiles) as refusal:
                        failed.append((file.name, refusal.code, refusal.message))
                return json.dumps({"stored": stored, "failed": failed})

            came = json.loads(repeats.make_once(self.database, conn, asked, add))
            found = [rows.get(conn, file_id, account.id) for file_id in came["stored"]]
        stored = tuple(self._shown(file) for file in found if file)
        return UploadOutcome(stored, tuple(FailedUpload(*refused) for refused in came["failed"]))

    def _add_one(self, account: Account, file: NewFile, asked: Once | None) -> FileRow:
        """The file, now kept, or the one kept when that was first asked for."""
        with self.database.write() as conn:

            def add() -> str:
                accounts.lock_account(conn, account.id)
                self._check(file, rows.space(conn, account.id))
                return rows.add(conn, file).id

            found = rows.get(conn, repeats.make_once(self.database, conn, asked, add), account.id)
        if found is None:
            raise FileMissing
        return found

    def _check(self, file: NewFile, space: Space) -> None:
        """Raise PayloadTooLarge or TooManyFiles unless the file fits into what the account may keep."""
        quota = self.quota
        if file.size > quota.max_file_bytes:
            raise PayloadTooLarge
        if space.files >= quota.max_files:
            raise TooManyFiles(space.files, quota.max_files)
        if space.bytes + file.size > quota.max_bytes:
            text = f"Out of space, <{space.bytes}> B of <{quota.max_bytes}> B storage space has been used."
            raise PayloadTooLarge(text)

    def _shown(self, file: FileRow) -> StoredFile:
        return StoredFile(
            number=file.number,
            id=file.id,
            account_id=file.account_id,
            key_id=file.key_id,
            name=file.name,
            size=file.size,
            md5=file.md5,
            created_at=file.created_at,
            url=self.links.make(f"files/{file.id}", self.clock() + _LINK_LIFE),
            description=file.description,
            purpose=file.purpose,
        )


def _asked(file: NewFile) -> list[str | None]:
    """What makes one upload another request than the next."""
    return [file.name, file.md5, file.description, file.purpose]


def _new(account: Account, upload: Upload, created_at: datetime) -> NewFile:
    file_id = str(uuid4())
    upload.content.seek(0)
    md5 = hashlib.md5(usedforsecurity=False)
    while bite := upload.content.read(_BITE_BYTES):
        md5.update(bite)
    return NewFile(
        id=file_id,
        account_id=account.id,
        key_id=account.key_id,
        name=upload.name,
        size=upload.content.tell(),
        md5=base64.b64encode(md5.digest()).decode("ascii"),
        blob_key=f"files/{file_id}",
        description=upload.description,
        purpose=upload.purpose,
        created_at=created_at,
    )
