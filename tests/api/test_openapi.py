"""/openapi.json is true: the service, with everything real but the pictures, is asked whatever the document allows and
much that it does not, and answers only what the document says.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import settings
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from portraitd import wiring
from portraitd.api.app import ApiConfig, build_app
from portraitd.api.openapi import JSON
from portraitd.api.wire import events
from portraitd.db.engine import utc_now
from portraitd.portraits.requests import Ended, TaskState
from portraitd.settings import load_settings
from portraitd.tasks.executors import Presence
from tests.api.client import ASYNC, GENERATE, ask, assert_success
from tests.api.fakes import World
from tests.fakes.engines import Instant
from tests.unit.portraits.conftest import FakeWeb, Place, picture

FACE_URL = "https://pictures.example/face.jpg"
#: What the contract decides otherwise than schemathesis would. Wrong methods are 404, without an Allow header; and a
#: body can be refused for what no schema says: an identity that is nobody's, a style that needs a template.
NOT_OURS = [unsupported_method, allow_header_conformance, positive_data_acceptance]


@dataclasses.dataclass
class Served:
    app: Any
    key: str
    #: Ids that lead somewhere, by the name of the path's parameter.
    ids: dict[str, str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    environ = {
        "PORTRAITD_HOME": str(home),
        "PORTRAITD_ENGINE": "tests.fakes.engines:instant",
        "PORTRAITD_LEASE_S": "3600",
    }
    web = FakeWeb({FACE_URL: picture()})
    opened = wiring.open_house(load_settings(environ))
    house = dataclasses.replace(opened, fetcher=web)  # type: ignore[arg-type]
    key = house.keys.create("key")
    account = house.keys.authenticate(key)
    place = Place(house, web, utc_now, wiring.build_services(house), Instant(), account, account)  # type: ignore[arg-type]
    app = wiring.build_web(house)

    def made(path: str, **options: Any) -> Any:
        return assert_success(ask(app, "POST", path, key=key, **options))

    file = made("/api/v1/files", files=[("files", ("a.jpg", picture()))])["data"]["uploaded_files"][0]["file_id"]
    training = {"model": "facechain-finetune", "training_file_ids": [file]}
    job = made("/api/v1/fine-tunes", json=training)["output"]["job_id"]
    portraits = {
        "model": "facechain-generation",
        "parameters": {"style": "f_idcard_female", "n": 1},
        "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
    }
    task = made(GENERATE, json=portraits, headers=ASYNC)["output"]["task_id"]
    for task_id in (job, task):
        place.work(task_id)
    # A worker that lives: without one the service is not ready.
    presence = Presence(house.database, home / "run")
    presence.enter()
    yield Served(app, key, {"file_id": file, "job_id": job, "task_id": task})
    presence.leave()
    house.close()


ABOUT: Any = {"request_id": "r", "model": "facechain-generation", "ended_at": datetime(2026, 1, 2, tzinfo=UTC)}

#: Read from an application over fakes, since tests are made of it before there is a database.
schema = schemathesis.openapi.from_asgi("/openapi.json", build_app(World().services, ApiConfig()))


@schema.parametrize()
@settings(max_examples=40, deadline=None, derandomize=True)
def test_nothing_is_answered_that_the_document_does_not_say(case: Any, served: Served) -> None:
    # Ids made up lead nowhere; every other time, one that there is takes their place. Nothing is erased by it.
    if case.method == "GET" and random.Random(repr(case.path_parameters)).random() < 0.5:
        for name in set(served.ids) & set(case.path_parameters or {}):
            case.path_parameters[name] = served.ids[name]
    excluded = NOT_OURS if breaks_json(case) else [*NOT_OURS, negative_data_rejection]
    case.call_and_validate(headers={"Authorization": f"Bearer {served.key}"}, app=served.app, excluded_checks=excluded)


def breaks_json(case: Any) -> bool:
    """Is the case's JSON what the document forbids? Only then must it be refused: the key is always sent, whatever the
    case wants; fields of a form are text anyway; and unknown parameters of a query are let be.
    """
    told = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    return case.media_type == JSON and told is not None and told.mode.is_negative


def test_every_route_is_in_the_document(served: Served) -> None:
    said = assert_document(served)["paths"]
    hidden = {"/api/v1/{path}", "/compatible-mode/v1/{path}"}
    for route in served.app.routes:
        assert isinstance(route, APIRoute)
        path = route.path.replace(":path", "")
        for method in route.methods - {"HEAD"} if path not in hidden else ():
            operation = said[path][method.lower()]
            assert ("security" in operation) == path.startswith(("/api/", "/compatible-mode/")), path


def test_a_body_s_fields_and_refusals_are_told(served: Served) -> None:
    said = assert_document(served)
    post = said["paths"][GENERATE]["post"]
    assert post["requestBody"]["content"][JSON]["schema"] == {"$ref": "#/components/schemas/GenerateBody"}
    assert [(told["name"], told["required"]) for told in post["parameters"]] == [
        ("X-DashScope-Async", True),
        ("Idempotency-Key", False),
    ]
    assert set(post["responses"]) == {"200", "400", "401", "403", "404", "429", "500"}
    parameters = said["components"]["schemas"]["Parameters"]["properties"]
    assert len(parameters["style"]["enum"]) == 12
    assert parameters["n"]["anyOf"][0]["maximum"] == 4


def test_what_webhooks_are_sent_is_told(served: Served) -> None:
    said = assert_document(served)
    post = said["webhooks"]["taskEnded"]["post"]
    assert post["requestBody"]["content"][JSON]["schema"] == {"$ref": "#/components/schemas/EventPart"}
    ended = Ended("e", "t", is_training=False, state=TaskState.FAILED, account_id="a", key_id="k", **ABOUT)
    sent = json.loads(events.task_ended(ended))
    schemas = said["components"]["schemas"]
    for part, name in ((sent, "EventPart"), (sent["data"], "EndedPart")):
        assert set(schemas[name]["required"]) <= set(part) <= set(schemas[name]["properties"])
    assert schemas["EndedPart"]["properties"]["start_time"]["type"] == "integer"


def assert_document(served: Served) -> dict[str, Any]:
    reply = ask(served.app, "GET", "/openapi.json", key=None)
    assert reply.status_code == 200
    document: dict[str, Any] = reply.json()
    assert document["openapi"].startswith("3.1")
    return document
