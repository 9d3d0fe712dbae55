"""All that an account has, whatever table it is in: found by the tables' columns, so that no new table is forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from portraitd.db.schema import accounts, metadata, results, tasks
from portraitd.db.tasks import Kind
from portraitd.portraits.requests import TaskState


def task_ids(
    conn: sa.Connection, account_id: str, states: Iterable[TaskState] | None = None, kind: Kind | None = None
) -> tuple[str, ...]:
    """Ids of the account's tasks: all, those in some states, or those of a kind."""
    query = sa.select(tasks.c.id).where(tasks.c.account_id == account_id)
    if states is not None:
        query = query.where(tasks.c.state.in_([state.value for state in states]))
    if kind is not None:
        query = query.where(tasks.c.kind == kind.value)
    return tuple(conn.execute(query).scalars())


@dataclass(frozen=True)
class Bytes:
    """What of an account lies in the store."""

    #: Its tasks, below whose ids pictures lie.
    work: tuple[tuple[Kind, str], ...]
    #: Keys that its rows name themselves.
    keys: tuple[str, ...]


def bytes_of(conn: sa.Connection, account_id: str) -> Bytes:
    """All of the account's bytes that its rows know of."""
    work = [(kind, task_id) for kind in Kind for task_id in task_ids(conn, account_id, kind=kind)]
    return Bytes(tuple(work), _blob_keys(conn, account_id))


def _blob_keys(conn: sa.Connection, account_id: str) -> tuple[str, ...]:
    found: list[str] = []
    for table in _owned():
        if "blob_key" in table.c:
            found += conn.execute(sa.select(table.c.blob_key).where(table.c.account_id == account_id)).scalars()
    return tuple(found)


def erase(conn: sa.Connection, account_id: str) -> None:
    """Forget the account: every row that names it, what it used included."""
    mine = sa.select(tasks.c.id).where(tasks.c.account_id == account_id)
    conn.execute(sa.delete(results).where(results.c.task_id.in_(mine)))
    for table in _owned():
        conn.execute(sa.delete(table).where(table.c.account_id == account_id))
    conn.execute(sa.delete(accounts).where(accounts.c.id == account_id))


def _owned() -> list[sa.Table]:
    """Tables whose rows belong to an account, those that point at others first."""
    return [table for table in reversed(metadata.sorted_tables) if "account_id" in table.c]
