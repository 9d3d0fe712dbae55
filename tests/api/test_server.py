"""What only a real server shows: bodies that nobody reads, connections that live on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from portraitd.api.app import CHECKS_AT_ONCE, ApiConfig
from portraitd.portraits.requests import Account, FaceVerdict
from tests.api.client import ASYNC, DETECT, GENERATE
from tests.api.fakes import ANNE, World
from tests.api.live import serving

LIMITS = ApiConfig(max_json_bytes=1000, max_upload_bytes=100_000)
KEY = {"Authorization": f"Bearer {ANNE}"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(World().services, LIMITS) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/api/v1/files", {}, "InvalidApiKey"),
        ("/api/v1/files", KEY, "BadRequest.TooLarge"),
        (GENERATE, {**KEY, **ASYNC}, "BadRequest.TooLarge"),
        ("/api/v1/nowhere", KEY, "NotFound"),
        ("/api/v1/tasks/1/cancel", KEY, "UnsupportedOperation"),
    ],
)
def test_a_long_body_is_answered_before_it_has_arrived(url: str, path: str, headers: dict[str, str], code: str) -> None:
    host = urlsplit(url)
    lines = [f"POST {path} HTTP/1.1", f"Host: {host.netloc}", "Content-Length: 5000000000"]
    lines += ["Content-Type: multipart/form-data; boundary=x", *(f"{name}: {value}" for name, value in headers.items())]
    with socket.create_connection((host.hostname, host.port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "", "--x"]).encode())
        answer = b""
        while b"}" not in answer:
            received = connection.recv(65_536)
            assert received, answer
            answer += received
    assert f'"code":"{code}"'.encode() in answer


def test_a_chunked_body_is_counted_too(url: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    reply = httpx.post(url + GENERATE, content=endless(), headers={**KEY, **ASYNC})
    assert (reply.status_code, reply.json()["code"]) == (400, "BadRequest.TooLarge")


def test_an_unread_body_does_not_spoil_the_connection(url: str) -> None:
    with httpx.Client(base_url=url, headers=KEY) as client:
        for _ in range(3):
            assert client.post("/api/v1/tasks/1/cancel", content=b"{" * 100_000).status_code == 400
            assert client.get("/api/v1/tasks").status_code == 200


def test_paths_are_taken_as_they_are_sent(url: str) -> None:
    host = urlsplit(url)
    with socket.create_connection((host.hostname, host.port), timeout=5) as connection:
        request = f"GET /results/../healthz?x=%zz HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 403 ")


class SlowFaces:
    """A face check whose pictures do not arrive until `arrive` is set."""

    def __init__(self) -> None:
        self.arrive = threading.Event()
        self.begun = threading.Semaphore(0)

    def check(self, account: Account, urls: tuple[str, ...]) -> tuple[FaceVerdict, ...]:
        self.begun.release()
        assert self.arrive.wait(30)
        return tuple(FaceVerdict(True, "") for _ in urls)


def test_checks_of_pictures_that_do_not_arrive_hold_nobody_else_up() -> None:
    slow = SlowFaces()
    body = {"model": "facechain-facedetect", "input": {"images": ["https://slow.example/1.jpg"]}}
    with serving(replace(World().services, faces=slow)) as url, ThreadPoolExecutor(60) as clients:
        checks = [clients.submit(httpx.post, url + DETECT, json=body, headers=KEY, timeout=60) for _ in range(60)]
        try:
            for _ in range(CHECKS_AT_ONCE):
                assert slow.begun.acquire(timeout=30)
            assert httpx.get(f"{url}/api/v1/tasks", headers=KEY, timeout=10).status_code == 200
            assert not slow.begun.acquire(blocking=False)
        finally:
            slow.arrive.set()
        assert {check.result().status_code for check in checks} == {200}
