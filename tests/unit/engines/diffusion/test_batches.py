"""Pictures painted together are those painted one by one, but for rounding; each sees every reference."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person, StyleLora
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

DRAFTS = [Draft("a portrait", 7), Draft("a landscape", 8), Draft("a portrait", 9), Draft("a still life", 2**62)]
#: Steps of 255 that rounding may make: sums of another length are added in another order.
ROUNDING = 1


@pytest.fixture(scope="module")
def load(tiny_klein: Klein) -> Callable[[Path, int], Klein]:
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    def loaded(folder: Path, batch: int) -> Klein:
        sizes = KleinSizes(
            tiny_klein.portrait, 64, 64, steps=2, base_steps=2, base_guidance=4.0, room_bytes=0, batch=batch
        )
        return load_klein(ModelChoice(folder, "cpu"), sizes)

    return loaded


@pytest.fixture(scope="module")
def klein(load: Callable[[Path, int], Klein], tiny_folder: Path) -> Klein:
    return load(tiny_folder, 4)


def _noise(seed: int, side: int = 64) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def _references(count: int) -> tuple[Image, ...]:
    return tuple(_noise(10 + number) for number in range(count))


@pytest.fixture(scope="module")
def crop() -> FaceCrop:
    mesh = FaceMesh((mean_face().points * 20 + np.array([64, 60, 0])).astype(np.float32), 1.0)
    return FaceCrop.of(_noise(9, 128), mesh, 64)


def _alike(together: Sequence[Image], apart: Sequence[Image]) -> bool:
    pairs = zip(together, apart, strict=True)
    return all(np.abs(one.astype(int) - other).max() <= ROUNDING for one, other in pairs)


def _differ(pictures: Sequence[Image]) -> bool:
    return len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_on_the_processor_one_picture_is_painted_at_a_time(tiny_klein: Klein) -> None:
    assert tiny_klein.batch == 1


@pytest.mark.parametrize("count", [0, 1, 4])
def test_portraits_painted_together_are_those_painted_apart(klein: Klein, tiny_klein: Klein, count: int) -> None:
    from tests.fakes.loras import random_lora

    for lora in (None, random_lora(klein._painting.transformer, 1)):
        person = Person(_references(count), lora)
        apart = tiny_klein.paint(DRAFTS, person)
        assert _differ(apart)
        assert _alike(klein.paint(DRAFTS, person), apart)
    assert klein.batch == 4


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_repainted_faces_see_every_reference(klein: Klein, tiny_klein: Klein, crop: FaceCrop, count: int) -> None:
    """With as many references as pictures, too: none is paired off."""
    person = Person(_references(count))
    for drafts in (DRAFTS[:count], DRAFTS):
        apart = tiny_klein.repaint(crop, drafts, person)
        assert _differ(apart)
        assert _alike(klein.repaint(crop, drafts, person), apart)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_the_model_is_given_every_reference_for_each_picture(klein: Klein, crop: FaceCrop, count: int) -> None:
    """By its tokens, 16 a picture: what they change in one this small, rounding might hide."""
    given: list[dict[str, Any]] = []
    hook = klein._inpainting.transformer.register_forward_pre_hook(
        lambda _module, _args, kwargs: given.append(kwargs), with_kwargs=True
    )
    try:
        klein.repaint(crop, DRAFTS, Person(_references(count)))
    finally:
        hook.remove()
    tokens, places = given[0]["hidden_states"], given[0]["img_ids"]
    assert tokens.shape[:2] == places.shape[:2] == (4, 16 + 16 + 16 * count)
    assert places[0, :, 0].unique(return_counts=True)[1].tolist() == [16] * (2 + count)
    shown = tokens[:, 32:].unflatten(1, (count, 16))
    assert all(picture.equal(shown[0]) for picture in shown)
    assert len({reference.numpy().tobytes() for reference in shown[0]}) == count


def test_a_picture_does_not_depend_on_its_neighbours(klein: Klein) -> None:
    """Among as many others, in the same place, it is the same bit for bit."""
    others = [Draft("nothing alike", seed) for seed in (1, 2, 3)]
    person = Person(_references(2))
    first = klein.paint([DRAFTS[0], *DRAFTS[1:]], person)[0]
    assert np.array_equal(klein.paint([DRAFTS[0], *others], person)[0], first)


def test_the_last_batch_may_be_smaller(klein: Klein, tiny_klein: Klein) -> None:
    drafts = [*DRAFTS, Draft("a portrait", 1)]
    assert _alike(klein.paint(drafts, Person()), tiny_klein.paint(drafts, Person()))


def test_a_base_model_s_pictures_are_guided_each_on_its_own(
    load: Callable[[Path, int], Klein], klein: Klein, tiny_folder: Path, tmp_path: Path, crop: FaceCrop
) -> None:
    base = Path(shutil.copytree(tiny_folder, tmp_path / "base"))
    index = json.loads((base / "model_index.json").read_text())
    (base / "model_index.json").write_text(json.dumps({**index, "is_distilled": False}))
    together, apart = load(base, 4), load(base, 1)
    person = Person(_references(2))
    assert _alike(together.paint(DRAFTS, person), apart.paint(DRAFTS, person))
    assert _alike(together.repaint(crop, DRAFTS, person), apart.repaint(crop, DRAFTS, person))
    # The distilled model's numbers are the same here, and so are its steps: only guidance can tell them apart.
    assert not _alike(together.paint(DRAFTS, person), klein.paint(DRAFTS, person))
    assert not _alike(together.repaint(crop, DRAFTS, person), klein.repaint(crop, DRAFTS, person))


def test_where_memory_is_short_fewer_are_painted_at_once(
    load: Callable[[Path, int], Klein], tiny_folder: Path, tiny_klein: Klein, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    import torch

    klein = load(tiny_folder, 4)
    decode, sizes = klein._painting.vae.decode, list[int]()

    def narrow(latents: torch.Tensor, *arguments: object, **named: object) -> object:
        sizes.append(len(latents))
        if len(latents) > 1:
            raise torch.OutOfMemoryError
        return decode(latents, *arguments, **named)

    monkeypatch.setattr(klein._painting.vae, "decode", narrow)
    with caplog.at_level(logging.WARNING):
        pictures = klein.paint(DRAFTS[:3], Person())
    assert sizes == [3, 1, 1, 1]
    assert klein.batch == 1
    assert "no memory for 3 pictures at once; from now on 1 are painted" in caplog.text
    assert all(np.array_equal(*pair) for pair in zip(pictures, tiny_klein.paint(DRAFTS[:3], Person()), strict=True))


def test_one_picture_that_finds_no_memory_is_the_end(
    load: Callable[[Path, int], Klein], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    klein = load(tiny_folder, 1)

    def none(*_arguments: object, **_named: object) -> object:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(klein._painting.vae, "decode", none)
    with pytest.raises(torch.OutOfMemoryError):
        klein.paint(DRAFTS, Person())


def test_a_style_is_worn_by_the_whole_batch(klein: Klein, tiny_klein: Klein, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from tests.fakes.loras import random_tensors

    tensors = random_tensors(klein._painting.transformer, 3)
    save_file({f"transformer.{name}": value for name, value in tensors.items()}, tmp_path / "look.safetensors")
    style = StyleLora(tmp_path / "look.safetensors", 0.5)
    together = klein.paint(DRAFTS, Person(), style)
    assert _alike(together, tiny_klein.paint(DRAFTS, Person(), style))
    assert not _alike(together, klein.paint(DRAFTS, Person()))
