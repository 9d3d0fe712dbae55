"""LoRAs as safetensors files: a person's, with a small card beside the tensors, and a style's, as tools make them.

LoRA is a low-rank change of a model's matrices: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save

from portraitd.errors import AlgorithmFailed, SetupError

#: Tensors by their name within the transformer, "….lora_A.weight" and "….lora_B.weight".
LoraTensors: TypeAlias = Mapping[str, torch.Tensor]
#: A file's tensors in, those that diffusers' loaders make of them out: the pipelines' `lora_state_dict`.
Convert: TypeAlias = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]

FORMAT = 1
#: Before every tensor's name, and the card's key in the file's metadata.
_PREFIX = "transformer."
_CARD = "portraitd"
#: Where diffusers keeps a LoRA's settings in the file's metadata, and those that change what the tensors mean.
_SETTINGS = "lora_adapter_metadata"
_TWISTS = ("rank_pattern", "alpha_pattern", "use_rslora", "use_dora")


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
    packed: bytes = save(named, {_CARD: json.dumps(asdict(card))})
    return packed


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


def read_style_lora(file: Path, convert: Convert) -> LoraTensors:
    """The tensors of a LoRA that another tool made, on the processor; they are to count once.

    Raises SetupError that names the file, and the tensor that is wrong.
    """
    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = convert({name: opened.get_tensor(name) for name in opened.keys()})  # noqa: SIM118 - no mapping
        scale = _scale(json.loads(metadata.get(_SETTINGS, "{}")))
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise SetupError(f"{file}: cannot be read as a LoRA: {first_line}") from error
    if not tensors:
        raise SetupError(f"{file}: has no tensors")
    for name, value in tensors.items():
        if not name.startswith(_PREFIX):
            raise SetupError(f"{file}: {name} is not of the transformer")
        if not value.is_floating_point() or not _is_finite(value):
            raise SetupError(f"{file}: {name} has numbers that are none")
    named = {name.removeprefix(_PREFIX): value for name, value in tensors.items()}
    return {name: value * scale if name.endswith(".lora_B.weight") else value for name, value in named.items()}


def _scale(settings: Mapping[str, Any]) -> float:
    """How often the tensors count: alpha / rank, Hu et al. 2021, section 4.1; once where the file does not say."""
    twists = [name for name in _TWISTS if settings.get(_PREFIX + name)]
    if twists:
        raise ValueError(f"{twists[0]} is not supported")
    rank, alpha = settings.get(_PREFIX + "r"), settings.get(_PREFIX + "lora_alpha")
    return 1.0 if rank is None or alpha is None else float(alpha) / float(rank)


def read_card(data: bytes) -> dict[str, Any]:
    """The card of a LoRA; a ValueError, LookupError or TypeError for what is none."""
    # A safetensors file begins with its header's length in 8 bytes, then the header as JSON.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    card: dict[str, Any] = json.loads(header["__metadata__"][_CARD])
    return card


def _is_finite(value: torch.Tensor) -> bool:
    # A sum with one number that is none is none either, and takes an eighth of the time of asking each.
    return bool(value.sum(dtype=torch.float32).isfinite())
