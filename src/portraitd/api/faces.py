"""Check photos for a usable face (contract section 3)."""

from __future__ import annotations

from portraitd.api.call import Call, KnownCall, RawBody
from portraitd.api.wire import base
from portraitd.api.wire import faces as wire
from portraitd.errors import AsynchronousCallRefused


def detect(call: KnownCall, body: RawBody) -> wire.DetectReply:
    """A verdict and a reason per picture, at once."""
    raw = base.read_object(body)
    base.check_model(raw, base.DETECT_MODEL, call.config)
    _check_synchronous(call)
    urls = wire.read_detect(raw, call.config)
    return wire.verdicts(call.services.faces.check(call.account, urls), call.request_id)


def _check_synchronous(call: Call) -> None:
    if call.headers.get("x-dashscope-async", "").strip().lower() == "enable":
        raise AsynchronousCallRefused
