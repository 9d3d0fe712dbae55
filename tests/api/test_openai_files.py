"""Files in OpenAI's shape, the same files as under the API's own root: contract section 5.4."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from portraitd.api.app import FRAMING_BYTES, ApiConfig, build_app
from tests.api.client import Api, assert_stamped, assert_success
from tests.api.fakes import ANNE, BERT, World
from tests.api.whole import JOBS, opened
from tests.unit.portraits.conftest import picture

PATH = "/compatible-mode/v1/files"
DATA = b"\xff\xd8picture"
#: 2025-11-30 19:37:33 in Beijing, when the fakes keep all their files.
KEPT_AT = 1764502653


def create(api: Api, name: str = "a.jpg", purpose: str = "fine-tune", data: bytes = DATA, **options: Any) -> Any:
    return api("POST", PATH, files={"file": (name, data)}, data={"purpose": purpose}, **options)


def said(reply: httpx.Response) -> Any:
    """The body of a success: JSON, without a request id of its own."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == "application/json"
    assert_stamped(reply)
    return reply.json()


def assert_refused(reply: httpx.Response, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """`{"error": {"message", "type", "param", "code"}, "request_id"}`, as section 5.4 has it."""
    assert_stamped(reply)
    body: dict[str, Any] = reply.json()
    error = body["error"]
    assert (reply.status_code, error["code"], error["param"]) == (status, code, param), reply.text
    assert set(body) == {"error", "request_id"}
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    assert body["request_id"] == reply.headers["X-Request-ID"]
    assert error["message"]
    return error


def test_a_file_s_whole_life(api: Api) -> None:
    created = said(create(api))
    (file,) = api.world.files.kept.values()
    assert created == {
        "id": file.id,
        "object": "file",
        "bytes": len(DATA),
        "filename": "a.jpg",
        "purpose": "fine-tune",
        "status": "processed",
        "created_at": KEPT_AT,
    }
    assert said(api("GET", f"{PATH}/{file.id}")) == created
    assert said(api("GET", PATH)) == {"object": "list", "data": [created], "has_more": False}
    assert said(api("DELETE", f"{PATH}/{file.id}")) == {"id": file.id, "object": "file", "deleted": True}
    assert said(api("GET", PATH)) == {"object": "list", "data": [], "has_more": False}


def test_content_is_the_bytes_and_nothing_a_browser_would_show(api: Api) -> None:
    file_id = said(create(api, "page.html", data=b"<script>"))["id"]
    reply = api("GET", f"{PATH}/{file_id}/content")
    assert (reply.status_code, reply.content) == (200, b"<script>")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Length"] == "8"
    assert_stamped(reply)


def test_both_doors_lead_to_the_same_files(api: Api) -> None:
    here = said(create(api, "here.jpg", "batch"))["id"]
    there = assert_success(api("POST", "/api/v1/files", files=[("files", ("there.jpg", b"x"))]))
    there_id = there["data"]["uploaded_files"][0]["file_id"]
    assert assert_success(api("GET", f"/api/v1/files/{here}"))["data"]["purpose"] == "batch"
    assert [file["id"] for file in said(api("GET", PATH))["data"]] == [there_id, here]
    assert said(api("GET", f"{PATH}/{there_id}"))["purpose"] == "fine-tune", "where nobody said what it is for"
    said(api("DELETE", f"{PATH}/{there_id}"))
    assert api("GET", f"/api/v1/files/{there_id}").status_code == 400


def test_a_file_uploaded_here_is_trained_from_and_shares_the_limits(tmp_path: Path) -> None:
    with opened(tmp_path) as whole:
        sent = whole("POST", PATH, files={"file": ("me.jpg", picture())}, data={"purpose": "fine-tune"})
        body = {"model": "facechain-finetune", "training_file_ids": [said(sent)["id"]]}
        job_id = whole.said("POST", JOBS, json=body)["output"]["job_id"]
        whole.place.work(job_id)
        assert whole.said("GET", f"{JOBS}/{job_id}")["output"]["status"] == "SUCCEEDED"
        for _ in range(99):
            whole.said("POST", "/api/v1/files", files=[("files", ("a", b"x"))])
        full = whole("POST", PATH, files={"file": ("a", b"x")}, data={"purpose": "batch"})
        assert_refused(full, 400, "BadRequest.TooMany")


# -- lists ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def five(api: Api) -> list[str]:
    """Ids of five files, oldest first."""
    return [said(create(api, f"{number}.jpg", "fine-tune" if number % 2 else "batch"))["id"] for number in range(5)]


def ids(api: Api, **query: Any) -> tuple[list[str], bool]:
    body = said(api("GET", PATH, params=query))
    return [file["id"] for file in body["data"]], body["has_more"]


def test_pages_go_on_after_an_id(api: Api, five: list[str]) -> None:
    newest = five[::-1]
    assert ids(api, limit=2) == (newest[:2], True)
    assert ids(api, limit=2, after=newest[1]) == (newest[2:4], True)
    assert ids(api, limit=2, after=newest[3]) == (newest[4:], False)
    assert ids(api, limit=5) == (newest, False)
    assert ids(api, limit=2, order="asc", after=five[0]) == (five[1:3], True)


def test_a_page_after_nothing_there(api: Api, five: list[str]) -> None:
    for after in ("none", "%00", "a b", "ä"):
        assert_refused(api("GET", PATH, params={"after": after}), 404, "NotFound")


def test_files_of_a_purpose(api: Api, five: list[str]) -> None:
    assert ids(api, purpose="batch", order="asc") == (five[::2], False)
    assert ids(api, purpose="vision") == ([], False)


@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ({"create_after": "20251130193733"}, True),
        ({"create_after": "2025-11-30 19:37:33"}, True),
        ({"create_after": "2025-11-30 19:37:34"}, False),
        ({"create_after": "20251130"}, True),
        ({"create_after": "2025-12-01"}, False),
        ({"create_before": "20251201"}, True),
        ({"create_before": "2025-11-30"}, False),
        ({"create_before": "20251130193733"}, False),
        ({"create_after": "2025-11-30", "create_before": "2025-12-01"}, True),
    ],
)
def test_files_of_a_time_in_beijing(api: Api, five: list[str], query: dict[str, str], finds: bool) -> None:
    assert bool(ids(api, **query)[0]) is finds


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "10001"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"order": "up"}, "order"),
        ({"purpose": "a\x00"}, "purpose"),
        ({"create_after": "yesterday"}, None),
        ({"create_after": "20251330"}, None),
        ({"create_before": "2025-11-30T19:37:33"}, None),
        ({"create_before": "２０２５１１３０"}, None),
        ({"create_before": "99991231"}, None),
    ],
)
def test_lists_that_make_no_sense(api: Api, query: dict[str, str], param: str | None) -> None:
    assert_refused(api("GET", PATH, params=query), 400, "invalid_parameter_error", param)


