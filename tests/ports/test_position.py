"""How many tasks come before a waiting one, on both databases: for fair turns, and quickly whatever lies around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import pytest
import sqlalchemy as sa

from portraitd.db import accounts
from portraitd.db import tasks as rows
from portraitd.db.engine import Database
from portraitd.db.schema import tasks
from portraitd.db.tasks import COUNTED, Kind
from portraitd.portraits.requests import TaskState
from portraitd.tasks.life import Life
from tests.fakes.stores import FakeClock
from tests.ports.conftest import ACCOUNT
from tests.ports.test_life import new_task

Submit: TypeAlias = Callable[..., None]

BERT, CARL = "account-2", "account-3"


@pytest.fixture(autouse=True)
def others(database: Database, clock: FakeClock) -> None:
    with database.write() as conn:
        for account in (BERT, CARL):
            accounts.add_account(conn, account, account, clock())


@pytest.fixture
def submit(database: Database, life: Life, clock: FakeClock) -> Submit:
    """Accepts tasks of an account, a second apart from the tasks before."""

    def accept(*task_ids: str, account: str = ACCOUNT, kind: Kind = Kind.GENERATE) -> None:
        clock.pass_(seconds=1)
        with database.write() as conn:
            for task_id in task_ids:
                life.accept(conn, replace(new_task(task_id, kind), account_id=account))

    return accept


def ahead(database: Database, task_id: str) -> int:
    with database.read() as conn:
        task = rows.get(conn, task_id)
        assert task is not None
        return rows.ahead(conn, task)


def test_of_one_account_those_that_came_before_count(database: Database, life: Life, submit: Submit) -> None:
    for number in range(4):
        submit(f"t{number}")
    submit("training", kind=Kind.FINETUNE)
    assert [ahead(database, f"t{number}") for number in range(4)] == [0, 1, 2, 3]
    assert ahead(database, "training") == 0
    life.begin("t0")
    life.cancel_pending("t2")
    assert (ahead(database, "t1"), ahead(database, "t3")) == (0, 1)


def test_tasks_of_the_same_moment_have_places_of_their_own(database: Database, submit: Submit) -> None:
    submit("b", "c", "a")
    assert [ahead(database, task_id) for task_id in "abc"] == [0, 1, 2]


def test_accounts_take_turns(database: Database, submit: Submit) -> None:
    submit(*(f"many-{number:02}" for number in range(50)), account=BERT)
    submit("first")
    submit("second")
    submit("later", account=CARL)
    assert ahead(database, "first") == 2, "one of each of the others"
    assert ahead(database, "second") == 1 + 2 + 1, "its own first; two of the fifty, and Carl's only one"
    assert ahead(database, "many-00") == 2
    assert ahead(database, "many-49") == 49 + 2 + 1


def fill(database: Database, state: TaskState, count: int) -> None:
    """Bert has this many tasks more."""
    with database.write() as conn:
        row = conn.execute(sa.select(tasks).where(tasks.c.id == "t")).mappings().one()
        changed = {"state": state.value, "account_id": BERT, "submitted_at": row["submitted_at"] - timedelta(days=1)}
        conn.execute(sa.insert(tasks), [dict(row) | changed | {"id": f"{state.value}-{n}"} for n in range(count)])


def test_only_waiting_tasks_are_looked_at(database: Database, submit: Submit) -> None:
    submit("t")
    fill(database, TaskState.SUCCEEDED, 2000)
    asked: list[tuple[str, object]] = []
    if not database.is_sqlite:  # PostgreSQL does it by itself in time, SQLite never
        with database.write() as conn:
            conn.execute(sa.text("ANALYZE"))

    def note(_conn: object, _cursor: object, statement: str, given: object, *_rest: object) -> None:
        asked.append((statement, given))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    assert ahead(database, "t") == 0
    sa.event.remove(database.engine, "before_cursor_execute", note)
    counts = [(statement, given) for statement, given in asked if "count(" in statement]
    assert len(counts) == 3
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.read() as conn:
        for statement, given in counts:
            plan = str(conn.exec_driver_sql(explain + statement, given).all())  # type: ignore[arg-type]
            assert "tasks_waiting" in plan or "tasks_unfinished" in plan, plan


def test_very_many_are_counted_to_a_limit(database: Database, submit: Submit) -> None:
    submit("t")
    fill(database, TaskState.PENDING, COUNTED + 5)
    submit("late", account=BERT)
    assert ahead(database, "t") == 1
    assert ahead(database, "late") == COUNTED + 1
