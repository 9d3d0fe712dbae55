"""How a worker's bench meets trouble: hangs, outages, and a task that is taken away from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from portraitd.db.tasks import Kind, TaskRow
from portraitd.portraits.requests import TaskState
from portraitd.tasks.life import Outcome
from portraitd.tasks.worker import Bench, Finished, Report
from tests.unit.portraits.conftest import Place


class Handler:
    """Does what it is told to with a task."""

    def __init__(self, act: Callable[[TaskRow], None]) -> None:
        self._act = act
        self.runs = 0
        self.discarded = 0

    def run(self, task: TaskRow, report: Report) -> Finished:
        self.runs += 1
        self._act(task)
        report(1, 0)
        return Finished(Outcome((), usage=1))

    def discard(self, _task: TaskRow) -> None:
        self.discarded += 1


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def bench_of(place: Place, handler: Handler, seconds: Seconds | None = None) -> Bench:
    return Bench(place.house.database, place.house.life, {Kind.GENERATE: handler}, seconds or Seconds())


def state(place: Place, task_id: str) -> tuple[TaskState, str | None]:
    task = place.services.tasks.get(place.anne, task_id)
    assert task is not None
    return task.state, task.code


def test_a_run_that_takes_too_long_fails_whatever_the_time_of_day(place: Place) -> None:
    hanging, go_on, seconds = threading.Event(), threading.Event(), Seconds()

    def hang(_task: TaskRow) -> None:
        hanging.set()
        go_on.wait(30)

    handler = Handler(hang)
    bench = bench_of(place, handler, seconds)
    task_id = place.generate()
    thread = threading.Thread(target=bench.handle, args=(task_id,))
    thread.start()
    assert hanging.wait(30)
    place.clock.pass_(days=2)
    seconds.now += 99
    assert bench.give_up_overdue(100) == ()
    assert not bench.is_idle
    seconds.now += 2
    assert bench.give_up_overdue(100) == (task_id,)
    assert bench.lost() == (task_id,)
    go_on.set()
    thread.join()
    assert state(place, task_id) == (TaskState.FAILED, "InternalError.Timeout")
    assert (handler.discarded, bench.is_idle, bench.lost()) == (1, True, ())


def test_a_database_that_goes_away_in_the_middle_costs_a_repetition(place: Place) -> None:
    def stumble_once(_task: TaskRow) -> None:
        if handler.runs == 1:
            raise sa.exc.OperationalError("SELECT 1", {}, RuntimeError("server closed the connection"))

    handler = Handler(stumble_once)
    task_id = place.generate()
    bench_of(place, handler).handle(task_id)
    assert handler.runs == 2
    assert state(place, task_id) == (TaskState.SUCCEEDED, None)


def test_what_cannot_be_cleared_away_keeps_no_task_from_ending(place: Place) -> None:
    def fail(_task: TaskRow) -> None:
        raise RuntimeError("broken on purpose")

    handler = Handler(fail)
    handler.discard = fail  # type: ignore[method-assign]
    task_id = place.generate()
    bench_of(place, handler).handle(task_id)
    assert state(place, task_id) == (TaskState.FAILED, "InternalError.Algo")


@pytest.mark.parametrize("other_ends", [False, True])
def test_a_task_taken_over_by_another_is_left_alone(place: Place, other_ends: bool) -> None:
    """Its pictures are the other's now, also when the other has finished."""

    def overtake(task: TaskRow) -> None:
        other = place.house.life.begin(task.id)
        assert other is not None
        if other_ends:
            assert place.house.life.succeed(other, Outcome((), usage=1))

    handler = Handler(overtake)
    task_id = place.generate()
    bench_of(place, handler).handle(task_id)
    assert handler.discarded == 0
    assert state(place, task_id)[0] is (TaskState.SUCCEEDED if other_ends else TaskState.RUNNING)


def test_a_task_that_was_begun_before_runs_alone(place: Place) -> None:
    """Its last worker died, of it or of what ran beside it: now one can tell."""
    running, most, go_on = set[str](), dict[str, int](), threading.Event()

    def note(task: TaskRow) -> None:
        running.add(task.id)
        for other in running:
            most[other] = max(most.get(other, 0), len(running))
        go_on.wait(30)
        running.remove(task.id)

    bench = bench_of(place, Handler(note))
    first, second, again, third = (place.generate() for _ in range(4))
    assert place.house.life.begin(again) is not None
    threads = []
    for task_id in (first, second, again, third):
        threads.append(threading.Thread(target=bench.handle, args=(task_id,)))
        threads[-1].start()
        deadline = time.monotonic() + 30
        while len(running) < min(len(threads), 2) or bench._sides[Kind.GENERATE]._waiting_alone < (task_id == again):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    time.sleep(0.2)
    assert running == {first, second}  # the third came later than the one that waits to be alone
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert most == {first: 2, second: 2, again: 1, third: 1}
    assert all(state(place, task_id)[0] is TaskState.SUCCEEDED for task_id in most)
