"""Files in OpenAI's shape (contract section 5.4): the same files, for OpenAI's clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from portraitd.api.call import KnownCall, repeat_key
from portraitd.api.multipart import read_form
from portraitd.api.results import chunks
from portraitd.api.wire import files as native
from portraitd.api.wire import openai_files as wire
from portraitd.api.wire.base import is_id
from portraitd.errors import FieldRequired, FileMissing, InvalidParameter
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import Upload

#: The form, as OpenAPI tells it.
FORM: Mapping[str, dict[str, Any]] = {
    "file": {"type": "string", "format": "binary"},
    "purpose": {"type": "string", "minLength": 1},
}


async def _upload(request: Request) -> AsyncIterator[Upload]:
    """The one file of a multipart body; raises InvalidParameter."""
    async with read_form(request, max_files=1, max_fields=20) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise FieldRequired("file")
        purpose = native.nth([part for part in form.getlist("purpose") if isinstance(part, str)], 0)
        if purpose is None:
            raise FieldRequired("purpose")
        # Photos that somebody believes to be erased by then must not be kept.
        if any(name.startswith("expires_after") for name in form):
            raise InvalidParameter("expires_after is not supported.")
        yield Upload(native.clean_name(file.filename or ""), file.file, purpose=purpose)


OneUpload: TypeAlias = Annotated[Upload, Depends(_upload)]


def create(call: KnownCall, upload: OneUpload) -> wire.OpenaiFile:
    """Keep a file."""
    call.take(Meter.OPENAI_FILE)
    return wire.file_reply(call.services.files.keep(call.account, upload, repeat_key(call)))


def list_files(call: KnownCall, query: Annotated[wire.OpenaiListQuery, Query()]) -> wire.OpenaiFileList:
    """The account's files, newest first unless asked otherwise."""
    call.take(Meter.OPENAI_FILE)
    wanted = wire.read_filter(query)
    if wanted.after is not None:
        _known(wanted.after)
    return wire.file_list(call.services.files.find(call.account, wanted))


def read(call: KnownCall, file_id: str) -> wire.OpenaiFile:
    """One file."""
    call.take(Meter.OPENAI_FILE)
    return wire.file_reply(call.services.files.get(call.account, _known(file_id)))


def content(call: KnownCall, file_id: str) -> StreamingResponse:
    """A file's bytes, as they came."""
    call.take(Meter.OPENAI_FILE)
    file = call.services.files.open(call.account, _known(file_id))
    headers = {"Content-Length": str(file.size)}
    return StreamingResponse(chunks(file.content), media_type=file.media_type, headers=headers)


def delete(call: KnownCall, file_id: str) -> wire.OpenaiDeleted:
    """Erase a file."""
    call.take(Meter.OPENAI_FILE)
    call.services.files.delete(call.account, _known(file_id))
    return wire.OpenaiDeleted(id=file_id)


def _known(file_id: str) -> str:
    """`file_id`, if any file could have it; raises FileMissing."""
    if not is_id(file_id):
        raise FileMissing
    return file_id
