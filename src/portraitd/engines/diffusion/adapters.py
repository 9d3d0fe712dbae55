"""Whose LoRA a transformer wears, and which style's: nobody's and none, but while pictures are painted.

The transformer gets one set of low-rank layers for people and one for styles, in each of which their numbers take
turns: a change copies some megabytes and leaves the model's shape alone. Outside `worn` these layers are switched off,
and then the transformer computes, bit for bit, what it did before it had them.

Where pictures of several people are painted at once their LoRAs lie side by side in a third set (crowd.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from portraitd.engines.diffusion.crowd import Crowd
from portraitd.engines.diffusion.lora import Convert, LoraTensors, read_style_lora, unpack
from portraitd.engines.diffusion.painter import StyleLora
from portraitd.engines.diffusion.slot import Slot
from portraitd.errors import AlgorithmFailed, SetupError

#: People, and styles, whose tensors are kept unpacked: some 17 MB for a person in FLUX.2 [klein] 4B, a style has more.
KEPT = 8


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
        self.crowd = Crowd(transformer, "crowd", self.people.tensors)

    @contextmanager
    def worn(self, person: bytes | None, style: StyleLora | None = None) -> Iterator[None]:
        """Within it the transformer paints this person in this style; with None and None it is the bare model.

        Raises AlgorithmFailed for a person's LoRA that is broken or does not fit, SetupError for such a style's.
        """
        if person is None and style is None:
            yield
            return
        with self._off_at_last():
            names = []
            if person is not None:
                self.people.fill(person)
                names.append(self.people.name)
            self._enable(names, style)
            yield

    @contextmanager
    def worn_by(self, people: Sequence[bytes | None], style: StyleLora | None = None) -> Iterator[None]:
        """Within it picture k of each batch shows people[k], MOST_PEOPLE different ones at most; raises as `worn`."""
        if len(set(people)) == 1:
            with self.worn(people[0], style):
                yield
            return
        with self._off_at_last():
            self.crowd.gather(people)
            self._enable([self.crowd.name], style)
            yield

    def make_layers(self, people: Sequence[bytes]) -> None:
        """The layers for one person and for several, of the rank of these LoRAs, switched off."""
        self.people.fill(people[0])
        self.crowd.gather(people)
        self._transformer.disable_adapters()

    def forget(self) -> None:
        """Keep no LoRA's numbers any longer, neither unpacked nor in layers, which go too."""
        for slot in self._slots:
            slot.forget()

    @property
    def _slots(self) -> tuple[Slot[Any], ...]:
        return self.people, self.styles, self.crowd

    def _enable(self, names: list[str], style: StyleLora | None) -> None:
        """Switch these layers on, and the style's."""
        if style is not None:
            self.styles.fill(style.path, style.weight)
            names = [*names, self.styles.name]
        self._transformer.set_adapter(names)
        self._transformer.enable_adapters()

    @contextmanager
    def _off_at_last(self) -> Iterator[None]:
        try:
            yield
        finally:
            if any(slot.has_layers for slot in self._slots):
                self._transformer.disable_adapters()


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
