"""A live server for the vendor's own client, which knows nothing of portraitd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from portraitd.api.app import ApiConfig
from tests.api.fakes import ANNE, World
from tests.api.live import serving

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


@pytest.fixture(scope="module")
def world() -> World:
    """Fakes whose tasks and jobs take one step each time they are read."""
    world = World()
    world.tasks.moving = True
    world.finetunes.moving = True
    return world


@pytest.fixture(scope="module")
def live(world: World) -> Iterator[Live]:
    with serving(world.services, ApiConfig(stream_poll_s=0.05)) as url:
        world.tasks.base_url = url
        yield Live(url, ANNE)
