"""Forgetting: what is older than its time is erased, and what nobody's row names, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from portraitd.db import files, identities, meters, repeats, webhooks
from portraitd.db import tasks as rows
from portraitd.db.engine import Clock
from portraitd.db.tasks import Kind
from portraitd.portraits.erase import FOLDERS, IMPORTED, Eraser
from portraitd.portraits.requests import TaskState
from portraitd.portraits.uploads import UPLOADS, ends_at

Monotonic: TypeAlias = Callable[[], float]

_BATCH = 100


@dataclass(frozen=True)
class Retention:
    """How long things are kept; None: until their owner deletes them."""

    #: Finished generations, from their end.
    tasks: timedelta
    #: Trainings with their identities, from their end.
    identities: timedelta | None = None
    #: Files, from their upload.
    files: timedelta | None = None


def _is_in_hand(state: TaskState | None) -> bool:
    """May a task in this state still name its bytes, or want them in another run?"""
    return state in {TaskState.PENDING, TaskState.RUNNING}


def _boot_seconds() -> float:
    """Seconds by a clock that nobody sets, with the time that the machine slept where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class UnhurriedClock:
    """The time of day, but never later than the seconds gone by since this was made allow.

    A machine's clock that jumps forward must not erase what has just been made; one that jumps back only delays.
    """

    def __init__(self, clock: Clock, monotonic: Monotonic = _boot_seconds) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._began = clock()
        self._began_s = monotonic()

    def __call__(self) -> datetime:
        return min(self._clock(), self._began + timedelta(seconds=self._monotonic() - self._began_s))


@dataclass
class Sweeper:
    """Erases what is due. Any number of processes may sweep."""

    eraser: Eraser
    keep: Retention
    clock: Clock
    _suspects: frozenset[str] = field(default=frozenset(), init=False)

    def sweep(self) -> int:
        """How many tasks, trainings and files were erased for their age."""
        now = self.clock()
        erased = self._sweep_work(Kind.GENERATE, now - self.keep.tasks)
        if self.keep.identities is not None:
            erased += self._sweep_work(Kind.FINETUNE, now - self.keep.identities)
            erased += self._sweep_imported(now - self.keep.identities)
        if self.keep.files is not None:
            erased += self._sweep_files(now - self.keep.files)
        with self.eraser.database.write() as conn:
            repeats.forget_before(conn, now - repeats.KEPT)
            meters.forget_empty(conn, now.timestamp())
            webhooks.forget_before(conn, now - webhooks.KEPT)
        erased += self._sweep_uploads(now)
        while self.eraser.queue.forget_finished(now - self.keep.tasks):
            pass
        if erased:
            self.eraser.database.scrub()
        return erased

    def sweep_orphans(self) -> int:
        """How many blobs were erased that no row names: what a process left that died in between.

        Bytes are put away before the row that names them, so one sight proves nothing: what was an orphan at the last
        call too, and still is, goes.
        """
        orphans = frozenset(key for batch in self._all_blobs() for key in self._orphans(batch))
        due = orphans & self._suspects
        for key in due:
            self.eraser.blobs.delete(key)
        self._suspects = orphans - due
        return len(due)

    def _sweep_work(self, kind: Kind, limit: datetime) -> int:
        erased = 0
        while batch := self._old_work(kind, limit):
            self.eraser.work(kind, batch)
            erased += len(batch)
        return erased

    def _old_work(self, kind: Kind, limit: datetime) -> tuple[str, ...]:
        with self.eraser.database.read() as conn:
            return rows.ended_before(conn, kind, limit, _BATCH)

    def _sweep_imported(self, limit: datetime) -> int:
        with self.eraser.database.read() as conn:
            old = identities.brought_in_before(conn, IMPORTED, limit)
        for identity in old:
            self.eraser.identity(identity)
        return len(old)

    def _sweep_files(self, limit: datetime) -> int:
        with self.eraser.database.read() as conn:
            old = files.uploaded_before(conn, limit)
        for file in old:
            self.eraser.file(file)
        return len(old)

    def _sweep_uploads(self, now: datetime) -> int:
        due = [held.key for held in self.eraser.blobs.list(UPLOADS) if ends_at(held.key) <= now]
        for key in due:
            self.eraser.blobs.delete(key)
        return len(due)

    def _all_blobs(self) -> Iterable[Sequence[str]]:
        for folder in (*FOLDERS.values(), "files", IMPORTED):
            keys = [held.key for held in self.eraser.blobs.list(folder)]
            yield from (keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH))

    def _orphans(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that nothing in the database accounts for."""
        by_task = {key: key.split("/")[1] for key in keys}
        with self.eraser.database.read() as conn:
            states = rows.states(conn, set(by_task.values()))
            named = rows.pictures_among(conn, keys) | files.kept_among(conn, keys) | identities.kept_among(conn, keys)
        return {key for key in keys if key not in named and not _is_in_hand(states.get(by_task[key]))}
