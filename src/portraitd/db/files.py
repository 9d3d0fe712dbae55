"""Rows of the files that accounts keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from portraitd.db.schema import counters, files
from portraitd.portraits.requests import DEFAULT_PURPOSE, FileFilter


@dataclass(frozen=True)
class NewFile:
    """A file about to be kept; its bytes already lie under `blob_key`."""

    id: str
    account_id: str
    key_id: str
    name: str
    size: int
    md5: str
    blob_key: str
    description: str | None
    purpose: str | None
    created_at: datetime


@dataclass(frozen=True)
class FileRow(NewFile):
    #: Running number, per service.
    number: int


@dataclass(frozen=True)
class Space:
    """How much an account keeps."""

    files: int
    bytes: int


def add(conn: sa.Connection, file: NewFile) -> FileRow:
    """The file with its running number."""
    counter = sa.update(counters).where(counters.c.name == "file").values(value=counters.c.value + 1)
    number = conn.execute(counter.returning(counters.c.value)).scalar_one()
    row = FileRow(**asdict(file), number=number)
    conn.execute(sa.insert(files).values(asdict(row)))
    return row


def get(conn: sa.Connection, file_id: str, account_id: str | None = None) -> FileRow | None:
    """The file, or None; with `account_id`, None for another account's too."""
    query = sa.select(files).where(files.c.id == file_id)
    if account_id is not None:
        query = query.where(files.c.account_id == account_id)
    row = conn.execute(query).mappings().one_or_none()
    return None if row is None else FileRow(**row)


def page(conn: sa.Connection, account_id: str, number: int, size: int) -> tuple[tuple[FileRow, ...], int]:
    """Page `number` (from 1) of the account's files, newest first, and how many there are on all pages."""
    newest = sa.select(files).where(files.c.account_id == account_id).order_by(files.c.number.desc())
    rows = conn.execute(newest.limit(size).offset((number - 1) * size)).mappings()
    return tuple(FileRow(**row) for row in rows), space(conn, account_id).files


def run(conn: sa.Connection, account_id: str, wanted: FileFilter, after: FileRow | None) -> tuple[FileRow, ...]:
    """The account's files from that one on, by age: one more than wanted, if there are more."""
    query = sa.select(files).where(files.c.account_id == account_id)
    if after is not None:
        query = query.where(files.c.number > after.number if wanted.oldest_first else files.c.number < after.number)
    if wanted.purpose is not None:
        query = query.where(sa.func.coalesce(files.c.purpose, DEFAULT_PURPOSE) == wanted.purpose)
    if wanted.since is not None:
        query = query.where(files.c.created_at >= wanted.since)
    if wanted.before is not None:
        query = query.where(files.c.created_at < wanted.before)
    order = files.c.number.asc() if wanted.oldest_first else files.c.number.desc()
    return tuple(FileRow(**row) for row in conn.execute(query.order_by(order).limit(wanted.most + 1)).mappings())


def space(conn: sa.Connection, account_id: str) -> Space:
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(files.c.size), 0))
    total, size = conn.execute(query.where(files.c.account_id == account_id)).one()
    return Space(total, int(size))


def uploaded_before(conn: sa.Connection, at: datetime) -> tuple[FileRow, ...]:
    """Files that were uploaded before `at`, oldest first."""
    query = sa.select(files).where(files.c.created_at < at).order_by(files.c.number)
    return tuple(FileRow(**row) for row in conn.execute(query).mappings())


def kept_among(conn: sa.Connection, blob_keys: Sequence[str]) -> set[str]:
    """Those of the keys under which a file lies."""
    return set(conn.execute(sa.select(files.c.blob_key).where(files.c.blob_key.in_(blob_keys))).scalars())


def erase(conn: sa.Connection, file_id: str) -> None:
    conn.execute(sa.delete(files).where(files.c.id == file_id))
