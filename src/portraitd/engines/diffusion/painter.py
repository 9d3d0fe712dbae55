"""What a diffusion model must be able to do for the engine, and the table of the models that can."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from portraitd.engines.base import Beat, go_on
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.memory import free_memory
from portraitd.engines.diffusion.placement import Load, Tier, choose_tier, pictures_at_once
from portraitd.errors import SetupError
from portraitd.images import Image, Size


@dataclass(frozen=True)
class Model:
    """What is known of a model before anything of it is imported, as "module:function"."""

    #: Takes a ModelChoice and returns a Painter.
    load: str
    #: Takes a ModelChoice and returns its Load; raises SetupError where a file is missing or broken. It needs none of
    #: PACKAGES, nor does its module.
    check: str


#: Every model by name. docs/adding-an-engine.md tells how to add one.
MODELS: Mapping[str, Model] = {
    "klein-4b": Model(
        "portraitd.engines.diffusion.klein:load_klein", "portraitd.engines.diffusion.klein_files:check_load"
    )
}
DEFAULT_MODEL = "klein-4b"

#: Said where no training model is named.
LEARNS_NOBODY = (
    "learns nobody: without PORTRAITD_DIFFUSION_TRAINING_MODEL facechain-finetune makes no LoRA, and pictures go by "
    "the person's photos"
)
#: What the models are run with; they come with `portraitd[diffusion]`.
PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "psutil", "peft")


#: Different people whose pictures are painted at once.
MOST_PEOPLE = 4


@dataclass(frozen=True)
class ModelChoice:
    """Which model, from where, and how it is to lie in memory."""

    #: The folder of the model's files; None where none was named.
    folder: Path | None
    #: "auto", "resident", "fp8", "offload", "fp8-offload" or "cpu".
    tier: str = "auto"
    model: str = DEFAULT_MODEL
    #: The folder of the model that people are learnt on; None where they are not.
    training_folder: Path | None = None
    #: "auto", "on" or "off": whether to compile it.
    compile: str = "auto"


@dataclass(frozen=True)
class Person:
    """What a model is told of the person to paint."""

    #: Each (reference_px, reference_px, 3).
    references: tuple[Image, ...] = ()
    #: What was learnt of the person: `Learnt.lora`.
    lora: bytes | None = None


@dataclass(frozen=True)
class StyleLora:
    """What a model was taught of a style, by whoever made the file."""

    #: A safetensors file, read when it is first painted with.
    path: Path
    #: How much it counts; 1 is what it was trained for.
    weight: float = 1.0


@dataclass(frozen=True)
class Draft:
    """One picture to be painted."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Lesson:
    """One picture to learn a person from."""

    #: (lesson_px, lesson_px, 3).
    image: Image
    #: What the picture shows, the person called as in the prompts to come.
    prompt: str


@dataclass(frozen=True)
class Learnt:
    """After one step of learning a person."""

    step: int
    #: How many there are.
    steps: int
    #: How wrong the step was; smaller is better, and noisy.
    loss: float
    #: What was learnt so far, as a safetensors file; after some steps only, the last one among them.
    lora: bytes | None


#: Learning a person, told step by step.
Learning: TypeAlias = Generator[Learnt, None, None]


class Painter(Protocol):
    """One loaded model. A picture is its own draft's, whoever was painted or learnt before and is painted beside it.

    Painted beside others it may differ from itself painted alone by what rounding does, and by no more.
    """

    #: What it runs on, in words for a log.
    runs_on: str
    #: Size of the portraits that `paint` makes, and sides of the squares it takes, px.
    portrait: Size
    crop_px: int
    #: The side for faces so large that they would come back soft.
    large_crop_px: int
    reference_px: int
    #: Pictures that are painted at once when there are as many drafts.
    batch: int
    #: Side of the squares that people are learnt from, px; None where the model does not learn.
    lesson_px: int | None

    def paint(
        self, drafts: Sequence[Draft], person: Person, style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        """Whole pictures of the person, one a draft; `beat` is called between two steps, and what it raises ends it.

        Raises AlgorithmFailed for a person's LoRA that is not of this model, SetupError for such a style's.
        """

    def paint_people(
        self, drafts: Sequence[Draft], people: Sequence[Person], style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        """As `paint`, each draft of its own person: MOST_PEOPLE different ones at most, as many references each."""

    def repaint(self, crop: FaceCrop, drafts: Sequence[Draft], person: Person, beat: Beat = go_on) -> list[Image]:
        """The crop's (side, side, 3) image with the person where its mask is 1, one a draft; else as `paint`."""

    def learn(self, lessons: Sequence[Lesson]) -> Learning:
        """Learns a person, step by step; pictures may be painted in between.

        Raises SetupError where memory is short. Closing the iterator ends it, and leaves nothing behind.
        """


def load_painter(choice: ModelChoice) -> Painter:
    """The model, in memory. Raises SetupError."""
    check_packages()
    return cast("Callable[[ModelChoice], Painter]", _found(MODELS[choice.model].load))(choice)


def check_files(choice: ModelChoice) -> Load:
    """What is to lie in memory. Raises SetupError where a file of the model is missing or broken; quick."""
    return cast("Callable[[ModelChoice], Load]", _found(MODELS[choice.model].check))(choice)


def look_ahead(choice: ModelChoice) -> str:
    """What the model will run on, in words; nothing is loaded.

    Raises the SetupError that loading it would. Imports torch.
    """
    check_packages()
    load, memory = check_files(choice), free_memory()
    tier = choose_tier(choice.tier, load, memory)
    place = "the processor" if tier is Tier.CPU else "the card"
    learning = "learns people" if choice.training_folder else LEARNS_NOBODY
    return f"{choice.model} on {place}, tier {tier.value}, {pictures_at_once(tier, load, memory)} at once; {learning}"


def _found(name: str) -> object:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def check_packages() -> None:
    """Raises SetupError where the extra is not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"PORTRAITD_ENGINE=diffusion needs {', '.join(missing)}: install torch as pytorch.org tells for your card, "
            "then run `pip install 'portraitd[diffusion]'`"
        )
