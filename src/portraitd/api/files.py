"""Files that an account keeps (contract section 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Query, Request
from starlette.datastructures import FormData, UploadFile

from portraitd.api.call import KnownCall, repeat_key
from portraitd.api.config import ApiConfig
from portraitd.api.multipart import read_form
from portraitd.api.wire import files as wire
from portraitd.api.wire.base import Reply, is_id
from portraitd.errors import FileMissing, InvalidParameter
from portraitd.portraits.requests import Upload

#: The form, as OpenAPI tells it.
FORM: Mapping[str, dict[str, Any]] = {
    "files": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1},
    "descriptions": {"type": "array", "items": {"type": "string"}, "description": "One per file, in their order."},
    "purpose": {"type": "array", "items": {"type": "string"}, "description": "One for all files, or one per file."},
}
#: Longest description that a client sends as a file, in bytes; the rest of it is dropped.
MAX_DESCRIPTION_BYTES = 4096


async def _uploads(request: Request) -> AsyncIterator[tuple[Upload, ...]]:
    """The files of a multipart body, each with its description and purpose; raises InvalidParameter without any.

    Descriptions may come before the files, as the official client sends them, and as a file, as another does; only the
    order among them counts.
    """
    config: ApiConfig = request.app.state.config
    most = config.max_upload_files
    async with read_form(request, max_files=2 * most, max_fields=2 * most) as form:
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        if not 0 < len(files) <= most:
            raise InvalidParameter
        descriptions = await _texts(form, "descriptions")
        purposes = await _texts(form, "purpose")
        yield tuple(
            Upload(
                name=wire.clean_name(file.filename or ""),
                content=file.file,
                description=wire.nth(descriptions, index),
                purpose=wire.nth(purposes, index if len(purposes) > 1 else 0),
            )
            for index, file in enumerate(files)
        )


async def _texts(form: FormData, name: str) -> list[str]:
    """All values of a field, whichever way they were sent."""
    return [
        part if isinstance(part, str) else (await part.read(MAX_DESCRIPTION_BYTES)).decode("utf-8", "replace")
        for part in form.getlist(name)
    ]


Uploads: TypeAlias = Annotated[tuple[Upload, ...], Depends(_uploads)]


def upload(call: KnownCall, uploads: Uploads) -> wire.UploadReply:
    """Keep files; the reply is a success even when none could be kept."""
    outcome = call.services.files.upload(call.account, uploads, repeat_key(call))
    return wire.upload_reply(outcome, call.request_id)


def list_files(call: KnownCall, query: Annotated[wire.FileListQuery, Query()]) -> wire.FileListReply:
    """The account's files, newest first."""
    page = call.services.files.list(call.account, query.page_no, query.page_size)
    return wire.file_list(page, query, call.request_id, call.config)


def read(call: KnownCall, file_id: str) -> wire.FileReply:
    """One file, with a link to its bytes."""
    file = call.services.files.get(call.account, _known(file_id))
    return wire.file_reply(file, call.request_id, call.config)


def delete(call: KnownCall, file_id: str) -> Reply:
    """Erase a file."""
    call.services.files.delete(call.account, _known(file_id))
    return Reply(request_id=call.request_id)


def _known(file_id: str) -> str:
    """`file_id`, if any file could have it; raises FileMissing."""
    if not is_id(file_id):
        raise FileMissing
    return file_id
