"""Train identities, and erase them (contract section 4). Logs and the event stream will live here too."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from portraitd.api.call import KnownCall, RawBody
from portraitd.api.wire import base
from portraitd.api.wire import finetunes as wire
from portraitd.errors import NotFound
from portraitd.portraits.requests import JobPage


def create(call: KnownCall, body: RawBody) -> wire.JobReply:
    """Accept a training."""
    raw = base.read_object(body)
    base.check_model(raw, base.FINETUNE_MODEL, call.config)
    wanted = wire.read_finetune(raw, call.request_id, call.config)
    job = call.services.finetunes.submit(call.account, wanted)
    return wire.job_reply(job, call.request_id, call.config)


def list_jobs(call: KnownCall, query: Annotated[wire.JobListQuery, Query()]) -> wire.JobListReply:
    """The account's jobs, newest first."""
    if query.finds_nothing:
        page = JobPage((), 0)
    else:
        page = call.services.finetunes.list(call.account, query.page_no, query.page_size)
    return wire.job_list(page, query, call.request_id, call.config)


def read(call: KnownCall, job_id: str) -> wire.JobReply:
    """A job as it stands."""
    job = call.services.finetunes.get(call.account, _known(job_id))
    return wire.job_reply(job, call.request_id, call.config)


def cancel(call: KnownCall, job_id: str) -> base.StatusReply:
    """Stop a job. The body is never read."""
    call.services.finetunes.cancel(call.account, _known(job_id))
    return base.StatusReply(request_id=call.request_id)


def delete(call: KnownCall, job_id: str) -> base.StatusReply:
    """Erase a job that has ended, with the identity it made."""
    call.services.finetunes.delete(call.account, _known(job_id))
    return base.StatusReply(request_id=call.request_id)


def _known(job_id: str) -> str:
    """`job_id`, if any job could have it; raises NotFound."""
    if not base.is_id(job_id):
        raise NotFound
    return job_id
