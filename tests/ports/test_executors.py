"""Who is alive: heartbeats, locked files, and when silence means death."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from portraitd.db import executors as rows
from portraitd.db.engine import Database
from portraitd.tasks.executors import Presence, Reaper, Wards
from portraitd.tasks.queue import Queue


class Recovered(list[str]):
    """Notes whose tasks were handed out again."""

    def __call__(self, executor_ids: Iterable[str]) -> None:
        self.extend(executor_ids)


class Seconds:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def recovered() -> Recovered:
    return Recovered()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


class MachineClock:
    """This machine's time of day, as far as portraitd asks Python for it."""

    ahead_s = 0.0


@pytest.fixture
def clock_of_machine(monkeypatch: pytest.MonkeyPatch) -> MachineClock:
    clock = MachineClock()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + clock.ahead_s)
    return clock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def reaper(database: Database, queue: Queue, recovered: Recovered, folder: Path, seconds: Seconds) -> Reaper:
    return Reaper(Wards(database, queue, recovered), folder, lease_s=30, monotonic=seconds)


def register(database: Database, executor_id: str) -> None:
    """A row without a file here: a worker on another machine."""
    with database.write() as conn:
        rows.add(database, conn, executor_id, "elsewhere")


def known(database: Database) -> tuple[str, ...]:
    with database.read() as conn:
        return rows.everyone(conn)


def test_the_living_are_left_alone(database: Database, folder: Path, reaper: Reaper, recovered: Recovered) -> None:
    presence = Presence(database, folder)
    presence.enter()
    register(database, "far")
    assert reaper.reap() == ()
    assert presence.beat()
    presence.leave()
    assert (known(database), list(folder.iterdir()), recovered) == (("far",), [], [])


def test_ids_are_never_used_twice(database: Database, folder: Path) -> None:
    assert len({Presence(database, folder).id for _ in range(50)}) == 50


def test_a_freed_lock_is_a_death_whatever_the_row_says(
    database: Database, folder: Path, reaper: Reaper, recovered: Recovered
) -> None:
    register(database, "killed")
    folder.mkdir()
    (folder / "killed.lock").touch()
    assert reaper.reap() == ("killed",)
    assert (known(database), list(folder.iterdir()), recovered) == ((), [], ["killed"])


def test_silence_for_a_lease_is_death_and_the_silent_learns_of_it(
    database: Database, reaper: Reaper, recovered: Recovered, seconds: Seconds, tmp_path: Path
) -> None:
    presence = Presence(database, tmp_path / "another machine")
    presence.enter()
    for _ in range(6):
        assert reaper.reap() == ()
        seconds.now += 5
    assert reaper.reap() == ()
    seconds.now += 1
    assert reaper.reap() == (presence.id,)
    assert recovered == [presence.id]
    assert not presence.beat()


def test_whoever_beats_lives_whatever_its_clock_says(
    database: Database, reaper: Reaper, seconds: Seconds, tmp_path: Path, clock_of_machine: MachineClock
) -> None:
    """A clock that jumps a day ahead, or back, makes nobody look dead."""
    presence = Presence(database, tmp_path / "another machine")
    presence.enter()
    for hours in (0, 24, 0, -24, 1, -1, 0, 48, 0):
        clock_of_machine.ahead_s = hours * 3600
        assert presence.beat()
        assert reaper.reap() == ()
        seconds.now += 10


def test_after_a_gap_of_its_own_a_worker_trusts_no_silence_for_a_lease(
    database: Database, reaper: Reaper, seconds: Seconds
) -> None:
    """The database was away: everybody looks silent, nobody is dead."""
    register(database, "far")
    assert reaper.reap() == ()
    seconds.now += 100
    for _ in range(4):
        assert reaper.reap() == ()
        seconds.now += 10
    assert reaper.reap() == ("far",)
