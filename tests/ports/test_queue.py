"""What portraitd asks of its job engine, DBOS, on both databases. The contract that every upgrade of it must keep."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portraitd.db.engine import Database
from portraitd.db.tasks import Kind
from portraitd.tasks.executors import reconcile
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue, Receiver
from tests.ports.conftest import ACCOUNT
from tests.ports.test_life import new_task


def submit(database: Database, queue: Queue, task_id: str, account: str = ACCOUNT) -> None:
    with database.write() as conn:
        queue.enqueue(conn, task_id, Kind.GENERATE, account)


def until(happened: Callable[[], object], timeout_s: float = 20) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def serving(database: Database, executor_id: str, handle: Callable[[str], None]) -> Iterator[Receiver]:
    receiver = Receiver(database, executor_id)
    receiver.serve(handle)
    try:
        yield receiver
    finally:
        receiver.close(0)


def test_what_is_enqueued_is_delivered_once_and_forgotten_in_time(database: Database, queue: Queue) -> None:
    got: list[str] = []
    for number in range(3):
        submit(database, queue, f"t{number}")
    with serving(database, "e1", got.append):
        submit(database, queue, "t3")
        until(lambda: len(got) == 4)
        until(lambda: len(queue.dropped([f"t{n}" for n in range(4)])) == 4)
    assert sorted(got) == ["t0", "t1", "t2", "t3"]
    assert queue.held_by("e1") == 0
    assert queue.forget_finished(datetime.now(UTC) - timedelta(hours=1)) == 0
    assert queue.forget_finished(datetime.now(UTC) + timedelta(hours=1)) == 4
    assert queue.dropped(["t0"]) == {"t0": "missing"}


def test_an_account_s_tasks_are_delivered_in_the_order_they_came(database: Database, queue: Queue) -> None:
    ids = [str(uuid4()) for _ in range(12)]
    for task_id in ids:
        submit(database, queue, task_id)
        time.sleep(0.005)
    got: list[str] = []
    with serving(database, "e1", got.append):
        until(lambda: len(got) == len(ids))
    assert got == ids


def test_a_delivery_that_ends_while_it_is_forgotten_leaves_nothing(database: Database, queue: Queue) -> None:
    submit(database, queue, "t")
    table = "workflow_output" if database.is_sqlite else "dbos.workflow_output"
    ended: list[str] = []

    def end(conn: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM") and "workflow_status" in statement and not ended:
            ended.append(statement)
            outcome = f"INSERT INTO {table} (workflow_uuid, output, retention_timestamp) VALUES ('t', 'null', 0)"
            conn.exec_driver_sql(outcome)

    sa.event.listen(database.engine, "before_cursor_execute", end)
    queue.forget(["t"])
    assert ended
    with database.read() as conn:
        assert conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 0


def test_a_rolled_back_transaction_enqueues_nothing(database: Database, queue: Queue) -> None:
    def half() -> None:
        with database.write() as conn:
            queue.enqueue(conn, "t", Kind.GENERATE, ACCOUNT)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        half()
    assert queue.dropped(["t"]) == {"t": "missing"}


def test_a_canceled_task_is_not_delivered(database: Database, queue: Queue) -> None:
    got: list[str] = []
    submit(database, queue, "t1")
    queue.cancel("t1")
    submit(database, queue, "t2")
    with serving(database, "e1", got.append):
        until(lambda: got)
    assert got == ["t2"]
    assert queue.dropped(["t1"]) == {"t1": "CANCELLED"}


def test_the_tasks_of_a_dead_executor_are_delivered_again_and_only_once(database: Database, queue: Queue) -> None:
    """The promise behind the private call in `Receiver.recover`."""
    release = threading.Event()
    started: list[str] = []

    def hang(task_id: str) -> None:
        started.append(task_id)
        release.wait(30)

    submit(database, queue, "t")
    with serving(database, "dead", hang):
        until(lambda: started)
    assert queue.held_by("dead") == 1
    got: list[str] = []
    with serving(database, "alive", got.append) as receiver:
        receiver.recover(["somebody-else"])
        assert queue.held_by("dead") == 1
        receiver.recover(["dead"])
        receiver.recover(["dead"])
        until(lambda: got)
        until(lambda: queue.dropped(["t"]) == {"t": "SUCCESS"})
        receiver.recover(["dead"])
        time.sleep(0.5)
    release.set()
    assert got == ["t"]


def test_one_worker_takes_one_task_at_a_time(database: Database, queue: Queue) -> None:
    running: list[int] = [0]
    most: list[int] = []

    def handle(_task_id: str) -> None:
        running[0] += 1
        most.append(running[0])
        time.sleep(0.05)
        running[0] -= 1

    for number in range(5):
        submit(database, queue, f"t{number}", f"account-{number % 2}")
    with serving(database, "e1", handle):
        until(lambda: len(most) == 5)
    assert max(most) == 1


@pytest.mark.parametrize(("max_running", "at_once"), [(16, 3), (1, 2)])
def test_a_worker_may_take_several_at_once(database: Database, queue: Queue, max_running: int, at_once: int) -> None:
    """Of one account, or of as many as it takes where an account may have one running."""
    queue.prepare(max_running, per_worker=3)
    release, lock = threading.Event(), threading.Lock()
    running: set[str] = set()
    most: list[int] = []

    def handle(task_id: str) -> None:
        with lock:
            running.add(task_id)
            most.append(len(running))
        release.wait(30)
        with lock:
            running.remove(task_id)

    for number in range(7):
        submit(database, queue, f"t{number}", f"account-{number % 2}")
    with serving(database, "e1", handle):
        until(lambda: len(running) == at_once)
        time.sleep(0.5)
        assert len(running) == at_once
        release.set()
        until(lambda: len(most) == 7, 30)
    assert max(most) == at_once


@pytest.mark.parametrize("max_running", [1, 2, 16])
def test_the_first_task_of_an_account_waits_for_one_running_task_per_worker(
    database: Database, queue: Queue, max_running: int
) -> None:
    """The promise behind the private call in `queue.py`, whichever way DBOS takes through the lane."""
    queue.prepare(max_running)
    got: list[str] = []
    for number in range(12):
        submit(database, queue, f"many-{number}", "many")

    def handle(task_id: str) -> None:
        if len(got) in {3, 8}:
            # While this one is running. Somebody quite new, and then somebody who has been there before.
            submit(database, queue, f"few-{len(got)}", "few")
        got.append(task_id)

    with serving(database, "e1", handle):
        until(lambda: len(got) == 14, 60)
    assert got.index("few-3") == 4
    assert got.index("few-8") == 9


def test_many_accounts_are_served_one_after_the_other(database: Database, queue: Queue) -> None:
    got: list[str] = []
    for number in range(3):
        for account in "abcdef":
            submit(database, queue, f"{account}{number}", account)

    def handle(task_id: str) -> None:
        got.append(task_id)

    with serving(database, "e1", handle):
        until(lambda: len(got) == 18, 30)
    rounds = [got[start : start + 6] for start in (0, 6, 12)]
    assert [sorted(task_id[0] for task_id in turn) for turn in rounds] == [list("abcdef")] * 3


def test_an_account_at_its_cap_does_not_hold_up_the_others(database: Database, queue: Queue) -> None:
    """Two workers cannot be had in one process: another's running task is a row that says so."""
    queue.prepare(1)
    release = threading.Event()
    started: list[str] = []

    def hang(task_id: str) -> None:
        started.append(task_id)
        release.wait(30)

    submit(database, queue, "a0", "a")
    with serving(database, "elsewhere", hang):
        until(lambda: started)
    got: list[str] = []
    for task_id in ("a1", "b0", "b1", "c0"):
        submit(database, queue, task_id, task_id[0])
    with serving(database, "e1", got.append):
        until(lambda: len(got) == 3)
        time.sleep(1)
    release.set()
    assert sorted(got) == ["b0", "b1", "c0"]


