"""What a service stands on goes away and comes back: database, store, disk, the right time, another machine."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.crash.books import assert_books_balance
from tests.crash.conftest import StartService
from tests.crash.service import Service, until
from tests.fakes import engines
from tests.fakes.servers import Bucket, Cluster, Gate


def running(service: Service, task_ids: list[str]) -> bool:
    return any(service.state(task_id) == "RUNNING" for task_id in task_ids)


def test_the_database_is_cut_off_and_started_again(new_service: StartService, cluster: Cluster) -> None:
    service = new_service(FAKE_ENGINE_SLOW_S="0.3", PORTRAITD_WORKERS="2", PORTRAITD_DATABASE_URL=cluster.database())
    service.start()
    service.until_working()
    tasks = [service.submit(engines.SLOW, 3) for _ in range(8)]
    until(lambda: running(service, tasks))
    for pause_s in (0.0, 4.0):
        cluster.stop("immediate")
        time.sleep(pause_s)  # the longer one is longer than the lease: everybody looks dead, nobody is
        cluster.start()
        until(lambda: service.healthy_submit(tasks), 30)
    states = service.until_ended(tasks)
    assert set(states.values()) == {"SUCCEEDED"}
    assert_books_balance(service, states)


@pytest.fixture
def gate(bucket: Bucket) -> Iterator[Gate]:
    with bucket.gate() as gate:
        yield gate


def test_the_store_is_away(
    new_service: StartService, database_settings: Mapping[str, str], bucket: Bucket, gate: Gate
) -> None:
    """With SQLite nobody listens; with PostgreSQL calls are taken and not answered."""
    service = new_service(
        FAKE_ENGINE_SLOW_S="0.2",
        PORTRAITD_STORAGE_URL=f"s3://pictures/{uuid4().hex}",
        **bucket.settings_through(gate.port),
        **database_settings,
    )
    service.start()
    service.until_working()
    tasks = [service.submit(engines.SLOW, 2) for _ in range(6)]
    until(lambda: running(service, tasks))
    gate.block() if database_settings else gate.shut()
    time.sleep(3)
    began = time.monotonic()
    tasks.append(service.submit())
    assert service.task(tasks[0])["task_status"] in {"RUNNING", "SUCCEEDED", "PENDING"}
    assert time.monotonic() - began < 3, "who only asks for a task does not wait for the store"
    unfinished = {task_id for task_id in tasks if service.state(task_id) in {"PENDING", "RUNNING"}}
    assert len(unfinished) > 3, "the store was not away: the test tested nothing"
    gate.open()
    states = service.until_ended(tasks)
    assert set(states.values()) == {"SUCCEEDED"}
    assert_books_balance(service, states)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own in memory; skips the test where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "portraitd-test", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        ctypes.CDLL(None).umount2(str(folder).encode(), 2)  # lazily: a process may still hold a file


def fill(disk: Path) -> Path:
    """A file that takes all the space that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_the_disk_is_full(new_service: StartService, database_settings: Mapping[str, str], tmp_path: Path) -> None:
    """With SQLite, database and pictures are on it; with PostgreSQL, the pictures are."""
    with small_disk(tmp_path / "disk", 48) as disk:
        place = {"PORTRAITD_STORAGE_URL" if database_settings else "PORTRAITD_HOME": str(disk / "here")}
        service = new_service(FAKE_ENGINE_SLOW_S="0.2", **place, **database_settings)
        service.start()
        service.until_working()
        tasks = [service.submit(engines.SLOW, 3) for _ in range(4)]
        until(lambda: running(service, tasks))
        filler = fill(disk)
        accepted = 0
        for _ in range(4):
            time.sleep(0.5)
            accepted += service.healthy_submit(tasks)  # refused or accepted, and nothing in between
        assert any(state in {"PENDING", "RUNNING"} for state in map(service.state, tasks))
        assert bool(database_settings) == bool(accepted), "only what needs no space goes on"
        filler.unlink()
        until(lambda: service.healthy_submit(tasks), 30)
        states = service.until_ended(tasks)
        assert set(states.values()) == {"SUCCEEDED"}
        assert_books_balance(service, states)
        service.stop()


def test_a_clock_that_jumps(new_service: StartService, database_settings: Mapping[str, str], tmp_path: Path) -> None:
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    service = new_service(
        FAKE_ENGINE_SLOW_S="0.4",
        PORTRAITD_WORKERS="2",
        PORTRAITD_TASK_LIMIT_S="60",
        FAKE_CLOCK=str(ahead),
        **database_settings,
    )
    folders = [str(Path(engines.__file__).parent / "clock"), service.env["PYTHONPATH"]]
    service.env["PYTHONPATH"] = os.pathsep.join(folders)
    service.start()
    service.until_working()
    tasks = [service.submit(engines.SLOW, 3) for _ in range(4)]
    until(lambda: running(service, tasks))
    for hours in (2, -2, 100, 0):
        ahead.write_text(str(hours * 3600))
        time.sleep(1.2)
        tasks.append(service.submit(engines.SLOW, 1))
    states = service.until_ended(tasks)
    assert set(states.values()) == {"SUCCEEDED"}
    assert {row.attempt for row in service.rows(tasks).values()} == {1}, "nobody was taken for dead"
    assert_books_balance(service, states)
    submitted = [row.submitted_at for row in service.rows(tasks).values()]
    assert (max(submitted) - min(submitted)).days >= 4, "the clock did not jump: the test tested nothing"


def test_two_machines_share_the_work_and_one_never_comes_back(
    new_service: StartService, cluster: Cluster, bucket: Bucket
) -> None:
    """Two API processes and two workers, each with a home of its own, on one PostgreSQL and one bucket."""
    shared = {
        "PORTRAITD_DATABASE_URL": cluster.database(),
        "PORTRAITD_STORAGE_URL": f"s3://pictures/{uuid4().hex}",
        "PORTRAITD_WORKERS": "0",
        "FAKE_ENGINE_SLOW_S": "0.3",
        **bucket.settings,
    }
    here, there = new_service(**shared), new_service(**shared)
    workers = [new_service(verb="worker", **shared) for _ in range(2)]
    here.start()
    there.start()
    there.key_file = here.key_file
    for worker in workers:
        worker.start()
    here.until_working()
    job = train_through(here, there)
    tasks = [api.submit(engines.SLOW, 3) for api in (here, there) * 3]
    until(lambda: all(worker.runs.exists() for worker in workers))
    workers[0].kill()
    here.kill()
    here.start()
    states = there.until_ended(tasks)
    assert set(states.values()) == {"SUCCEEDED"}
    assert any(row.attempt == 2 for row in here.rows(tasks).values()), "no task was interrupted"
    assert_books_balance(here, states)
    assert_books_balance(there, states)
    there.call("DELETE", f"/fine-tunes/{job}")
    assert here.stored("jobs") == set()
    assert workers[1].stop() == 0


def train_through(here: Service, there: Service) -> str:
    """The id of a training whose photo came in here, and which was asked for there."""
    photo = ("me.png", small_png(), "image/png")
    uploaded = here.call("POST", "/files", files={"files": photo})
    file_id = uploaded["data"]["uploaded_files"][0]["file_id"]
    job = there.call("POST", "/fine-tunes", json={"model": "facechain-finetune", "training_file_ids": [file_id]})
    job_id = str(job["output"]["job_id"])
    until(lambda: here.call("GET", f"/fine-tunes/{job_id}")["output"]["status"] == "SUCCEEDED")
    return job_id


def small_png() -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (512, 512), (120, 90, 80)).save(out, "PNG")
    return out.getvalue()
