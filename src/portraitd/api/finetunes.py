"""Train identities, follow that, and erase them (contract section 4)."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

import anyio
from fastapi import Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from portraitd.api.call import Call, KnownCall, RawBody, repeat_key
from portraitd.api.uploads import with_links
from portraitd.api.wire import base
from portraitd.api.wire import finetunes as wire
from portraitd.errors import NotFound
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import UPLOAD_SCHEME, FinetuneJob, JobPage


def create(call: KnownCall, body: RawBody) -> wire.JobReply:
    """Accept a training."""
    raw = base.read_object(body)
    base.check_model(raw, base.FINETUNE_MODEL, call.config)
    linked = with_links(call, raw, base.FINETUNE_MODEL)
    wanted = wire.read_finetune(linked, call.request_id, call.config)
    # Replies name what was sent: a link of ours opens to whoever sees it.
    pairs = zip(raw["training_file_ids"], wanted.sources, strict=True)
    wanted = replace(wanted, shown=tuple(sent if sent.startswith(UPLOAD_SCHEME) else source for sent, source in pairs))
    call.take(Meter.FINETUNE)
    job = call.services.finetunes.submit(call.account, wanted, repeat_key(call))
    return wire.job_reply(job, call.request_id, call.config)


def list_jobs(call: KnownCall, query: Annotated[wire.JobListQuery, Query()]) -> wire.JobListReply:
    """The account's jobs, newest first."""
    call.take(Meter.LIST)
    if query.finds_nothing:
        page = JobPage((), 0)
    else:
        page = call.services.finetunes.list(call.account, query.page_no, query.page_size)
    return wire.job_list(page, query, call.request_id, call.config)


def read(call: KnownCall, job_id: str) -> wire.JobReply:
    """A job as it stands."""
    call.take(Meter.READ)
    job = call.services.finetunes.get(call.account, _known(job_id))
    return wire.job_reply(job, call.request_id, call.config)


def cancel(call: KnownCall, job_id: str) -> base.StatusReply:
    """Stop a job. The body is never read."""
    call.take(Meter.CANCEL)
    call.services.finetunes.cancel(call.account, _known(job_id))
    return base.StatusReply(request_id=call.request_id)


def delete(call: KnownCall, job_id: str) -> base.StatusReply:
    """Erase a job that has ended, with the identity it made."""
    call.services.finetunes.delete(call.account, _known(job_id))
    return base.StatusReply(request_id=call.request_id)


def logs(call: KnownCall, job_id: str, query: Annotated[wire.LogQuery, Query()]) -> wire.LogReply:
    """The log of a job, in pages."""
    call.take(Meter.READ)
    job = call.services.finetunes.get(call.account, _known(job_id))
    return wire.log_reply(job, query, call.request_id)


def stream(call: KnownCall, job_id: str, request: Request) -> StreamingResponse:
    """Server-sent events: the job now and whenever its status changes, until it has ended."""
    call.take(Meter.READ)
    job = call.services.finetunes.get(call.account, _known(job_id))
    # Proxies that collect a reply before they pass it on are asked not to.
    events = _events(call, job, request.app.state.stopping)
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(call: Call, job: FinetuneJob, stopping: threading.Event) -> AsyncIterator[bytes]:
    yield wire.event(job, call.config)
    quiet_s = 0.0
    # A server that stops waits for open replies; this one can be asked for again, from another.
    while not job.state.is_terminal and not stopping.is_set():
        await anyio.sleep(call.config.stream_poll_s)
        quiet_s += call.config.stream_poll_s
        told = job.state
        try:
            job = await run_in_threadpool(call.services.finetunes.get, call.account, job.id)
        except NotFound:  # erased meanwhile: the reply has begun, so all that is left is to end it
            return
        if job.state is not told or quiet_s >= call.config.stream_heartbeat_s:
            yield wire.event(job, call.config) if job.state is not told else b":\n\n"
            quiet_s = 0.0


def _known(job_id: str) -> str:
    """`job_id`, if any job could have it; raises NotFound."""
    if not base.is_id(job_id):
        raise NotFound
    return job_id
