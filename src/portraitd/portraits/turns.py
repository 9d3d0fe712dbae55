"""One engine for several tasks: whoever comes second waits, or is taken along."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence

from portraitd.engines.base import Engine, Failure, Job, Photo, Portrait, Progress, Together, Trained, Training

_log = logging.getLogger(__name__)


class TakingTurns:
    """An Engine that may be called from several threads; one at a time gets through to the real one.

    A training lasts minutes, so it takes a turn for each step: portraits go on in between. Jobs that wait while they
    could be made at once share the turn of the one among them that came first; nobody waits for company.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        self._turn = Turn()
        self._training = threading.Lock()
        self._company = Company(engine) if isinstance(engine, Together) else None

    def warm(self) -> None:
        with self._turn:
            self._engine.warm()

    def train(self, photos: Sequence[Photo]) -> Trained:
        with self._turn:
            return self._engine.train(photos)

    def training(self, photos: Sequence[Photo]) -> Training:
        """The engine's steps, each in a turn of its own; while another training goes on, none yet."""
        while not self._training.acquire(timeout=1.0):
            yield Progress(0.0)  # so that whoever waits can be told to stop
        steps = self._engine.training(photos)
        try:
            while (step := self._step(steps)) is not None:
                yield step
        finally:
            with self._turn:
                steps.close()
            self._training.release()

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """The engine's outcomes; the turn lasts until the last one is taken or the iterator is closed."""
        table, place = self._company.sit(job) if self._company else (Table(), 0)
        if place:
            table.served.wait()
        else:
            with self._turn:
                if self._company:
                    self._company.serve(table)
                if table.outcomes is None:
                    yield from self._engine.generate(job)
                    return
        if table.outcomes is not None:
            yield from table.outcomes[place]
            return
        with self._turn:
            yield from self._engine.generate(job)

    def _step(self, steps: Training) -> Progress | Trained | None:
        with self._turn:
            return next(steps, None)


class Turn:
    """A lock that is given to whoever has waited longest: a loop that takes it again and again starves nobody.

    Re-entrant: a generation may find that its built-in identity has to be trained first.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._holder: int | None = None
        self._depth = 0

    def __enter__(self) -> None:
        me, place = threading.get_ident(), object()
        with self._changed:
            if self._holder != me:
                self._line.append(place)
                self._changed.wait_for(lambda: self._holder is None and self._line[0] is place)
                self._line.popleft()
                self._holder = me
            self._depth += 1

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._holder = None
                self._changed.notify_all()


class Table:
    """Jobs that are made at once."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.served = threading.Event()
        #: By job, once served; None where each has to be made alone.
        self.outcomes: list[list[Portrait | Failure]] | None = None


class Company:
    """Jobs that wait for a turn and go together: the first of them takes its turn for all."""

    def __init__(self, engine: Together) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._open: list[Table] = []

    def sit(self, job: Job) -> tuple[Table, int]:
        """The job's table and its place there. Who has place 0 must have it served; the others wait until it is."""
        with self._lock:
            table = next((table for table in self._open if self._engine.go_together([*table.jobs, job])), None)
            if table is None:
                table = Table()
                self._open.append(table)
            table.jobs.append(job)
            return table, len(table.jobs) - 1

    def serve(self, table: Table) -> None:
        """Make what is on the table by now, several jobs at once; nobody sits down there any more."""
        try:
            with self._lock:
                self._open.remove(table)
            if len(table.jobs) > 1:
                table.outcomes = self._engine.generate_together(table.jobs)
        except Exception:  # noqa: BLE001 - each of them is made alone then, and fails or not by itself
            _log.warning("%d tasks cannot be made at once; each is made alone", len(table.jobs), exc_info=True)
        finally:
            table.served.set()
