"""Kill and cut off a busy service at random moments, again and again, and count what was lost.

    python benchmarks/crash.py [--minutes 5] [--seed 1] [--databases sqlite postgresql]

"sqlite" keeps its pictures in a folder, "postgresql" in an S3 store (SeaweedFS); both servers are started here. Prints
a table, and raises AssertionError where a task is lost, billed wrongly, or a picture is missing or left over.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.crash.books import assert_books_balance  # noqa: E402 - the repository comes first
from tests.crash.service import Service, is_alive, kill_9, until  # noqa: E402
from tests.fakes import engines  # noqa: E402
from tests.fakes.servers import Cluster, Gate, postgres_cluster, s3_bucket  # noqa: E402

#: Tasks that wait at most; more would only make the end later.
BACKLOG = 30


class Load:
    """Clients that submit while there is somebody to submit to."""

    def __init__(self, service: Service, dice: random.Random) -> None:
        self.accepted: list[str] = []
        self.refused = 0
        self._service = service
        self._dice = dice
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._submit)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _submit(self) -> None:
        while not self._done.wait(self._dice.uniform(0.05, 0.4)):
            try:
                waiting = sum(row.ended_at is None for row in self._service.rows(self.accepted[-BACKLOG:]).values())
                if waiting < BACKLOG:
                    self.accepted.append(self._service.submit(self._dice.choice([engines.SLOW, "f_idcard_female"]), 2))
            except Exception:  # whatever a service says that is being killed
                self.refused += 1


class Chaos:
    """What can happen to a service, by name."""

    def __init__(self, service: Service, dice: random.Random, cluster: Cluster | None, gate: Gate | None) -> None:
        self._service = service
        self._dice = dice
        self._cluster = cluster
        self._gate = gate
        acts = [
            self.one_worker,
            self.all_workers,
            self.api_and_workers,
            self.api_alone,
            self.a_worker_sleeps,
            self.stop,
        ]
        self._acts: list[Callable[[], None]] = acts
        if cluster and gate:
            self._acts += [self.database, self.store]
        self.count: Counter[str] = Counter()

    def strike(self) -> None:
        act = self._dice.choice(self._acts)
        self.count[act.__doc__ or ""] += 1
        act()

    def one_worker(self) -> None:
        """kill -9 of a worker"""
        if workers := self._service.workers():
            kill_9(self._dice.choice(workers))

    def all_workers(self) -> None:
        """kill -9 of all workers"""
        self._service.kill_workers()

    def api_and_workers(self) -> None:
        """kill -9 of API and workers"""
        self._service.kill()
        self._service.start()

    def api_alone(self) -> None:
        """kill -9 of the API; its workers stop with it"""
        self._service.kill_parent()
        until(lambda: not [pid for pid in self._service.left_over() if is_alive(pid)], 60)
        self._service.start()

    def a_worker_sleeps(self) -> None:
        """a worker stopped for longer than its lease, and woken"""
        if not (workers := self._service.workers()):
            return
        os.kill(workers[0], signal.SIGSTOP)
        time.sleep(6)
        os.kill(workers[0], signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM, and a new start"""
        assert self._service.stop() == 0
        self._service.start()

    def database(self) -> None:
        """PostgreSQL crashed, away for up to 10 s"""
        assert self._cluster
        self._cluster.stop("immediate")
        time.sleep(self._dice.uniform(0, 10))
        self._cluster.start()

    def store(self) -> None:
        """the store away for up to 60 s"""
        assert self._gate
        self._gate.shut()
        time.sleep(self._dice.uniform(1, 60))
        self._gate.open()


@contextmanager
def place(kind: str, folder: Path) -> Iterator[tuple[Service, Cluster | None, Gate | None]]:
    with ExitStack() as stack:
        settings: Mapping[str, str] = {"FAKE_ENGINE_SLOW_S": "0.4", "PORTRAITD_WORKERS": "2"}
        cluster = gate = None
        if kind == "postgresql":
            cluster = stack.enter_context(postgres_cluster())
            bucket = stack.enter_context(s3_bucket(folder / "bucket"))
            gate = stack.enter_context(bucket.gate())
            url = {
                "PORTRAITD_DATABASE_URL": cluster.database(),
                "PORTRAITD_STORAGE_URL": f"s3://pictures/{uuid4().hex}",
            }
            settings = {**settings, **url, **bucket.settings_through(gate.port)}
        service = Service(folder, **settings)
        stack.callback(service.close)
        yield service, cluster, gate


def run(kind: str, minutes: float, seed: int) -> None:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, place(kind, Path(name)) as (service, cluster, gate):
        service.start()
        service.until_working()
        chaos = Chaos(service, dice, cluster, gate)
        until_s = time.monotonic() + minutes * 60
        with Load(service, dice) as load:
            while time.monotonic() < until_s:
                time.sleep(dice.uniform(0.5, 6))
                chaos.strike()
        everything = service.all_tasks()
        assert set(load.accepted) <= set(everything), "a task that was answered for is not there"
        states = service.until_ended(everything, 600)
        before = len(service.stored("tasks"))
        assert_books_balance(service, states)
        swept = before - len(service.stored("tasks"))
        print(f"\n{kind}, {minutes:g} minutes, seed {seed}\n| | times |\n|---|---|")
        rows = [*sorted(chaos.count.items()), ("tasks accepted", len(everything))]
        rows += [("... whose client was cut off before the answer", len(everything) - len(load.accepted))]
        rows += [(f"... {state}", times) for state, times in sorted(Counter(states.values()).items())]
        attempts = Counter(row.attempt for row in service.rows(everything).values())
        rows += [(f"... begun {attempt} times", times) for attempt, times in sorted(attempts.items())]
        rows += [("pictures that no row named, found and erased", swept)]
        rows += [("tasks lost, ended twice, billed twice or not at all; pictures missing", 0)]
        for what, times in rows:
            print(f"| {what} | {times} |", flush=True)
        codes = {service.task(task_id)["code"] for task_id, state in states.items() if state == "FAILED"}
        assert codes <= {"InternalError.Algo"}, "what was begun three times and killed each time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    args = parser.parse_args()
    for kind in args.databases:
        run(kind, args.minutes, args.seed)


if __name__ == "__main__":
    main()
