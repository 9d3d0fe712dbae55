"""What is deleted is gone: not a byte of it in database or store, while the service runs."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from portraitd.blobs import open_blobs
from tests.crash.conftest import StartService
from tests.crash.service import Service, environment, until
from tests.fakes import engines
from tests.fakes.servers import Bucket, Cluster

HOOK = "http://127.0.0.1:1/the-zebra-s-ear"
NAME, WORDS = "zanzibar-portrait.png", "the face of a zebra from zanzibar"


def photo(seed: int) -> bytes:
    """A picture with random, and so recognisable, bytes."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (512, 512, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


class Traces:
    """What must not be found any more."""

    def __init__(self, ids: Iterable[str], pictures: Iterable[bytes] = ()) -> None:
        self._needles = [text.encode() for text in ids] + [picture[5000:5064] for picture in pictures]

    def in_bytes(self, data: bytes) -> list[bytes]:
        return [needle for needle in self._needles if needle in data]

    def among(self, files: Mapping[str, bytes]) -> dict[str, list[bytes]]:
        found = {name: self.in_bytes(data) for name, data in files.items()}
        return {name: needles for name, needles in found.items() if needles}

    def in_store(self, service: Service) -> dict[str, list[bytes]]:
        with environment(service.env):
            blobs = open_blobs(service.storage_url)
            keys = [
                held.key for folder in ("tasks", "jobs", "files", "imported", "uploads") for held in blobs.list(folder)
            ]
            return self.among({key: key.encode() + blobs.get(key) for key in keys})


def upload(service: Service, data: bytes) -> str:
    form = {"files": (NAME, data, "image/png"), "descriptions": (None, WORDS)}
    return str(service.call("POST", "/files", files=form)["data"]["uploaded_files"][0]["file_id"])


def train(service: Service, file_id: str) -> str:
    job = service.call("POST", "/fine-tunes", json={"model": "facechain-finetune", "training_file_ids": [file_id]})
    return str(job["output"]["job_id"])


def trained(service: Service, job_id: str) -> bool:
    return bool(service.call("GET", f"/fine-tunes/{job_id}")["output"]["status"] == "SUCCEEDED")


@pytest.fixture(params=["sqlite and folder", "postgresql and s3"])
def service(request: pytest.FixtureRequest, new_service: StartService) -> Service:
    settings: Mapping[str, str] = {}
    if request.param != "sqlite and folder":
        bucket: Bucket = request.getfixturevalue("bucket")
        cluster: Cluster = request.getfixturevalue("cluster")
        url = {"PORTRAITD_DATABASE_URL": cluster.database(), "PORTRAITD_STORAGE_URL": f"s3://pictures/{uuid4().hex}"}
        settings = {**bucket.settings, **url}
    service = new_service(FAKE_ENGINE_SLOW_S="1.5", PORTRAITD_FETCH_ALLOW="127.0.0.0/8", **settings)
    service.start()
    service.until_working()
    return service


def traces_left(service: Service, traces: Traces, request: pytest.FixtureRequest, thorough: bool) -> object:
    """Where traces are still found: in the store, and in the database's files, or what it tells of itself."""
    if "postgresql" not in service.database_url:
        files = {str(path): path.read_bytes() for path in service.home.rglob("*") if path.is_file()}
        return traces.among(files) or traces.in_store(service)
    cluster: Cluster = request.getfixturevalue("cluster")
    in_files = traces.among(cluster.files_of(service.database_url)) if thorough else {}
    return traces.in_bytes(cluster.dump(service.database_url)) or in_files or traces.in_store(service)


def test_a_file_and_a_training_go_without_a_trace(service: Service, request: pytest.FixtureRequest) -> None:
    data = photo(1)
    file_id = upload(service, data)
    job_id = train(service, file_id)
    until(lambda: trained(service, job_id))
    traces = Traces([file_id, NAME, WORDS, job_id], [data])
    assert traces_left(service, traces, request, thorough=False), "nothing is found before: the test looks wrong"
    service.call("DELETE", f"/files/{file_id}")
    service.call("DELETE", f"/fine-tunes/{job_id}")
    assert not traces_left(service, traces, request, thorough=False)


def test_an_account_goes_without_a_trace_while_it_works(service: Service, request: pytest.FixtureRequest) -> None:
    kept = service.submit()
    service.until_ended([kept])
    first_key = service.key_file
    key = service.run("key", "create", "phone", "--account", "zanzibar")
    assert key.returncode == 0, key.stderr
    service.key_file = service.home / "other-key"
    service.key_file.write_text(key.stdout.strip())
    # Nobody listens there: events wait, and have to be erased, too.
    hook = service.run("webhook", "set", HOOK, "--account", "zanzibar")
    assert hook.returncode == 0, hook.stderr
    data = photo(2)
    file_id = upload(service, data)
    job_id = train(service, file_id)
    done = service.submit()
    until(lambda: trained(service, job_id) and service.state(done) == "SUCCEEDED")
    running, waiting = service.submit(engines.SLOW, 4), service.submit(engines.SLOW, 4)
    until(lambda: {service.state(running), service.state(waiting)} & {"RUNNING"})
    account_id = service.rows([done])[done].account_id
    ids = [account_id, "zanzibar", file_id, job_id, done, running, waiting]
    traces = Traces([*ids, WORDS, HOOK, hook.stdout.strip()], [data])
    assert traces_left(service, Traces([HOOK]), request, thorough=False), (
        "the webhook is not there: the test looks wrong"
    )
    service.key_file.unlink()
    deleted = service.run("account", "delete", "zanzibar", "--yes")
    assert deleted.returncode == 0, deleted.stderr
    until(lambda: not traces.in_store(service), 20)
    assert not traces_left(service, traces, request, thorough=True)
    service.key_file = first_key
    after = service.submit()
    assert service.until_ended([kept, after]) == {kept: "SUCCEEDED", after: "SUCCEEDED"}
    assert not traces_left(service, traces, request, thorough=True)


def test_a_running_task_is_stopped_by_force_and_a_waiting_one_without(
    new_service: StartService, database_settings: dict[str, str]
) -> None:
    service = new_service(**database_settings, FAKE_ENGINE_SLOW_S="5")
    service.start()
    service.until_working()
    running, waiting = service.submit(engines.SLOW, 4), service.submit(engines.SLOW, 4)
    until(lambda: "RUNNING" in {service.state(running), service.state(waiting)})
    if service.state(waiting) == "RUNNING":
        running, waiting = waiting, running
    assert "--force" in service.run("task", "cancel", running).stderr
    assert service.run("task", "cancel", waiting).returncode == 0
    assert service.run("task", "cancel", running, "--force").returncode == 0
    assert service.until_ended([running, waiting]) == {running: "CANCELED", waiting: "CANCELED"}
    until(lambda: not service.stored("tasks"), 10)
    assert service.charges() == {}
    assert service.run("task", "cancel", running, "--force").returncode == 1
