"""The application over everything real but the web and the pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from portraitd import wiring
from portraitd.db.engine import utc_now
from portraitd.settings import load_settings
from tests.api.client import ASYNC, GENERATE, ask, assert_success
from tests.api.fakes import FACE_URL
from tests.fakes.engines import Instant
from tests.unit.portraits.conftest import FakeWeb, Place, picture

TEMPLATE_URL = "https://pictures.example/template.jpg"
JOBS, TASKS = "/api/v1/fine-tunes", "/api/v1/tasks"
TRAIN = {"model": "facechain-finetune", "training_file_ids": [FACE_URL]}


@dataclasses.dataclass
class Whole:
    """Asks as its one account; `trained` and `made` do what was accepted at once, in this process."""

    app: FastAPI
    key: str
    place: Place

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        return ask(self.app, method, path, key=self.key, **options)

    def said(self, method: str, path: str, **options: Any) -> Any:
        return assert_success(self(method, path, **options))

    def trained(self) -> Any:
        """The `output` of a training that has ended."""
        job_id = self.said("POST", JOBS, json=TRAIN)["output"]["job_id"]
        self.place.work(job_id)
        return self.said("GET", f"{JOBS}/{job_id}")["output"]

    def made(self, body: dict[str, Any]) -> Any:
        """The `output` of a generation that has ended."""
        task_id = self.said("POST", GENERATE, json=body, headers=ASYNC)["output"]["task_id"]
        self.place.work(task_id)
        return self.said("GET", f"{TASKS}/{task_id}")["output"]


@contextmanager
def opened(home: Path) -> Iterator[Whole]:
    """The application in an empty home; on the web there are a face and a template."""
    environ = {"PORTRAITD_HOME": str(home), "PORTRAITD_ENGINE": "tests.fakes.engines:instant"}
    web = FakeWeb({FACE_URL: picture(), TEMPLATE_URL: picture(800, 1000)})
    house = dataclasses.replace(wiring.open_house(load_settings(environ)), fetcher=web)  # type: ignore[arg-type]
    key = house.keys.create("key")
    anne = house.keys.authenticate(key)
    place = Place(house, web, utc_now, wiring.build_services(house), Instant(), anne, anne)  # type: ignore[arg-type]
    yield Whole(wiring.build_web(house), key, place)
    house.close()
