from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portraitd.db import accounts
from portraitd.db.engine import Database
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue
from tests.fakes.stores import FakeClock, Stores, opened

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
