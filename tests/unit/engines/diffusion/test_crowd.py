"""Pictures of several people painted at once: each shows its own person, and nothing of the others."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from portraitd.engines.base import go_on
from portraitd.engines.diffusion.painter import MOST_PEOPLE, Draft, ModelChoice, Person, StyleLora
from portraitd.errors import AlgorithmFailed
from portraitd.images import Image

torch = pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

DRAFTS = [Draft("a portrait", 7), Draft("a landscape", 8), Draft("a portrait", 9), Draft("a still life", 10)]


@pytest.fixture
def klein(tiny_folder: Path, tiny_klein: Klein) -> Klein:
    """A model of its own that no test has painted anybody with yet."""
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0, batch=4)
    return load_klein(ModelChoice(tiny_folder, "cpu"), sizes)


def _learnt(klein: Klein, seed: int, rank: int = 4) -> Person:
    from tests.fakes.loras import random_lora

    return Person(lora=random_lora(klein._painting.transformer, seed, rank))


def _pictured(seed: int, count: int) -> Person:
    return Person(tuple(np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)))


def _alike(one: Image, other: Image) -> bool:
    """But for rounding: sums of another length are added in another order."""
    return bool(np.abs(one.astype(int) - other).max() <= 1)


def _people(klein: Klein, kind: str) -> list[Person]:
    if kind == "learnt":
        return [_learnt(klein, 1), _learnt(klein, 2), _learnt(klein, 3, rank=2), Person()]
    return [_pictured(seed, 3) for seed in (1, 2, 3, 4)]


@pytest.mark.parametrize("kind", ["learnt", "by their photos"])
def test_each_picture_is_its_person_s_as_if_painted_alone(klein: Klein, kind: str) -> None:
    people = _people(klein, kind)
    alone = [[klein.paint([draft], person)[0] for draft in DRAFTS] for person in people]
    for order in list(permutations(range(4)))[::5]:
        together = klein.paint_people(DRAFTS, [people[number] for number in order])
        for place, number in enumerate(order):
            assert _alike(together[place], alone[number][place]), (order, place)
            steps = [np.abs(together[place].astype(int) - pictures[place]).sum() for pictures in alone]
            assert int(np.argmin(steps)) == number
            assert sorted(steps)[0] < 0.1 * sorted(steps)[1], steps


@pytest.mark.parametrize("kind", ["learnt", "by their photos"])
def test_who_is_beside_one_changes_no_bit(klein: Klein, kind: str) -> None:
    """Nothing of a neighbour is in the picture, not even what rounding would hide."""
    one, two, three, four = _people(klein, kind)
    first = klein.paint_people(DRAFTS, [one, two, two, one])
    second = klein.paint_people(DRAFTS, [one, three, four, one])
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[3], second[3])
    assert not np.array_equal(first[1], second[1])


def test_after_a_crowd_the_model_is_bare(klein: Klein) -> None:
    one, two, *_ = _people(klein, "learnt")
    bare, worn = klein.paint(DRAFTS, Person()), klein.paint(DRAFTS, one)
    klein.paint_people(DRAFTS, [one, two, one, two])
    assert all(map(np.array_equal, klein.paint(DRAFTS, Person()), bare))
    assert all(map(np.array_equal, klein.paint(DRAFTS, one), worn))


def test_a_style_s_lora_counts_for_everybody(klein: Klein, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from tests.fakes.loras import random_tensors

    tensors = random_tensors(klein._painting.transformer, 9)
    save_file({f"transformer.{name}": value for name, value in tensors.items()}, tmp_path / "look.safetensors")
    style, (one, two, *_) = StyleLora(tmp_path / "look.safetensors"), _people(klein, "learnt")
    together = klein.paint_people(DRAFTS[:2], [one, two], style)
    for picture, draft, person in zip(together, DRAFTS, (one, two), strict=False):
        assert _alike(picture, klein.paint([draft], person, style)[0])
        assert not _alike(picture, klein.paint([draft], person)[0])


def test_more_people_than_are_painted_at_once_come_in_batches(klein: Klein) -> None:
    """A batch that memory made smaller is told anew who is in it."""
    klein.batch = 3
    people = _people(klein, "learnt")
    for picture, draft, person in zip(klein.paint_people(DRAFTS, people), DRAFTS, people, strict=True):
        assert _alike(picture, klein.paint([draft], person)[0])


def test_one_broken_lora_is_refused_and_leaves_the_bare_model(klein: Klein) -> None:
    one, two, *_ = _people(klein, "learnt")
    bare = klein.paint(DRAFTS, Person())
    klein.paint_people(DRAFTS[:2], [one, two])
    with pytest.raises(AlgorithmFailed):
        klein.paint_people(DRAFTS[:2], [one, Person(lora=b"broken")])
    assert all(map(np.array_equal, klein.paint(DRAFTS, Person()), bare))


def test_pictures_without_an_owner_are_not_painted(klein: Klein, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told of fewer pictures than there are, numbers would be broadcast to somebody else's."""
    one, two, *_ = _people(klein, "learnt")
    klein.paint_people(DRAFTS[:2], [one, two])
    with pytest.raises(RuntimeError), klein.adapters.worn_by([one.lora, two.lora]):
        klein._painted_at_once(partial(klein._painting), DRAFTS[:1], go_on)
    klein._painting.whose = [0, 1]
    with pytest.raises(RuntimeError, match="1 pictures, told whose 2 are"):
        klein._painting.prepare_image_latents([], 1, None, torch.device("cpu"), torch.float32)


def test_side_by_side_is_one_rank_for_any_number_of_people(klein: Klein) -> None:
    from portraitd.engines.diffusion.crowd import side_by_side
    from tests.fakes.loras import random_tensors

    transformer = klein._painting.transformer
    two = side_by_side([random_tensors(transformer, seed) for seed in (1, 2)])
    four = side_by_side([random_tensors(transformer, seed) for seed in (1, 2, 3, 4)])
    assert {name: tensor.shape for name, tensor in two.items()} == {name: four[name].shape for name in four}
    assert {min(tensor.shape) for tensor in two.values()} == {MOST_PEOPLE * 4}
