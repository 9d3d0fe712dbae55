"""LoRAs of nobody: random numbers that fit a model."""

from __future__ import annotations

import re
from typing import Any

import torch

from portraitd.engines.diffusion.lora import LoraCard, pack
from portraitd.engines.diffusion.prompt import NAME
from portraitd.engines.diffusion.tune import MATRICES

#: Large enough to change every picture.
_SIZE = 0.3


def random_tensors(transformer: Any, seed: int, rank: int = 4) -> dict[str, torch.Tensor]:
    """Tensors for each matrix that training would give some."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, module in transformer.named_modules():
        if re.fullmatch(MATRICES, name):
            for which, shape in (("A", (rank, module.in_features)), ("B", (module.out_features, rank))):
                tensors[f"{name}.lora_{which}.weight"] = torch.randn(shape, generator=generator) * _SIZE
    return tensors


def random_lora(
    transformer: Any, seed: int, rank: int = 4, model: str = "klein-4b", dtype: torch.dtype = torch.float32
) -> bytes:
    """The same as a file."""
    card = LoraCard(model, NAME, rank, step=1, steps=1, pictures=1)
    return pack(random_tensors(transformer, seed, rank), card, dtype)
