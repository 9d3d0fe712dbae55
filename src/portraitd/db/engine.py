"""A database to read from and write to: SQLite in a file, or PostgreSQL, with the same code above it."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from portraitd.db.schema import metadata
from portraitd.errors import InvalidApiKey, SetupError

_log = logging.getLogger(__name__)

T = TypeVar("T")
Clock: TypeAlias = Callable[[], datetime]

#: How long a worker waits for a database that went away before it gives a task up, in seconds.
OUTAGE_S = 3600.0


def utc_now() -> datetime:
    """This machine's time, aware UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


#: The tables of PostgreSQL that hold what accounts send: ours, and the queue's in its schema.
_TABLES = """
SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'dbos' OR (schemaname = current_schema() AND tablename = ANY (%s))
"""
_OLDER_TRANSACTIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start <= %s
"""


class Database:
    """One pool of connections. `read` sees one consistent state; `write` commits as a whole or not at all."""

    def __init__(self, url: str) -> None:
        self.url = _normal(url)
        # hide_parameters: an error's text would quote what a statement was given, a client's URLs among it.
        self.engine = sa.create_engine(
            self.url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=10
        )
        if self.is_sqlite:
            _prepare_sqlite(self.engine)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The database file of SQLite, None for PostgreSQL."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection whose statements see one state; nothing written through it is kept."""
        with self.engine.connect() as raw:
            conn = raw.execution_options(portraitd_reading=True)
            if not self.is_sqlite:
                conn = conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield conn
            conn.rollback()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end of the block, rolled back if the block raises.

        Raises InvalidApiKey when the account that something is added for was erased meanwhile.
        """
        try:
            with self.engine.begin() as conn:
                yield conn
        except IntegrityError as error:
            if _has_no_account(error):
                raise InvalidApiKey from error
            raise

    def now(self, conn: sa.Connection) -> datetime:
        """The clock that all machines share, aware UTC: PostgreSQL's; SQLite is on one machine and has its clock."""
        if self.is_sqlite:
            return utc_now()
        seconds = conn.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
        return datetime.fromtimestamp(float(seconds), UTC)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """A block that one process at a time is in, among all that share this database; a death frees it too."""
        if self.file:
            with self.file.with_suffix(f".{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        else:
            with self.engine.begin() as conn:
                conn.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
                yield

    def scrub(self, thorough: bool = False) -> None:
        """Have what was erased leave the database's files too, as far as the database lets us.

        SQLite zeroes erased rows (secure_delete), but its log of changes still has them until it is emptied, which is
        what happens here unless somebody reads just now. Thorough: all tables are written anew, which holds everybody
        up for seconds; for rare acts.
        """
        with self._alone_with_settings() as cursor:
            if self.is_sqlite:
                if thorough:
                    cursor.execute("VACUUM")
                cursor.execute("PRAGMA busy_timeout = 2000")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            elif thorough:
                _wait_for_older_transactions(cursor)
                cursor.execute(_TABLES, (list(metadata.tables),))
                for (table,) in cursor.fetchall():
                    cursor.execute(f"VACUUM FULL {table}")

    @contextmanager
    def _alone_with_settings(self) -> Iterator[Any]:
        """A cursor outside any transaction, on a connection that is not used again: what is set on it ends with it."""
        raw = self.engine.raw_connection()
        try:
            if not self.is_sqlite:
                raw.driver_connection.autocommit = True  # type: ignore[union-attr]  # psycopg's own connection
            yield raw.cursor()
        finally:
            raw.invalidate()
            raw.close()

    def outlast(self, act: Callable[[], T], patience_s: float = OUTAGE_S) -> T:
        """What `act` returns, called again while the database cannot be reached, for `patience_s` seconds."""
        give_up_at = time.monotonic() + patience_s
        told = False
        while True:
            try:
                return act()
            except DBAPIError as error:
                lost = error.connection_invalidated or isinstance(error, OperationalError)
                if not lost or time.monotonic() > give_up_at:
                    raise
                if not told:
                    _log.warning("the database is out of reach or full, waiting for it: %s", error.orig)
                    told = True
                time.sleep(0.5)

    def close(self) -> None:
        self.engine.dispose()


def _has_no_account(error: IntegrityError) -> bool:
    """Does a row refer to one that is not there? Rows of accounts do, and results, whose tasks nobody erases alone."""
    return getattr(error.orig, "sqlstate", None) == "23503" or "FOREIGN KEY" in str(error.orig)


def _wait_for_older_transactions(cursor: Any) -> None:
    """Let PostgreSQL's transactions that may still look at erased rows end, for half a minute: such rows are kept."""
    cursor.execute("SELECT clock_timestamp()")
    (now,) = cursor.fetchone()
    for _ in range(300):
        cursor.execute(_OLDER_TRANSACTIONS, (now,))
        if not cursor.fetchall():
            return
        time.sleep(0.1)


def open_database(url: str) -> Database:
    """A Database that answers; raises SetupError saying what is wrong with the url or the server."""
    try:
        database = Database(url)
        if database.file:
            database.file.parent.mkdir(parents=True, exist_ok=True)
        with database.read() as conn:
            conn.execute(sa.text("SELECT 1"))
    except (sa.exc.SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip()
        raise SetupError(f"PORTRAITD_DATABASE_URL: cannot open the database: {reason}") from error
    return database


def _normal(url: str) -> sa.URL:
    """The url with the driver portraitd brings along; both spellings of PostgreSQL are in use."""
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername.startswith("postgres") else parsed


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Make SQLite safe for several processes.

    The driver's own transaction handling leaves SELECTs outside transactions, so that "count, then claim" is not
    atomic: portraitd begins every transaction itself, and writers take the write lock at once (BEGIN IMMEDIATE).
    """

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 30000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
        if sqlite3.sqlite_version_info < (3, 42):
            # From Python 3.12 on, DBOS's tables fill in times with unixepoch('subsec'), which older SQLites lack.
            connection.create_function("unixepoch", 1, lambda _modifier: time.time())

    @sa.event.listens_for(engine, "begin")
    def on_begin(conn: sa.Connection) -> None:
        reading = conn.get_execution_options().get("portraitd_reading", False)
        conn.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
