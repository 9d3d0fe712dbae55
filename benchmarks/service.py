"""How fast the service takes, tells and hands out work, next to a bare FastAPI route that does one insert.

    python benchmarks/service.py [--quick] [--databases sqlite postgresql] [--only speeds|soak] [--out DIR]

Prints tables and writes service.json. PostgreSQL is a cluster of its own, started and stopped here; everything, the
clients included, runs on this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import httpx  # noqa: E402 - the repository comes first
import sqlalchemy as sa  # noqa: E402

from portraitd.db import schema  # noqa: E402
from portraitd.db.engine import open_database, utc_now  # noqa: E402
from tests.crash.service import LORA, Service, until  # noqa: E402
from tests.fakes.servers import free_port, postgres_cluster  # noqa: E402

CLIENTS = 4
#: Worker processes of the soak.
WORKERS = 2
BODY = {"model": "facechain-generation", "parameters": {"style": "f_idcard_female", "n": 1}, "resources": LORA}
SUBMIT = "/services/aigc/album/gen_potrait"

#: The same work as nobody's service: one row, one transaction, the same database and the same settings of it.
BARE = """
import sys, uuid
import sqlalchemy as sa, uvicorn
from fastapi import FastAPI
from portraitd.db.engine import open_database
database = open_database(sys.argv[1])
with database.write() as conn:
    conn.execute(sa.text("CREATE TABLE bare (id TEXT PRIMARY KEY, body TEXT NOT NULL)"))
app = FastAPI()
@app.post("/")
def add(body: dict) -> dict:
    key = str(uuid.uuid4())
    with database.write() as conn:
        conn.execute(sa.text("INSERT INTO bare VALUES (:id, :body)"), {"id": key, "body": str(body)})
    return {"id": key}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), access_log=False, log_level="warning")
"""


@dataclass(frozen=True)
class Speed:
    """How some requests went: a second, and milliseconds at 50 and 99 % of them."""

    what: str
    requests: int
    a_second: float
    p50_ms: float
    p99_ms: float


def measure(what: str, count: int, ask: Callable[[httpx.Client], None]) -> Speed:
    """`count` requests by CLIENTS clients that each send one after the other, after some to warm up."""
    took_s: list[float] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        mine = []
        with httpx.Client(timeout=60) as http:
            for _ in range(number):
                began = time.perf_counter()
                ask(http)
                mine.append(time.perf_counter() - began)
        with lock:
            took_s.extend(mine)

    def round_of(total: int) -> float:
        took_s.clear()
        threads = [threading.Thread(target=client, args=(total // CLIENTS,)) for _ in range(CLIENTS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    round_of(max(CLIENTS, count // 10))
    wall_s = round_of(count)
    return Speed(what, len(took_s), len(took_s) / wall_s, 1000 * statistics.median(took_s), 1000 * at(took_s, 0.99))


def at(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def bare(url: str, count: int) -> Speed:
    port = free_port()
    command = [sys.executable, "-c", BARE, url, str(port)]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
    try:
        until(lambda: is_up(f"http://127.0.0.1:{port}/docs"))
        return measure(
            "bare route, one insert", count, lambda http: checked(http.post(f"http://127.0.0.1:{port}/", json=BODY))
        )
    finally:
        process.terminate()
        process.wait()


def is_up(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def checked(reply: httpx.Response) -> None:
    assert reply.status_code == 200, reply.text


def requests(service: Service, when: str, count: int) -> list[Speed]:
    """POST, GET and list of one account."""
    headers = {"Authorization": f"Bearer {service.key_file.read_text().strip()}"}
    submit = headers | {"X-DashScope-Async": "enable"}
    known = service.submit(n=1)
    root = service.url("/api/v1")
    return [
        measure(f"POST, {when}", count, lambda http: checked(http.post(root + SUBMIT, json=BODY, headers=submit))),
        measure(f"GET, {when}", count, lambda http: checked(http.get(f"{root}/tasks/{known}", headers=headers))),
        measure(f"list, {when}", count, lambda http: checked(http.get(f"{root}/tasks?page_size=10", headers=headers))),
    ]


def add_finished(url: str, count: int, like: str) -> None:
    """`count` finished tasks of the account of the task `like`, as it stands in our tables and in the queue's."""
    ended = utc_now() - timedelta(hours=1)
    ids = [f"{uuid4()}" for _ in range(count)]
    with closing(open_database(url)) as database:
        with database.write() as conn:
            task = dict(conn.execute(sa.select(schema.tasks).where(schema.tasks.c.id == like)).mappings().one())
            for start in range(0, count, 5000):
                batch = ids[start : start + 5000]
                times = {"submitted_at": ended - timedelta(seconds=9), "ended_at": ended, "request_id": "copied"}
                conn.execute(sa.insert(schema.tasks), [task | times | {"id": task_id} for task_id in batch])
                picture = {"position": 0, "seed": 1}
                rows = [picture | {"task_id": key, "blob_key": f"tasks/{key}/1.jpg"} for key in batch]
                conn.execute(sa.insert(schema.results), rows)
            copy_deliveries(conn, "" if database.is_sqlite else "dbos.", like)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("ANALYZE")


def copy_deliveries(conn: sa.Connection, place: str, like: str) -> None:
    names = [column["name"] for column in sa.inspect(conn).get_columns("workflow_status", place.rstrip(".") or None)]
    others = ", ".join(f"w.{name}" for name in names if name != "workflow_uuid")
    columns = ", ".join(["workflow_uuid", *(name for name in names if name != "workflow_uuid")])
    conn.execute(
        sa.text(
            f"INSERT INTO {place}workflow_status ({columns}) SELECT t.id, {others} FROM tasks t, "
            f"{place}workflow_status w WHERE w.workflow_uuid = :like AND t.id <> :like "
            "AND t.request_id = 'copied'"
        ),
        {"like": like},
    )


