"""A whole service as processes of its own, to be killed in every way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from portraitd.blobs import open_blobs
from portraitd.db import schema
from portraitd.db import tasks as rows
from portraitd.db.engine import open_database, utc_now
from portraitd.db.tasks import Kind, ResultRow, TaskRow
from portraitd.portraits.erase import Eraser
from portraitd.portraits.retention import Retention, Sweeper
from portraitd.tasks.queue import Queue
from tests.fakes import engines
from tests.fakes.servers import free_port

START_S = 40
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]


def until(happened: Callable[[], Any], timeout_s: float = 60) -> Any:
    """What `happened` returns once it is true; fails the test after `timeout_s` seconds."""
    give_up_at = time.monotonic() + timeout_s
    while not (outcome := happened()):
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)
    return outcome


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """This process's environment with these values in it, for libraries that look there."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Service:
    """`portraitd serve` with the instant engine, in a home of its own; `verb="worker"` is a worker alone."""

    def __init__(self, folder: Path, verb: str = "serve", **settings: str) -> None:
        self.home = Path(settings.get("PORTRAITD_HOME", folder / "home"))
        self.port = free_port()
        #: Ids of the processes that trained and generated, one line each.
        self.trainings = folder / "trainings"
        self.runs = folder / "runs"
        self._log = folder / "log"
        #: Another machine's service may have made the key.
        self.key_file = self.home / "api-key"
        self._verb = verb
        self.command = [sys.executable, "-m", "portraitd", verb]
        self.env = os.environ | {
            "PORTRAITD_HOME": str(self.home),
            "PORTRAITD_PORT": str(self.port),
            "PORTRAITD_ENGINE": "engines:instant",
            "PORTRAITD_LEASE_S": "3",
            "PORTRAITD_DRAIN_S": "8",
            "PYTHONPATH": os.pathsep.join([str(Path(engines.__file__).parent), os.environ.get("PYTHONPATH", "")]),
            "FAKE_ENGINE_TRAININGS": str(self.trainings),
            "FAKE_ENGINE_RUNS": str(self.runs),
            **settings,
        }
        self.storage_url = settings.get("PORTRAITD_STORAGE_URL", str(self.home / "blobs"))
        self.database_url = settings.get("PORTRAITD_DATABASE_URL", f"sqlite:///{self.home}/portraitd.db")
        self._client = httpx.Client(timeout=30)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    # -- the processes ------------------------------------------------------------------------------------------------

    def start(self) -> float:
        """Seconds until the first request was answered."""
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command, env=self.env, stdout=log, stderr=log)
        self._seen.add(self._process.pid)
        if self._verb == "serve":
            until(self._answers, START_S)
        return time.monotonic() - began

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return self._client.get(self.url("/healthz")).status_code == 200
        except httpx.TransportError:
            return False

    def workers(self) -> list[int]:
        """Process ids of the workers that live now."""
        pid = self._process.pid if self._process else 0
        try:
            found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except FileNotFoundError:
            return []
        self._seen.update(found)
        return found

    def freeze(self, pid: int) -> None:
        """Stop a process, but not while it holds SQLite's lock: what really freezes takes all users of a file along."""
        while True:
            os.kill(pid, signal.SIGSTOP)
            if self._can_be_written():
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)

    def _can_be_written(self) -> bool:
        if not self.database_url.startswith("sqlite:///"):
            return True
        with closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=2)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            database.rollback()
            return True

    def until_working(self) -> None:
        until(lambda: self._client.get(self.url("/readyz")).status_code == 200, START_S)

    def kill(self) -> None:
        """kill -9, the parent and its workers at once."""
        workers = self.workers()
        assert self._process is not None
        self._process.kill()
        for pid in workers:
            kill_9(pid)
        self._process.wait()

    def kill_parent(self) -> None:
        self.workers()
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_workers(self) -> None:
        for pid in self.workers():
            kill_9(pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status after a signal to the parent."""
        self.tell(number)
        return self.wait()

    def tell(self, number: signal.Signals) -> None:
        """Tell the parent something."""
        self.workers()
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit status, once it has ended."""
        assert self._process is not None
        return self._process.wait(60)

    def close(self) -> None:
        """End whatever is left."""
        self._client.close()
        if self._process and self._process.poll() is None:
            self.kill()
        for pid in self.left_over():
            kill_9(pid)

    def left_over(self) -> list[int]:
        """Processes of ours that still live."""
        return [pid for pid in self._seen if is_alive(pid)]

    @property
    def log(self) -> str:
        return self._log.read_text()

    # -- the client ---------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        key = self.key_file.read_text().strip()
        headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
        reply = self._client.request(method, self.url("/api/v1" + path), headers=headers, **options)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def submit(self, style: str = "f_idcard_female", n: int = 2) -> str:
        """The accepted task's id."""
        body = {"model": "facechain-generation", "parameters": {"style": style, "n": n}, "resources": LORA}
        headers = {"X-DashScope-Async": "enable"}
        reply = self.call("POST", "/services/aigc/album/gen_potrait", json=body, headers=headers)
        return str(reply["output"]["task_id"])

    def healthy_submit(self, accepted: list[str]) -> bool:
        """Was a task accepted just now? It is in the list then; a service that is not well says no."""
        try:
            accepted.append(self.submit(n=1))
        except (httpx.TransportError, AssertionError):
            return False
        return True

    def task(self, task_id: str) -> Mapping[str, Any]:
        output: Mapping[str, Any] = self.call("GET", f"/tasks/{task_id}")["output"]
        return output

    def state(self, task_id: str) -> str:
        return str(self.task(task_id)["task_status"])

    def until_ended(self, task_ids: list[str], timeout_s: float = 90) -> dict[str, str]:
        """Every task's terminal state."""
        states: dict[str, str] = {}

        def all_ended() -> bool:
            for task_id in task_ids:
                if states.get(task_id) not in {"SUCCEEDED", "FAILED", "CANCELED"}:
                    states[task_id] = self.state(task_id)
            return not {"PENDING", "RUNNING"} & set(states.values())

        until(all_ended, timeout_s)
        return states

    # -- what is left in the database ---------------------------------------------------------------------------------

    def rows(self, task_ids: list[str]) -> dict[str, TaskRow]:
        """The tasks as the database has them."""
        database = open_database(self.database_url)
        with database.read() as conn:
            found = {task_id: rows.get(conn, task_id) for task_id in task_ids}
        database.close()
        return {task_id: row for task_id, row in found.items() if row}

    def all_tasks(self) -> list[str]:
        """Ids of all generations that were accepted, also where the client was cut off before it learned of it."""
        with closing(open_database(self.database_url)) as database, database.read() as conn:
            query = sa.select(schema.tasks.c.id).where(schema.tasks.c.kind == Kind.GENERATE.value)
            return list(conn.execute(query).scalars())

    def results(self, task_id: str) -> tuple[ResultRow, ...]:
        database = open_database(self.database_url)
        with database.read() as conn:
            found = rows.results_of(conn, task_id)
        database.close()
        return found

    def charges(self) -> dict[str, int]:
        """What each generation was billed."""
        database = open_database(self.database_url)
        with database.read() as conn:
            query = sa.select(schema.usage.c.task_id, schema.usage.c.count)
            found = conn.execute(query.where(schema.usage.c.kind == Kind.GENERATE.value)).all()
        database.close()
        assert len(found) == len({task_id for task_id, _ in found})
        return {str(task_id): int(count) for task_id, count in found}

    def stored(self, folder: str) -> set[str]:
        """Keys of the store below a folder."""
        with environment(self.env):
            return {held.key for held in open_blobs(self.storage_url).list(folder)}

    def sweep_orphans(self) -> int:
        """Erase what no row names, as workers do every hour."""
        with environment(self.env), closing(open_database(self.database_url)) as database:
            eraser = Eraser(database, open_blobs(self.storage_url), Queue(database))
            sweeper = Sweeper(eraser, Retention(timedelta(hours=24)), utc_now)
            return sweeper.sweep_orphans() + sweeper.sweep_orphans()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`portraitd WORDS` beside the service."""
        command = [sys.executable, "-m", "portraitd", *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, check=False)


def kill_9(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_alive(pid: int) -> bool:
    """Does the process run? One that is dead and not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
