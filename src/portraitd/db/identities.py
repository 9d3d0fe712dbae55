"""Rows of identities that accounts have trained. (Those built in belong to nobody and have none.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from portraitd.db.schema import accounts, identities


@dataclass(frozen=True)
class IdentityRow:
    """Where an identity lies, whose it is and which engine can read it."""

    id: str
    account_id: str
    engine: str
    blob_key: str
    created_at: datetime


@dataclass(frozen=True)
class OwnedIdentity:
    """An identity as an operator sees it."""

    id: str
    account: str
    engine: str
    created_at: datetime


def everyone(conn: sa.Connection) -> tuple[OwnedIdentity, ...]:
    """All identities of all accounts, oldest first."""
    columns = (identities.c.id, accounts.c.name.label("account"), identities.c.engine, identities.c.created_at)
    query = sa.select(*columns).join(accounts, accounts.c.id == identities.c.account_id)
    rows = conn.execute(query.order_by(identities.c.created_at, identities.c.id)).mappings()
    return tuple(OwnedIdentity(**row) for row in rows)


def add(conn: sa.Connection, identity: IdentityRow) -> None:
    conn.execute(sa.insert(identities).values(asdict(identity)))


def get(conn: sa.Connection, identity_id: str) -> IdentityRow | None:
    row = conn.execute(sa.select(identities).where(identities.c.id == identity_id)).mappings().one_or_none()
    return None if row is None else IdentityRow(**row)


def brought_in_before(conn: sa.Connection, folder: str, at: datetime) -> tuple[IdentityRow, ...]:
    """Identities that lie in this folder and have been there since before then."""
    query = sa.select(identities).where(
        identities.c.blob_key.startswith(f"{folder}/", autoescape=True), identities.c.created_at < at
    )
    return tuple(IdentityRow(**row) for row in conn.execute(query).mappings())


def kept_among(conn: sa.Connection, blob_keys: Sequence[str]) -> set[str]:
    """Those of the keys under which an identity lies."""
    return set(conn.execute(sa.select(identities.c.blob_key).where(identities.c.blob_key.in_(blob_keys))).scalars())


def erase_at(conn: sa.Connection, blob_keys: Sequence[str]) -> None:
    """Forget the identities that lie under these keys."""
    conn.execute(sa.delete(identities).where(identities.c.blob_key.in_(blob_keys)))
