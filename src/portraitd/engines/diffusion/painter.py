"""What a diffusion model must be able to do for the engine, and the table of the models that can."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.errors import SetupError
from portraitd.images import Image, Size

#: Every model by name, as "module:function". The function takes a ModelChoice and returns a Painter.
#: docs/adding-an-engine.md tells how to add one.
MODELS: Mapping[str, str] = {"klein-4b": "portraitd.engines.diffusion.klein:load_klein"}
DEFAULT_MODEL = "klein-4b"

#: What the models are run with; they come with `portraitd[diffusion]`.
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "psutil")


@dataclass(frozen=True)
class ModelChoice:
    """Which model, from where, and how it is to lie in memory."""

    #: The folder of the model's files; None where none was named.
    folder: Path | None
    #: "auto", "resident", "offload" or "cpu".
    tier: str = "auto"
    model: str = DEFAULT_MODEL


class Painter(Protocol):
    """One loaded model. The same arguments make the same picture; it keeps no memory of whom it painted."""

    #: What it runs on, in words for a log.
    runs_on: str
    #: Size of the portraits that `paint` makes, and sides of the squares it takes, px.
    portrait: Size
    crop_px: int
    reference_px: int

    def paint(self, prompt: str, references: Sequence[Image], seed: int) -> Image:
        """A whole picture of the person in the references; each (reference_px, reference_px, 3)."""

    def repaint(self, crop: FaceCrop, prompt: str, references: Sequence[Image], seed: int) -> Image:
        """(crop_px, crop_px, 3): the crop with the references' person where its mask is 1."""


def load_painter(choice: ModelChoice) -> Painter:
    """The model, in memory. Raises SetupError."""
    check_packages()
    module, _, function = MODELS[choice.model].partition(":")
    load = cast("Callable[[ModelChoice], Painter]", getattr(importlib.import_module(module), function))
    return load(choice)


def check_packages() -> None:
    """Raises SetupError where the extra is not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"PORTRAITD_ENGINE=diffusion needs {', '.join(missing)}: install torch as pytorch.org tells for your card, "
            "then run `pip install 'portraitd[diffusion]'`"
        )
