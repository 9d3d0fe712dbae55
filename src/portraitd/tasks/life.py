"""A task's life: the states it can be in, the moves between them, and what happens together with each move.

The row decides. Every move is one UPDATE that names the state it comes from, so of any number of processes that try to
end a task, exactly one succeeds; its usage, and the event that tells of its end, are written in the same transaction. A
task that is begun again (its worker died) carries a higher attempt number, and whoever holds an older number has lost
it: nothing it writes counts.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

from portraitd.db import tasks as rows
from portraitd.db import webhooks
from portraitd.db.engine import Clock, Database
from portraitd.db.tasks import NewTask, ResultRow, Stand, TaskRow
from portraitd.errors import AlgorithmFailed, PortraitdError
from portraitd.portraits.requests import TaskState

_log = logging.getLogger(__name__)

#: A task that was begun this often and never ended is taken for one that kills its worker.
MAX_ATTEMPTS = 3

#: From where to where. RUNNING -> RUNNING is a task begun again after its worker died.
MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.PENDING: frozenset({TaskState.RUNNING, TaskState.CANCELED, TaskState.FAILED}),
    TaskState.RUNNING: frozenset({TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED}),
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELED: frozenset(),
}

Also: TypeAlias = Callable[[sa.Connection], None]


class Signal(enum.Enum):
    """What a worker learns when it reports progress."""

    GO_ON = "go on"
    CANCEL = "cancel"  # somebody asked for it: stop and say so
    LOST = "lost"  # the task ended or was begun again elsewhere: stop and touch nothing


@dataclass(frozen=True)
class Run:
    """One attempt at a task, held by the worker that began it."""

    task: TaskRow
    attempt: int


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves behind."""

    #: Pictures in the order to be shown; of a training, what its log says of photos.
    results: tuple[ResultRow, ...]
    #: What a bill counts: pictures made, or 1 for a training.
    usage: int


class _CancelWanted(Exception):
    """The run is done, but its task was to be cancelled."""


