"""Delivery of tasks to workers: DBOS behind a handful of verbs, and the only place that imports it.

DBOS remembers which task waits and which process has taken it; it never decides how a task ends (`life.py` does). What
it carries is the task's id and nothing else, as JSON.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from portraitd.db.engine import Database
from portraitd.db.tasks import Kind
from portraitd.tasks.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbos import DBOSClient, DBOSConfig
    from dbos._queue import QueueRateLimit

_APP = "portraitd"

#: DBOS delivers to workers of the same version only, and would take a hash of the source. Bump only when a workflow's
#: argument changes, and drain first.
_VERSION = "tasks-1"
_WORKFLOW = "run"

#: `life.MAX_ATTEMPTS` decides; this is the backstop for a task that kills its worker before it begins.
_DELIVERIES = 10

#: What DBOS calls the end of a delivery.
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


@dataclass(frozen=True)
class Lane:
    """How one kind of task is handed out."""

    kind: Kind
    #: How many tasks of one account may run at once, over all workers.
    per_account: int
    #: How many tasks a worker takes at once.
    per_worker: int
    #: How often a worker looks for a new task, in seconds.
    poll_s: float


def lanes(max_running: int, per_worker: int = 1) -> tuple[Lane, ...]:
    """The lanes of a service where an account, and a worker, may have that many generations running at once."""
    return (
        # Accounts take turns (turns.py).
        Lane(Kind.GENERATE, per_account=max_running, per_worker=per_worker, poll_s=0.1),
        # The contract's own limit (wire-contract section 8): one training of an account at a time.
        Lane(Kind.FINETUNE, per_account=1, per_worker=1, poll_s=0.25),
    )


_IN_MILLISECONDS = sa.text("UPDATE workflow_status SET created_at = :at WHERE workflow_uuid = :id")
#: Limits no rate. DBOS takes a way of its own, in random order, through lanes with a cap of one and no rate.
_ANY_RATE: QueueRateLimit = {"limit": 10**9, "period": 1.0}


class Queue:
    """The sending side; it runs nothing. `prepare` comes first, once per start."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened: DBOSClient | None = None

    def prepare(self, max_running: int = 16, per_worker: int = 1) -> None:
        """Make or upgrade DBOS's tables and write down the lanes.

        What is written last holds for all workers, those that run already too.
        """
        from dbos import DBOS

        _hush()
        DBOS.migrate(_plain_url(self._database))
        for lane in lanes(max_running, per_worker):
            self._client.register_queue(
                lane.kind.value,
                worker_concurrency=lane.per_worker,
                partition_concurrency=lane.per_account,
                partition_limiter=_ANY_RATE if lane.per_account == 1 else None,
                polling_interval_sec=lane.poll_s,
            )

    def enqueue(self, conn: sa.Connection, task_id: str, kind: Kind, account_id: str) -> None:
        """Hand the task out once the caller's transaction is committed, and not at all if it is not."""
        self._client.enqueue_in_transaction(
            conn,
            {
                "workflow_name": _WORKFLOW,
                "workflow_id": task_id,
                "queue_name": kind.value,
                "queue_partition_key": account_id,
                "app_version": _VERSION,
            },
            task_id,
        )
        if self._database.is_sqlite:
            # DBOS hands out by age, and writes the age of a delivery down in whole seconds there.
            conn.execute(_IN_MILLISECONDS, {"at": time.time_ns() // 1_000_000, "id": task_id})

    def cancel(self, task_id: str) -> None:
        """Do not deliver the task any more. Only for tasks that have ended: a running one would lose its place."""
        self._client.cancel_workflow(task_id)

    def dropped(self, task_ids: Sequence[str]) -> Mapping[str, str]:
        """Those of the tasks that will not be delivered again, and what DBOS says of them; "missing" if nothing."""
        found: dict[str, str] = {}
        for batch in _batches(task_ids, 200):
            known = {flow.workflow_id: flow.status for flow in self._list(workflow_ids=list(batch))}
            found |= {task_id: known.get(task_id, "missing") for task_id in batch}
        return {task_id: status for task_id, status in found.items() if status in _ENDED or status == "missing"}

    def held_by(self, executor_id: str) -> int:
        """How many tasks the executor has taken and not finished."""
        return len(self._list(executor_id=executor_id, status="PENDING"))

    def forget_finished(self, before: datetime, limit: int = 500) -> int:
        """How many deliveries that ended before a time were erased now, `limit` at most."""
        ended = self._list(status=list(_ENDED), completed_before=before.isoformat(), limit=limit)
        if ended:
            self._client.delete_workflows([flow.workflow_id for flow in ended])
        return len(ended)

    def forget(self, task_ids: Sequence[str]) -> None:
        """Erase the deliveries of tasks that have ended or been erased, whatever stands in them."""
        for batch in _batches(task_ids, 200):
            # DBOS deletes a delivery's outcome before its status. One that ends in between leaves its outcome behind,
            # with the task's id; without a status none is written any more, so that the second time gets it.
            for _ in range(2):
                self._client.delete_workflows(list(batch))

    def close(self) -> None:
        if self._opened:
            self._opened.destroy()
            self._opened = None

    @property
    def _client(self) -> DBOSClient:
        """Opened at first use: importing DBOS takes a second, and reading tasks needs none of it."""
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        if self._opened is None:
            self._opened = DBOSClient(
                system_database_engine=self._database.engine,
                serializer=DBOSPortableJSONSerializer(),
                application_name=_APP,
                retry_connection_errors=False,
                # Checking the connection now would wait for the caller's own transaction on SQLite.
                lazy=True,
            )
        return self._opened

    def _list(self, **wanted: Any) -> list[Any]:
        return self._client.list_workflows(**wanted, load_input=False, load_output=False)


class Receiver:
    """The receiving side: takes tasks in this process and runs them. One per process."""

    def __init__(self, database: Database, executor_id: str) -> None:
        self._database = database
        self._executor_id = executor_id

    def serve(self, handle: Callable[[str], None]) -> None:
        """Start taking tasks in threads of their own; `handle` gets each one's id. Returns at once.

        The executor must be registered already, or nobody would notice its death.
        """
        from dbos import DBOS

        _hush()
        # The instance registers itself with the library; a process has one.
        DBOS(config=self._config())

        @DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=_DELIVERIES)
        def run(task_id: str) -> None:
            handle(task_id)

        DBOS.listen_queues([kind.value for kind in Kind])
        DBOS.launch()
        _take_turns()

    def recover(self, executor_ids: Iterable[str]) -> None:
        """Hand the tasks of dead executors out again. Harmless when repeated, and when they hold none.

        DBOS has no public call for this outside its paid service; tests/ports holds the private one to its promise.
        """
        from dbos._dbos import _get_dbos_instance

        _get_dbos_instance()._recover_pending_workflows(list(executor_ids))

    def close(self, drain_s: int) -> None:
        """Take nothing new, let running tasks end for up to `drain_s` seconds, and stop."""
        from dbos import DBOS

        DBOS.destroy(workflow_completion_timeout_sec=drain_s, destroy_registry=True)

    def _config(self) -> DBOSConfig:
        from dbos import DBOSPortableJSONSerializer

        return {
            "name": _APP,
            "system_database_engine": self._database.engine,
            "application_version": _VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "run_migrations": False,
            "log_level": "WARNING",
        }


def _take_turns() -> None:
    """Have accounts asked in turn instead of by lot, which has no bound on how often one is passed over.

    DBOS has no public way to choose; tests/ports holds the private one to its promise.
    """
    from dbos._dbos import _get_dbos_instance

    system = _get_dbos_instance()._sys_db
    by_lot = system.get_queue_partitions
    turns = {kind.value: Turns() for kind in Kind}

    def in_turn(queue_name: str) -> list[str]:
        return turns[queue_name].in_order(by_lot(queue_name))

    system.get_queue_partitions = in_turn  # type: ignore[method-assign]  # there is no other way in


def _plain_url(database: Database) -> str:
    """The database's url as DBOS writes it, password included."""
    scheme = "sqlite" if database.is_sqlite else "postgresql"
    return database.url.set(drivername=scheme).render_as_string(hide_password=False)


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _hush() -> None:
    """DBOS greets at INFO level, with the database's address; only its warnings are of use to an operator.

    Where it finds a handler it adds none of its own, and its lines go where all others go.
    """
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
