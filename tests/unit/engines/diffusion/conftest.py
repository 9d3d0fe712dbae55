"""One tiny model for all tests of this folder, loaded the way a real one is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from portraitd.engines.diffusion.painter import ModelChoice
from portraitd.images import Size

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder; not to be written to."""
    pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
    pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
    pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")
    import torch

    from tests.fakes.tiny_klein import make_tiny_klein

    # Threads of a model this small wait for each other, the longer the busier the machine is.
    torch.set_num_threads(1)
    return make_tiny_klein(tmp_path_factory.mktemp("tiny") / "klein")


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Another model of the same shape, as the published base model is to the distilled one."""
    from tests.fakes.tiny_klein import make_tiny_klein

    return make_tiny_klein(tmp_path_factory.mktemp("base") / "klein-base", seed=1)


@pytest.fixture(scope="session")
def tiny_klein(tiny_folder: Path) -> Klein:
    """The tiny model, loaded: 64 x 96 portraits in two steps."""
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    sizes = KleinSizes(Size(64, 96), crop_px=64, reference_px=64, large_crop_px=64, steps=2, room_bytes=0)
    return load_klein(ModelChoice(tiny_folder, "cpu"), sizes)
