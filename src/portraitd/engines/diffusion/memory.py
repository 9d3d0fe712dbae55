"""How much memory is free for a model: on the card, and in the machine."""

from __future__ import annotations

from portraitd.engines.diffusion.placement import Memory


def free_memory() -> Memory:
    """What is free now. Imports torch, which takes seconds, and makes this process one that uses the card."""
    import psutil
    import torch

    card = None
    if torch.cuda.is_available():
        # What torch holds without using it is free for us.
        card = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    return Memory(card, psutil.virtual_memory().available)
