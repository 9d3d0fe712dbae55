"""One engine for several lanes: whoever comes second waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from portraitd.engines.base import Engine, Failure, Job, Photo, Portrait, Progress, Trained, Training


class TakingTurns:
    """An Engine that may be called from several threads; one at a time gets through to the real one.

    A training lasts minutes, so it takes a turn for each step: portraits go on in between.
    """

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        self._turn = Turn()
        self._training = threading.Lock()

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
