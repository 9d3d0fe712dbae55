"""Forgetting: what is older than its time is erased, rows and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from portraitd.blobs import Blobs
from portraitd.db import tasks as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.tasks import Kind
from portraitd.tasks.queue import Queue

_BATCH = 100


@dataclass(frozen=True)
class Sweeper:
    """Erases generations some time after their end, with their pictures. Trainings stay until they are deleted."""

    database: Database
    blobs: Blobs
    queue: Queue
    retention: timedelta
    clock: Clock

    def sweep(self) -> int:
        """How many tasks were erased."""
        limit = self.clock() - self.retention
        erased = 0
        while batch := self._old(limit):
            for task_id in batch:
                self.blobs.delete_prefix(f"tasks/{task_id}")
            with self.database.write() as conn:
                rows.erase(conn, batch)
            erased += len(batch)
        while self.queue.forget_finished(limit):
            pass
        return erased

    def _old(self, limit: datetime) -> tuple[str, ...]:
        with self.database.read() as conn:
            return rows.ended_before(conn, Kind.GENERATE, limit, _BATCH)
