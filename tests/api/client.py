"""An HTTP client that needs no server, and what every reply of the contract has in common."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx

from portraitd.api.app import ApiConfig, build_app
from tests.api.fakes import ANNE, World

ASYNC = {"X-DashScope-Async": "enable"}
GENERATE = "/api/v1/services/aigc/album/gen_potrait"
DETECT = "/api/v1/services/vision/facedetection/detect"


def ask(app: Any, method: str, path: str, *, key: str | None, **options: Any) -> httpx.Response:
    """Send one request to an application in this process."""
    headers = dict(options.pop("headers", None) or {})
    if key is not None:
        headers.setdefault("Authorization", f"Bearer {key}")

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://portraits.example") as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(send())


class Api:
    """Talks to the application in this process, as Anne unless told otherwise."""

    def __init__(self, world: World, config: ApiConfig | None = None, key: str | None = ANNE) -> None:
        self.world = world
        self._app = build_app(world.services, config or ApiConfig())
        self._key = key

    def __call__(self, method: str, path: str, *, key: str | None = "", **options: Any) -> httpx.Response:
        """Send one request. `key`: another caller's, or None to send none."""
        return ask(self._app, method, path, key=self._key if key == "" else key, **options)

    def generate(self, body: Any, **options: Any) -> httpx.Response:
        """Submit a generation with the header it takes."""
        return self("POST", GENERATE, json=body, headers=ASYNC, **options)

    def detect(self, body: Any, **options: Any) -> httpx.Response:
        return self("POST", DETECT, json=body, **options)


def assert_stamped(reply: httpx.Response) -> None:
    """Every reply names its request and tells when it came; all times are in milliseconds."""
    assert uuid.UUID(reply.headers["X-Request-ID"]).version == 4
    cost = int(reply.headers["req-cost-time"])
    assert 0 <= cost < 60_000
    assert int(reply.headers["resp-start-time"]) - int(reply.headers["req-arrive-time"]) == cost
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


def assert_success(reply: httpx.Response) -> dict[str, Any]:
    """A reply that says yes: HTTP 200, JSON, its own request id, no top-level `code`, and no null anywhere."""
    assert reply.status_code == 200, reply.text
    assert_stamped(reply)
    body = _json(reply)
    assert "code" not in body
    assert "message" not in body
    return body


def assert_error_shape(reply: httpx.Response, status: int, code: str, message: str | None = None) -> None:
    """A reply that says no has one shape, whatever was wrong:

    `{"code": "<a code of the contract>", "message": "<its exact text>", "request_id": "<uuid>"}`, all three strings and
    nothing else, as JSON, with the request id in the headers too.
    """
    body = _json(reply)
    assert (reply.status_code, body["code"]) == (status, code), reply.text
    assert set(body) == {"code", "message", "request_id"}
    assert all(isinstance(value, str) and value for value in body.values())
    if message is not None:
        assert body["message"] == message
    assert_stamped(reply)


def _json(reply: httpx.Response) -> dict[str, Any]:
    assert reply.headers["Content-Type"].split(";")[0] == "application/json"
    body: dict[str, Any] = reply.json()
    assert body["request_id"] == reply.headers["X-Request-ID"]
    assert not has_null(body)
    return body


def has_null(value: Any) -> bool:
    """Is there a null anywhere in a JSON value?"""
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None
