"""Rows of worker processes. Every time in them is the database's, so machines with wrong clocks agree."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from portraitd.db.engine import Database
from portraitd.db.schema import executors


def add(database: Database, conn: sa.Connection, executor_id: str, host: str) -> None:
    now = database.now(conn)
    conn.execute(sa.insert(executors).values(id=executor_id, host=host, started_at=now, beat_at=now))


def beat(database: Database, conn: sa.Connection, executor_id: str) -> bool:
    """Is the executor still registered? It has just been heard of then."""
    query = sa.update(executors).where(executors.c.id == executor_id)
    return conn.execute(query.values(beat_at=database.now(conn))).rowcount == 1


def silent(database: Database, conn: sa.Connection, lease_s: float) -> tuple[str, ...]:
    """Ids of executors not heard of for `lease_s` seconds."""
    limit = database.now(conn) - timedelta(seconds=lease_s)
    return tuple(conn.execute(sa.select(executors.c.id).where(executors.c.beat_at < limit)).scalars())


def beats(conn: sa.Connection) -> Mapping[str, datetime]:
    """When each executor that has not been taken for dead last beat, by id."""
    return {row.id: row.beat_at for row in conn.execute(sa.select(executors.c.id, executors.c.beat_at))}


def everyone(conn: sa.Connection) -> tuple[str, ...]:
    """Ids of all executors that have not been taken for dead."""
    return tuple(conn.execute(sa.select(executors.c.id)).scalars())


def remove(conn: sa.Connection, executor_id: str) -> None:
    conn.execute(sa.delete(executors).where(executors.c.id == executor_id))
