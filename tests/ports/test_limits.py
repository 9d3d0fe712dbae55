"""Limits per account and key, on each database: what is one too many, and what it is answered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from portraitd import wiring
from portraitd.db import meters, schema
from portraitd.db.engine import Database
from portraitd.errors import PortraitdError, RateExceeded
from portraitd.portraits.accounts import KeyLimits
from portraitd.portraits.limits import RateKeeper
from portraitd.portraits.rates import Meter, Rates, read_rates
from portraitd.portraits.requests import Account
from portraitd.portraits.retention import Sweeper
from portraitd.settings import load_settings
from tests.api.client import ASYNC, GENERATE, ask, assert_error_shape, assert_success
from tests.ports.conftest import ACCOUNT
from tests.ports.test_repeats import PRESET, TRAINING

ANNE = Account(ACCOUNT, "key-1")
TASKS = "/api/v1/tasks"
OPENAI_FILES = "/compatible-mode/v1/files"


@dataclass
class Watch:
    """The database's clock, which only a test moves."""

    seconds: float = 1.7e9

    def now(self, _conn: sa.Connection) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)


@dataclass
class Gate:
    """A RateKeeper and how often it lets somebody through."""

    database: Database
    watch: Watch
    rates: Rates = field(default_factory=lambda: read_rates("generate=2,read=6/m"))

    def through(self, times: int, account: Account = ANNE, meter: Meter = Meter.GENERATE, of: str = "") -> int:
        keeper = RateKeeper(self.database, self.rates)
        passed = 0
        for _ in range(times):
            try:
                keeper.take(account, meter, of)
            except RateExceeded:
                continue
            passed += 1
        return passed

    def wait_s(self, account: Account = ANNE) -> float:
        """How long one who is refused is told to wait."""
        with pytest.raises(RateExceeded) as refused:
            RateKeeper(self.database, self.rates).take(account, Meter.GENERATE)
        return refused.value.retry_after_s


@pytest.fixture
def gate(database: Database, monkeypatch: pytest.MonkeyPatch) -> Gate:
    watch = Watch()
    monkeypatch.setattr(database, "now", watch.now)
    return Gate(database, watch)


def test_so_many_at_once_and_then_at_an_even_pace(gate: Gate) -> None:
    assert gate.through(5) == 2
    gate.watch.seconds += 0.5
    assert gate.through(5) == 1
    gate.watch.seconds += 0.4
    assert gate.through(5) == 0
    gate.watch.seconds += 60
    assert gate.through(5) == 2


def test_who_waits_as_long_as_told_gets_through(gate: Gate) -> None:
    gate.through(2)
    for _ in range(20):
        gate.watch.seconds += gate.wait_s()
        assert gate.through(1) == 1


def test_periods_may_be_longer_than_a_second(gate: Gate) -> None:
    assert gate.through(10, meter=Meter.READ) == 6
    gate.watch.seconds += 10
    assert gate.through(10, meter=Meter.READ) == 1


