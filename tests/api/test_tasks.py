"""Reading, listing and cancelling tasks: contract sections 1.5 and 2."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from portraitd.portraits.hints import BY_CODE
from portraitd.portraits.requests import Result, Task, TaskState
from tests.api.client import Api, assert_error_shape, assert_success
from tests.api.fakes import BERT, World

SUBMITTED = datetime(2024, 3, 1, 9, 38, 24, 817_000, tzinfo=UTC)
WAITING = Task(
    id="b0f1b6f4-2f6e-4d0e-9d0a-6a3f2f7e6f10",
    request_id="7e7c9b5e-5f0a-4f57-8d6c-0f0c5f1b3a11",
    key_id="11",
    account_id="1001",
    model="facechain-generation",
    state=TaskState.PENDING,
    total=2,
    submitted_at=SUBMITTED,
)
RUNNING = replace(WAITING, state=TaskState.RUNNING, started_at=SUBMITTED + timedelta(milliseconds=14))
ENDED = replace(RUNNING, ended_at=SUBMITTED + timedelta(seconds=30, milliseconds=748))
SUCCEEDED = replace(
    ENDED,
    state=TaskState.SUCCEEDED,
    succeeded=1,
    failed=1,
    results=(
        Result(url="https://p.example/1.jpg?Expires=1&Signature=s", seed=7, similarity=0.25),
        Result(code="DataInspectionFailed", message="Output data may contain inappropriate content."),
    ),
)
FAILED = replace(
    ENDED,
    state=TaskState.FAILED,
    failed=2,
    code="InvalidImageResolution",
    message="The input image resolution is too large or small",
)
SHOWN_TIMES = {"submit_time": "2024-03-01 17:38:24.817", "scheduled_time": "2024-03-01 17:38:24.831"}


def read(api: Api, task: Task) -> dict[str, Any]:
    """The reply about `task`, without its request id, which is that of the read."""
    api.world.tasks.put(task)
    reply = assert_success(api("GET", f"/api/v1/tasks/{task.id}"))
    assert reply.pop("request_id") != task.request_id
    assert reply["output"].pop("task_id") == task.id
    return reply


def test_pending(api: Api) -> None:
    metrics = {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 0}
    times = {"submit_time": SHOWN_TIMES["submit_time"]}
    assert read(api, WAITING) == {"output": {"task_status": "PENDING", **times, "task_metrics": metrics}}


def test_running(api: Api) -> None:
    metrics = {"TOTAL": 2, "SUCCEEDED": 1, "FAILED": 0}
    ours = {"progress": 0.5}
    expected = {"output": {"task_status": "RUNNING", **SHOWN_TIMES, "task_metrics": metrics, "portraitd": ours}}
    assert read(api, replace(RUNNING, succeeded=1)) == expected


@pytest.mark.parametrize("ahead", [0, 3, 10_000])
def test_a_waiting_task_tells_how_many_come_first(api: Api, ahead: int) -> None:
    assert read(api, replace(WAITING, ahead=ahead))["output"]["portraitd"] == {"queue_position": ahead}


@pytest.mark.parametrize(("succeeded", "failed", "progress"), [(0, 0, 0.0), (1, 0, 0.33), (1, 1, 0.67), (3, 0, 1.0)])
def test_a_running_task_tells_which_share_is_done(api: Api, succeeded: int, failed: int, progress: float) -> None:
    running = replace(RUNNING, total=3, succeeded=succeeded, failed=failed)
    assert read(api, running)["output"]["portraitd"] == {"progress": progress}


@pytest.mark.parametrize(
    "task", [SUCCEEDED, replace(FAILED, code="InternalError.Algo"), replace(WAITING, state=TaskState.CANCELED)]
)
def test_a_task_that_has_ended_tells_nothing_beside_the_contract(api: Api, task: Task) -> None:
    assert "portraitd" not in read(api, task)["output"]


def test_succeeded_with_one_picture_of_two(api: Api) -> None:
    assert read(api, SUCCEEDED) == {
        "output": {
            "task_status": "SUCCEEDED",
            **SHOWN_TIMES,
            "end_time": "2024-03-01 17:38:55.565",
            "results": [
                {"url": "https://p.example/1.jpg?Expires=1&Signature=s", "seed": 7, "similarity": 0.25},
                {"code": "DataInspectionFailed", "message": "Output data may contain inappropriate content."},
            ],
            "task_metrics": {"TOTAL": 2, "SUCCEEDED": 1, "FAILED": 1},
        },
        "usage": {"image_count": 1},
    }


def test_failed_is_http_200_with_the_code_inside(api: Api) -> None:
    assert read(api, FAILED) == {
        "output": {
            "task_status": "FAILED",
            **SHOWN_TIMES,
            "end_time": "2024-03-01 17:38:55.565",
            "code": "InvalidImageResolution",
            "message": "The input image resolution is too large or small",
            "task_metrics": {"TOTAL": 2, "SUCCEEDED": 0, "FAILED": 2},
            "portraitd": {"hint": BY_CODE["InvalidImageResolution"]._asdict()},
        },
        "usage": {"image_count": 0},
    }


def test_a_picture_that_failed_has_its_hint_beside_those_that_did_not(api: Api) -> None:
    results = (*SUCCEEDED.results[:1], Result(None, None, None, "InvalidFile.FacePose", "turned"))
    told = read(api, replace(SUCCEEDED, results=results))["output"]["portraitd"]
    assert told == {"hints": [{"en": "", "zh": ""}, BY_CODE["InvalidFile.FacePose"]._asdict()]}


def test_canceled(api: Api) -> None:
    canceled = replace(WAITING, state=TaskState.CANCELED, ended_at=SUBMITTED + timedelta(seconds=1))
    reply = read(api, canceled)
    assert "usage" not in reply
    assert set(reply["output"]) == {"task_status", "submit_time", "end_time", "task_metrics"}


@pytest.mark.parametrize("task_id", ["1111", "unknown", "%00", "a%20b", "%E4%BB%BB", "x" * 3000])
def test_an_unknown_task_is_no_error(api: Api, task_id: str) -> None:
    reply = assert_success(api("GET", f"/api/v1/tasks/{task_id}"))
    assert set(reply) == {"request_id", "output"}
    assert set(reply["output"]) == {"task_id", "task_status"}
    assert reply["output"]["task_status"] == "UNKNOWN"


def test_an_unknown_task_keeps_the_id_it_was_asked_by(api: Api) -> None:
    assert api("GET", "/api/v1/tasks/1111").json()["output"]["task_id"] == "1111"


# -- cancel -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}", b"{broken", b"x" * 5000])
@pytest.mark.parametrize("content_type", [None, "application/json"])
def test_cancel_never_looks_at_the_body(api: Api, body: bytes, content_type: str | None) -> None:
    api.world.tasks.put(WAITING)
    headers = {"Content-Type": content_type} if content_type else {}
    reply = api("POST", f"/api/v1/tasks/{WAITING.id}/cancel", content=body, headers=headers)
    assert set(assert_success(reply)) == {"request_id"}
    assert api.world.tasks.kept[WAITING.id].state is TaskState.CANCELED


@pytest.mark.parametrize("task", [RUNNING, SUCCEEDED, FAILED, replace(WAITING, state=TaskState.CANCELED)])
def test_only_a_pending_task_can_be_cancelled(api: Api, task: Task) -> None:
    api.world.tasks.put(task)
    assert_cancel_refused(api("POST", f"/api/v1/tasks/{task.id}/cancel"))


@pytest.mark.parametrize("task_id", ["1111", "%00", WAITING.id])
def test_cancelling_an_unknown_task_is_refused_alike(api: Api, task_id: str) -> None:
    assert_cancel_refused(api("POST", f"/api/v1/tasks/{task_id}/cancel"))


def assert_cancel_refused(reply: httpx.Response) -> None:
    text = "Failed to cancel the task, please confirm if the task is in PENDING status."
    assert_error_shape(reply, 400, "UnsupportedOperation", text)


# -- list -------------------------------------------------------------------------------------------------------------


def recent(api: Api, count: int) -> list[Task]:
    """`count` tasks of the last hours, oldest first."""
    now = datetime.now(UTC)
    tasks = [replace(SUCCEEDED, id=f"t{n}", submitted_at=now - timedelta(hours=count - n)) for n in range(count)]
    return [api.world.tasks.put(task) for task in tasks]


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/tasks/"])
def test_both_list_paths_are_served_without_redirect(api: Api, path: str) -> None:
    recent(api, 3)
    reply = assert_success(api("GET", path))
    assert [task["task_id"] for task in reply["data"]] == ["t2", "t1", "t0"]


def test_the_list_is_flat_and_its_times_are_epoch_milliseconds(api: Api) -> None:
    api.world.tasks.put(SUCCEEDED)
    query = {"start_time": "20240301000000", "end_time": "20240302000000"}
    reply = assert_success(api("GET", "/api/v1/tasks/", params=query))
    reply.pop("request_id")
    assert reply == {
        "total": 1,
        "data": [
            {
                "api_key_id": "11",
                "caller_parent_id": "1001",
                "caller_uid": "1001",
                "gmt_create": 1709285904817,
                "start_time": 1709285904831,
                "end_time": 1709285935565,
                "model_name": "facechain-generation",
                "region": "cn-beijing",
                "request_id": SUCCEEDED.request_id,
                "status": "SUCCEEDED",
                "task_id": SUCCEEDED.id,
                "user_api_unique_key": "apikey:v1:aigc:album:gen_potrait:facechain-generation",
            }
        ],
        "total_page": 1,
        "page_no": 1,
        "page_size": 10,
    }


def test_what_has_not_happened_yet_is_left_out_of_the_list(api: Api) -> None:
    api.world.tasks.put(replace(WAITING, submitted_at=datetime.now(UTC)))
    (listed,) = assert_success(api("GET", "/api/v1/tasks"))["data"]
    assert not {"start_time", "end_time"} & set(listed)


def test_an_empty_list(api: Api) -> None:
    reply = assert_success(api("GET", "/api/v1/tasks"))
    assert (reply["total"], reply["data"], reply["total_page"]) == (0, [], 0)


def test_pages(api: Api) -> None:
    recent(api, 5)
    reply = assert_success(api("GET", "/api/v1/tasks", params={"page_no": 2, "page_size": 2}))
    assert [task["task_id"] for task in reply["data"]] == ["t2", "t1"]
    assert (reply["total"], reply["total_page"], reply["page_no"], reply["page_size"]) == (5, 3, 2, 2)


def test_exact_filters(api: Api) -> None:
    recent(api, 3)
    api.world.tasks.put(replace(WAITING, id="waiting", submitted_at=datetime.now(UTC)))
    assert ids(api, status="PENDING") == ["waiting"]
    assert ids(api, task_id="t1") == ["t1"]
    assert ids(api, model_name="facechain-generation", status="SUCCEEDED") == ["t2", "t1", "t0"]
    assert ids(api, model_name="facechain") == []
    assert ids(api, status="", task_id="", model_name="") == ["waiting", "t2", "t1", "t0"]


def test_what_cannot_match_is_an_empty_list(api: Api) -> None:
    recent(api, 1)
    assert ids(api, status="UNKNOWN") == ids(api, status="SUSPENDED") == ids(api, task_id="\x00") == []


def test_what_clients_send_besides_is_ignored(api: Api) -> None:
    recent(api, 1)
    assert ids(api, region="cn-beijing", api_key_id="42677") == ["t0"]


def ids(api: Api, **query: str) -> list[str]:
    return [task["task_id"] for task in assert_success(api("GET", "/api/v1/tasks", params=query))["data"]]


def test_the_default_span_is_the_last_24_hours(api: Api) -> None:
    before = datetime.now(UTC)
    assert_success(api("GET", "/api/v1/tasks"))
    wanted = api.world.tasks.filters[-1]
    assert abs(wanted.start - (before - timedelta(hours=24))) < timedelta(seconds=5)
    assert timedelta(0) < wanted.end - before < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ({"start_time": "20240301000000"}, "2024-02-29T16:00:00Z", "2024-03-01T16:00:01Z"),
        ({"end_time": "20240302000000"}, "2024-02-29T16:00:00Z", "2024-03-01T16:00:01Z"),
        (
            {"start_time": "20240301120000", "end_time": "20240301120000"},
            "2024-03-01T04:00:00Z",
            "2024-03-01T04:00:01Z",
        ),
    ],
)
def test_times_are_beijings_and_the_last_second_counts(api: Api, query: dict[str, str], start: str, end: str) -> None:
    assert_success(api("GET", "/api/v1/tasks", params=query))
    wanted = api.world.tasks.filters[-1]
    assert (wanted.start, wanted.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "query",
    [
        {"start_time": "2024-03-01"},
        {"start_time": "20240231000000"},
        {"start_time": "２０２４0301000000"},
        {"end_time": "1709285904817"},
        {"end_time": "00000301000000"},
        {"end_time": "00010101000000"},
        {"start_time": "99991231235959"},
        {"start_time": "20240301000000", "end_time": "20240302000001"},
        {"start_time": "20240302000000", "end_time": "20240301000000"},
        {"status": "DONE"},
        {"status": "succeeded"},
        {"page_no": "0"},
        {"page_no": "x"},
        {"page_no": "1e3"},
        {"page_no": str(10**20)},
        {"page_size": "0"},
        {"page_size": "101"},
        {"page_size": ""},
    ],
)
def test_a_query_that_makes_no_sense(api: Api, query: dict[str, str]) -> None:
    assert_error_shape(api("GET", "/api/v1/tasks", params=query), 400, "InvalidParameter")


def test_the_result_links_are_not_in_the_list(api: Api) -> None:
    recent(api, 1)
    assert not re.search("Signature|results", api("GET", "/api/v1/tasks").text)


def test_a_foreign_task_is_an_unknown_one(world: World, api: Api) -> None:
    world.tasks.put(WAITING)
    mine = api("GET", f"/api/v1/tasks/{WAITING.id}").json()["output"]["task_status"]
    theirs = api("GET", f"/api/v1/tasks/{WAITING.id}", key=BERT).json()["output"]["task_status"]
    assert (mine, theirs) == ("PENDING", "UNKNOWN")
