"""Files that accounts keep, mostly photos to train from."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from portraitd.blobs import Blobs
from portraitd.db import accounts, repeats
from portraitd.db import files as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.files import FileRow, NewFile, Space
from portraitd.db.repeats import Once
from portraitd.errors import FileMissing
from portraitd.portraits.erase import Eraser
from portraitd.portraits.links import Links
from portraitd.portraits.once import once
from portraitd.portraits.requests import Account, FailedUpload, FilePage, StoredFile, Upload, UploadOutcome

_LINK_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Quota:
    """What one account may keep."""

    max_files: int
    max_file_bytes: int
    max_bytes: int


class _Refused(Exception):
    """The file does not fit; `code` and `message` of wire-contract section 5.1."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


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
        asked = once(account, key, "files", [[file.name, file.md5, file.description, file.purpose] for file in files])
        put: set[str] = set()
        try:
            for file, upload in zip(files, uploads, strict=True):
                if file.size <= self.quota.max_file_bytes:
                    put.add(file.blob_key)
                    self.blobs.put(file.blob_key, upload.data)
            outcome = self._add(account, files, asked)
            put -= {f"files/{file.id}" for file in outcome.stored}
        finally:
            for blob_key in put:
                self.blobs.delete(blob_key)
        return outcome

    def list(self, account: Account, page: int, page_size: int) -> FilePage:
        """Files, newest first."""
        with self.database.read() as conn:
            found, total = rows.page(conn, account.id, page, page_size)
        return FilePage(tuple(self._shown(file) for file in found), total)

    def get(self, account: Account, file_id: str) -> StoredFile:
        """The file; raises FileMissing."""
        return self._shown(self._row(account, file_id))

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
                    except _Refused as refusal:
                        failed.append((file.name, refusal.code, refusal.message))
                return json.dumps({"stored": stored, "failed": failed})

            came = json.loads(repeats.make_once(self.database, conn, asked, add))
            found = [rows.get(conn, file_id, account.id) for file_id in came["stored"]]
        stored = tuple(self._shown(file) for file in found if file)
        return UploadOutcome(stored, tuple(FailedUpload(*refused) for refused in came["failed"]))

    def _check(self, file: NewFile, space: Space) -> None:
        """Raise _Refused unless the file fits into what the account may keep."""
        quota = self.quota
        if file.size > quota.max_file_bytes:
            raise _Refused("BadRequest.TooLarge", "Payload Too Large.")
        if space.files >= quota.max_files:
            text = f"Out of number, <{space.files}> of <{quota.max_files}> files has been uploaded."
            raise _Refused("BadRequest.TooMany", text)
        if space.bytes + file.size > quota.max_bytes:
            text = f"Out of space, <{space.bytes}> B of <{quota.max_bytes}> B storage space has been used."
            raise _Refused("BadRequest.TooLarge", text)

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


def _new(account: Account, upload: Upload, created_at: datetime) -> NewFile:
    file_id = str(uuid4())
    return NewFile(
        id=file_id,
        account_id=account.id,
        key_id=account.key_id,
        name=upload.name,
        size=len(upload.data),
        md5=base64.b64encode(hashlib.md5(upload.data, usedforsecurity=False).digest()).decode("ascii"),
        blob_key=f"files/{file_id}",
        description=upload.description,
        purpose=upload.purpose,
        created_at=created_at,
    )