class Life:
    """Moves of tasks. Run-side moves (begin, report, succeed, fail, canceled) outlast a database restart."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def accept(self, conn: sa.Connection, task: NewTask) -> None:
        """Write the task down as PENDING, in the caller's transaction."""
        rows.add(conn, task, self._clock())

    def begin(self, task_id: str) -> Run | None:
        """A new attempt at the task; None when it has ended, or has now ended for being begun too often."""
        return self._database.outlast(lambda: self._begin(task_id))

    def _begin(self, task_id: str) -> Run | None:
        with self._database.write() as conn:
            task = rows.get(conn, task_id)
            if task is None or task.state.is_terminal:
                return None
            if task.attempt >= MAX_ATTEMPTS:
                _log.error("task %s was begun %d times and never ended; given up", task_id, task.attempt)
                self._end(conn, task_id, TaskState.FAILED, AlgorithmFailed(), task.attempt)
                return None
            attempt = task.attempt + 1
            begun = {"attempt": attempt, "started_at": task.started_at or self._clock(), "succeeded": 0, "failed": 0}
            if not _move(conn, task_id, TaskState.RUNNING, task.attempt, begun):
                return None
            return Run(task, attempt)

    def report(self, run: Run, succeeded: int, failed: int) -> Signal:
        """Write down how many pictures are done; says whether to go on."""
        return self._database.outlast(lambda: self._report(run, succeeded, failed))

    def _report(self, run: Run, succeeded: int, failed: int) -> Signal:
        with self._database.write() as conn:
            counts = {"succeeded": succeeded, "failed": failed}
            if not _move(conn, run.task.id, TaskState.RUNNING, run.attempt, counts):
                return Signal.LOST
            task = rows.get(conn, run.task.id)
            return Signal.CANCEL if task and task.cancel_asked_at else Signal.GO_ON

    def succeed(self, run: Run, outcome: Outcome, also: Also | None = None) -> bool:
        """Did the run end its task? Then its results, its usage and what `also` writes are kept, all or none.

        The pictures must lie in the blob store already. A task that was to be cancelled meanwhile is CANCELED instead:
        whoever asked was told so.
        """
        try:
            return self._database.outlast(lambda: self._succeed(run, outcome, also))
        except _CancelWanted:
            self.canceled(run)
            return False

    def _succeed(self, run: Run, outcome: Outcome, also: Also | None) -> bool:
        made = sum(1 for result in outcome.results if result.blob_key)
        counts: dict[str, object] = {"succeeded": made or 1, "failed": len(outcome.results) - made}
        with self._database.write() as conn:
            now = self._clock()
            if not _move(conn, run.task.id, TaskState.SUCCEEDED, run.attempt, counts | {"ended_at": now}):
                return False
            # Looked at once nobody can ask any more: from the move on, until this transaction has ended.
            task = rows.get(conn, run.task.id)
            if task and task.cancel_asked_at:
                raise _CancelWanted
            rows.add_results(conn, run.task.id, outcome.results)
            rows.add_usage(conn, run.task, outcome.usage, now)
            if also:
                also(conn)
            return True

    def fail(self, run: Run, error: PortraitdError) -> bool:
        """Did the run end its task as FAILED?"""
        return self._database.outlast(lambda: self._end_now(run.task.id, TaskState.FAILED, error, run.attempt))

    def canceled(self, run: Run) -> bool:
        """Did the run end its task as CANCELED?"""
        return self._database.outlast(lambda: self._end_now(run.task.id, TaskState.CANCELED, None, run.attempt))

    def cancel_pending(self, task_id: str) -> bool:
        """Was the task still PENDING? It is CANCELED now, and never begins."""
        with self._database.write() as conn:
            canceled = {"state": TaskState.CANCELED.value, "ended_at": self._clock()}
            return _noted(conn, task_id, rows.move(conn, task_id, Stand((TaskState.PENDING,)), canceled))

    def ask_to_cancel(self, task_id: str) -> bool:
        """Was the task RUNNING? Its worker sees the wish at its next report."""
        with self._database.write() as conn:
            return rows.move(conn, task_id, Stand((TaskState.RUNNING,)), {"cancel_asked_at": self._clock()})

    def give_up(self, task_id: str, error: PortraitdError) -> bool:
        """Was the task unfinished? It has FAILED now, whoever holds it."""
        return self._end_now(task_id, TaskState.FAILED, error, None)

    def waited_s(self, task: TaskRow) -> float:
        """Seconds since the task was accepted."""
        return max(0.0, (self._clock() - task.submitted_at).total_seconds())

    def holds(self, run: Run) -> bool:
        """Does the run still hold its task?"""
        with self._database.read() as conn:
            task = rows.get(conn, run.task.id)
        return task is not None and task.state is TaskState.RUNNING and task.attempt == run.attempt

    def _end_now(self, task_id: str, to: TaskState, error: PortraitdError | None, attempt: int | None) -> bool:
        with self._database.write() as conn:
            return self._end(conn, task_id, to, error, attempt)

    def _end(
        self, conn: sa.Connection, task_id: str, to: TaskState, error: PortraitdError | None, attempt: int | None
    ) -> bool:
        task = rows.get(conn, task_id)
        if task and task.cancel_asked_at and to is TaskState.FAILED:
            to, error = TaskState.CANCELED, None
        ended: dict[str, object] = {"ended_at": self._clock()}
        if error:
            ended |= {"code": error.code, "message": error.message}
        if task:
            # A task that ends so delivered nothing, however many pictures it had finished.
            ended |= {"succeeded": 0, "failed": task.total if to is TaskState.FAILED else 0}
        return _move(conn, task_id, to, attempt, ended)


def _move(conn: sa.Connection, task_id: str, to: TaskState, attempt: int | None, columns: Mapping[str, object]) -> bool:
    come_from = tuple(state for state, targets in MOVES.items() if to in targets)
    moved = rows.move(conn, task_id, Stand(come_from, attempt), {"state": to.value, **columns})
    return _noted(conn, task_id, moved) if to.is_terminal else moved


def _noted(conn: sa.Connection, task_id: str, ended: bool) -> bool:
    """`ended`; if so, the account's webhook is to be told, as surely as the task has ended."""
    if ended:
        webhooks.note_end(conn, task_id)
    return ended
