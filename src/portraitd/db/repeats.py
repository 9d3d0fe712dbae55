"""What a request that was sent with an Idempotency-Key made, so that sending it again makes nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from portraitd.db.engine import Database
from portraitd.db.schema import repeats
from portraitd.errors import IdempotencyKeyReused

#: How long a key is remembered.
KEPT = timedelta(hours=24)


@dataclass(frozen=True)
class Once:
    """A request that must take effect once, under a key of its account. Hashes: neither key nor request is kept."""

    account_id: str
    key_sha256: str
    request_sha256: str


def make_once(database: Database, conn: sa.Connection, once: Once | None, make: Callable[[], str]) -> str:
    """What `make` makes in this transaction; under a key that was used, what it made then.

    Raises IdempotencyKeyReused, and what `make` does: then the key is as free as it was.
    """
    if once is None:
        return make()
    made = claim(conn, once, database.now(conn))
    if made is None:
        made = make()
        settle(conn, once, made)
    return made


def claim(conn: sa.Connection, once: Once, now: datetime) -> str | None:
    """What the first request under the key made; None when this one is the first, and its key is taken now.

    Whoever comes second waits here until the first one's transaction has ended. Raises IdempotencyKeyReused when the
    first one asked for something else.
    """
    mine = sa.and_(repeats.c.account_id == once.account_id, repeats.c.key_sha256 == once.key_sha256)
    conn.execute(sa.delete(repeats).where(mine, repeats.c.created_at < now - KEPT))
    # SQLAlchemy has this statement once for each database, which both understand as it is.
    insert = sa.text(
        "INSERT INTO repeats (account_id, key_sha256, request_sha256, made, created_at)"
        " VALUES (:account_id, :key_sha256, :request_sha256, '', :created_at) ON CONFLICT DO NOTHING"
    ).bindparams(sa.bindparam("created_at", type_=repeats.c.created_at.type))
    row = {"account_id": once.account_id, "key_sha256": once.key_sha256, "request_sha256": once.request_sha256}
    if conn.execute(insert, row | {"created_at": now}).rowcount == 1:
        return None
    first = conn.execute(sa.select(repeats).where(mine)).mappings().one()
    if first["request_sha256"] != once.request_sha256:
        raise IdempotencyKeyReused
    made: str = first["made"]
    return made


def settle(conn: sa.Connection, once: Once, made: str) -> None:
    """Remember what the request made, in the transaction that claimed its key and made it."""
    mine = sa.and_(repeats.c.account_id == once.account_id, repeats.c.key_sha256 == once.key_sha256)
    conn.execute(sa.update(repeats).where(mine).values(made=made))


def forget(conn: sa.Connection, made: Iterable[str]) -> None:
    """Forget the keys under which these were made: they are erased."""
    conn.execute(sa.delete(repeats).where(repeats.c.made.in_(list(made))))


def forget_file(conn: sa.Connection, account_id: str, file_id: str) -> None:
    """Forget the key under which a file was uploaded, maybe with others."""
    conn.execute(
        sa.delete(repeats).where(repeats.c.account_id == account_id, repeats.c.made.contains(file_id, autoescape=True))
    )


def forget_before(conn: sa.Connection, at: datetime) -> int:
    """How many keys were forgotten that are older than that."""
    return conn.execute(sa.delete(repeats).where(repeats.c.created_at < at)).rowcount
