"""Read, list and cancel tasks (contract section 2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query

from portraitd.api.call import KnownCall
from portraitd.api.wire import tasks as wire
from portraitd.api.wire.base import Reply, is_id
from portraitd.errors import CancelRefused
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import TaskPage


def read(call: KnownCall, task_id: str) -> wire.TaskReply:
    """A task as it stands; an unknown one is a reply like any other."""
    call.take(Meter.READ)
    task = call.services.tasks.get(call.account, task_id) if is_id(task_id) else None
    if task is None:
        return wire.unknown_task(task_id, call.request_id)
    return wire.task_reply(task, call.request_id)


def list_tasks(call: KnownCall, query: Annotated[wire.ListQuery, Query()]) -> wire.TaskListReply:
    """The account's tasks of at most 24 hours, newest first."""
    wanted = wire.read_filter(query, datetime.now(UTC))
    call.take(Meter.LIST)
    page = call.services.tasks.list(call.account, wanted) if wanted else TaskPage((), 0)
    return wire.task_list(page, query, call.request_id, call.config)


def cancel(call: KnownCall, task_id: str) -> Reply:
    """Cancel a task that has not begun. The body is never read: some clients declare JSON and send nothing."""
    call.take(Meter.CANCEL)
    if not is_id(task_id):
        raise CancelRefused
    call.services.tasks.cancel(call.account, task_id)
    return Reply(request_id=call.request_id)
