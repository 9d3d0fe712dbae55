"""A person's LoRA as one safetensors file: tensors under the names that diffusers' own loaders know, and a small card.

LoRA is a low-rank change of a model's matrices: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from portraitd.errors import AlgorithmFailed

#: Tensors by their name within the transformer, "….lora_A.weight" and "….lora_B.weight".
LoraTensors: TypeAlias = Mapping[str, torch.Tensor]

FORMAT = 1
#: Before every tensor's name, and the card's key in the file's metadata.
_PREFIX = "transformer."
_CARD = "portraitd"


@dataclass(frozen=True)
class LoraCard:
    """What a LoRA is of, and how it came about."""

    #: The name in `painter.MODELS` that it fits.
    model: str
    #: What the prompts call the person.
    name: str
    rank: int
    #: After how many of how many steps, from how many pictures.
    step: int
    steps: int
    pictures: int
    format: int = FORMAT


def pack(tensors: LoraTensors, card: LoraCard, dtype: torch.dtype) -> bytes:
    """The LoRA as a safetensors file, its numbers in `dtype`; the same tensors are the same bytes."""
    named = {_PREFIX + name: value.detach().to("cpu", dtype).contiguous() for name, value in sorted(tensors.items())}
    return save(named, {_CARD: json.dumps(asdict(card))})


def unpack(data: bytes, model: str) -> LoraTensors:
    """The tensors of a LoRA of this model, on the processor. Raises AlgorithmFailed for anything else."""
    try:
        card, named = read_card(data), load(data)
        fits = card["format"] == FORMAT and card["model"] == model
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise AlgorithmFailed from error
    if not fits or not all(name.startswith(_PREFIX) and _is_finite(value) for name, value in named.items()):
        raise AlgorithmFailed
    return {name.removeprefix(_PREFIX): value for name, value in named.items()}


def read_card(data: bytes) -> dict[str, Any]:
    """The card of a LoRA; a ValueError, LookupError or TypeError for what is none."""
    # A safetensors file begins with its header's length in 8 bytes, then the header as JSON.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    card: dict[str, Any] = json.loads(header["__metadata__"][_CARD])
    return card


def _is_finite(value: torch.Tensor) -> bool:
    # A sum with one number that is none is none either, and takes an eighth of the time of asking each.
    return bool(value.sum(dtype=torch.float32).isfinite())
