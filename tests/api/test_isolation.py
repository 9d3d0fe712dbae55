"""An account sees nothing of another's: every route of the application, asked with a foreign key and every id there is,
in every place that takes one. Over the real services on a real database, with work waiting, running and done.

A route that is added fails here until it is said how an id gets into it.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from portraitd import wiring
from portraitd.db.engine import utc_now
from portraitd.settings import load_settings
from tests.api.client import ASYNC, DETECT, GENERATE, ask, assert_success
from tests.fakes.engines import Instant
from tests.unit.portraits.conftest import FakeWeb, Place, picture

#: Stands in a request for an id.
ID = "ANY-ID"
FACE_URL = "https://pictures.example/face.jpg"
METRICS_TOKEN = "let-the-monitor-in"


@dataclass
class Owned:
    """An application, the keys of two accounts, and what one of them has."""

    app: FastAPI
    anne: str
    bert: str
    #: Every id that has to do with Anne, by what it is.
    ids: dict[str, str]

    def ask(self, key: str, method: str, path: str, options: dict[str, Any], any_id: str) -> tuple[int, str]:
        """Status and body with the id put in, the parts that are this request's own left out."""
        filled = json.loads(json.dumps(options).replace(ID, any_id))
        reply = ask(self.app, method, path.replace(ID, any_id), key=key, **filled)
        body = reply.text.replace(reply.headers["X-Request-ID"], "<request>").replace(any_id, "<id>")
        # Tokens and tickets are made anew each time.
        body = re.sub(r'"(token|expires_at|policy|signature|upload_dir)":("[^"]*"|[0-9]+)', r'"\1":"<new>"', body)
        return reply.status_code, body

    def hers(self) -> list[tuple[int, str]]:
        """How all that is Anne's looks to her."""
        paths = {"task": "tasks", "waiting": "tasks", "job": "fine-tunes", "running": "fine-tunes", "file": "files"}
        found = [self.ask(self.anne, "GET", f"/api/v1/{path}/{ID}", {}, self.ids[name]) for name, path in paths.items()]
        assert {status for status, _ in found} == {200}
        # A link is made anew at each read, and may live a second longer.
        return [(status, re.sub(r"\?Expires=[^\"]*", "", body)) for status, body in found]


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Owned]:
    environ = {"PORTRAITD_ENGINE": "tests.fakes.engines:instant", "PORTRAITD_METRICS_TOKEN": METRICS_TOKEN}
    settings = load_settings({"PORTRAITD_HOME": str(tmp_path), **environ})
    web = FakeWeb({FACE_URL: picture()})
    house = dataclasses.replace(wiring.open_house(settings), fetcher=web)  # type: ignore[arg-type]
    keys = [house.keys.create("her-key", "her-account"), house.keys.create("k", "bert")]
    anne, bert = map(house.keys.authenticate, keys)
    place = Place(house, web, utc_now, wiring.build_services(house), Instant(), anne, bert)  # type: ignore[arg-type]
    app = wiring.build_web(house)

    def made(path: str, **options: Any) -> Any:
        return assert_success(ask(app, "POST", path, key=keys[0], **options))

    def trained(file_id: str) -> str:
        body = {"model": "facechain-finetune", "training_file_ids": [file_id]}
        return str(made("/api/v1/fine-tunes", json=body)["output"]["job_id"])

    file = made("/api/v1/files", files=[("files", ("her-file.jpg", picture()))])["data"]["uploaded_files"][0]["file_id"]
    train_free = {
        "model": "facechain-generation",
        "input": {"template_url": FACE_URL, "user_urls": [FACE_URL]},
        "parameters": {"style": "train_free_portrait_url_template", "n": 1},
    }
    task, waiting = (made(GENERATE, json=train_free, headers=ASYNC)["output"]["task_id"] for _ in range(2))
    job, running = trained(file), trained(file)
    for task_id in (task, job):
        place.work(task_id)
    assert house.life.begin(running)
    yield Owned(
        app,
        *keys,
        {
            "task": task,
            "waiting": waiting,
            "job": job,
            "running": running,
            "file": file,
            "identity": f"facechain-finetune-{job}",
            "account": anne.id,
            "key": anne.key_id,
            "picture's link": f"tasks/{task}/1.jpg",
            "file's link": f"files/{file}",
        },
    )
    house.close()


#: How an id gets into a request without being part of its path or query, for every path that takes a body.
BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    GENERATE: lambda any_id: {
        "headers": ASYNC,
        "json": {
            "model": "facechain-generation",
            "input": {"template_url": any_id, "user_urls": [any_id]},
            "parameters": {"style": "f_idcard_female"},
            "resources": [{"resource_id": any_id, "resource_type": "facelora"}],
        },
    },
    DETECT: lambda any_id: {"json": {"model": "facechain-facedetect", "input": {"images": [any_id]}}},
    "/api/v1/fine-tunes": lambda any_id: {"json": {"model": "facechain-finetune", "training_file_ids": [any_id]}},
    # No id has a place here: what is uploaded is the caller's own.
    "/api/v1/files": lambda any_id: {"json": {"files": any_id}},
    "/compatible-mode/v1/files": lambda any_id: {"data": {"file": any_id, "purpose": any_id}},
    # Whoever has a ticket may post, and it says where to: there is no key to be another's.
    "/uploads": lambda any_id: {
        "files": {"file": "x"},
        "data": {"policy": any_id, "Signature": any_id, "key": any_id},
    },
    "/api/v1/tokens": lambda any_id: {"json": {"key_id": any_id}},
}


