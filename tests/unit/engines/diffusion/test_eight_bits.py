"""In 8 bits the model takes half the memory and paints nearly the same; LoRAs stay in the precision of 16 bits."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Callable, Iterator
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

    from portraitd.engines.diffusion import klein as module
    from portraitd.engines.diffusion.tune import TuningPlan

    monkeypatch.setattr(module, "CARD", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "no card")
    monkeypatch.setattr(module, "free_memory", lambda: Memory(2**40, 2**40))
    plan = TuningPlan(steps=4, batch=2, rank=4, rate=2e-2, warmup=1, checkpoints=1, side_px=64, picture_bytes=1)
    sizes = module.KleinSizes(tiny_klein.portrait, 64, 64, steps=2, room_bytes=0, batch=1, tuning=plan)

    def loaded(tier: str, training_folder: Path | None = None) -> Klein:
        choice = ModelChoice(tiny_folder, tier, training_folder=training_folder, compile="off")
        return module.load_klein(choice, sizes)

    return loaded


@pytest.fixture
def collected_by_hand() -> Iterator[None]:
    """Circles of objects stay until somebody asks for them to be collected."""
    gc.disable()
    yield
    gc.enable()


def _paint(klein: Klein, lora: bytes | None = None) -> Image:
    return klein.paint([Draft("a portrait", 7)], Person(lora=lora))[0]


def _bytes(network: Any) -> int:
    return sum(parameter.nbytes for parameter in network.parameters())


def test_no_part_of_the_published_size_takes_more_than_is_reckoned() -> None:
    import torch

    from portraitd.engines.diffusion.eight_bits import store_in_8_bits
    from tests.fakes.tiny_klein import published_networks

    with torch.device("meta"):
        vae, *large = published_networks()
    wide = [_bytes(network) for network in large]
    narrow = [_bytes(store_in_8_bits(network)) for network in large]
    for before, after in zip(wide, narrow, strict=True):
        assert 0.5 < after / before < NARROW_SHARE
    assert (_bytes(vae) + sum(narrow)) / (_bytes(vae) + sum(wide)) < NARROW_SHARE


@pytest.mark.parametrize("tier", ["fp8", "fp8-offload"])
def test_the_picture_is_nearly_the_same(load: Callable[..., Klein], tier: str) -> None:
    import torch

    wide, narrow = load("resident"), load(tier)
    assert narrow.tier is Tier(tier)
    assert f", {tier};" in narrow.runs_on
    for part in ("transformer", "text_encoder"):
        network = getattr(narrow._painting, part)
        assert torch.float8_e4m3fn in {parameter.dtype for parameter in network.parameters()}
        assert network.dtype is torch.bfloat16
        assert _bytes(network) < 0.6 * _bytes(getattr(wide._painting, part))
    one, other = _paint(wide), _paint(narrow)
    assert not np.array_equal(one, other)
    assert np.abs(one.astype(int) - other).mean() < 2 < one.std()


@pytest.mark.parametrize("tier", ["fp8", "fp8-offload"])
def test_a_lora_is_worn_in_16_bits_and_taken_off_without_a_trace(load: Callable[..., Klein], tier: str) -> None:
    import torch

    from tests.fakes.loras import random_lora

    wide, narrow = load("resident"), load(tier)
    one, two = (random_lora(wide._painting.transformer, seed) for seed in (1, 2))
    bare, plain = _paint(narrow), _paint(wide).astype(int)
    for lora in (one, two, one):
        worn = _paint(wide, lora).astype(int)
        assert np.abs(worn - _paint(narrow, lora)).mean() < 0.25 * np.abs(worn - plain).mean()
        # What peft made from 8-bit numbers, and what was copied later, alike.
        named = [dict(klein._painting.transformer.named_parameters()) for klein in (wide, narrow)]
        layers = [name for name in named[0] if ".lora_" in name]
        assert layers
        assert all(torch.equal(named[0][name], named[1][name]) for name in layers)
    assert np.array_equal(_paint(narrow), bare)
    assert not np.array_equal(_paint(narrow, one), bare)


@pytest.mark.parametrize(("tier", "is_narrow"), [("fp8", False), ("fp8-offload", True)])
def test_what_learns_is_a_copy(load: Callable[..., Klein], tiny_folder: Path, tier: str, is_narrow: bool) -> None:
    """Even where the model was to learn on itself; others' pictures come in between and are what they were."""
    import torch

    narrow = load(tier, training_folder=tiny_folder)
    bare = _paint(narrow)
    noise = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    loras = []
    for learnt in narrow.learn([Lesson(image, "A photograph.") for image in noise]):
        assert (torch.float8_e4m3fn in {value.dtype for value in narrow._learning.parameters()}) is is_narrow
        assert narrow._learning is not narrow._painting.transformer
        assert np.array_equal(_paint(narrow), bare)
        loras.append(learnt.lora)
    assert np.array_equal(_paint(narrow), bare)
    assert not np.array_equal(_paint(narrow, loras[-1]), bare)


@pytest.mark.usefixtures("collected_by_hand")
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("tier", ["resident", "fp8-offload"])
def test_after_learning_nothing_of_what_learnt_is_in_memory(
    load: Callable[..., Klein], base_folder: Path, tier: str, stopped: bool
) -> None:
    """At once, not when it pleases the collector: whoever is painted next needs the room."""
    klein = load(tier, training_folder=base_folder)
    steps = klein.learn([Lesson(np.zeros((64, 64, 3), np.uint8), "A photograph.")])
    next(steps)
    numbers = [weakref.ref(parameter) for parameter in klein._learning.parameters()]
    if stopped:
        steps.close()
    else:
        deque(steps, maxlen=0)
    assert not [number for number in numbers if number() is not None]


@pytest.mark.parametrize("recompute", [False, True])
def test_what_is_narrow_learns_as_if_its_numbers_had_been_rounded(tiny_folder: Path, recompute: bool) -> None:
    """Matrices are narrow again before the gradient comes back through them: it must be that of the wide ones."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel

    from portraitd.engines.diffusion.klein_parts import load_network
    from portraitd.engines.diffusion.tune import Example, Student, TuningPlan, tune

    plan = TuningPlan(steps=3, batch=2, rank=4, rate=2e-2, warmup=1, checkpoints=1, side_px=64)
    scheduler = FlowMatchEulerDiscreteScheduler()
    numbers = torch.Generator().manual_seed(1)
    examples = [
        Example(torch.randn(1, 16, 4, 4, generator=numbers), torch.randn(1, 8, 48, generator=numbers)) for _ in range(2)
    ]

    def learnt(narrow: bool) -> tuple[list[float], Any]:
        network = load_network(Flux2Transformer2DModel, tiny_folder / "transformer", torch.bfloat16, narrow)
        if not narrow:
            shadow = load_network(Flux2Transformer2DModel, tiny_folder / "transformer", torch.bfloat16, narrow=True)
            rounded = {name: value.to(torch.bfloat16) for name, value in shadow.state_dict().items()}
            network.load_state_dict(rounded)
        student = Student(network, scheduler, torch.device("cpu"), 2, recompute)
        steps = list(tune(student, examples, plan))
        return [step.loss for step in steps], steps[-1].tensors

    (losses, tensors), (others, expected) = learnt(narrow=True), learnt(narrow=False)
    assert losses == others
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in tensors.items())
    assert any(value.abs().max() > 0 for name, value in tensors.items() if "lora_B" in name)
