"""Real databases and a whole service on them, prepared once per session and copied per test."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from portraitd.db.engine import Database, open_database
from portraitd.db.migrations import migrate
from portraitd.tasks.queue import Queue

#: A PostgreSQL server on which databases may be made and dropped.
POSTGRES = os.environ.get("PORTRAITD_TEST_POSTGRES", "postgresql://127.0.0.1:5432/postgres")


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@functools.cache
def why_no_postgres() -> str:
    """ "" when there is a server to test on, else what is wrong."""
    try:
        psycopg.connect(POSTGRES, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        return f"no PostgreSQL at {POSTGRES}: {str(error).splitlines()[0]}"
    return ""


def prepare(url: str) -> None:
    """Give the database its tables, ours and the queue's."""
    database = open_database(url)
    migrate(database)
    queue = Queue(database)
    queue.prepare()
    queue.close()
    database.close()


@contextmanager
def scratch_postgres(template: str = "template1") -> Iterator[str]:
    """The url of a database of its own, dropped at the end."""
    if why_no_postgres():
        pytest.skip(why_no_postgres())
    name = f"portraitd_test_{uuid4().hex[:12]}"
    _command(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield POSTGRES.rsplit("/", 1)[0] + "/" + name
    finally:
        _command(f"DROP DATABASE {name} WITH (FORCE)")


def _command(sql: str) -> None:
    with psycopg.connect(POSTGRES, autocommit=True) as conn:
        conn.execute(sql.encode())


class Stores:
    """Makes prepared databases quickly, as copies of one per kind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres_template: str | None = None

    def sqlite(self, path: Path) -> str:
        """The url of a prepared SQLite database at `path`."""
        template = self._folder / "template.db"
        if not template.exists():
            prepare(f"sqlite:///{template}")
        shutil.copyfile(template, path)
        return f"sqlite:///{path}"

    @contextmanager
    def postgres(self) -> Iterator[str]:
        """The url of a prepared PostgreSQL database, dropped at the end."""
        with scratch_postgres(self._template()) as url:
            yield url

    def _template(self) -> str:
        if why_no_postgres():
            pytest.skip(why_no_postgres())
        if self._postgres_template is None:
            name = f"portraitd_test_{uuid4().hex[:12]}"
            _command(f"CREATE DATABASE {name}")
            self._postgres_template = name
            prepare(POSTGRES.rsplit("/", 1)[0] + "/" + name)
        return self._postgres_template

    def close(self) -> None:
        if self._postgres_template:
            _command(f"DROP DATABASE {self._postgres_template} WITH (FORCE)")


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()
