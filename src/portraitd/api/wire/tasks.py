"""Tasks on the wire (contract sections 1.5 and 2)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import (
    Extras,
    PageNo,
    PageSize,
    Part,
    Reply,
    epoch_ms,
    hint_part,
    hints_of,
    is_id,
    local_ms,
    read_compact_time,
)
from portraitd.errors import InvalidParameter
from portraitd.portraits.hints import BY_CODE
from portraitd.portraits.requests import Result, Task, TaskFilter, TaskPage, TaskState

#: How far back a list reaches, and the longest span one may ask for.
MAX_SPAN = timedelta(hours=24)
#: States other models of the family know and ours never has: asking for them is fine, and finds nothing.
FOREIGN_STATES = {"SUSPENDED", "UNKNOWN"}
#: `apikey:<version>:<task group>:<task>:<function>:<model>`.
USER_API_KEY = "apikey:v1:aigc:album:gen_potrait:"


class ResultPart(Part):
    """One picture: `url`, or `code` and `message`. `seed` and `similarity` are ours, beside the contract's."""

    url: str | None = None
    code: str | None = None
    message: str | None = None
    seed: int | None = None
    similarity: float | None = None


class Metrics(Part):
    total: Annotated[int, Field(serialization_alias="TOTAL")]
    succeeded: Annotated[int, Field(serialization_alias="SUCCEEDED")]
    failed: Annotated[int, Field(serialization_alias="FAILED")]


class TaskPart(Part):
    task_id: str
    task_status: str
    submit_time: str | None = None
    scheduled_time: str | None = None
    end_time: str | None = None
    code: str | None = None
    message: str | None = None
    results: list[ResultPart] | None = None
    task_metrics: Metrics | None = None
    portraitd: Extras | None = None


class Usage(Part):
    image_count: int


class TaskReply(Reply):
    output: TaskPart
    usage: Usage | None = None


class ListedTask(Part):
    api_key_id: str
    caller_parent_id: str
    caller_uid: str
    gmt_create: int
    start_time: int | None = None
    end_time: int | None = None
    model_name: str
    region: str
    request_id: str
    status: str
    task_id: str
    user_api_unique_key: str


class TaskListReply(Reply):
    """Flat: the one list of the contract without `output` or `data` around it."""

    total: int
    data: list[ListedTask]
    total_page: int
    page_no: int
    page_size: int


class ListQuery(Part):
    """Query of a task list. `api_key_id` and `region` may be sent too, and change nothing."""

    task_id: str = ""
    start_time: str = ""
    end_time: str = ""
    model_name: str = ""
    status: str = ""
    page_no: PageNo = 1
    page_size: PageSize = 10


def read_filter(query: ListQuery, now: datetime) -> TaskFilter | None:
    """Which tasks are asked for; None when no task can match. Raises InvalidParameter."""
    start, end = _span(query, now)
    if query.status and query.status not in {*TaskState.__members__, *FOREIGN_STATES}:
        raise InvalidParameter
    exact = [text for text in (query.task_id, query.model_name) if text]
    if query.status in FOREIGN_STATES or not all(map(is_id, exact)):
        return None
    return TaskFilter(
        start=start,
        end=end,
        is_rolling=not (query.start_time or query.end_time),
        task_id=query.task_id or None,
        model=query.model_name or None,
        state=TaskState(query.status) if query.status else None,
        page=query.page_no,
        page_size=query.page_size,
    )


def task_reply(task: Task, request_id: str) -> TaskReply:
    """A task as it stands; what is not known yet is left out."""
    finished = task.state in {TaskState.SUCCEEDED, TaskState.FAILED}
    part = TaskPart(
        task_id=task.id,
        task_status=task.state.value,
        submit_time=local_ms(task.submitted_at),
        scheduled_time=local_ms(task.started_at) if task.started_at else None,
        end_time=local_ms(task.ended_at) if task.ended_at else None,
        code=task.code if task.state is TaskState.FAILED else None,
        message=task.message if task.state is TaskState.FAILED else None,
        results=[_result(result) for result in task.results] if task.state is TaskState.SUCCEEDED else None,
        task_metrics=Metrics(total=task.total, succeeded=task.succeeded, failed=task.failed),
        portraitd=_extras(task),
    )
    usage = Usage(image_count=task.succeeded if task.state is TaskState.SUCCEEDED else 0) if finished else None
    return TaskReply(request_id=request_id, output=part, usage=usage)


def unknown_task(task_id: str, request_id: str) -> TaskReply:
    """An unknown, foreign or expired task is no error: HTTP 200 and this."""
    return TaskReply(request_id=request_id, output=TaskPart(task_id=task_id, task_status="UNKNOWN"))


def task_list(page: TaskPage, query: ListQuery, request_id: str, config: ApiConfig) -> TaskListReply:
    """A page of tasks."""
    return TaskListReply(
        request_id=request_id,
        total=page.total,
        data=[_listed(task, config.region) for task in page.tasks],
        total_page=-(-page.total // query.page_size),
        page_no=query.page_no,
        page_size=query.page_size,
    )


def _span(query: ListQuery, now: datetime) -> tuple[datetime, datetime]:
    """[start, end) of the list: at most 24 h, by default the last ones. The second named by `end_time` is inside."""
    end = read_compact_time(query.end_time) if query.end_time else None
    start = read_compact_time(query.start_time) if query.start_time else None
    if end is None:
        end = now if start is None else start + MAX_SPAN
    if start is None:
        start = end - MAX_SPAN
    if not timedelta(0) <= end - start <= MAX_SPAN:
        raise InvalidParameter
    return start, end + timedelta(seconds=1)


def _extras(task: Task) -> Extras | None:
    """How far an unfinished task is, and what to do about one that failed, in whole or in part."""
    if task.state is TaskState.FAILED:
        hint = hint_part(BY_CODE.get(task.code or ""))
        return None if hint is None else Extras(hint=hint)
    if task.state is TaskState.SUCCEEDED:
        return hints_of(BY_CODE.get(result.code or "") for result in task.results)
    if task.state is TaskState.RUNNING:
        return Extras(progress=round((task.succeeded + task.failed) / task.total, 2))
    return None if task.ahead is None else Extras(queue_position=task.ahead)


def _result(result: Result) -> ResultPart:
    return ResultPart(
        url=result.url,
        code=result.code,
        message=result.message,
        seed=result.seed,
        similarity=result.similarity,
    )


def _listed(task: Task, region: str) -> ListedTask:
    return ListedTask(
        api_key_id=task.key_id,
        caller_parent_id=task.account_id,
        caller_uid=task.account_id,
        gmt_create=epoch_ms(task.submitted_at),
        start_time=epoch_ms(task.started_at) if task.started_at else None,
        end_time=epoch_ms(task.ended_at) if task.ended_at else None,
        model_name=task.model,
        region=region,
        request_id=task.request_id,
        status=task.state.value,
        task_id=task.id,
        user_api_unique_key=USER_API_KEY + task.model,
    )
