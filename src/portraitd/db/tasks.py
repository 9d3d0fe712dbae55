"""Rows of work: tasks, their results and what they cost. `tasks/life.py` decides which moves happen."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from portraitd.db.schema import UNFINISHED as IS_UNFINISHED
from portraitd.db.schema import deliveries, results, tasks, usage
from portraitd.portraits.requests import TaskFilter, TaskState

#: Tasks are counted so far and no further: of a hundred thousand, the count would take longer than all the rest.
COUNTED = 10_000

UNFINISHED = (TaskState.PENDING, TaskState.RUNNING)


class Kind(enum.Enum):
    """What a task is for, and so which lane of a worker it runs in."""

    GENERATE = "generate"
    FINETUNE = "finetune"


@dataclass(frozen=True)
class NewTask:
    """A task about to be accepted."""

    id: str
    kind: Kind
    account_id: str
    key_id: str
    request_id: str
    model: str
    request: Mapping[str, Any]
    seed: int
    #: Pictures wanted; steps of a training.
    total: int


@dataclass(frozen=True)
class TaskRow(NewTask):
    """A task as it stands."""

    state: TaskState
    succeeded: int
    failed: int
    #: How often it was begun.
    attempt: int
    code: str | None
    message: str | None
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    cancel_asked_at: datetime | None


@dataclass(frozen=True)
class ResultRow:
    """One picture of a task, or why it is missing; of a training, a photo that was not used, and why."""

    blob_key: str | None = None
    seed: int | None = None
    similarity: float | None = None
    code: str | None = None
    message: str | None = None


def add(conn: sa.Connection, task: NewTask, submitted_at: datetime) -> None:
    row = asdict(task) | {"kind": task.kind.value, "submitted_at": submitted_at}
    row |= {"state": TaskState.PENDING.value, "succeeded": 0, "failed": 0, "attempt": 0}
    conn.execute(sa.insert(tasks).values(row))


def get(conn: sa.Connection, task_id: str, account_id: str | None = None) -> TaskRow | None:
    """The task, or None; with `account_id`, None for another account's too."""
    query = sa.select(tasks).where(tasks.c.id == task_id)
    if account_id is not None:
        query = query.where(tasks.c.account_id == account_id)
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else _row(row)


@dataclass(frozen=True)
class Stand:
    """Where a task must stand for a move to happen."""

    states: tuple[TaskState, ...]
    #: How often it must have been begun; None: however often.
    attempt: int | None = None


def move(conn: sa.Connection, task_id: str, stand: Stand, to: Mapping[str, Any]) -> bool:
    """Did the task stand so? Then it carries the columns in `to` now.

    One UPDATE, so of any number of processes that try, one succeeds.
    """
    query = sa.update(tasks).where(tasks.c.id == task_id, tasks.c.state.in_([state.value for state in stand.states]))
    if stand.attempt is not None:
        query = query.where(tasks.c.attempt == stand.attempt)
    return conn.execute(query.values(to)).rowcount == 1


def add_results(conn: sa.Connection, task_id: str, rows: Sequence[ResultRow]) -> None:
    if rows:
        numbered = [asdict(row) | {"task_id": task_id, "position": n} for n, row in enumerate(rows)]
        conn.execute(sa.insert(results), numbered)


def results_of(conn: sa.Connection, task_id: str) -> tuple[ResultRow, ...]:
    """The task's pictures in the order to be shown."""
    columns = [results.c[name] for name in ResultRow.__dataclass_fields__]
    query = sa.select(*columns).where(results.c.task_id == task_id).order_by(results.c.position)
    return tuple(ResultRow(*row) for row in conn.execute(query))


def add_usage(conn: sa.Connection, task: TaskRow, count: int, used_at: datetime) -> None:
    row = {"task_id": task.id, "account_id": task.account_id, "kind": task.kind.value}
    conn.execute(sa.insert(usage).values(row | {"count": count, "used_at": used_at}))


def usage_of(conn: sa.Connection, account_id: str) -> Mapping[str, int]:
    """How much the account used so far, by kind: pictures made, identities trained."""
    query = sa.select(usage.c.kind, sa.func.sum(usage.c.count)).where(usage.c.account_id == account_id)
    return {kind: int(total) for kind, total in conn.execute(query.group_by(usage.c.kind))}


def page(
    conn: sa.Connection, account_id: str, kind: Kind, wanted: TaskFilter, is_long: bool = False
) -> tuple[tuple[TaskRow, ...], int]:
    """One page of the account's tasks, newest first, and how many there are on all pages, but COUNTED at most.

    is_long: there are known to be so many, and they are not counted.
    """
    found = [tasks.c.account_id == account_id, tasks.c.kind == kind.value]
    found += [tasks.c.submitted_at >= wanted.start, tasks.c.submitted_at < wanted.end]
    exact = {"id": wanted.task_id, "model": wanted.model, "state": wanted.state and wanted.state.value}
    found += [tasks.c[name] == value for name, value in exact.items() if value is not None]
    counted = sa.select(sa.literal(1)).select_from(tasks).where(*found).limit(COUNTED).subquery()
    total = COUNTED if is_long else conn.execute(sa.select(sa.func.count()).select_from(counted)).scalar_one()
    newest = sa.select(tasks).where(*found).order_by(tasks.c.submitted_at.desc(), tasks.c.id.desc())
    rows = conn.execute(newest.limit(wanted.page_size).offset((wanted.page - 1) * wanted.page_size)).mappings()
    return tuple(_row(row) for row in rows), total


