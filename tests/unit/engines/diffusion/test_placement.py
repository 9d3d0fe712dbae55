"""Where a model lies is what the memory allows, and short memory is refused before anything is loaded."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import portraitd.weights.models
from portraitd.engines.diffusion.placement import (
    GIB,
    LessonRoom,
    Load,
    Memory,
    Tier,
    choose_tier,
    lesson_room,
    pictures_at_once,
)
from portraitd.errors import SetupError

WEIGHTS = {"text_encoder": 8 * GIB, "transformer": 7 * GIB, "vae": GIB}
PAINTS = Load(WEIGHTS)
LEARNS = Load(WEIGHTS, 7 * GIB)
LEARNS_ON_ITSELF = Load(WEIGHTS, 7 * GIB, on_itself=True)


@pytest.mark.parametrize(
    ("wanted", "card_gib", "machine_gib", "tier"),
    [
        ("auto", 19, 64, Tier.RESIDENT),
        ("auto", 18, 64, Tier.FP8),
        ("auto", 12, 64, Tier.FP8),
        ("auto", 11, 64, Tier.OFFLOAD),
        ("auto", 8, 64, Tier.FP8_OFFLOAD),
        ("fp8-offload", 80, 64, Tier.FP8_OFFLOAD),
        ("fp8", 80, 64, Tier.FP8),
        ("offload", 80, 64, Tier.OFFLOAD),
        ("resident", 19, 64, Tier.RESIDENT),
        ("cpu", None, 35, Tier.CPU),
        ("cpu", 80, 35, Tier.CPU),
    ],
)
def test_the_tier_fits_the_memory(wanted: str, card_gib: int | None, machine_gib: int, tier: Tier) -> None:
    card = None if card_gib is None else card_gib * GIB
    assert choose_tier(wanted, PAINTS, Memory(card, machine_gib * GIB), room=3 * GIB) is tier


@pytest.mark.parametrize(
    ("load", "card_gib", "tier"),
    [
        (LEARNS, 26, Tier.RESIDENT),
        (LEARNS, 24, Tier.FP8),
        (LEARNS, 18, Tier.OFFLOAD),
        (LEARNS, 8, Tier.FP8_OFFLOAD),
        (LEARNS_ON_ITSELF, 19, Tier.RESIDENT),
        # In 8 bits there is nothing left that could learn: it is in memory once more, in 16.
        (LEARNS_ON_ITSELF, 18, Tier.OFFLOAD),
    ],
)
def test_what_learns_has_room_beside_what_paints(load: Load, card_gib: int, tier: Tier) -> None:
    assert choose_tier("auto", load, Memory(card_gib * GIB, 64 * GIB), room=3 * GIB) is tier


@pytest.mark.parametrize(
    ("wanted", "card_gib", "machine_gib", "said"),
    [
        ("auto", None, 64, "PORTRAITD_DIFFUSION_TIER=cpu"),
        ("auto", 7, 64, "needs 7.4 GiB free on the card at tier fp8-offload; 7.0 GiB are free"),
        # The transformer comes in 16 bits, beside a text encoder that is in 8 already.
        ("auto", 8, 11, "needs 11.4 GiB free on the machine at tier fp8-offload; 11.0 GiB are free"),
        # Each part passes through the machine's memory on its way to the card.
        ("auto", 80, 7, "needs 8.0 GiB free on the machine at tier resident; 7.0 GiB are free"),
        ("fp8", 80, 7, "needs 8.0 GiB free on the machine at tier fp8; 7.0 GiB are free"),
        ("offload", 10, 64, "needs 11.0 GiB free on the card at tier offload; 10.0 GiB are free"),
        ("offload", 80, 15, "needs 16.0 GiB free on the machine at tier offload; 15.0 GiB are free"),
        ("resident", 18, 64, "needs 19.0 GiB free on the card at tier resident; 18.0 GiB are free"),
        ("fp8", 11, 64, "needs 11.8 GiB free on the card at tier fp8; 11.0 GiB are free"),
        ("resident", None, 64, "needs a CUDA card"),
        ("fp8", None, 64, "needs a CUDA card"),
        ("offload", None, 64, "needs a CUDA card"),
        ("fp8-offload", None, 64, "needs a CUDA card"),
        ("cpu", None, 34, "needs 35.0 GiB free on the machine at tier cpu; 34.0 GiB are free"),
    ],
)
def test_short_memory_is_refused(wanted: str, card_gib: int | None, machine_gib: int, said: str) -> None:
    card = None if card_gib is None else card_gib * GIB
    with pytest.raises(SetupError) as caught:
        choose_tier(wanted, PAINTS, Memory(card, machine_gib * GIB), room=3 * GIB)
    assert said in caught.value.message


def test_what_learns_passes_through_the_machine_s_memory_last() -> None:
    large = Load(WEIGHTS, 9 * GIB)
    assert large.passing(Tier.RESIDENT) == 9 * GIB
    assert PAINTS.passing(Tier.RESIDENT) == LEARNS.passing(Tier.RESIDENT) == 8 * GIB
    assert PAINTS.passing(Tier.OFFLOAD) == 16 * GIB
    assert LEARNS.passing(Tier.OFFLOAD) == 23 * GIB
    assert PAINTS.passing(Tier.FP8_OFFLOAD) == pytest.approx((0.55 * 8 + 7) * GIB)
    assert LEARNS.passing(Tier.FP8_OFFLOAD) == pytest.approx((0.55 * 16 + 7) * GIB)
    assert LEARNS.passing(Tier.CPU) == 0


@pytest.mark.parametrize(
    ("tier", "card_gib", "pictures"),
    [
        (Tier.RESIDENT, 19, 1),
        (Tier.RESIDENT, 22, 2),
        (Tier.RESIDENT, 139, 8),
        # Never none: what the tier asked for is an estimate.
        (Tier.RESIDENT, 17, 1),
        (Tier.FP8, 12, 1),
        (Tier.FP8, 18, 3),
        (Tier.OFFLOAD, 11, 1),
        (Tier.OFFLOAD, 15, 2),
        (Tier.FP8_OFFLOAD, 8, 1),
        (Tier.FP8_OFFLOAD, 11, 2),
        (Tier.CPU, 139, 1),
        (Tier.CPU, None, 1),
    ],
)
def test_as_many_pictures_at_once_as_there_is_room_for(tier: Tier, card_gib: int | None, pictures: int) -> None:
    memory = Memory(None if card_gib is None else card_gib * GIB, 256 * GIB)
    assert pictures_at_once(tier, PAINTS, memory, room=3 * GIB) == pictures


def test_what_learns_is_room_that_no_picture_has() -> None:
    memory = Memory(34 * GIB, 256 * GIB)
    assert pictures_at_once(Tier.RESIDENT, PAINTS, memory, 3 * GIB) == 6
    assert pictures_at_once(Tier.RESIDENT, LEARNS, memory, 3 * GIB) == 3
    assert pictures_at_once(Tier.RESIDENT, LEARNS_ON_ITSELF, memory, 3 * GIB) == 6
    assert pictures_at_once(Tier.OFFLOAD, LEARNS, memory, 3 * GIB) == 8  # it takes turns with what paints


def test_a_card_of_8_gb_has_room_for_the_published_model() -> None:
    """By the sizes of the published files, with a tenth of the card taken by others."""
    listing = Path(portraitd.weights.models.__file__).parent / "klein-4b.toml"
    sizes = dict.fromkeys(("text_encoder", "transformer", "vae"), 0)
    for name, file in tomllib.loads(listing.read_text())["files"].items():
        if name.endswith(".safetensors"):
            sizes[name.partition("/")[0]] += file["bytes"]
    memory = Memory(int(0.9 * 8 * GIB), 32 * GIB)
    for load in (Load(sizes), Load(sizes, sizes["transformer"])):
        assert choose_tier("auto", load, memory) is Tier.FP8_OFFLOAD


@pytest.mark.parametrize(
    ("free_gib", "room"),
    [
        (32, LessonRoom(4, recompute=False)),
        (31, LessonRoom(4, recompute=True)),
        (4, LessonRoom(4, recompute=True)),
        (3, LessonRoom(3, recompute=True)),
        (1, LessonRoom(1, recompute=True)),
    ],
)
def test_lessons_take_what_room_there_is(free_gib: int, room: LessonRoom) -> None:
    """The whole batch first; then nothing computed twice."""
    assert lesson_room(free_gib * GIB, 4, 8 * GIB, GIB) == room


def test_without_room_for_a_single_picture_nobody_is_learnt() -> None:
    with pytest.raises(SetupError, match=r"training needs 1\.0 GiB free besides the models; 0\.5 GiB are free"):
        lesson_room(GIB // 2, 4, 8 * GIB, GIB)
