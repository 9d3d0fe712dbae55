"""What holds for every path: the one error shape, keys, isolation, headers, and what may stand in a log."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from portraitd import logs
from portraitd.api.app import ApiConfig, build_app
from portraitd.errors import PortraitdError, SetupError
from tests.api.client import ASYNC, DETECT, GENERATE, Api, assert_error_shape, assert_success
from tests.api.fakes import ANNE, World, link
from tests.api.test_portraits import PRESET


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service's log says, as text."""
    out = io.StringIO()
    handler, root = logs.handler_to(out, "text"), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own client
    yield out
    root.removeHandler(handler)
    root.setLevel(level)


INTERNAL = "An internal error has occured, please try again later or contact service support."


def api_routes(world: World) -> list[tuple[str, str]]:
    """Method and path of everything below the API root, ids filled in, and one path that is not there."""
    routes = [route for route in build_app(world.services, ApiConfig()).routes if isinstance(route, APIRoute)]
    ids = {"{task_id}": "1", "{job_id}": "1", "{file_id}": "1", "{path:path}": "nowhere"}
    found = []
    for route in routes:
        path = route.path
        for name, value in ids.items():
            path = path.replace(name, value)
        found += [(method, path) for method in sorted(route.methods - {"HEAD"}) if path.startswith("/api/")]
    return found


ROUTES = api_routes(World())


def test_the_list_of_routes_is_the_contracts() -> None:
    """All of its endpoint map but temporary uploads, which come later."""
    assert {(method, path) for method, path in ROUTES if not path.endswith("nowhere")} == {
        ("POST", GENERATE),
        ("POST", DETECT),
        ("POST", "/api/v1/fine-tunes"),
        ("GET", "/api/v1/fine-tunes"),
        ("GET", "/api/v1/fine-tunes/1"),
        ("DELETE", "/api/v1/fine-tunes/1"),
        ("POST", "/api/v1/fine-tunes/1/cancel"),
        ("GET", "/api/v1/fine-tunes/1/logs"),
        ("GET", "/api/v1/fine-tunes/1/stream"),
        ("GET", "/api/v1/fine-tunes/1/events"),
        ("GET", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks/"),
        ("GET", "/api/v1/tasks/1"),
        ("POST", "/api/v1/tasks/1/cancel"),
        ("GET", "/api/v1/tasks/1/"),
        ("POST", "/api/v1/tasks/1/cancel/"),
        ("POST", "/api/v1/tokens"),
        ("GET", "/api/v1/uploads"),
        ("POST", "/api/v1/files"),
        ("GET", "/api/v1/files"),
        ("GET", "/api/v1/files/1"),
        ("DELETE", "/api/v1/files/1"),
        ("POST", "/api/v1/tokens"),
    }


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_path_needs_a_key(api: Api, method: str, path: str) -> None:
    assert_error_shape(api(method, path, key=None), 401, "InvalidApiKey", "No API-key provided.")
    assert_error_shape(api(method, path, key="sk-no"), 401, "InvalidApiKey", "Invalid API-key provided.")


@pytest.mark.parametrize("header", ["Bearer sk-anne", "bearer sk-anne", "BEARER  sk-anne", "  Bearer \t sk-anne  "])
def test_the_key_may_be_spaced_freely(api: Api, header: str) -> None:
    assert_success(api("GET", "/api/v1/tasks", headers={"Authorization": header}))


@pytest.mark.parametrize("header", ["", " ", "Bearer", "Bearer  "])
def test_no_key(api: Api, header: str) -> None:
    reply = api("GET", "/api/v1/tasks", headers={"Authorization": header})
    assert_error_shape(reply, 401, "InvalidApiKey", "No API-key provided.")


@pytest.mark.parametrize("header", ["sk-anne", "Basic sk-anne", "Bearer sk-anne x", "Bearer sk-ännë", "Bearer,sk-anne"])
def test_a_key_in_another_form(api: Api, header: str) -> None:
    reply = api("GET", "/api/v1/tasks", headers={"Authorization": header.encode()})
    assert_error_shape(reply, 401, "InvalidApiKey", "Invalid API-key provided.")


def test_a_bare_key_is_a_setting(world: World) -> None:
    api = Api(world, ApiConfig(accept_bare_keys=True))
    assert_success(api("GET", "/api/v1/tasks", headers={"Authorization": ANNE}))
    assert_error_shape(api("GET", "/api/v1/tasks", headers={"Authorization": "other"}), 401, "InvalidApiKey")


def test_a_key_in_another_header_is_ignored(api: Api) -> None:
    assert_error_shape(
        api("GET", "/api/v1/tasks", key=None, headers={"X-DashScope-ApiKey": ANNE}), 401, "InvalidApiKey"
    )


def test_any_workspace_will_do_unless_they_are_named(world: World) -> None:
    headers = {"X-DashScope-WorkSpace": "llm-1"}
    assert_success(Api(world)("GET", "/api/v1/tasks", headers=headers))
    named = Api(world, ApiConfig(workspaces=frozenset({"llm-2"})))
    reply = named("GET", "/api/v1/tasks", headers=headers)
    assert_error_shape(reply, 403, "Workspace.AccessDenied", "Workspace access denied.")
    assert_success(named("GET", "/api/v1/tasks"))


def test_headers_that_the_official_client_sends_are_ignored(api: Api) -> None:
    headers = {
        "X-DashScope-SSE": "enable",
        "X-Accel-Buffering": "no",
        "x-dashscope-sdk-client": "python-sdk/2.0.2/x",
        "x-dashscope-sdk-session-id": "1",
        "X-DashScope-EncryptionKey": "{}",
        "X-DashScope-DataInspection": '{"input":"cip","output":"cip"}',
        "X-Request-ID": "mine",
    }
    assert_success(api("POST", GENERATE, json=PRESET, headers={**ASYNC, **headers}))


# -- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/favicon.ico"),
        ("POST", "/healthz"),
        ("DELETE", "/results/a"),
        ("GET", "/api/v1"),
        ("GET", "/api/v2/tasks"),
        ("GET", "/docs"),
    ],
)
def test_unknown_paths_outside_the_api(api: Api, method: str, path: str) -> None:
    assert_error_shape(api(method, path, key=None), 404, "NotFound", "Request path not found.")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/"),
        ("GET", "/api/v1/nowhere"),
        ("GET", GENERATE),
        ("POST", GENERATE + "/"),
        ("POST", GENERATE.replace("potrait", "portrait")),
        ("POST", "/api/v1/tasks/1"),
        ("DELETE", "/api/v1/tasks/1"),
        ("PUT", "/api/v1/files"),
        ("PATCH", "/api/v1/fine-tunes/1"),
        ("OPTIONS", "/api/v1/tasks"),
        ("GET", "/api/v1/tasks/1/cancel"),
        ("GET", "/api/v1/files/"),
        ("GET", "/api/v1//tasks"),
    ],
)
def test_unknown_paths_and_methods_of_the_api(api: Api, method: str, path: str) -> None:
    assert_error_shape(api(method, path), 404, "NotFound", "Request path not found.")


