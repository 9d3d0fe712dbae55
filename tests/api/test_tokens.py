"""Short-lived keys, over real services: what they open, how long, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from portraitd import wiring
from portraitd.errors import InvalidApiKey
from portraitd.portraits.tokens import Tokens
from portraitd.settings import load_settings
from tests.api.client import ask

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Moved:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Moved:
    return Moved()


@pytest.fixture
def house(tmp_path: Path, clock: Moved) -> Iterator[wiring.House]:
    environ = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_ENGINE": "tests.fakes.engines:instant"}
    with wiring.open_house(load_settings(environ), clock) as house:
        yield house


class Web:
    """The application over the real services."""

    def __init__(self, house: wiring.House) -> None:
        self._app = wiring.build_web(house)

    def post(self, path: str, key: str, repeat: str = "") -> httpx.Response:
        return ask(self._app, "POST", path, key=key, headers={"Idempotency-Key": repeat} if repeat else {})

    def get(self, path: str, key: str) -> httpx.Response:
        return ask(self._app, "GET", path, key=key)


@pytest.fixture
def web(house: wiring.House) -> Web:
    return Web(house)


def test_a_token_opens_what_its_key_opens_until_it_ends(house: wiring.House, web: Web, clock: Moved) -> None:
    key = house.keys.create("app")
    made = web.post("/api/v1/tokens?expire_in_seconds=1800", key)
    assert made.status_code == 200
    token = made.json()["token"]
    assert made.json() == {"token": token, "expires_at": int(START.timestamp()) + 1800}
    assert token.startswith("st-")
    assert web.get("/api/v1/files", token).status_code == 200
    assert house.keys.authenticate(token).id == house.keys.authenticate(key).id
    clock.now = START + timedelta(seconds=1799)
    assert web.get("/api/v1/files", token).status_code == 200
    clock.now = START + timedelta(seconds=1800)
    refused = web.get("/api/v1/files", token)
    assert refused.status_code == 401
    assert refused.json()["code"] == "InvalidApiKey"


def test_a_minute_is_what_a_token_lasts_unless_told(house: wiring.House, web: Web) -> None:
    made = web.post("/api/v1/tokens", house.keys.create("app"))
    assert made.json()["expires_at"] == int(START.timestamp()) + 60


@pytest.mark.parametrize("seconds", ["0", "1801", "-1", "soon", "1.5"])
def test_other_lives_are_refused(house: wiring.House, web: Web, seconds: str) -> None:
    refused = web.post(f"/api/v1/tokens?expire_in_seconds={seconds}", house.keys.create("app"))
    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidParameter")


def test_sent_again_it_is_the_same_token(house: wiring.House, web: Web, clock: Moved) -> None:
    key = house.keys.create("app")
    first = web.post("/api/v1/tokens", key, "again")
    clock.now += timedelta(seconds=30)
    assert web.post("/api/v1/tokens", key, "again").json() == first.json()
    other = web.post("/api/v1/tokens?expire_in_seconds=600", key, "again")
    assert (other.status_code, other.json()["code"]) == (400, "InvalidParameter")
    assert web.post("/api/v1/tokens", key).json() != first.json()
    assert first.json()["token"] not in (house.settings.home / "portraitd.db").read_bytes().decode("latin-1")


def test_a_token_makes_no_token(house: wiring.House, web: Web) -> None:
    token = web.post("/api/v1/tokens", house.keys.create("app")).json()["token"]
    assert web.post("/api/v1/tokens", token).status_code == 401


def test_a_revoked_key_takes_its_tokens_along(house: wiring.House, web: Web) -> None:
    key = house.keys.create("app")
    token = web.post("/api/v1/tokens", key).json()["token"]
    house.keys.revoke(house.keys.authenticate(key).key_id)
    assert web.get("/api/v1/files", token).status_code == 401


def test_nothing_else_is_taken_for_a_token(house: wiring.House) -> None:
    key_id = house.keys.authenticate(house.keys.create("app")).key_id
    token = house.tokens.make(key_id, START + timedelta(seconds=60))
    others = Tokens("another secret", lambda: START).make(key_id, START + timedelta(seconds=60))
    head, expires, signature = token.split(".")
    for wrong in (
        others,
        f"{head}.{int(expires) + 1}.{signature}",
        f"{head}0.{expires}.{signature}",
        f"{head}.{expires}.{signature[:-1]}",
        f"{head}.{expires}.{signature}\n",
        "st-",
        "st-é..",
    ):
        with pytest.raises(InvalidApiKey):
            house.keys.authenticate(wrong)
