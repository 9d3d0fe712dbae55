"""Several people's LoRAs worn at once, each by its own pictures of a batch.

Their low-rank layers lie side by side as one of a larger rank: A's rows and B's columns, person after person. What A
gives is multiplied by 1 where the picture is that person's and by 0 elsewhere, so that B has nothing to add of anybody
else. The rank is the same for any number of people up to MOST_PEOPLE: what is compiled for some serves all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch

from portraitd.engines.diffusion.lora import LoraTensors
from portraitd.engines.diffusion.painter import MOST_PEOPLE
from portraitd.engines.diffusion.slot import Slot


class Crowd(Slot[tuple[bytes, ...]]):
    """Layers for several people: LoRAs by those who are in them, in their order."""

    def __init__(self, transformer: Any, name: str, tensors: Callable[[bytes], LoraTensors]) -> None:
        """`tensors`: gives those of one person's LoRA."""
        super().__init__(transformer, name, lambda loras: side_by_side([tensors(lora) for lora in loras]), kept=1)

    def gather(self, people: Sequence[bytes | None]) -> None:
        """Have picture k of the batches to come be people[k]'s, and nobody's with None."""
        known = tuple(dict.fromkeys(lora for lora in people if lora is not None))
        self.fill(known)
        owners = [None if lora is None else known.index(lora) for lora in people]
        for layer in self.layers:
            narrow = cast(OwnedLinear, layer.lora_A[self.name])
            narrow.owned = _owned(owners, narrow.out_features).to(narrow.weight.device, narrow.weight.dtype)

    def _make_layers(self, tensors: LoraTensors) -> None:
        super()._make_layers(tensors)
        for layer in self.layers:
            layer.lora_A[self.name] = OwnedLinear(layer.lora_A[self.name])


class OwnedLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is read as untyped
    """The lower half of a pair, whose outputs are other people's in each picture.

    A module and no hook: what is compiled asks a module for its numbers each time, and may keep a hook's for good.
    """

    #: (pictures, 1, outputs): 1 where an output is of the picture's person.
    owned: torch.Tensor

    def __init__(self, linear: torch.nn.Linear) -> None:
        """As `linear`, with its very numbers."""
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight = linear.weight
        # Until somebody is told to be in a picture, nobody is in any.
        self.register_buffer("owned", torch.zeros_like(linear.weight[:, :1]).T[None], persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(pictures, tokens, outputs)."""
        # Never fewer owners than pictures: broadcast, somebody would be in somebody else's.
        torch._check(inputs.shape[0] == self.owned.shape[0])
        return super().forward(inputs) * self.owned


def side_by_side(people: Sequence[LoraTensors]) -> LoraTensors:
    """One LoRA of MOST_PEOPLE times the largest rank, the people's in their order, zeros where there is none."""
    rank = max(tensor.shape[_rank_axis(name)] for tensors in people for name, tensor in tensors.items())
    joined: dict[str, torch.Tensor] = {}
    for number, tensors in enumerate(people):
        for name, tensor in tensors.items():
            axis = _rank_axis(name)
            if name not in joined:
                shape = list(tensor.shape)
                shape[axis] = MOST_PEOPLE * rank
                joined[name] = torch.zeros(shape, dtype=tensor.dtype)
            joined[name].narrow(axis, number * rank, tensor.shape[axis]).copy_(tensor)
    return joined


def _owned(owners: Sequence[int | None], outputs: int) -> torch.Tensor:
    """(pictures, 1, outputs)."""
    owned = torch.zeros(len(owners), 1, MOST_PEOPLE, outputs // MOST_PEOPLE)
    for picture, owner in enumerate(owners):
        if owner is not None:
            owned[picture, :, owner] = 1
    return owned.flatten(2)


def _rank_axis(name: str) -> int:
    return 0 if name.endswith(".lora_A.weight") else 1
