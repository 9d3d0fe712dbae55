"""An account sees nothing of another's: every route, asked with a foreign key and every id there is.

Over the fakes, and over the real services on a real database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from portraitd.api.app import ApiConfig, build_app
from portraitd.portraits.requests import JobState
from portraitd.settings import load_settings
from portraitd.wiring import build_web, open_house
from tests.api.client import ASYNC, GENERATE, ask, assert_success
from tests.api.fakes import ANNE, BERT, FACE_URL, World
from tests.api.test_finetunes import JOB
from tests.api.test_tasks import WAITING

#: The application, Anne's key and Bert's, and the ids of what is Anne's by the name that routes have for them.
Owned: TypeAlias = tuple[FastAPI, str, str, dict[str, str]]


def over_fakes(state: JobState) -> Owned:
    world = World()
    world.tasks.put(WAITING)
    world.finetunes.put(replace(JOB, state=state))
    app = build_app(world.services, ApiConfig())
    assert_success(ask(app, "POST", "/api/v1/files", key=ANNE, files=[("files", ("a.jpg", b"a"))]))
    return app, ANNE, BERT, {"task_id": WAITING.id, "job_id": JOB.id, "file_id": next(iter(world.files.kept))}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Owned]:
    house = open_house(load_settings({"PORTRAITD_HOME": str(tmp_path)}))
    app = build_web(house)
    anne, bert = house.keys.create("k", "anne"), house.keys.create("k", "bert")

    def made(path: str, **options: Any) -> Any:
        return assert_success(ask(app, "POST", path, key=anne, **options))

    file = made("/api/v1/files", files=[("files", ("a.jpg", b"a"))])["data"]["uploaded_files"][0]
    job = made("/api/v1/fine-tunes", json={"model": "facechain-finetune", "training_file_ids": [file["file_id"]]})
    body = {
        "model": "facechain-generation",
        "input": {"template_url": FACE_URL, "user_urls": [FACE_URL]},
        "parameters": {"style": "train_free_portrait_url_template"},
    }
    task = made(GENERATE, json=body, headers=ASYNC)
    ids = {
        "task_id": task["output"]["task_id"],
        "job_id": job["output"]["job_id"],
        "file_id": file["file_id"],
    }
    yield app, anne, bert, ids
    house.close()


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.SUCCEEDED])
def test_over_the_fakes(state: JobState) -> None:
    assert_isolated(*over_fakes(state))


def test_over_the_real_services(real: Owned) -> None:
    assert_isolated(*real)


def test_anothers_file_cannot_be_trained_from(real: Owned) -> None:
    app, _, bert, ids = real
    body = {"model": "facechain-finetune", "training_file_ids": [ids["file_id"]]}
    theirs = ask(app, "POST", "/api/v1/fine-tunes", key=bert, json=body)
    never = ask(app, "POST", "/api/v1/fine-tunes", key=bert, json={**body, "training_file_ids": ["never"]})
    assert theirs.status_code == never.status_code == 400
    assert theirs.json()["message"] == never.json()["message"]


def test_anothers_identity_cannot_be_used(real: Owned) -> None:
    app, _, bert, ids = real

    def use(resource_id: str) -> tuple[int, str]:
        resources = [{"resource_id": resource_id, "resource_type": "facelora"}]
        body = {"model": "facechain-generation", "parameters": {"style": "f_idcard_female"}, "resources": resources}
        reply = ask(app, "POST", GENERATE, key=bert, json=body, headers=ASYNC)
        return reply.status_code, reply.json()["code"]

    assert use(f"facechain-finetune-{ids['job_id']}") == use("never") == (403, "Resource.AccessDenied")


@pytest.mark.parametrize("text", ["%00", "'", "%25", "..", "%5C", "a" * 200, "%F0%9F%98%80", "1;--"])
def test_odd_ids_are_unknown_ones_to_a_real_database(real: Owned, text: str) -> None:
    app, anne, _, _ = real
    assert ask(app, "GET", f"/api/v1/files/x{text}", key=anne).status_code == 400
    assert ask(app, "GET", f"/api/v1/fine-tunes/x{text}", key=anne).status_code == 404
    assert ask(app, "GET", f"/api/v1/tasks/x{text}", key=anne).json()["output"]["task_status"] == "UNKNOWN"


def assert_isolated(app: FastAPI, anne: str, bert: str, ids: dict[str, str]) -> None:
    """To Bert each id of Anne's is, on every route, an id that never was; and nothing of hers changes."""
    before = _everything(app, anne, ids)
    asked = 0
    for route in app.routes:
        if not isinstance(route, APIRoute) or "_id}" not in route.path:
            continue
        for method in route.methods:
            for theirs in ids.values():
                told = _answer(app, bert, method, route.path, theirs)
                assert told == _answer(app, bert, method, route.path, "never"), (method, route.path)
                asked += 1
    assert asked == 3 * 10
    for path in ("tasks", "tasks/", "fine-tunes", "files"):
        body = assert_success(ask(app, "GET", f"/api/v1/{path}", key=bert))
        page = body if "total" in body else body.get("output") or body["data"]
        assert page["total"] == 0
    assert _everything(app, anne, ids) == before


def _answer(app: FastAPI, key: str, method: str, path: str, any_id: str) -> tuple[int, str]:
    """Status and body, the parts that are this request's own left out."""
    filled = path.format(task_id=any_id, job_id=any_id, file_id=any_id)
    reply = ask(app, method, filled, key=key)
    body = reply.json()
    del body["request_id"]
    return reply.status_code, repr(body).replace(any_id, "<id>")


def _everything(app: FastAPI, key: str, ids: dict[str, str]) -> list[tuple[int, str]]:
    """How all that is Anne's looks to her."""
    paths = {"task_id": "tasks", "job_id": "fine-tunes", "file_id": "files"}
    found = [_answer(app, key, "GET", f"/api/v1/{paths[name]}/{{{name}}}", ids[name]) for name in ids]
    assert [status for status, _ in found] == [200, 200, 200]
    # A link is made anew at each read, and may live a second longer.
    return [(status, re.sub(r"\?Expires=[^']*", "", body)) for status, body in found]
