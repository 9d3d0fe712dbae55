"""One engine for several lanes: whoever comes second waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from portraitd.engines.base import Engine, Failure, Job, Photo, Portrait, Trained


class TakingTurns:
    """An Engine that may be called from several threads; one job at a time gets through to the real one."""

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        # Re-entrant: a generation may find that its built-in identity has to be trained first.
        self._turn = threading.RLock()

    def warm(self) -> None:
        with self._turn:
            self._engine.warm()

    def train(self, photos: Sequence[Photo]) -> Trained:
        with self._turn:
            return self._engine.train(photos)

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """The engine's outcomes; the turn lasts until the last one is taken or the iterator is closed."""
        with self._turn:
            yield from self._engine.generate(job)