def requests(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and options of requests with `ID` in every place where a route of the application takes one."""
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route}: say here how to ask it with a foreign id"
        path = re.sub(r"{\w+(?::path)?}", ID, route.path)
        fields = query_fields(route)
        for method in sorted(route.methods):
            yield method, path, {}
            for params in [{name: ID} for name in fields] + [dict.fromkeys(fields, ID)]:
                yield method, path, {"params": params}
            if method in {"POST", "PUT", "PATCH"} and ID not in path:
                assert route.path in BODIES, f"{method} {route.path}: say in BODIES how an id gets into it"
                yield method, path, BODIES[route.path](ID)


def query_fields(route: APIRoute) -> list[str]:
    """Names of the query's parameters, those of a model of parameters one by one."""
    found: list[str] = []
    for field in route.dependant.query_params:
        model = getattr(field.field_info.annotation, "model_fields", None)
        found += [inner.alias or name for name, inner in model.items()] if model else [field.alias]
    return found


def never(known: str) -> str:
    """An id that looks like a known one and is nobody's; one that is a number, and may be a page's, is as large."""
    return known[0] + known[1:].translate(str.maketrans("0123456789", "5678901234"))


def test_every_route_is_silent_about_anothers_things(owned: Owned) -> None:
    """To Bert each id of Anne's is, in every place, an id that never was; and nothing of hers changes."""
    before = owned.hers()
    asked = set()
    for method, path, options in requests(owned.app):
        for name, theirs in owned.ids.items():
            told = owned.ask(owned.bert, method, path, options, theirs)
            assert told == owned.ask(owned.bert, method, path, options, never(theirs)), (method, path, options, name)
            for mark in (*owned.ids.values(), "her-"):
                assert mark not in told[1], (method, path, options, name)
        asked.add((method, path))
    assert len(asked) == sum(len(route.methods) for route in owned.app.routes if isinstance(route, APIRoute))
    assert owned.hers() == before


@pytest.mark.parametrize("path", ["tasks", "tasks/", "fine-tunes", "files"])
def test_lists_hold_the_caller_s_own(owned: Owned, path: str) -> None:
    def total(key: str) -> int:
        body = assert_success(ask(owned.app, "GET", f"/api/v1/{path}", key=key))
        page = body if "total" in body else body.get("output") or body["data"]
        return int(page["total"])

    assert total(owned.anne) >= 1
    assert total(owned.bert) == 0


def test_the_walk_is_shown_what_the_owner_is_shown(owned: Owned) -> None:
    """The same requests with the owner's key: were they all refused anyway, the walk above would prove nothing."""

    def tells(path: str, options: dict[str, Any], hers: str) -> bool:
        told, nothing = (owned.ask(owned.anne, "GET", path, options, any_id) for any_id in (hers, never(hers)))
        return told != nothing

    shown = {
        ("GET", path, name)
        for method, path, options in requests(owned.app)
        # A stream of events lasts as long as its job runs.
        if method == "GET" and not path.endswith(("/stream", "/events"))
        for name, hers in owned.ids.items()
        if tells(path, options, hers)
    }
    jobs = [f"/api/v1/fine-tunes/{ID}{more}" for more in ("", "/logs")]
    wanted = {("GET", path, name) for path in jobs for name in ("job", "running")}
    wanted |= {("GET", f"/api/v1/tasks/{ID}", name) for name in ("task", "waiting")}
    files = [f"/api/v1/files/{ID}"] + [f"/compatible-mode/v1/files/{ID}{more}" for more in ("", "/content")]
    assert wanted | {("GET", path, "file") for path in files} <= shown


def test_anothers_file_cannot_be_trained_from(owned: Owned) -> None:
    def train(file_id: str) -> tuple[int, str]:
        return owned.ask(owned.bert, "POST", "/api/v1/fine-tunes", BODIES["/api/v1/fine-tunes"](ID), file_id)

    assert train(owned.ids["file"]) == train("never")
    assert train("never")[0] == 400


def test_anothers_identity_cannot_be_used(owned: Owned) -> None:
    def use(key: str, resource_id: str) -> tuple[int, str]:
        resources = [{"resource_id": resource_id, "resource_type": "facelora"}]
        body = {"model": "facechain-generation", "parameters": {"style": "f_idcard_female"}, "resources": resources}
        reply = ask(owned.app, "POST", GENERATE, key=key, json=body, headers=ASYNC)
        return reply.status_code, reply.json().get("code", "")

    identity = owned.ids["identity"]
    assert use(owned.anne, identity) == (200, "")
    assert use(owned.bert, identity) == use(owned.bert, "never") == (403, "Resource.AccessDenied")


@pytest.mark.parametrize("text", ["%00", "'", "%25", "..", "%5C", "a" * 200, "%F0%9F%98%80", "1;--"])
def test_odd_ids_are_unknown_ones_to_a_real_database(owned: Owned, text: str) -> None:
    assert ask(owned.app, "GET", f"/api/v1/files/x{text}", key=owned.anne).status_code == 400
    assert ask(owned.app, "GET", f"/api/v1/fine-tunes/x{text}", key=owned.anne).status_code == 404
    assert ask(owned.app, "GET", f"/api/v1/tasks/x{text}", key=owned.anne).json()["output"]["task_status"] == "UNKNOWN"
