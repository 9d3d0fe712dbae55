"""A set of low-rank layers in a transformer, in which LoRAs take turns."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import torch
from peft.tuners.lora.layer import LoraLayer

from portraitd.engines.diffusion.lora import LoraTensors

Key = TypeVar("Key")


class Slot(Generic[Key]):
    """One set of low-rank layers, whose numbers are one LoRA's at a time."""

    def __init__(self, transformer: Any, name: str, read: Callable[[Key], LoraTensors], kept: int) -> None:
        """`name`: the layers' in the transformer. `read`: gives the tensors of a LoRA, which fit the transformer."""
        self._transformer = transformer
        self.name = name
        self._read = read
        self._kept = kept
        #: Tensors by what they were read from, least recently used first.
        self.unpacked: OrderedDict[Key, LoraTensors] = OrderedDict()
        #: The layers' parameters by the LoRA's names, the layers themselves, and whose numbers they hold.
        self._parameters: dict[str, torch.nn.Parameter] = {}
        self.layers: list[LoraLayer] = []
        self._holds: Key | None = None

    @property
    def has_layers(self) -> bool:
        return bool(self._parameters)

    def fill(self, key: Key, weight: float = 1.0) -> None:
        """Bring the LoRA's numbers into the layers, to count `weight` times."""
        if self._holds != key:
            tensors = self.tensors(key)
            # Until every one of them is copied the layers hold no one.
            self._holds = None
            if _shapes(tensors) != _shapes(self._parameters):
                self._drop_layers()
                self._make_layers(tensors)
            else:
                for name, parameter in self._parameters.items():
                    parameter.data.copy_(tensors[name])
            self._holds = key
        for layer in self.layers:
            layer.scaling[self.name] = weight

    def forget(self) -> None:
        """Keep nobody's numbers any longer, neither unpacked nor in the layers, which go too."""
        self.unpacked.clear()
        self._drop_layers()

    def tensors(self, key: Key) -> LoraTensors:
        """What was read of the LoRA, now or lately; not to be changed."""
        if key not in self.unpacked:
            self.unpacked[key] = self._read(key)
            while len(self.unpacked) > self._kept:
                self.unpacked.popitem(last=False)
        self.unpacked.move_to_end(key)
        return self.unpacked[key]

    def _make_layers(self, tensors: LoraTensors) -> None:
        """Low-rank layers of the tensors' shapes, holding copies of them."""
        with quiet_peft():
            copies = {name: value.clone() for name, value in tensors.items()}
            self._transformer.load_lora_adapter(copies, prefix=None, adapter_name=self.name)
        self._transformer.disable_adapters()
        mark = f".{self.name}."
        self._parameters = {
            name.replace(mark, "."): parameter
            for name, parameter in self._transformer.named_parameters()
            if mark in name and ".lora_" in name
        }
        for name, parameter in self._parameters.items():
            # peft makes them as narrow as the matrices beside them, which may be stored in 8 bits.
            if parameter.dtype != self._transformer.dtype:
                parameter.data = tensors[name].to(parameter.device, self._transformer.dtype)
        modules = self._transformer.modules()
        self.layers = [module for module in modules if isinstance(module, LoraLayer) and self.name in module.scaling]

    def _drop_layers(self) -> None:
        self._holds = None
        if self._parameters:
            with quiet_peft():
                self._transformer.delete_adapters(self.name)
            self._parameters, self.layers = {}, []


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without peft's warnings that a model has several adapters: a person's, a style's, and the one being trained."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted", UserWarning)
        yield


def _shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
