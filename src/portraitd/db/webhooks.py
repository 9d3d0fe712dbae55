"""Where accounts want to be told of tasks that ended, and what they are still to be told.

An event is written in the transaction that ends its task, so that none is lost and none is about a task that goes on.
It holds nothing but ids: what it tells is read off the task when it is sent, and it goes when its task is erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from portraitd.db import tasks as task_rows
from portraitd.db.schema import accounts, deliveries, tasks, webhooks
from portraitd.db.tasks import TaskRow

#: How long events are remembered, sent or not.
KEPT = timedelta(days=2)

#: Pauses between attempts are no longer than this.
LONGEST_WAIT = timedelta(hours=12)

#: What may come of an event. One without an outcome waits.
DELIVERED = "delivered"
#: It was tried as often as it is to be.
GIVEN_UP = "given up"
#: The receiver wants no events any more.
GONE = "gone"

#: Due whatever the clock says, and before all that was tried already.
_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class WebhookRow:
    """Where an account is told."""

    account_id: str
    #: The account's name.
    account: str
    url: str
    secret: str = field(repr=False)
    created_at: datetime
    #: Since when it is told nothing any more, because the receiver said so.
    disabled_at: datetime | None


@dataclass(frozen=True)
class Claimed:
    """An event that this process is to send now."""

    id: str
    url: str
    secret: str = field(repr=False)
    task: TaskRow
    #: Which attempt this is, from 1.
    attempt: int


@dataclass(frozen=True)
class Tried:
    """What came of an attempt."""

    answer: str
    at: datetime
    #: None: try again.
    outcome: str | None = None
    #: When to try again.
    due_at: datetime | None = None


@dataclass(frozen=True)
class Mail:
    """How an account's events stand."""

    #: By outcome, "" for those that wait.
    counts: Mapping[str, int]
    last_answer: str | None = None
    last_answered_at: datetime | None = None


def put(conn: sa.Connection, account_id: str, url: str, secret: str, now: datetime) -> None:
    """Set the account's webhook, in place of one that there may be; what waits is sent to it at once."""
    conn.execute(sa.delete(webhooks).where(webhooks.c.account_id == account_id))
    conn.execute(sa.insert(webhooks).values(account_id=account_id, url=url, secret=secret, created_at=now))
    conn.execute(sa.update(deliveries).where(_waits(account_id)).values(due_at=_AT_ONCE, attempts=0))


def of_account(conn: sa.Connection, account_id: str) -> WebhookRow | None:
    row = conn.execute(_named().where(webhooks.c.account_id == account_id)).mappings().one_or_none()
    return None if row is None else WebhookRow(**row)


def everything(conn: sa.Connection) -> tuple[WebhookRow, ...]:
    """Every webhook, by the names of the accounts."""
    return tuple(WebhookRow(**row) for row in conn.execute(_named().order_by(accounts.c.name)).mappings())


def remove(conn: sa.Connection, account_id: str) -> bool:
    """Had the account a webhook? It has none now, and its events are forgotten."""
    conn.execute(sa.delete(deliveries).where(deliveries.c.account_id == account_id))
    return conn.execute(sa.delete(webhooks).where(webhooks.c.account_id == account_id)).rowcount == 1


def disable(conn: sa.Connection, claimed: Claimed, now: datetime) -> bool:
    """Is the webhook still the one that was told? It is told nothing any more, not even what waits."""
    account_id = claimed.task.account_id
    same = sa.and_(webhooks.c.account_id == account_id, webhooks.c.secret == claimed.secret)
    if conn.execute(sa.update(webhooks).where(same).values(disabled_at=now)).rowcount != 1:
        return False
    conn.execute(sa.update(deliveries).where(_waits(account_id)).values(due_at=None, outcome=GONE))
    return True


