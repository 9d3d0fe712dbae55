from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.service import Service
from tests.fakes.stores import scratch_postgres

StartService = Callable[..., Service]

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # the tests follow processes through /proc


@pytest.fixture
def new_service(tmp_path: Path) -> Iterator[StartService]:
    """Makes services that are not started yet; after the test none of their processes is left."""
    made: list[Service] = []

    def make(**settings: str) -> Service:
        folder = tmp_path / f"service-{len(made)}"
        folder.mkdir()
        made.append(Service(folder, **settings))
        return made[-1]

    yield make
    for service in made:
        service.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Settings for a service on each kind of database."""
    if request.param == "sqlite":
        yield {}
    else:
        with scratch_postgres() as url:
            yield {"PORTRAITD_DATABASE_URL": url}
