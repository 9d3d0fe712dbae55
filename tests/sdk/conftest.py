"""A live server for the vendor's own client, which knows nothing of portraitd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from portraitd.api.app import ApiConfig
from tests.api.fakes import ANNE, World
from tests.api.live import serving
from tests.sdk.service import picture, serve, site

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


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The whole service, in processes of its own, and the key it made."""
    home = tmp_path_factory.mktemp("home")
    with serve(home) as url:
        yield Live(url, (home / "api-key").read_text().strip())


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a site with pictures on it."""
    with site(tmp_path_factory.mktemp("pictures")) as url:
        yield url


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "me.jpg"
    path.write_bytes(picture(200))
    return path


@contextmanager
def pointing_at(live: Live) -> Iterator[None]:
    """The one thing a user of the dashscope client changes."""
    import dashscope

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dashscope, "base_http_api_url", live.api)
        patched.setattr(dashscope, "api_key", live.key)
        yield
    if hasattr(dashscope, "v2"):  # the older one keeps no connections
        from dashscope.api_entities.http_request import close_shared_sync_session

        close_shared_sync_session()
