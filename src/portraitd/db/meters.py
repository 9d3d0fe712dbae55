"""How far each limited rate is used up: one row per account, key and thing that is counted."""

from __future__ import annotations

import sqlalchemy as sa

from portraitd.db.schema import meters

# SQLAlchemy has these statements once for each database, which both understand as they are.
_ADD = sa.text(
    "INSERT INTO meters (account_id, key_id, name, free_at)"
    " VALUES (:account_id, :key_id, :name, 0)"
    # A row that is there is locked by being written as it is: who asks next waits here, not at a row seen before.
    " ON CONFLICT (account_id, key_id, name) DO UPDATE SET free_at = meters.free_at"
)


def free_at(conn: sa.Connection, account_id: str, key_id: str, name: str) -> float:
    """When the meter will be empty, in seconds since 1970. Whoever asks next waits until this transaction has ended."""
    row = {"account_id": account_id, "key_id": key_id, "name": name}
    conn.execute(_ADD, row)
    query = sa.select(meters.c.free_at).where(*(meters.c[column] == value for column, value in row.items()))
    return float(conn.execute(query).scalar_one())


def fill(conn: sa.Connection, account_id: str, key_id: str, name: str, until: float) -> None:
    """Have the meter be empty at that time, in seconds since 1970."""
    mine = sa.and_(meters.c.account_id == account_id, meters.c.key_id == key_id, meters.c.name == name)
    conn.execute(sa.update(meters).where(mine).values(free_at=until))


def forget_empty(conn: sa.Connection, now: float) -> int:
    """How many meters were erased that have been empty for an hour: they say as much as none."""
    return conn.execute(sa.delete(meters).where(meters.c.free_at < now - 3600)).rowcount
