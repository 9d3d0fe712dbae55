"""How a database gets from nothing to `schema.py`: small steps, in order, each recorded in the database itself.

A step, once released, is never changed; the next one mends it. Steps are plain SQL that both databases understand,
because the tables in `schema.py` move on while an old step must keep doing what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa

from portraitd.db import schema
from portraitd.db.engine import Database
from portraitd.errors import SetupError

Step: TypeAlias = Callable[[sa.Connection], None]

#: Any number; PostgreSQL's lock under which one process migrates and the others wait.
_LOCK = 7_076_001


def create_first_tables(conn: sa.Connection) -> None:
    _run(conn, _FIRST_TABLES)


def create_figures(conn: sa.Connection) -> None:
    _run(
        conn,
        "CREATE TABLE figures (name TEXT, labels TEXT, value DOUBLE PRECISION NOT NULL, PRIMARY KEY (name, labels))",
    )


def create_repeats(conn: sa.Connection) -> None:
    _run(conn, _REPEATS)


def index_waiting_tasks(conn: sa.Connection) -> None:
    _run(conn, "CREATE INDEX tasks_waiting ON tasks (kind, account_id, submitted_at, id) WHERE state = 'PENDING'")


def add_limits(conn: sa.Connection) -> None:
    _run(conn, _LIMITS)


def create_webhooks(conn: sa.Connection) -> None:
    _run(conn, _WEBHOOKS)


STEPS: tuple[Step, ...] = (
    create_first_tables,
    create_figures,
    create_repeats,
    index_waiting_tasks,
    add_limits,
    create_webhooks,
)


def migrate(database: Database, steps: tuple[Step, ...] = STEPS) -> tuple[str, ...]:
    """Names of the steps taken now, () when the database was up to date.

    Raises SetupError, changing nothing, for a database that a newer portraitd has already moved on.
    """
    with database.write() as conn:
        if not database.is_sqlite:
            conn.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        schema.migrations.create(conn, checkfirst=True)
        taken = set(conn.execute(sa.select(schema.migrations.c.number)).scalars())
        if taken and max(taken) > len(steps):
            raise SetupError(
                f"the database was written by a newer portraitd (step {max(taken)}, this one knows {len(steps)}): "
                "upgrade portraitd, or point PORTRAITD_DATABASE_URL at another database"
            )
        return tuple(_take(conn, database, number, step) for number, step in enumerate(steps, 1) if number not in taken)


def _take(conn: sa.Connection, database: Database, number: int, step: Step) -> str:
    step(conn)
    row = {"number": number, "name": step.__name__, "applied_at": database.now(conn)}
    conn.execute(sa.insert(schema.migrations).values(row))
    return step.__name__


def _run(conn: sa.Connection, script: str) -> None:
    for statement in script.split(";"):
        if statement.strip():
            conn.exec_driver_sql(statement)


_REPEATS = """
CREATE TABLE repeats (
    account_id TEXT NOT NULL REFERENCES accounts (id), key_sha256 TEXT NOT NULL, request_sha256 TEXT NOT NULL,
    made TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (account_id, key_sha256)
);
CREATE INDEX repeats_by_made ON repeats (made);
CREATE INDEX repeats_by_age ON repeats (created_at)
"""

_LIMITS = """
ALTER TABLE api_keys ADD COLUMN rates TEXT;
ALTER TABLE api_keys ADD COLUMN max_unfinished INTEGER;
CREATE TABLE meters (
    account_id TEXT NOT NULL REFERENCES accounts (id), key_id TEXT NOT NULL, name TEXT NOT NULL,
    free_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (account_id, key_id, name)
);
CREATE INDEX tasks_unfinished_by_account ON tasks (account_id, key_id) WHERE state IN ('PENDING', 'RUNNING')
"""

_WEBHOOKS = """
CREATE TABLE webhooks (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id), url TEXT NOT NULL, secret TEXT NOT NULL,
    created_at BIGINT NOT NULL, disabled_at BIGINT
);
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id),
    task_id TEXT NOT NULL REFERENCES tasks (id), created_at BIGINT NOT NULL, due_at BIGINT,
    attempts INTEGER NOT NULL, outcome TEXT, answer TEXT, answered_at BIGINT
);
CREATE INDEX deliveries_due ON deliveries (account_id, due_at, created_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_task ON deliveries (task_id);
CREATE INDEX deliveries_by_age ON deliveries (created_at)
"""

_FIRST_TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counters (name, value) VALUES ('file', 0);
CREATE TABLE secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE accounts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id), name TEXT NOT NULL,
    key_sha256 TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL, revoked_at BIGINT
);
CREATE TABLE tasks (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, account_id TEXT NOT NULL REFERENCES accounts (id), key_id TEXT NOT NULL,
    request_id TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL, seed BIGINT NOT NULL,
    total INTEGER NOT NULL, succeeded INTEGER NOT NULL, failed INTEGER NOT NULL, attempt INTEGER NOT NULL,
    code TEXT, message TEXT, submitted_at BIGINT NOT NULL, started_at BIGINT, ended_at BIGINT, cancel_asked_at BIGINT
);
CREATE INDEX tasks_by_account ON tasks (account_id, kind, submitted_at);
CREATE INDEX tasks_by_end ON tasks (kind, ended_at);
CREATE INDEX tasks_unfinished ON tasks (state, started_at) WHERE state IN ('PENDING', 'RUNNING');
CREATE TABLE results (
    task_id TEXT NOT NULL REFERENCES tasks (id), position INTEGER NOT NULL, blob_key TEXT, seed BIGINT,
    similarity DOUBLE PRECISION, code TEXT, message TEXT, PRIMARY KEY (task_id, position)
);
CREATE TABLE usage (
    task_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE TABLE identities (
    id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts (id), engine TEXT NOT NULL,
    blob_key TEXT NOT NULL, created_at BIGINT NOT NULL
);
CREATE TABLE files (
    id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, account_id TEXT NOT NULL REFERENCES accounts (id),
    key_id TEXT NOT NULL, name TEXT NOT NULL, size BIGINT NOT NULL, md5 TEXT NOT NULL, blob_key TEXT NOT NULL,
    description TEXT, purpose TEXT, created_at BIGINT NOT NULL
);
CREATE INDEX files_by_account ON files (account_id, number);
CREATE TABLE executors (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, started_at BIGINT NOT NULL, beat_at BIGINT NOT NULL
)
"""