# -- uploads ----------------------------------------------------------------------------------------------------------


def test_a_file_keeps_its_own_name_only(api: Api) -> None:
    assert said(create(api, "../../照片.jpg"))["filename"] == "照片.jpg"


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"data": {"purpose": "batch"}, "files": {}}, None),
        ({"data": {"purpose": "batch"}, "files": {"other": b"x"}}, "file"),
        ({"data": {"purpose": "batch", "file": "no file"}, "files": {"other": b"x"}}, "file"),
        ({"files": {"file": b"x"}}, "purpose"),
        ({"files": {"file": b"x"}, "data": {"purpose": ""}}, "purpose"),
        ({"files": [("file", b"x"), ("file", b"y")], "data": {"purpose": "batch"}}, None),
        ({"files": {"file": b"x"}, "data": {"purpose": "batch", "expires_after[seconds]": "3600"}}, None),
        ({"json": {"file": "x"}}, None),
        ({}, None),
    ],
)
def test_uploads_that_are_refused(api: Api, form: dict[str, Any], param: str | None) -> None:
    assert_refused(api("POST", PATH, **form), 400, "invalid_parameter_error", param)
    assert api.world.files.kept == {}


def test_a_file_that_does_not_fit_is_an_error(api: Api) -> None:
    api.world.files.limit = 1
    said(create(api))
    error = assert_refused(create(api), 400, "BadRequest.TooMany")
    assert error["message"] == "Out of number, <1> of <1> files has been uploaded."


