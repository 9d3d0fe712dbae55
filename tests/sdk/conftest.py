"""A live server for the vendor's own client, which knows nothing of portraitd."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from portraitd.api.app import ApiConfig, build_app
from portraitd.portraits.services import Services
from tests.api.fakes import ANNE, World

#: Tests of this folder may see these from the client's own code; nothing of ours is excused.
CLIENT_WARNINGS = [
    # It leaves sockets and opened files to the garbage collector.
    "ignore:unclosed:ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/sdk" in item.path.as_posix():
            for warning in CLIENT_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@dataclass(frozen=True)
class Live:
    """A running server and a key to it."""

    url: str
    key: str

    @property
    def api(self) -> str:
        """What the client calls its base URL."""
        return f"{self.url}/api/v1"


@contextmanager
def serving(services: Services) -> Iterator[str]:
    """A server over `services` on a free port of this machine, and its URL."""
    config = uvicorn.Config(
        build_app(services, ApiConfig()), port=0, lifespan="off", access_log=False, log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def world() -> World:
    """Fakes whose tasks and jobs take one step each time they are read."""
    world = World()
    world.tasks.moving = True
    world.finetunes.moving = True
    return world


@pytest.fixture(scope="module")
def live(world: World) -> Iterator[Live]:
    with serving(world.services) as url:
        world.tasks.base_url = url
        yield Live(url, ANNE)
