"""A task's life: every move, every race, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from portraitd.db import schema
from portraitd.db import tasks as rows
from portraitd.db.engine import Database
from portraitd.db.tasks import Kind, NewTask, ResultRow, TaskRow
from portraitd.errors import NoHumanFace
from portraitd.portraits.requests import TaskState
from portraitd.tasks.life import MAX_ATTEMPTS, MOVES, Life, Outcome, Run, Signal
from tests.fakes.stores import FakeClock
from tests.ports.conftest import ACCOUNT

FOUR = Outcome(tuple(ResultRow(f"tasks/t/{n}.jpg", n, 0.5) for n in range(1, 5)), usage=4)


def new_task(task_id: str = "t", kind: Kind = Kind.GENERATE) -> NewTask:
    return NewTask(task_id, kind, ACCOUNT, "key", "request", "facechain-generation", {"photo_urls": []}, 7, 4)


@pytest.fixture
def task(database: Database, life: Life) -> Callable[[], TaskRow]:
    """An accepted task, looked at anew with each call."""
    with database.write() as conn:
        life.accept(conn, new_task())

    def look() -> TaskRow:
        with database.read() as conn:
            found = rows.get(conn, "t")
        assert found is not None
        return found

    return look


def begun(life: Life) -> Run:
    run = life.begin("t")
    assert run is not None
    return run


def used(database: Database) -> dict[str, int]:
    with database.read() as conn:
        return dict(rows.usage_of(conn, ACCOUNT))


def test_every_state_has_its_moves_and_terminal_ones_have_none() -> None:
    assert set(MOVES) == set(TaskState)
    assert all(bool(MOVES[state]) is not state.is_terminal for state in TaskState)


def test_a_task_that_goes_well(life: Life, task: Callable[[], TaskRow], database: Database, clock: FakeClock) -> None:
    assert task().state is TaskState.PENDING
    clock.pass_(seconds=1)
    run = begun(life)
    assert (task().state, task().started_at, task().attempt) == (TaskState.RUNNING, clock(), 1)
    assert life.report(run, 2, 0) is Signal.GO_ON
    assert task().succeeded == 2
    clock.pass_(seconds=1)
    assert life.succeed(run, FOUR)
    assert (task().state, task().ended_at, task().succeeded, task().failed) == (TaskState.SUCCEEDED, clock(), 4, 0)
    assert used(database) == {"generate": 4}
    with database.read() as conn:
        assert rows.results_of(conn, "t") == FOUR.results


def test_partial_success_counts_what_was_made(life: Life, task: Callable[[], TaskRow], database: Database) -> None:
    partial = Outcome((ResultRow("tasks/t/1.jpg", 1), ResultRow(code="InvalidURL", message="no")), usage=1)
    assert life.succeed(begun(life), partial)
    assert (task().succeeded, task().failed, used(database)) == (1, 1, {"generate": 1})


def test_failure_tells_why_and_costs_nothing(life: Life, task: Callable[[], TaskRow], database: Database) -> None:
    run = begun(life)
    life.report(run, 3, 0)
    assert life.fail(run, NoHumanFace())
    assert (task().state, task().code, task().message) == (
        TaskState.FAILED,
        "InvalidImage.NoHumanFace",
        "No human face detected.",
    )
    assert (task().succeeded, task().failed) == (0, 4)
    assert used(database) == {}


@pytest.mark.parametrize("state", [TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED])
def test_a_terminal_task_never_moves_again(
    life: Life, task: Callable[[], TaskRow], database: Database, state: TaskState
) -> None:
    run = begun(life)
    ends = {
        TaskState.SUCCEEDED: lambda: life.succeed(run, FOUR),
        TaskState.FAILED: lambda: life.fail(run, NoHumanFace()),
        TaskState.CANCELED: lambda: life.canceled(run),
    }
    assert ends[state]()
    before = task()
    assert life.begin("t") is None
    assert not any(end() for end in ends.values())
    assert not life.cancel_pending("t")
    assert not life.ask_to_cancel("t")
    assert not life.give_up("t", NoHumanFace())
    assert life.report(run, 1, 1) is Signal.LOST
    assert not life.holds(run)
    assert task() == before
    assert used(database) == ({"generate": 4} if state is TaskState.SUCCEEDED else {})


def test_of_many_that_end_a_task_one_does(life: Life, task: Callable[[], TaskRow], database: Database) -> None:
    run = begun(life)
    acts = [lambda: life.succeed(run, FOUR), lambda: life.fail(run, NoHumanFace()), lambda: life.canceled(run)] * 3
    ended: list[bool] = []
    threads = [threading.Thread(target=lambda act=act: ended.append(act())) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended.count(True) == 1
    assert len(ended) == len(acts)
    assert task().state.is_terminal
    assert used(database) == ({"generate": 4} if task().state is TaskState.SUCCEEDED else {})


def test_whoever_is_overtaken_has_lost_the_task(life: Life, task: Callable[[], TaskRow], database: Database) -> None:
    first, second = begun(life), begun(life)
    assert (first.attempt, second.attempt) == (1, 2)
    assert life.report(first, 4, 0) is Signal.LOST
    assert not life.holds(first)
    assert life.holds(second)
    assert not life.succeed(first, FOUR)
    assert not life.fail(first, NoHumanFace())
    assert not life.canceled(first)
    assert task().state is TaskState.RUNNING
    assert life.succeed(second, FOUR)
    assert used(database) == {"generate": 4}


def test_a_task_begun_again_keeps_its_seed_and_first_start(
    life: Life, task: Callable[[], TaskRow], clock: FakeClock
) -> None:
    life.report(begun(life), 3, 1)
    started = task().started_at
    clock.pass_(minutes=1)
    again = begun(life)
    assert (again.task.seed, task().started_at) == (7, started)
    assert (task().succeeded, task().failed) == (0, 0)


def test_a_task_that_kills_its_workers_is_given_up(life: Life, task: Callable[[], TaskRow]) -> None:
    for _ in range(MAX_ATTEMPTS):
        begun(life)
    assert life.begin("t") is None
    assert (task().state, task().code) == (TaskState.FAILED, "InternalError.Algo")


def test_cancel_before_the_start(life: Life, task: Callable[[], TaskRow]) -> None:
    assert life.cancel_pending("t")
    assert task().state is TaskState.CANCELED
    assert task().ended_at is not None
    assert life.begin("t") is None


@pytest.mark.parametrize("how", ["succeed", "fail", "give up"])
def test_a_wish_to_cancel_that_was_heard_too_late_is_kept_all_the_same(
    database: Database, life: Life, task: Callable[[], TaskRow], how: str
) -> None:
    run = life.begin("t")
    assert run is not None
    assert life.ask_to_cancel("t")
    if how == "succeed":
        assert not life.succeed(run, FOUR)
    elif how == "fail":
        assert life.fail(run, NoHumanFace())
    else:
        assert life.give_up("t", NoHumanFace())
    ended = task()
    assert (ended.state, ended.code) == (TaskState.CANCELED, None)
    with database.read() as conn:
        assert rows.usage_of(conn, ACCOUNT) == {}
        assert rows.results_of(conn, "t") == ()


def test_cancel_of_a_running_task_is_a_wish(life: Life, task: Callable[[], TaskRow]) -> None:
    assert not life.ask_to_cancel("t")
    run = begun(life)
    assert not life.cancel_pending("t")
    assert life.ask_to_cancel("t")
    assert task().state is TaskState.RUNNING
    assert life.report(run, 1, 0) is Signal.CANCEL
    assert life.canceled(run)
    assert (task().state, task().succeeded, task().failed) == (TaskState.CANCELED, 0, 0), "it delivers nothing"


def test_a_wish_outlives_the_worker_that_should_have_heard_it(life: Life, task: Callable[[], TaskRow]) -> None:
    begun(life)
    life.ask_to_cancel("t")
    assert life.report(begun(life), 0, 0) is Signal.CANCEL
    assert task().state is TaskState.RUNNING


def test_what_comes_along_with_success_is_kept_with_it_or_not_at_all(
    life: Life, task: Callable[[], TaskRow], database: Database
) -> None:
    def write_and_break(conn: sa.Connection) -> None:
        conn.execute(sa.insert(schema.secrets).values(name="x", value="y"))
        raise RuntimeError("power cut")

    run = begun(life)
    with pytest.raises(RuntimeError):
        life.succeed(run, FOUR, write_and_break)
    assert task().state is TaskState.RUNNING
    assert used(database) == {}
    with database.read() as conn:
        assert conn.execute(sa.select(schema.secrets)).all() == []


def test_an_unknown_task_does_nothing(life: Life) -> None:
    assert life.begin("nobody") is None
    assert not life.cancel_pending("nobody")
    assert not life.give_up("nobody", NoHumanFace())
