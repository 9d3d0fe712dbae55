"""Whose LoRA a transformer wears, and which style's: nobody's and none, but while pictures are painted.

The transformer gets one set of low-rank layers for people and one for styles, in each of which their numbers take
turns: a change copies some megabytes and leaves the model's shape alone. Outside `worn` these layers are switched off,
and then the transformer computes, bit for bit, what it did before it had them.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from peft.tuners.lora.layer import LoraLayer

from portraitd.engines.diffusion.lora import Convert, LoraTensors, read_style_lora, unpack
from portraitd.engines.diffusion.painter import StyleLora
from portraitd.errors import AlgorithmFailed, SetupError

#: People, and styles, whose tensors are kept unpacked: some 17 MB for a person in FLUX.2 [klein] 4B, a style has more.
KEPT = 8

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
        self._layers: list[LoraLayer] = []
        self._holds: Key | None = None

    @property
    def has_layers(self) -> bool:
        return bool(self._parameters)

    def fill(self, key: Key, weight: float = 1.0) -> None:
        """Bring the LoRA's numbers into the layers, to count `weight` times."""
        if self._holds != key:
            tensors = self._tensors(key)
            # Until every one of them is copied the layers hold no one.
            self._holds = None
            if _shapes(tensors) != _shapes(self._parameters):
                self._drop_layers()
                self._make_layers(tensors)
            else:
                for name, parameter in self._parameters.items():
                    parameter.data.copy_(tensors[name])
            self._holds = key
        for layer in self._layers:
            layer.scaling[self.name] = weight

    def forget(self) -> None:
        """Keep nobody's numbers any longer, neither unpacked nor in the layers, which go too."""
        self.unpacked.clear()
        self._drop_layers()

    def _tensors(self, key: Key) -> LoraTensors:
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
        self._layers = [module for module in modules if isinstance(module, LoraLayer) and self.name in module.scaling]

    def _drop_layers(self) -> None:
        self._holds = None
        if self._parameters:
            with quiet_peft():
                self._transformer.delete_adapters(self.name)
            self._parameters, self._layers = {}, []


class Adapters:
    """The LoRAs of one transformer. Not thread-safe, as the engine."""

    def __init__(self, transformer: Any, model: str, convert: Convert, kept: int = KEPT) -> None:
        """`model`: the name that a person's LoRA's card must give. `convert`: reads the styles' kinds of LoRA."""
        self._transformer = transformer

        def person(lora: bytes) -> LoraTensors:
            tensors = unpack(lora, model)
            if misfit(transformer, tensors):
                raise AlgorithmFailed
            return tensors

        def style(file: Path) -> LoraTensors:
            tensors = read_style_lora(file, convert)
            if name := misfit(transformer, tensors):
                raise SetupError(f"{file}: is no LoRA of {model}: {name} does not fit it")
            return tensors

        #: By the LoRA's own bytes, so that nobody can be taken for somebody else.
        self.people: Slot[bytes] = Slot(transformer, "person", person, kept)
        self.styles: Slot[Path] = Slot(transformer, "style", style, kept)

    @contextmanager
    def worn(self, person: bytes | None, style: StyleLora | None = None) -> Iterator[None]:
        """Within it the transformer paints this person in this style; with None and None it is the bare model.

        Raises AlgorithmFailed for a person's LoRA that is broken or does not fit, SetupError for such a style's.
        """
        if person is None and style is None:
            yield
            return
        try:
            names = []
            if person is not None:
                self.people.fill(person)
                names.append(self.people.name)
            if style is not None:
                self.styles.fill(style.path, style.weight)
                names.append(self.styles.name)
            self._transformer.set_adapter(names)
            self._transformer.enable_adapters()
            yield
        finally:
            if self.people.has_layers or self.styles.has_layers:
                self._transformer.disable_adapters()

    def forget(self) -> None:
        """Keep no LoRA's numbers any longer, neither unpacked nor in layers, which go too."""
        self.people.forget()
        self.styles.forget()


def misfit(transformer: Any, tensors: LoraTensors) -> str | None:
    """The name of a tensor that is no half of a pair for a matrix of the transformer, of its shape; None: all are."""
    for name, tensor in tensors.items():
        place, _, which = name.removesuffix(".weight").rpartition(".")
        try:
            layer = transformer.get_submodule(place)
            axis, features = {"lora_A": (1, layer.in_features), "lora_B": (0, layer.out_features)}[which]
            partner = tensors[f"{place}.{'lora_B' if which == 'lora_A' else 'lora_A'}.weight"]
        except (AttributeError, LookupError):
            return name
        if tensor.ndim != 2 or partner.ndim != 2 or tensor.shape[axis] != features:
            return name
        if tensor.shape[1 - axis] != partner.shape[axis]:
            return name
    return None


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without peft's warnings that a model has several adapters: a person's, a style's, and the one being trained."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted", UserWarning)
        yield


def _shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
