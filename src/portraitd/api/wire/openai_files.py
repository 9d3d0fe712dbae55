"""Files in OpenAI's shape on the wire (contract section 5.4), and the errors of that shape."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from portraitd.api.wire.base import Part, Reply, Text, read_compact_time
from portraitd.errors import FileMissing, InvalidApiKey, InvalidParameter, PortraitdError
from portraitd.portraits.requests import DEFAULT_PURPOSE, FileFilter, FileRun, StoredFile

#: What OpenAI's clients know an error by, where it has a name there; the others keep theirs.
_CODES = {InvalidApiKey.code: "invalid_api_key", InvalidParameter.code: "invalid_parameter_error"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}|\d{14}", re.ASCII)


class OpenaiFile(Part):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    #: Unix seconds.
    created_at: int


class OpenaiFileList(Part):
    object: Literal["list"] = "list"
    data: list[OpenaiFile]
    has_more: bool


class OpenaiDeleted(Part):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class OpenaiErrorPart(Part):
    message: str
    type: str
    #: The field that is wrong; null where it is not one field. OpenAI's documents ask for the null.
    param: str | None
    code: str


class OpenaiRefusal(Reply):
    error: OpenaiErrorPart


class OpenaiListQuery(Part):
    after: Text = ""
    limit: Annotated[int, Field(ge=1, le=10_000)] = 2000
    order: Literal["asc", "desc"] = "desc"
    purpose: Text = ""
    create_after: str = ""
    create_before: str = ""


def read_filter(query: OpenaiListQuery) -> FileFilter:
    """Which files are asked for; raises InvalidParameter."""
    return FileFilter(
        most=query.limit,
        after=query.after or None,
        oldest_first=query.order == "asc",
        purpose=query.purpose or None,
        since=_read_time(query.create_after),
        before=_read_time(query.create_before),
    )


def file_reply(file: StoredFile) -> OpenaiFile:
    """One file."""
    return OpenaiFile(
        id=file.id,
        bytes=file.size,
        filename=file.name,
        purpose=file.purpose or DEFAULT_PURPOSE,
        created_at=int(file.created_at.timestamp()),
    )


def file_list(run: FileRun) -> OpenaiFileList:
    """Some files."""
    return OpenaiFileList(data=[file_reply(file) for file in run.files], has_more=run.more)


def refusal(error: PortraitdError, wrong: str, request_id: str) -> tuple[int, OpenaiRefusal]:
    """Status and body of a refusal; `wrong`: the fields it is about, the first of them counts."""
    code, status = _CODES.get(error.code, error.code), error.status
    if isinstance(error, FileMissing):  # the one status that these clients tell a missing file by
        code, status = "NotFound", 404
    kind = "invalid_request_error" if status < 500 else "server_error"
    part = OpenaiErrorPart(message=error.message, type=kind, param=wrong.partition(",")[0] or None, code=code)
    return status, OpenaiRefusal(error=part, request_id=request_id)


def _read_time(text: str) -> datetime | None:
    """A moment in Beijing, or the first of a day, with or without the marks between its numbers; None for none."""
    if not text:
        return None
    if not (_DAY.fullmatch(text) or _MOMENT.fullmatch(text)):
        raise InvalidParameter
    return read_compact_time(re.sub(r"\D", "", text).ljust(14, "0"))