def note_end(conn: sa.Connection, task_id: str) -> None:
    """Have the webhook of the task's account, if there is one, told that the task has ended."""
    found = (
        sa.select(
            sa.literal(f"msg_{uuid4().hex}"),
            tasks.c.account_id,
            tasks.c.id,
            tasks.c.ended_at,
            sa.literal(_AT_ONCE, deliveries.c.due_at.type),
            sa.literal(0),
        )
        .join(webhooks, webhooks.c.account_id == tasks.c.account_id)
        .where(tasks.c.id == task_id, webhooks.c.disabled_at.is_(None))
    )
    columns = ["id", "account_id", "task_id", "created_at", "due_at", "attempts"]
    conn.execute(sa.insert(deliveries).from_select(columns, found))


def due_accounts(conn: sa.Connection, now: datetime) -> tuple[str, ...]:
    """Accounts that are to be told something now. However much waits, one look per webhook."""
    something = sa.exists().where(deliveries.c.account_id == webhooks.c.account_id, _is_due(now))
    query = sa.select(webhooks.c.account_id).where(webhooks.c.disabled_at.is_(None), something)
    return tuple(conn.execute(query).scalars())


def claim(conn: sa.Connection, account_id: str, now: datetime, until: datetime) -> Claimed | None:
    """The account's next event, for this process alone until then; None when nothing is due, or another took it.

    New events come before those that were tried.
    """
    query = (
        sa.select(deliveries, webhooks.c.url, webhooks.c.secret)
        .join(webhooks, webhooks.c.account_id == deliveries.c.account_id)
        .where(deliveries.c.account_id == account_id, _is_due(now), webhooks.c.disabled_at.is_(None))
        .order_by(deliveries.c.due_at, deliveries.c.created_at)
        .limit(1)
    )
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        return None
    as_seen = sa.and_(deliveries.c.id == row["id"], deliveries.c.due_at == row["due_at"])
    attempt = row["attempts"] + 1
    if conn.execute(sa.update(deliveries).where(as_seen).values(due_at=until, attempts=attempt)).rowcount != 1:
        return None
    task = task_rows.get(conn, row["task_id"])
    return None if task is None else Claimed(row["id"], row["url"], row["secret"], task, attempt)


def settle(conn: sa.Connection, claimed: Claimed, tried: Tried) -> bool:
    """Did the event still wait? What came of the attempt is written down, unless somebody has tried again since."""
    still = [deliveries.c.id == claimed.id, deliveries.c.attempts == claimed.attempt, deliveries.c.due_at.is_not(None)]
    columns = {"answer": tried.answer, "answered_at": tried.at, "outcome": tried.outcome, "due_at": tried.due_at}
    return conn.execute(sa.update(deliveries).where(*still).values(columns)).rowcount == 1


def mail_of(conn: sa.Connection, account_id: str) -> Mail:
    mine = deliveries.c.account_id == account_id
    outcome = sa.func.coalesce(deliveries.c.outcome, "")
    counted = sa.select(outcome, sa.func.count()).where(mine).group_by(outcome)
    counts = {what: int(count) for what, count in conn.execute(counted)}
    last = sa.select(deliveries.c.answer, deliveries.c.answered_at).where(mine, deliveries.c.answered_at.is_not(None))
    row = conn.execute(last.order_by(deliveries.c.answered_at.desc()).limit(1)).one_or_none()
    return Mail(counts) if row is None else Mail(counts, row.answer, row.answered_at)


def forget_before(conn: sa.Connection, at: datetime) -> int:
    """How many events were forgotten that are older than that."""
    return conn.execute(sa.delete(deliveries).where(deliveries.c.created_at < at)).rowcount


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    """Is it time? Also where nobody ever waits so long: the clock was ahead when that was written."""
    at = deliveries.c.due_at
    return sa.and_(at.is_not(None), sa.or_(at <= now, at > now + LONGEST_WAIT))


def _waits(account_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(deliveries.c.account_id == account_id, deliveries.c.due_at.is_not(None))


def _named() -> sa.Select[tuple[object, ...]]:
    return sa.select(webhooks, accounts.c.name.label("account")).join(accounts)
