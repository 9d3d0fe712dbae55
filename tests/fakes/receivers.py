"""A real HTTP server that webhooks can be sent to, and that answers to order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias

from tests.fakes.sites import Quiet, listening

Answer: TypeAlias = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Got:
    """One request, as it came."""

    path: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


def status(number: int, **headers: str) -> Answer:
    """Says the status, and nothing more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(number)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


@dataclass
class Receiver:
    """What came, and what is answered: the answers in turn, the last one for good."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=lambda: [status(204)])

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def until_got(self, count: int, timeout_s: float = 30) -> list[Got]:
        """The first requests, once there are so many."""
        give_up_at = time.monotonic() + timeout_s
        while len(self.got) < count:
            assert time.monotonic() < give_up_at, f"{len(self.got)} of {count} came in time"
            time.sleep(0.02)
        return self.got[:count]


@contextmanager
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            found.got.append(Got(self.path, headers, body))
            with suppress(OSError):  # whoever has heard enough hangs up
                answer(self)

    with listening(Handler) as found.port:
        yield found
