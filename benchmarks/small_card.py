"""A card that pretends to be smaller, so that what fits a card of 24 GB can be shown on a larger one."""

from __future__ import annotations

import torch

GIB = 2**30


def pretend_card(gib: float) -> None:
    """Let this process have as much of the card as one of `gib` would leave it: torch refuses more, and the tier fits.

    What the driver and others have taken of the card is taken of the smaller one too.
    """
    free, total = torch.cuda.mem_get_info()
    left = gib * GIB - (total - free)
    if not 0 < left <= free:
        raise SystemExit(f"--card-gib {gib:g}: the card has {total / GIB:.1f} GiB, {free / GIB:.1f} GiB of them free")
    torch.cuda.set_per_process_memory_fraction(left / total)
