from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.service import Service
from tests.fakes.servers import Bucket, Cluster, postgres_cluster, s3_bucket
from tests.fakes.stores import scratch_postgres

StartService = Callable[..., Service]

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # the tests follow processes through /proc


@pytest.fixture
def new_service(tmp_path: Path) -> Iterator[StartService]:
    """Makes services that are not started yet; after the test none of their processes is left."""
    made: list[Service] = []

    def make(verb: str = "serve", **settings: str) -> Service:
        folder = tmp_path / f"service-{len(made)}"
        folder.mkdir()
        made.append(Service(folder, verb, **settings))
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


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3_bucket(tmp_path_factory.mktemp("bucket")) as bucket:
        yield bucket


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with postgres_cluster() as cluster:
        yield cluster
