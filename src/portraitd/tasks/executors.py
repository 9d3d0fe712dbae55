"""Who is alive: each worker process's sign of life, and what happens to the tasks of those that died."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from portraitd.db import executors as rows
from portraitd.db import tasks
from portraitd.db.engine import Database
from portraitd.errors import AlgorithmFailed
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue

_log = logging.getLogger(__name__)

Recover: TypeAlias = Callable[[Iterable[str]], None]
Monotonic: TypeAlias = Callable[[], float]


class Presence:
    """This process, as the others see it: a row that beats, and a locked file that the kernel unlocks at its death.

    The file lets workers that share a home notice a death at once; the row is what other machines go by. An id lives
    as long as its process: a dead one never comes back.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        host = socket.gethostname()
        self.id = f"{host}-{uuid4().hex[:12]}"
        self._host = host
        self._database = database
        self._path = folder / f"{self.id}.lock"
        self._lock: int | None = None

    def enter(self) -> None:
        """Become visible; must come before the first task is taken."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        with self._database.write() as conn:
            rows.add(self._database, conn, self.id, self._host)

    def beat(self) -> bool:
        """Say "alive". False: the others took this process for dead and have its tasks; it must stop."""
        with self._database.write() as conn:
            return rows.beat(self._database, conn, self.id)

    def leave(self) -> None:
        """Disappear. Only right when no task is held: nobody looks for the tasks of one who left."""
        with self._database.write() as conn:
            rows.remove(conn, self.id)
        self._path.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)


@dataclass(frozen=True)
class Wards:
    """What a reaper looks after."""

    database: Database
    queue: Queue
    #: Hands the tasks of dead executors out again.
    recover: Recover


@dataclass(frozen=True)
class _Heard:
    """The last beat seen of an executor, and when (monotonic seconds) it was new."""

    beat_at: datetime
    first_seen: float


class Reaper:
    """Finds executors that died and hands their tasks out again; any number of processes may do it at once.

    `reap` is to be called several times in a lease.
    """

    def __init__(self, wards: Wards, folder: Path, lease_s: float, monotonic: Monotonic = time.monotonic) -> None:
        self._wards = wards
        self._folder = folder
        self._lease_s = lease_s
        self._monotonic = monotonic
        self._heard: dict[str, _Heard] = {}
        self._looked_at = monotonic()

    def reap(self) -> tuple[str, ...]:
        """Ids of the executors found dead now; their tasks are waiting for delivery again."""
        dead = self._dead()
        for executor_id in dead:
            _log.warning("worker %s died; its tasks are handed out again", executor_id)
            self._wards.recover([executor_id])
            # Recovery can miss a task taken in the worker's last moment: the row stays until none is left.
            if not self.holds_tasks(executor_id):
                self._forget(executor_id)
        return dead

    def holds_tasks(self, executor_id: str) -> bool:
        """Has the executor taken tasks that it has not finished?"""
        return self._wards.queue.held_by(executor_id) > 0

    def _dead(self) -> tuple[str, ...]:
        with self._wards.database.read() as conn:
            beats = rows.beats(conn)
        silent = self._silent(beats)
        return tuple(executor_id for executor_id in beats if executor_id in silent or self._is_unlocked(executor_id))

    def _silent(self, beats: Mapping[str, datetime]) -> frozenset[str]:
        """Who has not beaten for a lease, as this process saw it: wrong and jumping clocks change nothing.

        When this process has not looked for half a lease, the database was away (or this process was), and everybody
        had to be silent: whoever is there is listened to afresh.
        """
        now = self._monotonic()
        if now - self._looked_at > self._lease_s / 2:
            self._heard = {}
        self._looked_at = now
        before = self._heard
        self._heard = {
            executor_id: before[executor_id]
            if executor_id in before and before[executor_id].beat_at == beat_at
            else _Heard(beat_at, now)
            for executor_id, beat_at in beats.items()
        }
        return frozenset(name for name, heard in self._heard.items() if now - heard.first_seen > self._lease_s)

    def _is_unlocked(self, executor_id: str) -> bool:
        """Does its lock file lie here, with nobody holding it? Then its process is gone, whatever its row says."""
        try:
            lock = os.open(self._folder / f"{executor_id}.lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def _forget(self, executor_id: str) -> None:
        with self._wards.database.write() as conn:
            rows.remove(conn, executor_id)
        (self._folder / f"{executor_id}.lock").unlink(missing_ok=True)


def reconcile(database: Database, life: Life, queue: Queue) -> tuple[str, ...]:
    """Ids of the unfinished tasks that the queue will never deliver again; they have FAILED now.

    The queue runs no code of ours when it gives a delivery up, so somebody has to look.
    """
    with database.read() as conn:
        waiting = tasks.unfinished(conn)
    stranded = queue.dropped(waiting)
    failed = tuple(task_id for task_id in stranded if life.give_up(task_id, AlgorithmFailed()))
    for task_id in failed:
        _log.error("task %s was dropped by the queue (%s)", task_id, stranded[task_id])
    return failed
