"""Check photos for a usable face (contract section 3)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import anyio.to_thread
from fastapi import Depends, Request

from portraitd.api.call import Call, KnownCall, RawBody
from portraitd.api.uploads import with_links
from portraitd.api.wire import base
from portraitd.api.wire import faces as wire
from portraitd.errors import AsynchronousCallRefused
from portraitd.portraits.rates import Meter


def _wanted(call: KnownCall, body: RawBody) -> tuple[str, ...]:
    """The pictures to check, everything about the request being right."""
    raw = base.read_object(body)
    base.check_model(raw, base.DETECT_MODEL, call.config)
    _check_synchronous(call)
    urls = wire.read_detect(with_links(call, raw, base.DETECT_MODEL), call.config)
    call.take(Meter.DETECT)
    return urls


Wanted: TypeAlias = Annotated[tuple[str, ...], Depends(_wanted)]


async def detect(request: Request, call: KnownCall, urls: Wanted) -> wire.DetectReply:
    """A verdict and a reason per picture, at once.

    Pictures may take their time to arrive. Checks wait in a line of their own for a thread, or a few clients with slow
    pictures could hold all the threads that every other request needs.
    """
    line: anyio.CapacityLimiter = request.app.state.checks
    verdicts = await anyio.to_thread.run_sync(call.services.faces.check, call.account, urls, limiter=line)
    return wire.verdicts(verdicts, call.request_id)


def _check_synchronous(call: Call) -> None:
    if call.headers.get("x-dashscope-async", "").strip().lower() == "enable":
        raise AsynchronousCallRefused
