from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portraitd import wiring
from portraitd.db import accounts
from portraitd.db.engine import Database
from portraitd.settings import load_settings
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue
from portraitd.wiring import House
from tests.fakes.receivers import receiver
from tests.fakes.stores import FakeClock, Stores, opened
from tests.ports.hooked import ANNE, BERT, Hooked

ACCOUNT = "account-1"


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    stores = Stores(tmp_path_factory.mktemp("stores"))
    yield stores
    stores.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, stores: Stores, tmp_path: Path) -> Iterator[str]:
    """A prepared database of each kind."""
    if request.param == "sqlite":
        yield stores.sqlite(tmp_path / "test.db")
    else:
        with stores.postgres() as url:
            yield url


@pytest.fixture
def database(database_url: str, clock: FakeClock) -> Iterator[Database]:
    """A prepared database of each kind, with one account."""
    with opened(database_url) as database:
        with database.write() as conn:
            accounts.add_account(conn, ACCOUNT, "anne", clock())
        yield database


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def life(database: Database, clock: FakeClock) -> Life:
    return Life(database, clock)


@pytest.fixture
def queue(database: Database) -> Iterator[Queue]:
    queue = Queue(database)
    yield queue
    queue.close()


@pytest.fixture
def new_hooked(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Hooked]]:
    """Makes a service on a database of each kind whose webhooks lead to a server, with settings of its own."""
    houses: list[House] = []

    with receiver() as received:

        def make(**environ: str) -> Hooked:
            settings = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_DATABASE_URL": database_url, **environ}
            house = wiring.open_house(load_settings(settings))
            houses.append(house)
            ids = {name: house.keys.authenticate(house.keys.create("key", name)).id for name in (ANNE, BERT)}
            return Hooked(house, ids, received)

        yield make
        for house in houses:
            house.close()


@pytest.fixture
def hooked(new_hooked: Callable[..., Hooked]) -> Hooked:
    return new_hooked(PORTRAITD_FETCH_ALLOW="127.0.0.0/8")
