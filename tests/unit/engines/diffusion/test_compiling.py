"""The model's blocks are compiled where that is wanted, paint the same, and a compiler that fails is not the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person
from portraitd.errors import SetupError
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

DRAFTS = [Draft("a portrait", 7), Draft("a landscape", 8)]


class Compiler:
    """In the place of torch's own, which takes a minute: notes what it is given, and leaves it as it is or fails."""

    def __init__(self, fails: bool = False) -> None:
        self.asked: list[dict[str, object]] = []
        self.regions = 0
        self._fails = fails

    def __call__(self, region: Any, _inputs: object) -> Callable[..., object]:
        self.regions += 1
        if self._fails:
            raise RuntimeError("broken on purpose")
        forward: Callable[..., object] = region.forward
        return forward

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Compiler:
        import torch
        from diffusers import Flux2Transformer2DModel

        torch._dynamo.reset()
        compile_blocks = Flux2Transformer2DModel.compile_repeated_blocks

        def noted(transformer: Any, **asked: object) -> None:
            self.asked.append(asked)
            compile_blocks(transformer, backend=self, **asked)

        monkeypatch.setattr(Flux2Transformer2DModel, "compile_repeated_blocks", noted)
        return self


@pytest.fixture
def load(tiny_folder: Path, tiny_klein: Klein) -> Callable[..., Klein]:
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    def loaded(compile_: str, training_folder: Path | None = None) -> Klein:
        sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0, batch=2)
        return load_klein(ModelChoice(tiny_folder, "cpu", training_folder=training_folder, compile=compile_), sizes)

    return loaded


def _alike(one: Image, other: Image) -> bool:
    return bool(np.abs(one.astype(int) - other).max() <= 1)


@pytest.mark.parametrize(
    ("wanted", "on_card", "compiled"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("on", False, True),
        ("on", True, True),
        ("off", True, False),
        ("off", False, False),
    ],
)
def test_a_model_on_a_card_is_compiled_unless_told_otherwise(wanted: str, on_card: bool, compiled: bool) -> None:
    from portraitd.engines.diffusion.compiling import wants_compiling

    assert wants_compiling(wanted, on_card) is compiled


@pytest.mark.parametrize("wanted", ["auto", "off"])
def test_on_the_processor_nothing_is_compiled_unless_asked_for(
    load: Callable[..., Klein], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Compiler().install(monkeypatch)
    load(wanted)
    assert not compiler.asked


def test_a_compiled_model_paints_the_same_and_compiles_no_more_than_it_must(
    load: Callable[..., Klein], tiny_klein: Klein, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two kinds of blocks, without a LoRA and with one; other people and numbers of references are nothing new."""
    from tests.fakes.loras import random_lora

    compiler = Compiler().install(monkeypatch)
    klein = load("on")
    assert compiler.asked == [{"dynamic": True}]
    assert compiler.regions == 2  # before anybody asked for a picture
    references = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    one, two = (random_lora(klein._painting.transformer, seed) for seed in (1, 2))
    for lora, count, regions in ((None, 0, 2), (None, 1, 2), (None, 3, 2), (one, 0, 4), (two, 0, 4), (two, 2, 4)):
        person = Person(tuple(references[:count]), lora)
        for mine, plain in zip(klein.paint(DRAFTS, person), tiny_klein.paint(DRAFTS, person), strict=True):
            assert _alike(mine, plain), (count, regions)
        assert compiler.regions == regions


def test_where_people_are_learnt_all_kinds_are_compiled_before_anybody_asks(
    load: Callable[..., Klein], tiny_klein: Klein, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nobody's LoRA, with one person's and with several people's; and nobody is taken for whom it was compiled."""
    from portraitd.engines.diffusion.tune import TuningPlan
    from tests.fakes.loras import random_lora

    compiler = Compiler().install(monkeypatch)
    klein = load("on", base_folder)
    assert compiler.regions == 6
    one, two = (Person(lora=random_lora(klein._painting.transformer, seed, TuningPlan().rank)) for seed in (1, 2))
    for people in ((Person(), Person()), (one, one), (one, two), (two, one), (two, two), (Person(), two)):
        pictures = klein.paint_people(DRAFTS, people)
        for picture, draft, person in zip(pictures, DRAFTS, people, strict=True):
            assert _alike(picture, tiny_klein.paint([draft], person)[0])
    assert compiler.regions == 6


def test_a_compiler_that_fails_is_a_warning_and_not_the_end(
    load: Callable[..., Klein], tiny_klein: Klein, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = Compiler(fails=True).install(monkeypatch)
    with caplog.at_level(logging.WARNING):
        klein = load("on")
    (record,) = [record for record in caplog.records if record.name.startswith("portraitd")]
    assert "runs uncompiled" in record.getMessage()
    assert "broken on purpose" in record.getMessage()
    assert compiler.regions == 1
    for mine, plain in zip(klein.paint(DRAFTS, Person()), tiny_klein.paint(DRAFTS, Person()), strict=True):
        assert _alike(mine, plain)
    assert compiler.regions == 1


def test_a_rehearsal_that_finds_no_memory_says_what_to_do(
    load: Callable[..., Klein], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    klein = load("off")

    def none(*_arguments: object, **_named: object) -> object:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(klein._painting.vae, "decode", none)
    with pytest.raises(
        SetupError, match=r"no memory for a picture .* at tier cpu, .*PORTRAITD_DIFFUSION_TIER=fp8-offload"
    ):
        klein.rehearse()


def test_an_error_that_is_not_the_compiler_s_is_not_tried_again(
    load: Callable[..., Klein], monkeypatch: pytest.MonkeyPatch
) -> None:
    from portraitd.engines.diffusion.compiling import CompileError

    klein, calls = load("off"), list[int]()

    def broken(*_arguments: object, **_named: object) -> None:
        calls.append(1)
        raise CompileError("elsewhere")

    monkeypatch.setattr(klein._painting.scheduler, "step", broken)
    with pytest.raises(CompileError):
        klein.paint(DRAFTS, Person())
    assert len(calls) == 1


def test_a_model_that_learns_on_itself_is_not_compiled(
    load: Callable[..., Klein], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Compiler().install(monkeypatch)
    load("on", training_folder=tiny_folder)
    assert not compiler.asked