def claim(service: Service, count: int) -> Speed:
    """From a task's acceptance to its beginning, one at a time on an idle worker."""
    waits_s = []
    began = time.perf_counter()
    for _ in range(count):
        task_id = service.submit(n=1)
        service.until_ended([task_id])
        task = service.task(task_id)
        submitted, begun = (datetime.fromisoformat(task[name]) for name in ("submit_time", "scheduled_time"))
        waits_s.append((begun - submitted).total_seconds())
    wall_s = time.perf_counter() - began
    return Speed(
        "claim, idle worker", count, count / wall_s, 1000 * statistics.median(waits_s), 1000 * at(waits_s, 0.99)
    )


@dataclass(frozen=True)
class Soak:
    """What became of many tasks."""

    accepted: int
    succeeded: int
    billed_once: int
    begun_twice: int
    workers: int
    submit_s: float
    all_s: float


def soak(service: Service, count: int) -> Soak:
    """`count` tasks submitted as fast as CLIENTS clients can, done by the workers meanwhile."""
    accepted: list[str] = []
    began = time.perf_counter()
    threads = [
        threading.Thread(target=lambda: accepted.extend(service.submit(n=1) for _ in range(count // CLIENTS)))
        for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    submit_s = time.perf_counter() - began
    with closing(open_database(service.database_url)) as database:
        until(lambda: unfinished(database) == 0, 3600)
    all_s = time.perf_counter() - began
    rows = service.rows(accepted)
    charges = service.charges()
    return Soak(
        accepted=len(set(accepted)),
        succeeded=sum(row.state.value == "SUCCEEDED" for row in rows.values()),
        billed_once=sum(charges.get(task_id) == 1 for task_id in accepted),
        begun_twice=sum(row.attempt > 1 for row in rows.values()),
        workers=WORKERS,
        submit_s=submit_s,
        all_s=all_s,
    )


def unfinished(database: Any) -> int:
    time.sleep(1)
    with database.read() as conn:
        query = sa.select(sa.func.count()).select_from(schema.tasks).where(schema.tasks.c.ended_at.is_(None))
        return int(conn.execute(query).scalar_one())


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[Service]:
    folder.mkdir()
    service = Service(folder, **settings)
    try:
        service.start()
        yield service
        assert service.stop() == 0
    finally:
        service.close()


def bench_speed(kind: str, new_url: Callable[[str], str], folder: Path, sizes: Sizes) -> list[dict[str, Any]]:
    """What one request takes, with an empty table and a full one."""
    found = [bare(new_url("bare"), sizes.requests)]
    url = {"PORTRAITD_DATABASE_URL": new_url("portraitd")}
    with running(folder / f"{kind}-one", PORTRAITD_WORKERS="1", **url) as service:
        service.until_working()
        found.append(claim(service, sizes.claims))
        like = service.submit(n=1)
        service.until_ended([like])
    home = {"PORTRAITD_HOME": str(folder / f"{kind}-one" / "home")}
    with running(folder / f"{kind}-none", PORTRAITD_WORKERS="0", **url, **home) as service:
        found += requests(service, "few tasks", sizes.requests)
        add_finished(url["PORTRAITD_DATABASE_URL"], sizes.finished, like)
        found += requests(service, f"{sizes.finished} finished tasks", sizes.requests)
    return [asdict(speed) for speed in found]


def bench_soak(kind: str, new_url: Callable[[str], str], folder: Path, sizes: Sizes) -> dict[str, Any]:
    """What becomes of many tasks."""
    url = {"PORTRAITD_DATABASE_URL": new_url("soak")}
    with running(folder / f"{kind}-two", PORTRAITD_WORKERS=str(WORKERS), **url) as service:
        service.until_working()
        return asdict(soak(service, sizes.soak))


@dataclass(frozen=True)
class Sizes:
    requests: int
    claims: int
    finished: int
    soak: int


def show(kind: str, found: dict[str, Any]) -> None:
    if soaked := found.get("soak"):
        print(f"\n{kind}, soak:", ", ".join(f"{name} {value:g}" for name, value in soaked.items()), flush=True)
    if "speeds" not in found:
        return
    print(f"\n{kind}\n| | a second | p50 ms | p99 ms | p50 over the bare route's |\n|---|---|---|---|---|")
    first = found["speeds"][0]["p50_ms"]
    for s in found["speeds"]:
        ratio = f"{s['p50_ms'] / first:.1f}"
        print(f"| {s['what']} | {s['a_second']:.0f} | {s['p50_ms']:.1f} | {s['p99_ms']:.1f} | {ratio} |")


def machine() -> dict[str, str]:
    names = ("portraitd", "dbos", "SQLAlchemy", "fastapi", "uvicorn", "psycopg", "httpx")
    return {"python": platform.python_version(), "cores": str(os.cpu_count())} | {name: version(name) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--only", choices=["speeds", "soak"])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "out")
    args = parser.parse_args()
    sizes = Sizes(200, 20, 2000, 100) if args.quick else Sizes(1000, 100, 100_000, 10_000)
    report: dict[str, Any] = {"machine": machine(), "sizes": asdict(sizes)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in args.databases:
            with postgres_cluster() if kind == "postgresql" else nullcontext() as cluster:
                new_url = (
                    (lambda _name: cluster.database()) if cluster else (lambda name: f"sqlite:///{folder}/{name}.db")
                )
                report[kind] = {}
                if args.only != "soak":
                    report[kind]["speeds"] = bench_speed(kind, new_url, folder, sizes)
                if args.only != "speeds":
                    report[kind]["soak"] = bench_soak(kind, new_url, folder, sizes)
            show(kind, report[kind])
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "service.json").write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
