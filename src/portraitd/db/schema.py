"""The tables as they are today. `migrations.py` says how a database gets here; a test holds the two together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, kept as whole milliseconds since 1970: the wire's precision, and no driver converts it."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class Record(sa.types.TypeDecorator[Mapping[str, Any]]):
    """A JSON object kept as text, the same on both databases."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Mapping[str, Any] | None:
        return None if value is None else json.loads(value)


metadata = sa.MetaData()

#: Steps of migrations.py that this database has taken.
migrations = sa.Table(
    "portraitd_migrations",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("applied_at", Moment, nullable=False),
)

#: Running numbers; one row each.
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

#: What only this service knows: the key that links are signed with.
secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
)

#: API keys. The key itself is random and shown once; only its SHA-256 is kept.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("revoked_at", Moment),
    #: Limits of its own, as they were given; NULL: its account's.
    sa.Column("rates", sa.Text),
    sa.Column("max_unfinished", sa.Integer),
)

#: Has a task no end yet? Spelled out, for what is bound as a parameter says nothing to a partial index.
UNFINISHED = sa.text("state IN ('PENDING', 'RUNNING')")

#: All work that outlives a request: generations and trainings live by the same rules (tasks/life.py).
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("request", Record, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    #: Pictures wanted, made and failed so far.
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("succeeded", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    #: How often the task was begun; whoever holds an older number has lost the task.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("submitted_at", Moment, nullable=False),
    sa.Column("started_at", Moment),
    sa.Column("ended_at", Moment),
    sa.Column("cancel_asked_at", Moment),
    sa.Index("tasks_by_account", "account_id", "kind", "submitted_at"),
    sa.Index("tasks_by_end", "kind", "ended_at"),
    sa.Index(
        "tasks_unfinished_by_account", "account_id", "key_id", sqlite_where=UNFINISHED, postgresql_where=UNFINISHED
    ),
)

#: Pictures of SUCCEEDED tasks, in the order to be shown.
results = sa.Table(
    "results",
    metadata,
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("blob_key", sa.Text),
    sa.Column("seed", sa.BigInteger),
    sa.Column("similarity", sa.Float),
    sa.Column("code", sa.Text),
    sa.Column("message", sa.Text),
)

#: What counts for a bill. Outlives its task; the primary key makes it count once.
usage = sa.Table(
    "usage",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("used_at", Moment, nullable=False),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("blob_key", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False, unique=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("md5", sa.Text, nullable=False),
    sa.Column("blob_key", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("purpose", sa.Text),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("files_by_account", "account_id", "number"),
)

#: Requests sent with an Idempotency-Key, and what they made (repeats.py).
repeats = sa.Table(
    "repeats",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("key_sha256", sa.Text, primary_key=True),
    sa.Column("request_sha256", sa.Text, nullable=False),
    #: Id of a task or training, or the JSON of an upload's outcome.
    sa.Column("made", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Index("repeats_by_made", "made"),
    sa.Index("repeats_by_age", "created_at"),
)

#: How far each limited rate is used up (meters.py).
meters = sa.Table(
    "meters",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    #: "" for what all keys of the account share.
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    #: Seconds since 1970.
    sa.Column("free_at", sa.Float, nullable=False),
)

#: Where accounts want to be told of tasks that ended. The secret signs what is sent, so it cannot be kept as a hash.
webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
)

#: Events for webhooks, one for each task that ended (webhooks.py).
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("task_id", sa.Text, sa.ForeignKey("tasks.id"), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    #: When to send it, by the database's clock; none once it has an outcome.
    sa.Column("due_at", Moment),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text),
    #: What the last attempt was answered, and when.
    sa.Column("answer", sa.Text),
    sa.Column("answered_at", Moment),
    sa.Index("deliveries_by_task", "task_id"),
    sa.Index("deliveries_by_age", "created_at"),
)

#: Running sums that workers add to, for a monitor (figures.py).
figures = sa.Table(
    "figures",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
)

#: Worker processes, one row per process life, by the database's clock.
executors = sa.Table(
    "executors",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("beat_at", Moment, nullable=False),
)
