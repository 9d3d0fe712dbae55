"""Temporary uploads: the ticket, the form that is posted with it, and `oss://` URLs in bodies (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from xml.sax.saxutils import escape

from fastapi import Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from portraitd.api.call import Call, KnownCall
from portraitd.api.multipart import read_form
from portraitd.api.wire import base
from portraitd.api.wire import uploads as wire
from portraitd.errors import InvalidParameter, MediaDownloadFailed, PortraitdError, UploadRefused
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import UPLOAD_SCHEME as SCHEME
from portraitd.portraits.requests import SignedUpload
from portraitd.portraits.services import Services

#: Where the form goes, on this host; the ticket says so.
PATH = "/uploads"

#: The form, as OpenAPI tells it.
FORM: Mapping[str, dict[str, Any]] = {
    name: {"type": "string"}
    for name in ("OSSAccessKeyId", "Signature", "policy", "key", "success_action_status", "x-oss-object-acl")
} | {"file": {"type": "string", "format": "binary"}}


def ticket(call: KnownCall, query: Annotated[wire.TicketQuery, Query()]) -> wire.TicketReply:
    """Leave to upload files that a request for this model may name."""
    base.check_known_model(query.model, call.config)
    call.take(Meter.TICKET, query.model)
    return wire.ticket_reply(call.services.uploads.ticket(call.account, query.model), call.request_id)


async def post(request: Request) -> Response:
    """Take a file. Whoever has a ticket may, so there is no key; answers are the object store's, in XML."""
    try:
        await _post(request)
    except UploadRefused as error:
        return _refused(error, request.state.request_id)
    except InvalidParameter:
        return _refused(UploadRefused("The body of your POST request is not well-formed."), request.state.request_id)
    return Response(status_code=200 if request.state.upload_wants_200 else 204)


async def _post(request: Request) -> None:
    services: Services = request.app.state.services

    def admit(fields: Mapping[str, str], filename: str) -> None:
        """Nothing is kept of a file without a good ticket before it: no key protects this door."""
        services.uploads.check(_signed(fields, filename))

    async with read_form(request, max_files=1, max_fields=20, admit=admit) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidParameter
        request.state.upload_wants_200 = fields.get("success_action_status") == "200"
        signed = _signed(fields, file.filename or "")
        await run_in_threadpool(services.uploads.put, signed, file.file)


def _signed(fields: Mapping[str, str], filename: str) -> SignedUpload:
    """The form's fields that say what may be posted; OSS's own forms may leave the file's name to the server."""
    policy, signature, key = (fields.get(name, "") for name in ("policy", "Signature", "key"))
    return SignedUpload(policy, signature, key.replace("${filename}", (filename or "file").rsplit("/", 1)[-1]))


def with_links(call: Call, raw: base.Json, model: str) -> base.Json:
    """The body with links of ours in place of `oss://` URLs.

    Raises MediaDownloadFailed for what was not uploaded by this account for this model, and without the header that
    asks for it.
    """
    resolves = call.headers.get("x-dashscope-ossresourceresolve", "").strip().lower() == "enable"

    def linked(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(SCHEME):
            if not resolves:
                raise MediaDownloadFailed
            return call.services.uploads.link(call.account, model, value)
        if isinstance(value, list):
            return [linked(item) for item in value]
        if isinstance(value, dict):
            return {key: linked(item) for key, item in value.items()}
        return value

    return {key: linked(value) for key, value in raw.items()}


def _refused(error: PortraitdError, request_id: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        f"<RequestId>{escape(request_id)}</RequestId></Error>\n"
    )
    return Response(body, error.status, media_type="application/xml")
