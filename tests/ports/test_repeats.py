"""A POST with an Idempotency-Key takes effect once, on each database, however often and however fast it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from portraitd import wiring
from portraitd.db import schema
from portraitd.db.engine import utc_now
from portraitd.portraits.retention import Sweeper
from portraitd.settings import load_settings
from portraitd.wiring import House
from tests.api.client import ASYNC, GENERATE, ask, assert_error_shape, assert_success

PRESET = {
    "model": "facechain-generation",
    "parameters": {"style": "f_idcard_female", "n": 2},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}
TRAINING = "/api/v1/fine-tunes"
FILES = "/api/v1/files"
REUSED = "This Idempotency-Key was used with another request."


@dataclass
class Service:
    house: House
    app: Any
    anne: str
    bert: str

    def post(self, path: str, repeat: str, *, key: str = "", **options: Any) -> httpx.Response:
        headers = ASYNC | {"Idempotency-Key": repeat}
        return ask(self.app, "POST", path, key=key or self.anne, headers=headers, **options)

    def generate(self, repeat: str, body: Any = PRESET, key: str = "") -> str:
        """The id of the task that the request is answered with."""
        return str(assert_success(self.post(GENERATE, repeat, json=body, key=key))["output"]["task_id"])

    def upload(self, repeat: str, data: bytes = b"a") -> dict[str, Any]:
        files = [("files", ("a.jpg", data)), ("files", ("b.jpg", b"b"))]
        body = assert_success(self.post(FILES, repeat, files=files))
        return dict(body["data"])

    def count(self, table: sa.Table) -> int:
        with self.house.database.read() as conn:
            return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

    def age(self, column: str, value: str) -> None:
        """Make those keys a day older."""
        with self.house.database.write() as conn:
            found = sa.update(schema.repeats).where(schema.repeats.c[column] == value)
            conn.execute(found.values(created_at=utc_now() - timedelta(days=1, seconds=1)))

    def delete(self, path: str) -> None:
        assert_success(ask(self.app, "DELETE", path, key=self.anne))


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    environ = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_DATABASE_URL": database_url}
    with wiring.open_house(load_settings(environ)) as house:
        keys = [house.keys.create("key", name) for name in ("anne", "bert")]
        yield Service(house, wiring.build_web(house), *keys)


def test_the_same_request_makes_one_task(service: Service) -> None:
    first = service.generate("k")
    assert service.generate("k") == first
    assert service.generate("other") != first
    assert service.count(schema.tasks) == 2


def test_the_order_of_fields_makes_no_other_request(service: Service) -> None:
    first = service.generate("k")
    assert service.generate("k", dict(reversed(PRESET.items()))) == first


def test_another_request_under_the_key_is_refused(service: Service) -> None:
    service.generate("k")
    other = PRESET | {"parameters": {"style": "f_idcard_female", "n": 1}}
    assert_error_shape(service.post(GENERATE, "k", json=other), 400, "InvalidParameter", REUSED)
    training = {"model": "facechain-finetune", "training_file_ids": ["https://pictures.example/a.jpg"]}
    assert_error_shape(service.post(TRAINING, "k", json=training), 400, "InvalidParameter", REUSED)
    assert service.count(schema.tasks) == 1


def test_a_key_is_its_account_s(service: Service) -> None:
    assert service.generate("k") != service.generate("k", key=service.bert)


def test_duplicates_at_the_same_moment_make_one_task(service: Service) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: service.generate("k"), range(16)))
    assert len(set(made)) == 1
    assert service.count(schema.tasks) == 1


def test_a_refused_request_leaves_its_key_free(service: Service) -> None:
    foreign = PRESET | {"resources": [{"resource_id": "nobody", "resource_type": "facelora"}]}
    assert_error_shape(service.post(GENERATE, "k", json=foreign), 403, "Resource.AccessDenied")
    assert service.count(schema.repeats) == 0
    service.generate("k")


def test_a_training_is_answered_as_it_was_at_first(service: Service) -> None:
    body = {"model": "facechain-finetune", "training_file_ids": ["https://pictures.example/a.jpg"]}
    first = assert_success(service.post(TRAINING, "k", json=body))["output"]
    service.house.life.begin(first["job_id"])
    assert assert_success(service.post(TRAINING, "k", json=body))["output"] == first
    assert first["status"] == "PENDING"
    assert service.count(schema.tasks) == 1


def test_files_are_kept_once(service: Service) -> None:
    first = service.upload("k")
    assert [file["name"] for file in first["uploaded_files"]] == ["a.jpg", "b.jpg"]
    assert service.upload("k") == first
    assert service.count(schema.files) == 2
    assert len(list(service.house.blobs.list("files"))) == 2
    files = [("files", ("a.jpg", b"other")), ("files", ("b.jpg", b"b"))]
    assert_error_shape(service.post(FILES, "k", files=files), 400, "InvalidParameter", REUSED)
    assert len(list(service.house.blobs.list("files"))) == 2


def test_what_is_erased_takes_its_key_along(service: Service) -> None:
    file_ids = [file["file_id"] for file in service.upload("k")["uploaded_files"]]
    service.delete(f"{FILES}/{file_ids[1]}")
    assert service.count(schema.repeats) == 0
    assert service.upload("k")["uploaded_files"][0]["file_id"] not in file_ids


def test_a_key_is_forgotten_after_a_day(service: Service) -> None:
    first = service.generate("k")
    service.generate("young")
    service.age("made", first)
    sweeper = Sweeper(service.house.eraser, wiring.retention_of(service.house.settings), utc_now)
    assert service.generate("k") != first
    service.age("account_id", service.house.keys.authenticate(service.anne).id)
    sweeper.sweep()
    assert service.count(schema.repeats) == 0


@pytest.mark.parametrize("repeat", ["", " ", "a b", "x" * 256, "\x7f"])
def test_a_key_that_is_none_is_refused(service: Service, repeat: str) -> None:
    message = "An Idempotency-Key is 1 to 255 characters of ASCII without spaces."
    assert_error_shape(service.post(GENERATE, repeat, json=PRESET), 400, "InvalidParameter", message)


def test_neither_key_nor_request_is_kept(service: Service) -> None:
    service.generate("her-own-key")
    with service.house.database.read() as conn:
        row = conn.execute(sa.select(schema.repeats)).mappings().one()
    assert "her-own-key" not in json.dumps(dict(row), default=str)
