"""Whose LoRA a transformer wears: nobody's, but while one picture is painted.

The transformer gets one set of low-rank layers, in which every person's numbers take turns: changing the person copies
some megabytes and leaves the model's shape alone. Outside `worn` these layers are switched off, and then the
transformer computes, bit for bit, what it did before it had them.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from portraitd.engines.diffusion.lora import LoraTensors, unpack
from portraitd.errors import AlgorithmFailed

#: People whose tensors are kept unpacked: about 17 MB each in FLUX.2 [klein] 4B.
KEPT = 8
#: The low-rank layers' name in the transformer.
_PERSON = "person"


class Adapters:
    """The LoRAs of one transformer. Not thread-safe, as the engine."""

    def __init__(self, transformer: Any, model: str, kept: int = KEPT) -> None:
        """`model`: the name that a LoRA's card must give."""
        self._transformer = transformer
        self._model = model
        self._kept = kept
        #: By the LoRA's own bytes, so that nobody can be taken for somebody else; least recently used first.
        self._unpacked: OrderedDict[bytes, LoraTensors] = OrderedDict()
        #: The layers' parameters by the LoRA's names, and whose numbers they hold.
        self._slot: dict[str, torch.nn.Parameter] = {}
        self._holds: bytes | None = None

    @contextmanager
    def worn(self, lora: bytes | None) -> Iterator[None]:
        """Within it the transformer paints the LoRA's person; with None it is the bare model.

        Raises AlgorithmFailed for a LoRA that is broken or does not fit.
        """
        if lora is None:
            yield
            return
        try:
            self._put_on(lora)
            self._transformer.set_adapter(_PERSON)
            self._transformer.enable_adapters()
            yield
        finally:
            if self._slot:
                self._transformer.disable_adapters()

    def forget(self) -> None:
        """Keep nobody's numbers any longer, neither unpacked nor in the layers, which go too."""
        self._unpacked.clear()
        self._drop_layers()

    def _put_on(self, lora: bytes) -> None:
        """Bring the LoRA's numbers into the layers."""
        if self._holds == lora:
            return
        tensors = self._tensors(lora)
        # Until every one of them is copied the layers hold no one.
        self._holds = None
        if _shapes(tensors) != _shapes(self._slot):
            self._drop_layers()
            self._make_layers(tensors)
        else:
            for name, parameter in self._slot.items():
                parameter.data.copy_(tensors[name])
        self._holds = lora

    def _tensors(self, lora: bytes) -> LoraTensors:
        if lora not in self._unpacked:
            self._unpacked[lora] = unpack(lora, self._model)
            while len(self._unpacked) > self._kept:
                self._unpacked.popitem(last=False)
        self._unpacked.move_to_end(lora)
        return self._unpacked[lora]

    def _make_layers(self, tensors: LoraTensors) -> None:
        """Low-rank layers of the tensors' shapes, holding copies of them."""
        check_fit(self._transformer, tensors)
        # peft takes the tensors' values over, in the model's own precision.
        with quiet_peft():
            copies = {name: value.clone() for name, value in tensors.items()}
            self._transformer.load_lora_adapter(copies, prefix=None, adapter_name=_PERSON)
        self._transformer.disable_adapters()
        mark = f".{_PERSON}."
        self._slot = {
            name.replace(mark, "."): parameter
            for name, parameter in self._transformer.named_parameters()
            if mark in name and ".lora_" in name
        }

    def _drop_layers(self) -> None:
        self._holds = None
        if self._slot:
            with quiet_peft():
                self._transformer.delete_adapters(_PERSON)
            self._slot = {}


def check_fit(transformer: Any, tensors: LoraTensors) -> None:
    """Raises AlgorithmFailed unless each pair of tensors belongs to a matrix that is there, of its shape."""
    for name, tensor in tensors.items():
        place, _, which = name.removesuffix(".weight").rpartition(".")
        try:
            layer = transformer.get_submodule(place)
            expected = {"lora_A": (1, layer.in_features), "lora_B": (0, layer.out_features)}[which]
            partner = tensors[f"{place}.{'lora_B' if which == 'lora_A' else 'lora_A'}.weight"]
        except (AttributeError, LookupError) as error:
            raise AlgorithmFailed from error
        axis, features = expected
        if tensor.ndim != 2 or partner.ndim != 2 or tensor.shape[axis] != features:
            raise AlgorithmFailed
        if tensor.shape[1 - axis] != partner.shape[axis]:
            raise AlgorithmFailed


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without peft's warnings that a model has several adapters: a person's, and the one being trained."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config` attribute", UserWarning)
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted", UserWarning)
        yield


def _shapes(tensors: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