def test_an_upload_that_is_too_long(world: World) -> None:
    api = Api(world, ApiConfig(max_upload_bytes=1000))
    said(create(api, data=b"x" * 1000))
    assert_refused(create(api, data=b"x" * (1001 + FRAMING_BYTES)), 400, "BadRequest.TooLarge")


def test_a_key_to_send_it_again_with(api: Api) -> None:
    assert_refused(create(api, headers={"Idempotency-Key": "a b"}), 400, "invalid_parameter_error")
    assert said(create(api, headers={"Idempotency-Key": "k"}))


# -- refusals ---------------------------------------------------------------------------------------------------------

ROUTES = sorted(
    (method, route.path.replace("{file_id}", "1").replace("{path:path}", "nowhere"))
    for route in build_app(World().services, ApiConfig()).routes
    if isinstance(route, APIRoute) and route.path.startswith("/compatible-mode/")
    for method in route.methods - {"HEAD"}
)


def test_the_routes_are_the_contracts() -> None:
    assert [route for route in ROUTES if "nowhere" not in route[1]] == [
        ("DELETE", f"{PATH}/1"),
        ("GET", PATH),
        ("GET", f"{PATH}/1"),
        ("GET", f"{PATH}/1/content"),
        ("POST", PATH),
    ]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_path_needs_a_key(api: Api, method: str, path: str) -> None:
    assert_refused(api(method, path, key=None), 401, "invalid_api_key")
    assert_refused(api(method, path, key="sk-no"), 401, "invalid_api_key")


@pytest.mark.parametrize("file_id", ["none", "%00", "a%20b", "1"])
@pytest.mark.parametrize(("method", "more"), [("GET", ""), ("GET", "/content"), ("DELETE", "")])
def test_a_missing_file_is_404(api: Api, method: str, more: str, file_id: str) -> None:
    error = assert_refused(api(method, f"{PATH}/{file_id}{more}"), 404, "NotFound")
    assert error["message"] == "File not found."


def test_another_s_file_is_a_missing_one(api: Api) -> None:
    file_id = said(create(api))["id"]
    for method, path in (("GET", file_id), ("GET", f"{file_id}/content"), ("DELETE", file_id)):
        assert_refused(api(method, f"{PATH}/{path}", key=BERT), 404, "NotFound")
    assert_refused(api("GET", PATH, key=BERT, params={"after": file_id}), 404, "NotFound")
    assert said(api("GET", PATH, key=BERT))["data"] == []
    assert said(api("GET", f"{PATH}/{file_id}", key=ANNE))


@pytest.mark.parametrize(("method", "path"), [("GET", "models"), ("GET", "files/"), ("PUT", "files"), ("POST", "x/y")])
def test_what_is_not_there(api: Api, method: str, path: str) -> None:
    assert_refused(api(method, f"/compatible-mode/v1/{path}"), 404, "NotFound")


def test_a_failure_of_ours(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.world.files, "kept", None)
    assert_refused(api("GET", PATH), 500, "InternalError")
    reply = create(api)
    assert_refused(reply, 500, "InternalError")
    assert reply.headers["x-should-retry"] == "false", "OpenAI's clients would send it again"


def test_a_refusal_is_logged_with_the_field(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own client
    with caplog.at_level(logging.INFO):
        api("GET", PATH, params={"limit": "s3cret"})
    assert "InvalidParameter limit" in caplog.text
    assert "s3cret" not in caplog.text


def test_times_are_whole_seconds(api: Api) -> None:
    file_id = said(create(api))["id"]
    kept = api.world.files.kept
    kept[file_id] = replace(kept[file_id], created_at=datetime(2025, 11, 30, 11, 37, 33, 999_999, UTC))
    assert said(api("GET", f"{PATH}/{file_id}"))["created_at"] == KEPT_AT