def test_accounts_things_and_models_are_counted_apart(gate: Gate) -> None:
    with gate.database.write() as conn:
        conn.execute(
            sa.insert(schema.accounts).values(id="account-2", name="bert", created_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
    assert gate.through(5) == 2
    assert gate.through(5, Account("account-2", "key-2")) == 2
    assert gate.through(5, meter=Meter.READ) == 5
    gate.rates = read_rates("ticket=1")
    assert gate.through(3, meter=Meter.TICKET, of="facechain-generation") == 1
    assert gate.through(3, meter=Meter.TICKET, of="facechain-finetune") == 1


def test_all_keys_of_an_account_count_together(gate: Gate) -> None:
    assert gate.through(1, replace(ANNE, key_id="a")) + gate.through(5, replace(ANNE, key_id="b")) == 2


def test_a_key_with_a_rate_of_its_own_counts_by_itself(gate: Gate) -> None:
    slow = replace(ANNE, key_id="slow", rates=read_rates("generate=1"))
    fast = replace(ANNE, key_id="fast", rates=read_rates("generate=none"))
    assert gate.through(5, slow) == 1
    assert gate.through(50, fast) == 50
    assert gate.through(5) == 2


def test_without_a_rate_nothing_is_counted(gate: Gate) -> None:
    assert gate.through(100, meter=Meter.CANCEL) == 100
    with gate.database.read() as conn:
        assert conn.execute(sa.select(schema.meters)).all() == []


def test_a_clock_that_is_put_back_locks_nobody_out(gate: Gate) -> None:
    gate.through(2)
    gate.watch.seconds -= 86_400
    assert gate.through(5) == 2
    gate.watch.seconds += 0.5
    assert gate.through(5) == 1


def test_the_time_is_read_after_the_wait_for_others(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.through(2)

    def waited(conn: sa.Connection, account_id: str, key_id: str, name: str) -> float:
        # Another was let through meanwhile, and filled the meter as of a time that is past this request's arrival.
        gate.watch.seconds += 0.05
        meters.fill(conn, account_id, key_id, name, gate.watch.seconds + 1)
        return gate.watch.seconds + 1

    monkeypatch.setattr(meters, "free_at", waited)
    assert gate.through(1) == 0


def test_a_crowd_gets_no_more_through_than_one_after_the_other(database: Database, gate: Gate) -> None:
    with ThreadPoolExecutor(8) as crowd:
        passed = sum(crowd.map(lambda _: gate.through(3), range(16)))
    assert passed == 2


# -- over HTTP --------------------------------------------------------------------------------------------------------


@dataclass
class Service:
    house: wiring.House
    app: Any
    key: str

    def post(self, body: Any = PRESET, key: str = "", **headers: str) -> httpx.Response:
        return ask(self.app, "POST", GENERATE, key=key or self.key, headers=ASYNC | headers, json=body)


Start = Callable[..., Any]


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Start:
    """`with start(PORTRAITD_...="..."):` a service with these settings."""

    @contextmanager
    def started(**settings: str) -> Iterator[Service]:
        environ = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_DATABASE_URL": database_url}
        with wiring.open_house(load_settings(environ | settings)) as house:
            yield Service(house, wiring.build_web(house), house.keys.create("test", "anne"))

    return started


def assert_throttled(reply: httpx.Response, code: str, message: str) -> None:
    assert reply.status_code == 429
    assert_error_shape(reply, 429, code, message)
    assert int(reply.headers["Retry-After"]) * 1000 >= int(reply.headers["retry-after-ms"]) > 0


def test_one_too_many_is_answered_as_the_vendor_does(start: Start) -> None:
    with start(PORTRAITD_LIMITS="vendor", PORTRAITD_RATES="generate=2/h") as service:
        assert [service.post().status_code for _ in range(3)] == [200, 200, 429]
        assert_throttled(
            service.post(), "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."
        )
        with service.house.database.read() as conn:
            assert conn.execute(sa.select(sa.func.count()).select_from(schema.tasks)).scalar_one() == 2


def test_what_is_wrong_is_said_before_what_is_too_much(start: Start) -> None:
    with start(PORTRAITD_RATES="generate=1/h") as service:
        service.post()
        wrong = PRESET | {"parameters": {"style": "x"}}
        assert_error_shape(service.post(wrong), 400, "InvalidParameter", "The style is invalid.")
        assert_error_shape(service.post({"model": "other"}), 400, "InvalidParameter", "Model not exist.")


@pytest.mark.parametrize(
    ("meter", "method", "path"),
    [
        ("finetune", "POST", TRAINING),
        ("detect", "POST", "/api/v1/services/vision/facedetection/detect"),
        ("read", "GET", f"{TASKS}/1111"),
        ("read", "GET", f"{TRAINING}/ft-1"),
        ("read", "GET", f"{TRAINING}/ft-1/logs"),
        ("read", "GET", f"{TRAINING}/ft-1/stream"),
        ("list", "GET", TASKS),
        ("list", "GET", TRAINING),
        ("cancel", "POST", f"{TASKS}/1111/cancel"),
        ("cancel", "POST", f"{TRAINING}/ft-1/cancel"),
        ("ticket", "GET", "/api/v1/uploads?action=getPolicy&model=facechain-generation"),
    ],
)
def test_each_call_has_its_rate(start: Start, meter: str, method: str, path: str) -> None:
    bodies = {
        "finetune": {"model": "facechain-finetune", "training_file_ids": ["https://pictures.example/1.jpg"]},
        "detect": {"model": "facechain-facedetect", "input": {"images": ["oss://nowhere"]}},
    }
    body = {"json": bodies[meter]} if meter in bodies else {}
    if meter == "detect":
        body["json"]["input"] = {"images": ["http://127.0.0.1:9/refused.jpg"]}
    with start(PORTRAITD_RATES=f"{meter}=1/h") as service:
        replies = [ask(service.app, method, path, key=service.key, **body) for _ in range(2)]
    assert replies[0].status_code != 429
    assert_throttled(replies[1], "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/x"), ("GET", "/x/content"), ("DELETE", "/x"), ("POST", "")]
)
def test_files_in_openai_s_shape_have_their_rate(start: Start, method: str, path: str) -> None:
    form = {"files": {"file": ("a.jpg", b"a"), "purpose": (None, "x")}} if method == "POST" else {}
    with start(PORTRAITD_RATES="openai-file=1/h") as service:
        replies = [ask(service.app, method, OPENAI_FILES + path, key=service.key, **form) for _ in range(2)]
    assert replies[0].status_code in {200, 404}
    assert replies[1].json()["error"]["code"] == "Throttling.RateQuota"
    assert replies[1].status_code == 429
    assert int(replies[1].headers["Retry-After"]) > 0


def test_keys_may_have_limits_of_their_own(start: Start) -> None:
    with start(PORTRAITD_RATES="generate=1/h", PORTRAITD_MAX_UNFINISHED="50") as service:
        free = service.house.keys.create("free", "anne", KeyLimits("generate=none"))
        small = service.house.keys.create("small", "anne", KeyLimits("generate=none", 2))
        assert [service.post(key=free).status_code for _ in range(5)] == [200] * 5
        assert [service.post(key=small).status_code for _ in range(3)] == [200, 200, 429]
        assert [service.post().status_code for _ in range(2)] == [200, 429]


def test_no_more_unfinished_tasks_than_allowed(start: Start) -> None:
    training = {"model": "facechain-finetune", "training_file_ids": ["https://pictures.example/1.jpg"]}
    with start(PORTRAITD_MAX_UNFINISHED="3") as service:
        tasks = [assert_success(service.post())["output"]["task_id"] for _ in range(2)]
        assert_success(ask(service.app, "POST", TRAINING, key=service.key, json=training))
        full = ("Throttling", "Requests throttling triggered.")
        assert_throttled(service.post(), *full)
        assert_throttled(ask(service.app, "POST", TRAINING, key=service.key, json=training), *full)
        assert service.post(key=service.house.keys.create("x", "bert")).status_code == 200
        assert_success(ask(service.app, "POST", f"{TASKS}/{tasks[0]}/cancel", key=service.key))
        assert service.post().status_code == 200


def test_a_request_sent_again_is_not_one_more_task(start: Start) -> None:
    again = {"Idempotency-Key": "again"}
    with start(PORTRAITD_MAX_UNFINISHED="1") as service:
        first = assert_success(service.post(**again))["output"]["task_id"]
        assert assert_success(service.post(**again))["output"]["task_id"] == first
        assert service.post().status_code == 429


def test_by_default_nobody_waits(start: Start) -> None:
    with start() as service:
        assert {service.post().status_code for _ in range(30)} == {200}


def test_meters_that_say_nothing_are_swept(start: Start) -> None:
    with start(PORTRAITD_RATES="generate=5") as service:
        service.post()
        house = service.house
        for hours, left in ((0, 1), (2, 0)):
            later = lambda hours=hours: datetime.now(UTC) + timedelta(hours=hours)  # noqa: E731
            Sweeper(house.eraser, wiring.retention_of(house.settings), later).sweep()
            with house.database.read() as conn:
                assert len(conn.execute(sa.select(schema.meters)).all()) == left


def test_nonsense_is_refused_when_a_key_is_made(start: Start) -> None:
    with start() as service, pytest.raises(PortraitdError, match="generate=2"):
        service.house.keys.create("x", "anne", KeyLimits("paint=2"))
