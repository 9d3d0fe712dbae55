from __future__ import annotations

import pytest

from tests.api.client import Api
from tests.api.fakes import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)
