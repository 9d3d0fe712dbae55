"""Files on the wire (contract section 5): multipart in, `data` (not `output`) out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import PageNo, PageSize, Part, Reply, local_s
from portraitd.portraits.requests import FailedUpload, FilePage, StoredFile, UploadOutcome

MAX_NAME = 255
#: Longest description or purpose that is kept; every list shows it again.
MAX_TEXT = 1000


class UploadedPart(Part):
    name: str
    file_id: str


class FailedPart(Part):
    name: str
    code: str
    message: str


class UploadPart(Part):
    uploaded_files: list[UploadedPart]
    failed_uploads: list[FailedPart]


class UploadReply(Reply):
    """HTTP 200 even when every file failed."""

    data: UploadPart


class FilePart(Part):
    id: int
    file_id: str
    name: str
    description: str | None = None
    size: int
    #: Base64 of the digest.
    md5: str
    gmt_create: str
    url: str
    region: str
    user_id: str
    api_key_id: str
    purpose: str | None = None


class FileReply(Reply):
    data: FilePart


class FileListPart(Part):
    total: int
    page_size: int
    page_no: int
    files: list[FilePart]


class FileListReply(Reply):
    data: FileListPart


class FileListQuery(Part):
    page_no: PageNo = 1
    page_size: PageSize = 10


def clean_name(name: str) -> str:
    """A file's own name: no folders, no control characters, at most 255 characters, never empty."""
    own = clean_text(name).replace("\\", "/").rpartition("/")[2]
    return "file" if own in {"", ".", ".."} else own[-MAX_NAME:]


def clean_text(text: str) -> str:
    """`text` without what a database or a log could trip over."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "", text)


def nth(values: Sequence[str], index: int) -> str | None:
    """The value that belongs to file `index`: matched by order; None when there are fewer, or it is empty.

    Longer ones are cut.
    """
    return (clean_text(values[index])[:MAX_TEXT] or None) if index < len(values) else None


def upload_reply(outcome: UploadOutcome, request_id: str) -> UploadReply:
    """Which files were kept, and why the others were not."""
    part = UploadPart(
        uploaded_files=[UploadedPart(name=file.name, file_id=file.id) for file in outcome.stored],
        failed_uploads=[_failed(file) for file in outcome.failed],
    )
    return UploadReply(request_id=request_id, data=part)


def file_reply(file: StoredFile, request_id: str, config: ApiConfig) -> FileReply:
    """One file."""
    return FileReply(request_id=request_id, data=_file(file, config))


def file_list(page: FilePage, query: FileListQuery, request_id: str, config: ApiConfig) -> FileListReply:
    """A page of files."""
    files = [_file(file, config) for file in page.files]
    part = FileListPart(total=page.total, page_size=query.page_size, page_no=query.page_no, files=files)
    return FileListReply(request_id=request_id, data=part)


def _failed(file: FailedUpload) -> FailedPart:
    return FailedPart(name=file.name, code=file.code, message=file.message)


def _file(file: StoredFile, config: ApiConfig) -> FilePart:
    return FilePart(
        id=file.number,
        file_id=file.id,
        name=file.name,
        description=file.description,
        size=file.size,
        md5=file.md5,
        gmt_create=local_s(file.created_at),
        url=file.url,
        region=config.region,
        user_id=file.account_id,
        api_key_id=file.key_id,
        purpose=file.purpose,
    )
