"""What this process has done since it last told the others: seconds per stage, pictures, ends of tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from portraitd.db import figures
from portraitd.db.engine import Database
from portraitd.db.figures import Figure
from portraitd.db.tasks import Kind

T = TypeVar("T")

#: Upper bounds of the stages' histograms, in seconds.
BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1200.0, float("inf"))

#: Names of the sums. A stage's labels are kind and stage, and for its counts the bucket's bound.
STAGE_SECONDS = "stage_seconds"
STAGE_COUNT = "stage_count"
#: Labels: kind, end, code ("" unless failed).
ENDS = "ends"
#: Labels: "made" or "failed".
PICTURES = "pictures"
#: Labels: an outcome of db.webhooks, or "failed" for an attempt that will be repeated.
DELIVERIES = "deliveries"


class Tally:
    """Sums that wait to be added to the database's. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Figure, float] = {}

    def add(self, name: str, *labels: str, amount: float = 1) -> None:
        self._add({Figure(name, labels): amount})

    def _add(self, sums: Mapping[Figure, float]) -> None:
        with self._lock:
            for figure, amount in sums.items():
                self._sums[figure] = self._sums.get(figure, 0.0) + amount

    def took(self, kind: Kind, stage: str, took_s: float) -> None:
        """A stage of a task took so long."""
        bound = next(bound for bound in BOUNDS_S if took_s <= bound)
        self.add(STAGE_SECONDS, kind.value, stage, amount=took_s)
        self.add(STAGE_COUNT, kind.value, stage, str(bound))

    @contextmanager
    def timed(self, kind: Kind, stage: str) -> Iterator[None]:
        """A block that is a stage; one that raises counts as well."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.took(kind, stage, time.monotonic() - began)

    def each_timed(self, kind: Kind, stage: str, items: Iterable[T]) -> Iterator[T]:
        """`items`, the making of each of them a stage."""
        iterator = iter(items)
        while True:
            began = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.took(kind, stage, time.monotonic() - began)
            yield item

    def flush(self, database: Database) -> None:
        """Add everything to the database's sums; what cannot be added now waits for the next time."""
        with self._lock:
            sums, self._sums = self._sums, {}
        try:
            with database.write() as conn:
                figures.add(conn, sums)
        except BaseException:
            self._add(sums)
            raise
