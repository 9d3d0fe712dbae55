"""Accounts, their API keys (as hashes), and the service's own secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from portraitd.db.schema import accounts, api_keys, secrets
from portraitd.errors import SetupError


@dataclass(frozen=True)
class KeyRow:
    """An API key as it may be shown: never the key itself."""

    id: str
    account_id: str
    account: str
    name: str
    created_at: datetime
    revoked_at: datetime | None
    #: Limits of its own, as they were given; None: its account's.
    rates: str | None = None
    max_unfinished: int | None = None


def add_account(conn: sa.Connection, account_id: str, name: str, created_at: datetime) -> None:
    conn.execute(sa.insert(accounts).values(id=account_id, name=name, created_at=created_at))


def account_named(conn: sa.Connection, name: str) -> str | None:
    """The account's id, or None."""
    return conn.execute(sa.select(accounts.c.id).where(accounts.c.name == name)).scalar_one_or_none()


def existing_account(conn: sa.Connection, name: str) -> str:
    """Id of the named account; raises SetupError when there is none."""
    account_id = account_named(conn, name)
    if account_id is None:
        raise SetupError(f"there is no account named {name}; `portraitd key list` shows those that there are")
    return account_id


def ensure_account(conn: sa.Connection, name: str, now: datetime) -> str:
    """Id of the named account, which is made if need be."""
    account_id = account_named(conn, name)
    if account_id is None:
        account_id = str(uuid4())
        add_account(conn, account_id, name, now)
    return account_id


def lock_account(conn: sa.Connection, account_id: str) -> None:
    """Make other transactions that lock this account wait for this one, so that "count, then add" holds."""
    conn.execute(sa.select(accounts.c.id).where(accounts.c.id == account_id).with_for_update())


def add_key(conn: sa.Connection, key: KeyRow, key_sha256: str) -> None:
    row = {"id": key.id, "account_id": key.account_id, "name": key.name, "created_at": key.created_at}
    row |= {"rates": key.rates, "max_unfinished": key.max_unfinished}
    conn.execute(sa.insert(api_keys).values(row | {"key_sha256": key_sha256}))


def live_key(conn: sa.Connection, key_sha256: str) -> KeyRow | None:
    """The key with this hash, None when unknown or revoked."""
    query = _keys().where(api_keys.c.key_sha256 == key_sha256, api_keys.c.revoked_at.is_(None))
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else KeyRow(**row)


def live_key_of_id(conn: sa.Connection, key_id: str) -> KeyRow | None:
    """The key of this id, None when unknown or revoked."""
    query = _keys().where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else KeyRow(**row)


def all_keys(conn: sa.Connection) -> tuple[KeyRow, ...]:
    """Every key, oldest first, revoked ones included."""
    rows = conn.execute(_keys().order_by(api_keys.c.created_at, api_keys.c.id)).mappings()
    return tuple(KeyRow(**row) for row in rows)


def revoke_key(conn: sa.Connection, key_id: str, at: datetime) -> bool:
    """Was there a live key of this id? It is revoked now."""
    live = sa.and_(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    return conn.execute(sa.update(api_keys).where(live).values(revoked_at=at)).rowcount == 1


def shut(conn: sa.Connection, account_id: str) -> None:
    """Take the account's keys away: nobody gets in any more."""
    conn.execute(sa.delete(api_keys).where(api_keys.c.account_id == account_id))


def secret(conn: sa.Connection, name: str) -> str | None:
    return conn.execute(sa.select(secrets.c.value).where(secrets.c.name == name)).scalar_one_or_none()


def add_secret(conn: sa.Connection, name: str, value: str) -> None:
    conn.execute(sa.insert(secrets).values(name=name, value=value))


def _keys() -> sa.Select[Any]:
    return sa.select(
        api_keys.c.id,
        api_keys.c.account_id,
        accounts.c.name.label("account"),
        api_keys.c.name,
        api_keys.c.created_at,
        api_keys.c.revoked_at,
        api_keys.c.rates,
        api_keys.c.max_unfinished,
    ).join(accounts)