def test_health(world: World) -> None:
    api = Api(world)
    assert [api("GET", path, key=None).status_code for path in ("/healthz", "/readyz")] == [200, 200]


# -- our own failures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("boom"), SetupError("see /home/me"), PortraitdError(), KeyError("x")])
def test_a_failure_of_ours_is_a_500_that_tells_nothing(api: Api, error: Exception) -> None:
    api.world.tasks.broken = error
    reply = api.generate(PRESET)
    assert_error_shape(reply, 500, "InternalError", INTERNAL)
    assert reply.headers["x-should-retry"] == "false"
    again = api("POST", GENERATE, json=PRESET, headers=ASYNC | {"Idempotency-Key": "k"})
    assert "x-should-retry" not in again.headers, "sent again under its key, it doubles nothing"


def test_a_failure_is_logged_without_secrets(api: Api, written: io.StringIO) -> None:
    api.world.tasks.broken = RuntimeError(
        f"Bearer sk-anne GET http://h{link('a.jpg', 's3cret')} key='sk-anne-2' {'x' * 900}"
    )
    reply = api.generate(PRESET)
    text = written.getvalue()
    assert f"the request failed [request_id={reply.headers['X-Request-ID']}]" in text
    assert "RuntimeError" in text
    for secret in ("sk-anne", "s3cret"):
        assert secret not in text
    assert max(map(len, text.splitlines())) < 500


def test_the_access_log_has_paths_and_no_queries(api: Api, written: io.StringIO) -> None:
    reply = api("GET", link("a.jpg", "s3cret"), key=None)
    api("GET", "/results/a%0ab")
    first, second = (line for line in written.getvalue().splitlines() if " portraitd.access: " in line)
    assert " INFO portraitd.access: GET /results/a.jpg 403 " in first
    assert first.endswith(f" ms [request_id={reply.headers['X-Request-ID']}]")
    assert " GET /results/a\\nb " in second


def test_a_refusal_is_logged_with_the_field_and_not_its_value(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        api.generate({**PRESET, "parameters": {**PRESET["parameters"], "n": "s3cret"}})
    assert "InvalidParameter parameters.n" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_security_headers(api: Api) -> None:
    for reply in (api("GET", "/api/v1/tasks"), api("GET", "/nowhere"), api("GET", link("a.jpg"), key=None)):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert api("GET", "/api/v1/tasks").headers["Cache-Control"] == "no-store"
