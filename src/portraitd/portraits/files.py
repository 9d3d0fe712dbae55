"""Files that accounts keep, mostly photos to train from."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from portraitd.blobs import Blobs
from portraitd.db import accounts
from portraitd.db import files as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.files import FileRow, NewFile
from portraitd.errors import FileMissing
from portraitd.portraits.erase import Eraser
from portraitd.portraits.links import Links
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

    def upload(self, account: Account, uploads: tuple[Upload, ...]) -> UploadOutcome:
        """Keep what fits the account's limits; the rest is named with its reason."""
        stored: list[StoredFile] = []
        failed: list[FailedUpload] = []
        for upload in uploads:
            try:
                stored.append(self._shown(self._keep(account, upload)))
            except _Refused as refusal:
                failed.append(FailedUpload(upload.name, refusal.code, refusal.message))
        return UploadOutcome(tuple(stored), tuple(failed))

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

    def _keep(self, account: Account, upload: Upload) -> FileRow:
        size = len(upload.data)
        if size > self.quota.max_file_bytes:
            raise _Refused("BadRequest.TooLarge", "Payload Too Large.")
        file_id = str(uuid4())
        file = NewFile(
            id=file_id,
            account_id=account.id,
            key_id=account.key_id,
            name=upload.name,
            size=size,
            md5=base64.b64encode(hashlib.md5(upload.data, usedforsecurity=False).digest()).decode("ascii"),
            blob_key=f"files/{file_id}",
            description=upload.description,
            purpose=upload.purpose,
            created_at=self.clock(),
        )
        self.blobs.put(file.blob_key, upload.data)
        try:
            return self._add_within_quota(file)
        except BaseException:
            self.blobs.delete(file.blob_key)
            raise

    def _add_within_quota(self, file: NewFile) -> FileRow:
        quota = self.quota
        with self.database.write() as conn:
            accounts.lock_account(conn, file.account_id)
            space = rows.space(conn, file.account_id)
            if space.files >= quota.max_files:
                text = f"Out of number, <{space.files}> of <{quota.max_files}> files has been uploaded."
                raise _Refused("BadRequest.TooMany", text)
            if space.bytes + file.size > quota.max_bytes:
                text = f"Out of space, <{space.bytes}> B of <{quota.max_bytes}> B storage space has been used."
                raise _Refused("BadRequest.TooLarge", text)
            return rows.add(conn, file)

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
