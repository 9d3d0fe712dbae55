"""Where a model lies while it works: chosen by what the card has free, or by a setting."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from portraitd.errors import SetupError

GIB = 2**30
#: Free memory asked for besides the weights, for what a picture needs while it is made. An estimate, not a measurement.
ROOM_BYTES = 3 * GIB
#: Most pictures painted at once: two tasks of four, or all candidates of one.
MOST_AT_ONCE = 8
#: What is left of a part's bytes in 8 bits: norms, embeddings and the VAE stay in 16.
NARROW_SHARE = 0.55


class Tier(enum.Enum):
    """How a model lies in memory."""

    #: All of it on the card.
    RESIDENT = "resident"
    #: All of it on the card, the large parts' matrices in 8 bits.
    FP8 = "fp8"
    #: On the card is the part that works; the others wait in the machine's memory.
    OFFLOAD = "offload"
    #: As `OFFLOAD`, the large parts' matrices in 8 bits, those of what learns too.
    FP8_OFFLOAD = "fp8-offload"
    #: No card at all.
    CPU = "cpu"

    @property
    def is_narrow(self) -> bool:
        """Are the painting model's matrices in 8 bits?"""
        return self in {Tier.FP8, Tier.FP8_OFFLOAD}

    @property
    def waits(self) -> bool:
        """Do parts wait in the machine's memory, on the card by turns?"""
        return self in {Tier.OFFLOAD, Tier.FP8_OFFLOAD}


@dataclass(frozen=True)
class Memory:
    """What is free, bytes."""

    #: None without a card.
    card: int | None
    machine: int


@dataclass(frozen=True)
class Load:
    """What is to lie in memory, bytes of 16-bit numbers."""

    #: By part of the painting model.
    weights: Mapping[str, int]
    #: Of the transformer that learns; 0 where nobody is learnt.
    student: int = 0
    #: That one is the painting model's own, as long as it is in 16 bits.
    on_itself: bool = False

    def lying(self, tier: Tier) -> int:
        """Bytes in the tier's memory at once."""
        whole, largest = self._whole(tier), max(self.weights.values())
        if tier.waits:  # what learns takes its turn like the other parts
            return round(NARROW_SHARE * largest) if tier.is_narrow else largest
        # In 32 bits on the processor: not all of them are fast, or right, in 16.
        return 2 * whole if tier is Tier.CPU else whole

    def passing(self, tier: Tier) -> int:
        """Bytes in the machine's memory at once on the way to the card, and of what waits there."""
        parts = [*self.weights.values(), self.student]
        if tier is Tier.CPU:
            return 0  # there it lies for good
        if not tier.waits:  # each part goes on to the card before the next one comes
            return max(parts)
        if not tier.is_narrow:
            return self._whole(tier)
        # Each part comes in 16 bits, beside those that came before it.
        before = accumulate((round(NARROW_SHARE * part) for part in parts), initial=0)
        return max(part + narrow for part, narrow in zip([*parts, 0], before, strict=True))

    def _whole(self, tier: Tier) -> int:
        painting = sum(self.weights.values())
        if tier.is_narrow:
            painting = round(NARROW_SHARE * painting)
        student = 0 if self.on_itself and not tier.is_narrow else self.student
        return painting + (round(NARROW_SHARE * student) if tier is Tier.FP8_OFFLOAD else student)


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


def pictures_at_once(tier: Tier, load: Load, memory: Memory, room: int = ROOM_BYTES) -> int:
    """How many pictures fit on the card beside the load, each taking `room` bytes; 1 on the processor."""
    if tier is Tier.CPU or memory.card is None:
        return 1
    return max(1, min(MOST_AT_ONCE, (memory.card - load.lying(tier)) // max(room, 1)))


def choose_tier(wanted: str, load: Load, memory: Memory, room: int = ROOM_BYTES) -> Tier:
    """The tier to use, `room` bytes left beside the load. Raises SetupError where memory is short."""
    needs = {tier: load.lying(tier) + room for tier in Tier}
    if wanted == "auto":
        if memory.card is None:
            raise SetupError(
                "PORTRAITD_ENGINE=diffusion finds no CUDA card; where there is one, its driver is missing or torch is "
                "a build without CUDA. PORTRAITD_DIFFUSION_TIER=cpu runs it on the processor, which is slow; "
                "PORTRAITD_ENGINE=classic needs no card"
            )
        choices = (Tier.RESIDENT, Tier.FP8, Tier.OFFLOAD)
        tier = next((tier for tier in choices if memory.card >= needs[tier]), Tier.FP8_OFFLOAD)
    else:
        tier = Tier(wanted)
    free = memory.machine if tier is Tier.CPU else memory.card
    if free is None:
        raise SetupError(f"PORTRAITD_DIFFUSION_TIER={wanted} needs a CUDA card, and there is none")
    where = "the machine" if tier is Tier.CPU else "the card"
    asked = ((free, needs[tier], where), (memory.machine, load.passing(tier), "the machine"))
    for there, needed, place in asked:
        if there < needed:
            raise SetupError(
                f"the diffusion model needs {needed / GIB:.1f} GiB free on {place} at tier {tier.value}; "
                f"{there / GIB:.1f} GiB are free"
            )
    return tier