def test_no_pickle_lies_in_the_database(database: Database, queue: Queue) -> None:
    with serving(database, "e1", lambda _task_id: None):
        submit(database, queue, "t")
        until(lambda: queue.dropped(["t"]))
    schema = "" if database.is_sqlite else "dbos."
    with database.read() as conn:
        formats = conn.execute(sa.text(f"SELECT serialization FROM {schema}workflow_status")).scalars().all()
        inputs = conn.execute(sa.text(f"SELECT inputs FROM {schema}workflow_input")).scalars().all()
    assert formats == ["portable_json"]
    assert [json.loads(text) for text in inputs] == [{"positionalArgs": ["t"], "namedArgs": {}}]


def test_what_the_queue_dropped_is_failed(database: Database, queue: Queue, life: Life) -> None:
    def break_down(_task_id: str) -> None:
        raise RuntimeError("broken on purpose")

    with database.write() as conn:
        for task_id in ("dropped", "waiting"):
            life.accept(conn, new_task(task_id))
        life.accept(conn, new_task("never enqueued"))
        queue.enqueue(conn, "dropped", Kind.GENERATE, ACCOUNT)
    with serving(database, "e1", break_down):
        until(lambda: queue.dropped(["dropped"]))
    submit(database, queue, "waiting")
    assert sorted(reconcile(database, life, queue)) == ["dropped", "never enqueued"]
    assert reconcile(database, life, queue) == ()
