"""What a task costs, counted on the published shape: the goals have room for it, and the docs tell it right."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.painter import Draft, Person
from portraitd.engines.diffusion.portfolio import MOST_REFERENCES
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

ROOT = Path(__file__).parents[4]
#: What an H200 is taken to do in a second with this model, TFLOP.
RATE = 600


@pytest.fixture(scope="module")
def flops() -> ModuleType:
    """The benchmark that counts."""
    spec = importlib.util.spec_from_file_location("flops", ROOT / "benchmarks" / "diffusion_flops.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def costs(flops: ModuleType) -> dict[str, tuple[float, float]]:
    return dict(flops.costs())


def test_the_goals_have_room_for_what_is_counted(costs: dict[str, tuple[float, float]]) -> None:
    """Templates even where each result takes both candidates; the rest of a task is the VAE's and the networks'."""
    assert 1000 * costs["template, 1 photo"][1] / RATE < 3
    assert 1000 * costs["template, 3 photos or more"][1] / RATE < 4
    assert 1000 * costs["preset, LoRA"][1] / RATE < 2
    assert 1000 * costs["preset, 3 photos or more"][0] / RATE < 2


def test_the_published_table_is_what_is_counted(costs: dict[str, tuple[float, float]]) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    for mode, petas in costs.items():
        assert f"| {mode} | {petas[0]:.2f} | {petas[1]:.2f} | " in page, mode


def test_the_tokens_counted_are_those_that_the_model_is_given(flops: ModuleType, tiny_klein: Klein) -> None:
    from portraitd.engines.diffusion.klein import KleinSizes

    counted = flops.tokens_by_mode(
        KleinSizes(tiny_klein.portrait, tiny_klein.crop_px, tiny_klein.reference_px, large_crop_px=64)
    )
    given: list[tuple[int, int]] = []

    def note(_module: object, _args: object, kwargs: dict[str, Any]) -> None:
        given.append((kwargs["hidden_states"].shape[1], kwargs["encoder_hidden_states"].shape[1]))

    mesh = FaceMesh((mean_face().points * 20 + np.array([64, 60, 0])).astype(np.float32), 1.0)
    crop = FaceCrop.of(np.zeros((128, 128, 3), np.uint8), mesh, 64)
    person = Person((np.zeros((64, 64, 3), np.uint8),) * MOST_REFERENCES)
    hook = tiny_klein._painting.transformer.register_forward_pre_hook(note, with_kwargs=True)
    try:
        tiny_klein.repaint(crop, [Draft("", 1)], person)
        tiny_klein.paint([Draft("", 1)], person)
    finally:
        hook.remove()
    assert set(given) == {
        (counted["template, 3 photos or more"], flops.PROMPT_TOKENS),
        (counted["preset, 3 photos or more"], flops.PROMPT_TOKENS),
    }
