"""A worker: one process, one warm engine, as many tasks as its lanes give it at a time, until told to stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from portraitd.db import tasks as rows
from portraitd.db.engine import Database
from portraitd.db.tasks import Kind, TaskRow
from portraitd.errors import AlgorithmFailed, PortraitdError, SetupError, TaskTimedOut
from portraitd.logs import about
from portraitd.portraits.requests import TaskState
from portraitd.tasks.executors import Monotonic, Presence, Reaper
from portraitd.tasks.life import Also, Life, Outcome, Run, Signal
from portraitd.tasks.queue import Receiver
from portraitd.tasks.tally import ENDS, Tally

_log = logging.getLogger(__name__)

#: Exit statuses of a worker that the supervisor replaces.
EXIT_HUNG = 70
EXIT_STUCK = 71
EXIT_TAKEN_FOR_DEAD = 75

_SUCCEEDED = (TaskState.SUCCEEDED, "")


class Stopped(Exception):
    """The run must not go on: its task was canceled, or is somebody else's now."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        super().__init__(signal.value)


Report: TypeAlias = Callable[[int, int], None]
"""Called with (succeeded, failed) after each picture; raises Stopped when the run must not go on."""


@dataclass(frozen=True)
class Finished:
    """What a handler made of a task, to be written down together."""

    outcome: Outcome
    also: Also | None = None
    #: Erases what only another run would need; called once the task has succeeded.
    tidy: Callable[[], None] | None = None


class Handler(Protocol):
    """How one kind of task is done."""

    def run(self, task: TaskRow, report: Report) -> Finished:
        """Do the task, its pictures put into the blob store. Raises a PortraitdError to fail it as a whole."""

    def discard(self, task: TaskRow) -> None:
        """Erase what a run may have left behind of a task that delivers nothing."""


@dataclass(frozen=True)
class Chore:
    """Something to be done now and then, by every worker; harmless when several do it."""

    every_s: float
    act: Callable[[], object]
    #: To be done once more when the worker ends.
    last: bool = False


@dataclass(frozen=True)
class _Begun:
    """A run and when it began, in monotonic seconds."""

    run: Run
    at: float


