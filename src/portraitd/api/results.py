"""Pictures and files behind signed links: whoever holds the link may read, until it expires (contract section 1.5)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, BinaryIO
from urllib.parse import quote
from xml.sax.saxutils import escape

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from portraitd.portraits.requests import StoredPicture
from portraitd.portraits.services import Services

#: Below this path, on this host, lies what links lead to; `Results.open` gets the rest of the path.
PREFIX = "/results/"

#: Shown in a browser; everything else is only offered for saving, since it may be a page that means harm.
_SHOWN = {"image/jpeg", "image/png", "image/webp"}
_CHUNK_BYTES = 256 * 1024


def download(
    request: Request,
    path: str,
    expires: Annotated[str, Query(alias="Expires")] = "",
    signature: Annotated[str, Query(alias="Signature")] = "",
) -> Response:
    """The bytes; `OSSAccessKeyId` in the query means nothing here, real links have it. 403 for any link that fails."""
    services: Services = request.app.state.services
    until = int(expires) if expires.isdecimal() and expires.isascii() and len(expires) <= 12 else 0
    picture = services.results.open(path, until, signature) if until and signature and _is_plain(path) else None
    if picture is None:
        return _refused(until, request.state.request_id)
    headers = _headers(picture, until)
    if request.method == "HEAD":
        picture.content.close()
        return Response(media_type=picture.media_type, headers=headers)
    return StreamingResponse(chunks(picture.content), media_type=picture.media_type, headers=headers)


def chunks(content: BinaryIO) -> Iterator[bytes]:
    """The bytes piece by piece: a file may be larger than the memory."""
    with content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


def _headers(picture: StoredPicture, until: int) -> dict[str, str]:
    shown = picture.media_type in _SHOWN
    headers = {
        "Cache-Control": f"private, max-age={max(0, until - int(time.time()))}, immutable",
        "Content-Length": str(picture.size),
    }
    if picture.name or not shown:
        name = quote(picture.name or "file", safe="")
        headers["Content-Disposition"] = f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"
    return headers


def _is_plain(path: str) -> bool:
    """No control characters, no half characters: nothing of ours is called so."""
    return path.isprintable()


def _refused(until: int, request_id: str) -> Response:
    """What an object store answers. A picture that is gone looks like a wrong signature: nothing can be probed."""
    code, message = ("AccessDenied", "Request has expired.")
    if until >= time.time():
        code, message = ("SignatureDoesNotMatch", "The request signature does not match, or the object is gone.")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<RequestId>{escape(request_id)}</RequestId></Error>\n"
    )
    return Response(body, 403, media_type="application/xml")
