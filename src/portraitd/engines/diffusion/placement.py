"""Where a model lies while it works: chosen by what the card has free, or by a setting."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from portraitd.errors import SetupError

GIB = 2**30
#: Free memory asked for besides the weights, for what a picture needs while it is made. An estimate, not a measurement.
ROOM_BYTES = 3 * GIB
#: Most pictures painted at once: all candidates of the four results that a task has at most, as a rule.
MOST_AT_ONCE = 8
#: What is left of a model's bytes at `fp8`: norms, embeddings and the VAE stay in 16 bits.
NARROW_SHARE = 0.55


class Tier(enum.Enum):
    """How a model lies in memory."""

    #: All of it on the card.
    RESIDENT = "resident"
    #: All of it on the card, the large parts' matrices in 8 bits.
    FP8 = "fp8"
    #: On the card is the part that works; the others wait in the machine's memory.
    OFFLOAD = "offload"
    #: No card at all.
    CPU = "cpu"


@dataclass(frozen=True)
class Memory:
    """What is free, bytes."""

    #: None without a card.
    card: int | None
    machine: int


@dataclass(frozen=True)
class LessonRoom:
    """What the memory allows a training."""

    #: Pictures a step.
    batch: int
    #: Compute intermediate results again rather than keep them: about a third slower.
    recompute: bool


def lesson_room(free: int, wanted: int, picture_bytes: int, recomputed_bytes: int) -> LessonRoom:
    """Batch and way for `free` bytes: the wanted batch first, then not computing things twice.

    picture_bytes, recomputed_bytes: what one picture takes either way. Raises SetupError where not even one fits.
    """
    if free >= wanted * picture_bytes:
        return LessonRoom(wanted, recompute=False)
    batch = min(wanted, free // recomputed_bytes)
    if batch < 1:
        raise SetupError(
            f"training needs {recomputed_bytes / GIB:.1f} GiB free besides the models; {free / GIB:.1f} GiB are free"
        )
    return LessonRoom(batch, recompute=True)


def pictures_at_once(tier: Tier, weights: Mapping[str, int], memory: Memory, room: int = ROOM_BYTES) -> int:
    """How many pictures fit on the card beside the weights, each taking `room` bytes; 1 on the processor.

    weights, memory: as `choose_tier` took them, less what else is to stay on the card.
    """
    if tier is Tier.CPU or memory.card is None:
        return 1
    return max(1, min(MOST_AT_ONCE, (memory.card - _lying(tier, weights)) // max(room, 1)))


def _lying(tier: Tier, weights: Mapping[str, int]) -> int:
    """Bytes of weights that are in the tier's memory at once. weights: bytes by part, of 16-bit numbers."""
    whole = sum(weights.values())
    if tier is Tier.OFFLOAD:
        return max(weights.values())
    if tier is Tier.FP8:
        return round(NARROW_SHARE * whole)
    # In 32 bits on the processor: not all of them are fast, or right, in 16.
    return 2 * whole if tier is Tier.CPU else whole


def choose_tier(
    wanted: str, weights: Mapping[str, int], memory: Memory, room: int = ROOM_BYTES, learns: bool = False
) -> Tier:
    """The tier to use. weights: bytes by part, of 16-bit numbers. Raises SetupError where memory is short.

    learns: people are learnt here. Then `auto` leaves `fp8` out: what learns needs the room that it takes for good.
    """
    needs = {tier: _lying(tier, weights) + room for tier in Tier}
    if wanted == "auto":
        if memory.card is None:
            raise SetupError(
                "PORTRAITD_ENGINE=diffusion finds no CUDA card; PORTRAITD_DIFFUSION_TIER=cpu runs it on the processor, "
                "which is slow; PORTRAITD_ENGINE=classic needs no card"
            )
        choices = (Tier.RESIDENT,) if learns else (Tier.RESIDENT, Tier.FP8)
        tier = next((tier for tier in choices if memory.card >= needs[tier]), Tier.OFFLOAD)
    else:
        tier = Tier(wanted)
    free = memory.machine if tier is Tier.CPU else memory.card
    if free is None:
        raise SetupError(f"PORTRAITD_DIFFUSION_TIER={wanted} needs a CUDA card, and there is none")
    if free < needs[tier]:
        where = "the machine" if tier is Tier.CPU else "the card"
        raise SetupError(
            f"the diffusion model needs {needs[tier] / GIB:.1f} GiB free on {where} at tier {tier.value}; "
            f"{free / GIB:.1f} GiB are free"
        )
    return tier