class SideBySide:
    """Lets any number be inside at once, but for those that have to be alone; these are not passed over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting_alone = 0
        self._is_alone = False

    @contextmanager
    def taken(self, alone: bool) -> Iterator[None]:
        """A place for the time of the block, waited for."""
        with self._changed:
            self._waiting_alone += alone
            self._changed.wait_for(lambda: not self._inside if alone else not (self._is_alone or self._waiting_alone))
            self._waiting_alone -= alone
            self._inside += 1
            self._is_alone = alone
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._is_alone = False
                self._changed.notify_all()


class Bench:
    """Does tasks, by id: begins them, runs their handler, and ends them in every way they can end."""

    def __init__(
        self,
        database: Database,
        life: Life,
        handlers: Mapping[Kind, Handler],
        monotonic: Monotonic = time.monotonic,
        tally: Tally | None = None,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._life = life
        self._handlers = handlers
        self._tally = tally or Tally()
        self._runs: dict[str, _Begun] = {}
        self._sides = {kind: SideBySide() for kind in Kind}

    def handle(self, task_id: str) -> None:
        """Do one task to its end. Raises nothing but what the database does when it stays away."""
        with about(task_id=task_id), self._place_for(task_id):
            run = self._life.begin(task_id)
            if run is None:
                return
            self._runs[task_id] = _Begun(run, self._monotonic())
            if run.attempt == 1:
                self._tally.took(run.task.kind, "wait", self._life.waited_s(run.task))
            try:
                with about(request_id=run.task.request_id):
                    self._attempt(run)
            finally:
                self._runs.pop(task_id, None)

    def lost(self) -> tuple[str, ...]:
        """Ids of the tasks that are being run here although they are no longer this process's."""
        return tuple(begun.run.task.id for begun in list(self._runs.values()) if not self._life.holds(begun.run))

    @property
    def is_idle(self) -> bool:
        """Is nothing being run here?"""
        return not self._runs

    def give_up_overdue(self, limit_s: float) -> tuple[str, ...]:
        """Ids of the tasks that have been run here for longer than `limit_s` seconds; they have FAILED now.

        Each process looks at its own runs, by a clock that nobody sets: a time of day that jumps fails nothing.
        """
        limit = self._monotonic() - limit_s
        overdue = [begun.run.task for begun in list(self._runs.values()) if begun.at < limit]
        given_up = [task for task in overdue if self._life.give_up(task.id, TaskTimedOut())]
        for task in given_up:
            self._tally.add(ENDS, task.kind.value, TaskState.FAILED.value, TaskTimedOut.code)
        return tuple(task.id for task in given_up)

    def _place_for(self, task_id: str) -> AbstractContextManager[None]:
        """A place beside the running tasks of its kind, or alone where it was begun before.

        Its worker died then, and of the tasks that ran there nobody knows which one it died of: it shall not take
        others along again and again until they count as begun too often.
        """

        def read() -> TaskRow | None:
            with self._database.read() as conn:
                return rows.get(conn, task_id)

        task = self._database.outlast(read)
        if task is None:
            return nullcontext()
        return self._sides[task.kind].taken(alone=task.attempt > 0)

    def _attempt(self, run: Run) -> None:
        handler = self._handlers[run.task.kind]
        kind, began = run.task.kind, time.monotonic()
        end = self._end(run, handler)
        if end is not None:
            state, code = end
            _log.info("%s %s %s after %.1f s", kind.value, state.value, code, time.monotonic() - began)
            self._tally.add(ENDS, kind.value, state.value, code)
        if end != _SUCCEEDED:
            self._clear_away(run.task, handler)

    def _end(self, run: Run, handler: Handler) -> tuple[TaskState, str] | None:
        """The state that the run ended its task in, and its error code; None when the task was no longer its own."""

        def report(succeeded: int, failed: int) -> None:
            signal = self._life.report(run, succeeded, failed)
            if signal is not Signal.GO_ON:
                raise Stopped(signal)

        try:
            report(0, 0)
            # A run writes over what an earlier one left, so it may simply be repeated after an outage.
            finished = self._database.outlast(lambda: handler.run(run.task, report))
            end, held = _SUCCEEDED, self._life.succeed(run, finished.outcome, finished.also)
            if held and finished.tidy:
                self._tidy(finished.tidy)
        except Stopped as stop:
            end, held = (TaskState.CANCELED, ""), stop.signal is Signal.CANCEL and self._life.canceled(run)
        except PortraitdError as error:
            end, held = self._fail(run, _presentable(error))
        except (Exception, SystemExit):  # noqa: BLE001 - a task must end, whatever its engine does
            _log.exception("unexpected failure")
            end, held = self._fail(run, AlgorithmFailed())
        return end if held else None

    def _fail(self, run: Run, error: PortraitdError) -> tuple[tuple[TaskState, str], bool]:
        return (TaskState.FAILED, error.code), self._life.fail(run, error)

    def _tidy(self, tidy: Callable[[], None]) -> None:
        try:
            tidy()
        except Exception:  # noqa: BLE001 - the task has ended; what is left is swept later
            _log.warning("what is not needed any more could not be erased yet", exc_info=True)

    def _clear_away(self, task: TaskRow, handler: Handler) -> None:
        """Leave nothing of a task that delivers nothing: failed, canceled, or erased by its owner meanwhile."""
        try:
            with self._database.read() as conn:
                now = rows.get(conn, task.id)
            if now is None or now.state in {TaskState.FAILED, TaskState.CANCELED}:
                handler.discard(task)
        except Exception:  # noqa: BLE001 - the task has ended; what is left is swept later
            _log.warning("what it left could not be erased yet", exc_info=True)


@dataclass(frozen=True)
class Watch:
    """What a worker needs to stay in touch with the others."""

    presence: Presence
    reaper: Reaper
    #: Pause between two beats, in seconds.
    beat_s: float
    chores: Sequence[Chore]
    #: How long a run may go on after it lost its task before the process is given up, in seconds.
    grace_s: float = 30.0
    #: What else goes on in this process until it stops, each in a thread of its own.
    beside: Sequence[Callable[[threading.Event], None]] = ()


