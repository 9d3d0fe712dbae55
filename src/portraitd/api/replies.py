"""From an error to the one reply shape, `{"code", "message", "request_id"}`, or to OpenAI's where its clients ask; the
only place of the edge that catches.

A result needs no help: handlers return a model of `wire`, which already is the reply.
"""

from __future__ import annotations

import logging
import math

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portraitd.api.wire import openai_files
from portraitd.api.wire.base import wrong_fields
from portraitd.errors import FieldRequired, InvalidParameter, PathNotFound, PortraitdError, SetupError, Throttled

logger = logging.getLogger(__name__)


def refusal(error: Exception, request: Request) -> JSONResponse:
    """The reply to a request that was refused or went wrong."""
    told = _told(error)
    request.app.state.meter.refused(told.code)
    headers, wrong = {}, _wrong(error, told)
    if isinstance(told, Throttled):
        # Seconds are all that HTTP has; the official client reads the finer one first.
        headers["Retry-After"] = str(math.ceil(told.retry_after_s))
        headers["retry-after-ms"] = str(math.ceil(told.retry_after_s * 1000))
    if told.status >= 500:
        logger.error("the request failed", exc_info=error)
        if request.method == "POST" and "idempotency-key" not in request.headers:
            # The work may have been accepted before this went wrong: the official client must not send it again.
            headers["x-should-retry"] = "false"
    else:
        logger.info("refused: %s %s", told.code, wrong)
    if request.scope["path"].startswith(request.app.state.openai_root):
        status, reply = openai_files.refusal(told, wrong, request.state.request_id)
        return JSONResponse(reply.model_dump(), status, headers)
    body = {"code": told.code, "message": told.message, "request_id": request.state.request_id}
    return JSONResponse(body, told.status, headers)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """Handler of the errors that FastAPI knows how to route."""
    return refusal(error, request)


class LastResort:
    """Answers the errors nobody expected; what is left is a client that went away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ClientDisconnect:
            logger.info("the client went away")
        except Exception as error:
            if begun:  # too late for a reply: the server cuts the connection, and the client notices
                raise
            await refusal(error, Request(scope))(scope, receive, send)


def _wrong(error: Exception, told: PortraitdError) -> str:
    """The names of the fields that are wrong, separated by commas; "" when it is not about fields."""
    if isinstance(told, FieldRequired):
        return told.field
    if isinstance(error, RequestValidationError):  # a query's
        return ", ".join(str(problem["loc"][-1]) for problem in error.errors())
    return wrong_fields(told)


def _told(error: Exception) -> PortraitdError:
    """The error a client is told about."""
    match error:
        case SetupError():  # its text is for the operator
            return PortraitdError()
        case PortraitdError():
            return error
        case HTTPException(status_code=404 | 405):
            return PathNotFound()
        case RequestValidationError() | HTTPException(status_code=400):  # a bad query, a broken multipart body
            return InvalidParameter()
    return PortraitdError()
