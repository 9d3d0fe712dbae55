"""What portraitd asks of a database, on both kinds."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from portraitd.db import accounts, executors, files, meters, schema
from portraitd.db.engine import Database, open_database
from portraitd.db.files import NewFile
from portraitd.db.migrations import STEPS, migrate
from portraitd.errors import InvalidApiKey, SetupError
from tests.fakes.stores import FakeClock
from tests.ports.conftest import ACCOUNT


def test_migrations_lead_to_the_tables_the_code_knows(database: Database) -> None:
    inspector = sa.inspect(database.engine)
    for table in schema.metadata.sorted_tables:
        there = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert set(there) == {column.name for column in table.columns}, table.name
        primary = set(inspector.get_pk_constraint(table.name)["constrained_columns"])
        assert primary == {column.name for column in table.primary_key}
        if not database.is_sqlite:  # which calls primary keys nullable
            assert there == {column.name: column.nullable for column in table.columns}, table.name
        indexed = {index["name"] for index in inspector.get_indexes(table.name)}
        assert indexed >= {index.name for index in table.indexes}


def test_a_second_migration_finds_nothing_to_do(database: Database) -> None:
    assert migrate(database) == ()


def test_a_database_from_the_future_is_refused_and_left_alone(database: Database) -> None:
    def a_step_of_tomorrow(conn: sa.Connection) -> None:
        conn.execute(sa.text("CREATE TABLE tomorrow (id TEXT)"))

    assert migrate(database, (*STEPS, a_step_of_tomorrow)) == ("a_step_of_tomorrow",)
    with pytest.raises(SetupError, match="newer portraitd"):
        migrate(database)


def test_a_migration_that_breaks_leaves_nothing_behind(database: Database) -> None:
    def half_a_step(conn: sa.Connection) -> None:
        conn.execute(sa.text("CREATE TABLE half (id TEXT)"))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        migrate(database, (*STEPS, half_a_step))
    assert "half" not in sa.inspect(database.engine).get_table_names()
    assert migrate(database) == ()


def test_a_broken_write_is_taken_back_as_a_whole(database: Database, clock: FakeClock) -> None:
    def half() -> None:
        with database.write() as conn:
            accounts.add_account(conn, "x", "ben", clock())
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half()
    with database.read() as conn:
        assert accounts.account_named(conn, "ben") is None


def test_nothing_written_through_read_is_kept(database: Database, clock: FakeClock) -> None:
    with pytest.raises(sa.exc.SQLAlchemyError) if not database.is_sqlite else _allowed(), database.read() as conn:
        accounts.add_account(conn, "x", "ben", clock())
    with database.read() as conn:
        assert accounts.account_named(conn, "ben") is None


class _allowed:  # noqa: N801 - reads like pytest.raises
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_count_then_add_holds_among_threads(database: Database, clock: FakeClock) -> None:
    """Eight threads, room for three files: the quota's pattern must not let a fourth in."""

    def add_one(name: str) -> None:
        with database.write() as conn:
            accounts.lock_account(conn, ACCOUNT)
            if files.space(conn, ACCOUNT).files < 3:
                files.add(conn, NewFile(name, ACCOUNT, "k", name, 1, "", f"files/{name}", None, None, clock()))

    threads = [threading.Thread(target=add_one, args=(f"file-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        kept, total = files.page(conn, ACCOUNT, 1, 10)
    assert total == 3
    assert sorted(file.number for file in kept) == [1, 2, 3]


def test_one_at_a_time_is_alone(database: Database) -> None:
    inside: list[str] = []
    go_on = threading.Event()

    def first() -> None:
        with database.alone("room"):
            inside.append("first")
            go_on.wait(10)
            inside.append("first leaves")

    def second() -> None:
        with database.alone("room"):
            inside.append("second")

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    while not inside:
        pass
    two.start()
    two.join(0.3)
    assert inside == ["first"]
    with database.alone("another room"):
        go_on.set()
    one.join()
    two.join()
    assert inside == ["first", "first leaves", "second"]


def test_times_come_back_as_they_went_in_to_the_millisecond(database: Database) -> None:
    at = datetime(2026, 11, 22, 13, 14, 15, 999000, tzinfo=UTC)
    with database.write() as conn:
        accounts.add_account(conn, "x", "ben", at)
        found = conn.execute(sa.select(schema.accounts.c.created_at).where(schema.accounts.c.id == "x")).scalar_one()
    assert found == at
    assert found.tzinfo is UTC


def test_the_database_has_a_clock(database: Database) -> None:
    with database.read() as conn:
        assert abs(database.now(conn) - datetime.now(UTC)) < timedelta(seconds=5)


def test_executors_fall_silent(database: Database) -> None:
    with database.write() as conn:
        executors.add(database, conn, "e1", "host")
        assert executors.silent(database, conn, lease_s=1) == ()
        assert executors.silent(database, conn, lease_s=-1) == ("e1",)
        assert executors.beat(database, conn, "e1")
        executors.remove(conn, "e1")
        assert not executors.beat(database, conn, "e1")


def test_outlast_waits_for_a_database_that_comes_back(database: Database) -> None:
    calls = []

    def act() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise sa.exc.OperationalError("SELECT 1", {}, RuntimeError("gone"))
        return "done"

    assert database.outlast(act, patience_s=10) == "done"
    with pytest.raises(sa.exc.IntegrityError):
        database.outlast(_raise_integrity)


def _raise_integrity() -> None:
    raise sa.exc.IntegrityError("INSERT", {}, RuntimeError("twice"))


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(SetupError, match="PORTRAITD_DATABASE_URL"):
        open_database("postgresql://127.0.0.1:1/nothing")


def test_sqlite_makes_its_folder(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/new/folder/x.db").close()
    assert (tmp_path / "new" / "folder" / "x.db").exists()


def test_who_asks_while_their_account_is_erased_is_told_that_it_is_gone(database: Database) -> None:
    with pytest.raises(InvalidApiKey), database.write() as conn:
        meters.free_at(conn, "account-gone", "", "generate")
    with database.read() as conn:
        assert conn.execute(sa.select(schema.meters)).first() is None


def test_other_conflicts_stay_what_they_are(database: Database) -> None:
    row = {"account_id": ACCOUNT, "key_id": "", "name": "generate", "free_at": 0.0}
    with pytest.raises(sa.exc.IntegrityError), database.write() as conn:
        conn.execute(sa.insert(schema.meters), [row, row])
