"""Submit a portrait generation (contract section 1)."""

from __future__ import annotations

from portraitd.api.call import Call, KnownCall, RawBody, repeat_key
from portraitd.api.uploads import with_links
from portraitd.api.wire import base
from portraitd.api.wire import portraits as wire
from portraitd.errors import SynchronousCallRefused
from portraitd.portraits.rates import Meter


def create(call: KnownCall, body: RawBody) -> wire.Accepted:
    """Accept a generation; the pictures are made afterwards."""
    raw = base.read_object(body)
    base.check_model(raw, base.GENERATION_MODEL, call.config)
    _check_asynchronous(call)
    raw = with_links(call, raw, base.GENERATION_MODEL)
    wanted = wire.read_generate(raw, call.request_id, call.services.styles, call.config)
    call.take(Meter.GENERATE)
    task = call.services.tasks.submit(call.account, wanted, repeat_key(call))
    return wire.accepted(task, call.request_id)


def _check_asynchronous(call: Call) -> None:
    """Raise SynchronousCallRefused unless the header says `enable`; any other value means synchronous."""
    if call.headers.get("x-dashscope-async", "").strip().lower() != "enable":
        raise SynchronousCallRefused
