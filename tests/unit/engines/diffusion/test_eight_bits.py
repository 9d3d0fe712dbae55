"""In 8 bits the model takes half the memory and paints nearly the same; LoRAs stay in the precision of 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.diffusion.painter import Draft, Lesson, ModelChoice, Person
from portraitd.engines.diffusion.placement import NARROW_SHARE, Memory, Tier
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein


@pytest.fixture
def load(tiny_folder: Path, tiny_klein: Klein, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Klein]:
    """Loads the tiny model in 16 bits at a tier, with the processor in the card's place."""
    import torch
    from diffusers import DiffusionPipeline

    from portraitd.engines.diffusion import klein as module
    from portraitd.engines.diffusion.tune import TuningPlan

    monkeypatch.setattr(DiffusionPipeline, "to", lambda pipeline, _device: pipeline)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "no card")
    monkeypatch.setattr(module, "_memory", lambda: Memory(2**40, 2**40))
    plan = TuningPlan(steps=4, batch=2, rank=4, rate=2e-2, warmup=1, checkpoints=1, side_px=64, picture_bytes=1)
    sizes = module.KleinSizes(tiny_klein.portrait, 64, 64, steps=2, room_bytes=0, batch=1, tuning=plan)

    def loaded(tier: str, training_folder: Path | None = None) -> Klein:
        choice = ModelChoice(tiny_folder, tier, training_folder=training_folder, compile="off")
        return module.load_klein(choice, sizes)

    return loaded


def _paint(klein: Klein, lora: bytes | None = None) -> Image:
    return klein.paint([Draft("a portrait", 7)], Person(lora=lora))[0]


def _bytes(network: Any) -> int:
    return sum(parameter.nbytes for parameter in network.parameters())


def test_a_model_of_the_published_size_takes_no_more_than_is_reckoned() -> None:
    import torch

    from portraitd.engines.diffusion.eight_bits import store_in_8_bits
    from tests.fakes.tiny_klein import published_networks

    with torch.device("meta"):
        vae, text_encoder, transformer = published_networks()
    whole = _bytes(vae) + _bytes(text_encoder) + _bytes(transformer)
    store_in_8_bits({"text_encoder": text_encoder, "transformer": transformer})
    share = (_bytes(vae) + _bytes(text_encoder) + _bytes(transformer)) / whole
    assert 0.5 < share < NARROW_SHARE


def test_the_picture_is_nearly_the_same(load: Callable[..., Klein]) -> None:
    import torch

    wide, narrow = load("resident"), load("fp8")
    assert narrow.tier is Tier.FP8
    assert narrow.runs_on.endswith("fp8")
    for part in ("transformer", "text_encoder"):
        network = getattr(narrow._painting, part)
        assert torch.float8_e4m3fn in {parameter.dtype for parameter in network.parameters()}
        assert network.dtype is torch.bfloat16
        assert _bytes(network) < 0.6 * _bytes(getattr(wide._painting, part))
    one, other = _paint(wide), _paint(narrow)
    assert not np.array_equal(one, other)
    assert np.abs(one.astype(int) - other).mean() < 2 < one.std()


def test_a_lora_is_worn_in_16_bits_and_taken_off_without_a_trace(load: Callable[..., Klein]) -> None:
    import torch

    from tests.fakes.loras import random_lora

    wide, narrow = load("resident"), load("fp8")
    one, two = (random_lora(wide._painting.transformer, seed) for seed in (1, 2))
    bare = _paint(narrow)
    for lora in (one, two, one):
        assert np.abs(_paint(wide, lora).astype(int) - _paint(narrow, lora)).mean() < 2
        # What peft made from 8-bit numbers, and what was copied later, alike.
        named = [dict(klein._painting.transformer.named_parameters()) for klein in (wide, narrow)]
        layers = [name for name in named[0] if ".lora_" in name]
        assert layers
        assert all(torch.equal(named[0][name], named[1][name]) for name in layers)
    assert np.array_equal(_paint(narrow), bare)
    assert not np.array_equal(_paint(narrow, one), bare)


def test_what_learns_is_a_copy_in_16_bits(load: Callable[..., Klein], tiny_folder: Path) -> None:
    """Even where the model was to learn on itself."""
    narrow = load("fp8", training_folder=tiny_folder)
    bare = _paint(narrow)
    noise = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    loras = [learnt.lora for learnt in narrow.learn([Lesson(image, "A photograph.") for image in noise])]
    assert np.array_equal(_paint(narrow), bare)
    assert not np.array_equal(_paint(narrow, loras[-1]), bare)
