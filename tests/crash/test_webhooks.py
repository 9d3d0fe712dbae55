"""Whatever is killed, each end is told, and of nothing else; nothing waits for a receiver."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from portraitd.db import schema, webhooks
from portraitd.db.engine import open_database
from tests.crash.conftest import StartService
from tests.crash.service import Service, until
from tests.fakes import engines
from tests.fakes.receivers import Got, Receiver, receiver, status

ALLOW = {"PORTRAITD_FETCH_ALLOW": "127.0.0.0/8"}


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as there:
        yield there


def hook(service: Service, url: str, account: str = "default") -> str:
    done = service.run("webhook", "set", url, "--account", account)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def assert_told(secret: str, got: list[Got], states: Mapping[str, str]) -> None:
    """Each end was told at least once, as it was; a second telling has the id of the first."""
    told: dict[str, dict[str, str]] = {}
    for one in got:
        event = Webhook(secret).verify(one.body, one.headers)
        told.setdefault(one.id, {}).update({event["data"]["task_id"]: event["data"]["task_status"]})
    assert all(len(ends) == 1 for ends in told.values())
    assert len(told) == len(states)
    assert {task_id: state for ends in told.values() for task_id, state in ends.items()} == states


def delivered(service: Service) -> int:
    """How many ends the service knows to have been told."""
    with closing(open_database(service.database_url)) as database, database.read() as conn:
        told = schema.deliveries.c.outcome == webhooks.DELIVERED
        return int(conn.execute(sa.select(sa.func.count()).where(told)).scalar_one())


def test_everything_is_killed_between_the_end_and_the_telling(
    new_service: StartService, database_settings: dict[str, str], there: Receiver
) -> None:
    """Once while nobody has been told yet, once with an event in hand."""
    in_hand, release = threading.Event(), threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        in_hand.set()
        release.wait(30)

    service = new_service(FAKE_ENGINE_SLOW_S="0.2", PORTRAITD_WORKERS="2", **ALLOW, **database_settings)
    service.start()
    secret = hook(service, there.url())
    there.answers = [status(503)]
    service.until_working()
    tasks = [service.submit(engines.SLOW, 2) for _ in range(4)]
    states = service.until_ended(tasks)
    service.kill()
    there.answers = [hang, status(204)]
    service.start()
    assert in_hand.wait(60)
    service.kill()
    release.set()
    before = len(there.got)
    service.start()
    tasks.append(service.submit(engines.RAISES))
    states |= service.until_ended(tasks[-1:])
    until(lambda: delivered(service) == len(states))
    assert states[tasks[-1]] == "FAILED"
    assert len(there.got) > before
    assert_told(secret, there.got, states)


def test_workers_are_killed_while_they_tell(
    new_service: StartService, database_settings: dict[str, str], there: Receiver
) -> None:
    service = new_service(FAKE_ENGINE_SLOW_S="0.1", PORTRAITD_WORKERS="2", **ALLOW, **database_settings)
    service.start()
    secret = hook(service, there.url())

    def slow(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.3)
        status(200)(handler)

    there.answers = [slow]
    service.until_working()
    tasks = [service.submit(engines.SLOW, 1) for _ in range(8)]
    for _ in range(2):
        time.sleep(1.5)
        service.kill_workers()
    states = service.until_ended(tasks)
    until(lambda: delivered(service) == len(states))
    assert_told(secret, there.got, states)


def test_a_dead_receiver_holds_up_no_task(
    new_service: StartService, there: Receiver, database_settings: dict[str, str]
) -> None:
    release = threading.Event()

    def hang(_handler: BaseHTTPRequestHandler) -> None:
        release.wait(60)

    there.answers = [hang]
    service = new_service(**ALLOW, **database_settings)
    service.start()
    hook(service, there.url())
    service.until_working()
    first = service.submit(n=1)
    service.until_ended([first])
    there.until_got(1)
    began = time.monotonic()
    assert set(service.until_ended([service.submit(n=1) for _ in range(5)]).values()) == {"SUCCEEDED"}
    assert time.monotonic() - began < 10
    assert service.stop() == 0, "nor the end of the service"
    assert service.left_over() == []
    release.set()