class Worker:
    """Takes tasks until `stop` is set, then lets the running ones end."""

    def __init__(self, receiver: Receiver, bench: Bench, watch: Watch) -> None:
        self._receiver = receiver
        self._bench = bench
        self._watch = watch
        self._lost_since: dict[str, float] = {}
        self._useful_at = time.monotonic()

    def run(self, stop: threading.Event, drain_s: int) -> int:
        """The process's exit status: 0 after a drain."""
        presence = self._watch.presence
        presence.enter()
        self._receiver.serve(self._bench.handle)
        _log.info("worker %s takes tasks", presence.id)
        # In threads of their own: a long chore must not keep this process from saying that it is alive.
        for act in (self._do_chores, *self._watch.beside):
            threading.Thread(target=act, args=(stop,), daemon=True, name="beside").start()
        status = self._keep(stop)
        # One that was taken for dead has nothing to finish: its tasks are others' now.
        self._drain(drain_s if status == 0 else 0)
        for chore in self._watch.chores:
            if chore.last:
                _do(chore)
        if not self._watch.reaper.holds_tasks(presence.id):
            presence.leave()
        return status

    def _keep(self, stop: threading.Event) -> int:
        """Beat and look after the dead until told to stop."""
        while not stop.is_set():
            try:
                if not self._watch.presence.beat():
                    _log.error("this worker was taken for dead; it makes room for a fresh one")
                    return EXIT_TAKEN_FOR_DEAD
                self._watch.reaper.reap()
                self._look_after_runs()
                if self._is_stuck():
                    _log.error("this worker holds a task that it does not do; it makes room for a fresh one")
                    return EXIT_STUCK
            except Exception:  # noqa: BLE001 - a database that is away, mostly; the next beat tries again
                _log.warning("a beat failed, the next one tries again", exc_info=True)
            stop.wait(self._watch.beat_s)
        return 0

    def _drain(self, drain_s: int) -> None:
        """Let running tasks end, beating all the while: silence would hand them to others."""
        closing = threading.Thread(target=self._receiver.close, args=(drain_s,), name="drain")
        closing.start()
        while closing.is_alive():
            try:
                self._watch.presence.beat()
            except Exception:  # noqa: BLE001 - as above
                _log.warning("a beat failed, the next one tries again", exc_info=True)
            closing.join(self._watch.beat_s)

    def _look_after_runs(self) -> None:
        """End the process when a run that lost its task does not stop: only that frees the engine it hangs in."""
        now = time.monotonic()
        self._lost_since = {task_id: self._lost_since.get(task_id, now) for task_id in self._bench.lost()}
        if any(now - since > self._watch.grace_s for since in self._lost_since.values()):
            _log.error("a task hangs in its engine; this worker ends so that a fresh one can take over")
            os._exit(EXIT_HUNG)

    def _is_stuck(self) -> bool:
        """Has this process taken a task and not begun it for a whole grace time? An outage can do that to the queue."""
        now = time.monotonic()
        if not (self._bench.is_idle and self._watch.reaper.holds_tasks(self._watch.presence.id)):
            self._useful_at = now
        return now - self._useful_at > self._watch.grace_s

    def _do_chores(self, stop: threading.Event) -> None:
        due = dict.fromkeys(self._watch.chores, 0.0)
        while not stop.wait(0.5):
            for chore in [chore for chore, at in due.items() if time.monotonic() >= at]:
                due[chore] = time.monotonic() + chore.every_s
                _do(chore)


def _do(chore: Chore) -> None:
    try:
        chore.act()
    except Exception:  # noqa: BLE001 - a database that is away, mostly; no chore may end the others
        _log.warning("a chore failed, it will be tried again", exc_info=True)


def _presentable(error: PortraitdError) -> PortraitdError:
    """What a client may read of the error: nothing about this machine's setup."""
    if isinstance(error, SetupError):
        _log.error("not set up: %s", error.message)
        return AlgorithmFailed()
    return error
