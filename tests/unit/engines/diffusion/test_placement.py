"""Where a model lies is what the memory allows, and short memory is refused before anything is loaded."""

from __future__ import annotations

import pytest

from portraitd.engines.diffusion.placement import (
    GIB,
    LessonRoom,
    Memory,
    Tier,
    choose_tier,
    lesson_room,
    pictures_at_once,
)
from portraitd.errors import SetupError

WEIGHTS = {"text_encoder": 8 * GIB, "transformer": 7 * GIB, "vae": GIB}


@pytest.mark.parametrize(
    ("wanted", "card_gib", "machine_gib", "tier"),
    [
        ("auto", 19, 64, Tier.RESIDENT),
        ("auto", 18, 64, Tier.FP8),
        ("auto", 12, 64, Tier.FP8),
        ("auto", 11, 64, Tier.OFFLOAD),
        ("fp8", 80, 64, Tier.FP8),
        ("offload", 80, 64, Tier.OFFLOAD),
        ("resident", 19, 64, Tier.RESIDENT),
        ("cpu", None, 35, Tier.CPU),
        ("cpu", 80, 35, Tier.CPU),
    ],
)
def test_the_tier_fits_the_memory(wanted: str, card_gib: int | None, machine_gib: int, tier: Tier) -> None:
    card = None if card_gib is None else card_gib * GIB
    assert choose_tier(wanted, WEIGHTS, Memory(card, machine_gib * GIB), room=3 * GIB) is tier


def test_where_people_are_learnt_parts_leave_the_card_rather_than_be_narrowed() -> None:
    memory = Memory(18 * GIB, 64 * GIB)
    assert choose_tier("auto", WEIGHTS, memory, 3 * GIB, learns=True) is Tier.OFFLOAD
    assert choose_tier("fp8", WEIGHTS, memory, 3 * GIB, learns=True) is Tier.FP8


@pytest.mark.parametrize(
    ("wanted", "card_gib", "machine_gib", "said"),
    [
        ("auto", None, 64, "PORTRAITD_DIFFUSION_TIER=cpu"),
        ("auto", 10, 64, "needs 11.0 GiB free on the card at tier offload; 10.0 GiB are free"),
        ("resident", 18, 64, "needs 19.0 GiB free on the card at tier resident; 18.0 GiB are free"),
        ("fp8", 11, 64, "needs 11.8 GiB free on the card at tier fp8; 11.0 GiB are free"),
        ("resident", None, 64, "needs a CUDA card"),
        ("fp8", None, 64, "needs a CUDA card"),
        ("offload", None, 64, "needs a CUDA card"),
        ("cpu", None, 34, "needs 35.0 GiB free on the machine at tier cpu; 34.0 GiB are free"),
    ],
)
def test_short_memory_is_refused(wanted: str, card_gib: int | None, machine_gib: int, said: str) -> None:
    card = None if card_gib is None else card_gib * GIB
    with pytest.raises(SetupError) as caught:
        choose_tier(wanted, WEIGHTS, Memory(card, machine_gib * GIB), room=3 * GIB)
    assert said in caught.value.message


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
        (Tier.CPU, 139, 1),
        (Tier.CPU, None, 1),
    ],
)
def test_as_many_pictures_at_once_as_there_is_room_for(tier: Tier, card_gib: int | None, pictures: int) -> None:
    memory = Memory(None if card_gib is None else card_gib * GIB, 256 * GIB)
    assert pictures_at_once(tier, WEIGHTS, memory, room=3 * GIB) == pictures


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
