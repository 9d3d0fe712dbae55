"""What surrounds every request, as plain ASGI: its id and times, the security headers, the longest body."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portraitd.api.metrics import Meter
from portraitd.errors import PayloadTooLarge
from portraitd.logs import about

access_log = logging.getLogger("portraitd.access")

#: Set where a reply has not chosen its own.
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class RequestStamp:
    """Gives each request an id, tells when it came and how long it took, writes one line about it and counts it.

    The id is always ours: one sent by a client could be somebody else's. The line holds no query, since that is where a
    signed link keeps its signature.
    """

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        arrived, begun = time.time(), time.perf_counter()
        status = 0

        def note() -> None:
            cost_s = time.perf_counter() - begun
            cost_ms = round(cost_s * 1000)
            self._meter.saw(scope, status, cost_s)
            path = scope["path"].encode("unicode_escape").decode("ascii")[:200]
            fields = {"method": scope["method"], "path": path, "status": status, "duration_ms": cost_ms}
            access_log.info("%s %s %s %d ms", scope["method"], path, status or "-", cost_ms, extra={"fields": fields})

        async def stamp(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                cost_ms = round((time.perf_counter() - begun) * 1000)
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers["req-cost-time"] = str(cost_ms)
                headers["req-arrive-time"] = str(round(arrived * 1000))
                headers["resp-start-time"] = str(round(arrived * 1000) + cost_ms)
            await send(message)

        with about(request_id=request_id):
            try:
                await self._app(scope, receive, stamp)
            finally:
                note()


class SecureHeaders:
    """Adds the security headers that a reply does not bring itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secure(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secure if scope["type"] == "http" else send)


class BodyLimit:
    """Raises PayloadTooLarge when a handler reads more than it should.

    Counted while it is read, so that a request is refused for its key or its path first, and without its body.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        #: Paths with a limit of their own.
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._limit_bytes)
        declared = Headers(scope=scope).get("content-length", "")
        # Servers let through only a well-formed length, one that int() takes.
        read = int(declared) if declared.isdecimal() else 0
        counted = 0

        async def count() -> Message:
            nonlocal counted
            if read > limit:
                raise PayloadTooLarge
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > limit:
                raise PayloadTooLarge
            return message

        await self._app(scope, count, send)