def count(conn: sa.Connection, account_id: str, kind: Kind, states: Iterable[TaskState]) -> int:
    query = sa.select(sa.func.count()).select_from(tasks)
    query = query.where(tasks.c.account_id == account_id, tasks.c.kind == kind.value)
    return conn.execute(query.where(tasks.c.state.in_([state.value for state in states]))).scalar_one()


def ahead(conn: sa.Connection, task: TaskRow) -> int:
    """How many waiting tasks of its kind come before this waiting one if the accounts simply take turns.

    Those are its account's earlier ones, and for each of these turns and its own one of every other account, as far as
    it has any. Counts to COUNTED of its account and to twice as many of the others.
    """
    # Spelled out, not bound: else SQLite cannot tell that the index of waiting tasks will do.
    waits = tasks.c.state == sa.literal_column(f"'{TaskState.PENDING.value}'")
    seen = sa.select(tasks.c.account_id).where(waits, tasks.c.kind == task.kind.value).limit(COUNTED)
    place = (tasks.c.submitted_at, tasks.c.id)
    earlier = sa.tuple_(*place) < sa.tuple_(task.submitted_at, task.id, types=[column.type for column in place])
    mine = seen.where(tasks.c.account_id == task.account_id, earlier).subquery()
    own: int = conn.execute(sa.select(sa.func.count()).select_from(mine)).scalar_one()
    first = own
    # On either side, not "another one": only ranges let SQLite see that the index of waiting tasks is the shortest way.
    for side in (tasks.c.account_id < task.account_id, tasks.c.account_id > task.account_id):
        foreign = seen.where(side).subquery()
        by_account = sa.select(sa.func.count()).select_from(foreign).group_by(foreign.c.account_id)
        first += sum(min(count, own + 1) for count in conn.execute(by_account).scalars())
    return first


def count_unfinished(conn: sa.Connection, account_id: str, key_id: str | None, most: int) -> int:
    """How many tasks of all kinds of an account, or of one of its keys, have not ended; `most` when more."""
    query = sa.select(sa.literal(1)).select_from(tasks).where(tasks.c.account_id == account_id, IS_UNFINISHED)
    if key_id is not None:
        query = query.where(tasks.c.key_id == key_id)
    return conn.execute(sa.select(sa.func.count()).select_from(query.limit(most).subquery())).scalar_one()


def unfinished(conn: sa.Connection) -> tuple[str, ...]:
    """Ids of tasks without an end."""
    query = sa.select(tasks.c.id).where(tasks.c.state.in_([state.value for state in UNFINISHED]))
    return tuple(conn.execute(query).scalars())


@dataclass(frozen=True)
class Standing:
    """How many tasks of a kind are in a state, and when the oldest of them came."""

    kind: Kind
    state: TaskState
    count: int
    oldest: datetime


def standing(conn: sa.Connection) -> tuple[Standing, ...]:
    """All tasks, by kind and state; nothing where there is none."""
    oldest = sa.func.min(tasks.c.submitted_at, type_=tasks.c.submitted_at.type)
    query = sa.select(tasks.c.kind, tasks.c.state, sa.func.count(), oldest).group_by(tasks.c.kind, tasks.c.state)
    return tuple(Standing(Kind(kind), TaskState(state), *rest) for kind, state, *rest in conn.execute(query))


def ended_before(conn: sa.Connection, kind: Kind, at: datetime, limit: int) -> tuple[str, ...]:
    """Ids of up to `limit` tasks that ended before `at`, oldest first."""
    query = sa.select(tasks.c.id).where(tasks.c.kind == kind.value, tasks.c.ended_at < at)
    return tuple(conn.execute(query.order_by(tasks.c.ended_at).limit(limit)).scalars())


def states(conn: sa.Connection, task_ids: Iterable[str]) -> Mapping[str, TaskState]:
    """The states of those of the tasks that there are, by id."""
    query = sa.select(tasks.c.id, tasks.c.state).where(tasks.c.id.in_(list(task_ids)))
    return {row.id: TaskState(row.state) for row in conn.execute(query)}


def pictures_among(conn: sa.Connection, blob_keys: Sequence[str]) -> set[str]:
    """Those of the keys under which a picture of a finished task lies, `tasks/<id>/<name>` all of them."""
    owners = {key.split("/")[1] for key in blob_keys}
    found = conn.execute(sa.select(results.c.blob_key).where(results.c.task_id.in_(owners))).scalars()
    return set(blob_keys) & set(found)


def erase(conn: sa.Connection, task_ids: Sequence[str]) -> None:
    """Forget tasks, their results and events. What they cost stays, under numbers that say nothing."""
    for task_id in task_ids:
        conn.execute(sa.update(usage).where(usage.c.task_id == task_id).values(task_id=str(uuid4())))
    for table in (results, deliveries):
        conn.execute(sa.delete(table).where(table.c.task_id.in_(task_ids)))
    conn.execute(sa.delete(tasks).where(tasks.c.id.in_(task_ids)))


def _row(row: sa.RowMapping) -> TaskRow:
    values = {name: row[name] for name in TaskRow.__dataclass_fields__}
    return TaskRow(**values | {"kind": Kind(row["kind"]), "state": TaskState(row["state"])})
