"""What an engine is: photos in, portraits out. An engine knows no HTTP, SQL, URL or key.

Three jobs, one per mode of the contract, and one for training. `generate` and `training` are iterators so that the
caller can look at a cancel flag and write progress between two pictures or steps; an engine never calls back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from portraitd.errors import PortraitdError
from portraitd.images import Image
from portraitd.styles.catalog import Style


@dataclass(frozen=True)
class Photo:
    """One upright picture of a person, and what to call it when something is wrong with it."""

    name: str
    image: Image


@dataclass(frozen=True)
class LeftOut:
    """A training photo that was not used, and why."""

    name: str
    #: The error a client would have been shown had it been the only photo.
    error: PortraitdError
    #: The reason in plain words, where the error's own miss it.
    plainly: str = ""

    @property
    def why(self) -> str:
        """What to tell whoever sent it."""
        return self.plainly or self.error.message


@dataclass(frozen=True)
class Trained:
    """What training makes of one person's photos."""

    #: The identity as bytes of the engine's own format (no pickle); given back in the jobs below.
    identity: bytes
    #: Names of the photos used, in the order given.
    used: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    #: What else the client should know, if anything.
    remark: str = ""


@dataclass(frozen=True)
class Progress:
    """A training goes on."""

    #: 0 to 1, how much of it is done.
    done: float


#: Called between two steps of a job, however small the engine's are; what it raises ends the job.
Beat: TypeAlias = Callable[[], None]


def go_on() -> None:
    """The beat of a job that nothing ends."""


@dataclass(frozen=True)
class PresetJob:
    """`count` portraits of a trained identity in a preset style."""

    style: Style
    identity: bytes
    count: int
    seed: int
    beat: Beat = field(default=go_on, repr=False, compare=False)


@dataclass(frozen=True)
class TemplateJob:
    """`count` pictures of a trained identity's face in the template picture."""

    template: Image
    identity: bytes
    count: int
    seed: int
    beat: Beat = field(default=go_on, repr=False, compare=False)


@dataclass(frozen=True)
class TrainFreeJob:
    """`count` pictures of the face in 1 to 5 photos in the template picture."""

    template: Image
    photos: tuple[Photo, ...]
    retouch: bool
    count: int
    seed: int
    beat: Beat = field(default=go_on, repr=False, compare=False)


Job: TypeAlias = PresetJob | TemplateJob | TrainFreeJob


@dataclass(frozen=True)
class Portrait:
    """One finished picture."""

    #: (H, W, 3) uint8 sRGB.
    image: Image
    #: The seed that makes this picture again, alone, as the first of a job with `count` 1.
    seed: int
    #: Likeness to the identity, 0 to 1, or None while the embedder's weights are missing.
    similarity: float | None


@dataclass(frozen=True)
class Failure:
    """A picture of the job that could not be made; the others are unharmed."""

    error: PortraitdError


#: Consecutive seeds that are different choices; a style's choices (4 or 12 of them) begin anew where a job does.
SEED_STEP = 12


def fresh_seed() -> int:
    """A seed for a job whose client named none.

    A multiple of SEED_STEP: the first result is then a style's first choice (an ID photo's white backdrop).
    """
    return secrets.randbits(27) * SEED_STEP


#: A training, told step by step.
Training: TypeAlias = Generator[Progress | Trained, None, None]
#: Is told how much of something is done, 0 to 1.
Tell: TypeAlias = Callable[[float], None]


def _nobody(_done: float) -> None:
    """Whoever does not want to be told."""


def trained_by(training: Training, tell: Tell = _nobody) -> Trained:
    """What a training comes to; `tell` hears of each step."""
    for step in training:
        if isinstance(step, Trained):
            return step
        tell(step.done)
    raise AssertionError("a training that ends without an identity")


class Engine(Protocol):
    """Makes portraits. Not thread-safe: one engine per worker thread or a lock around it."""

    name: str

    def warm(self) -> None:
        """Load what the first job needs, so that it does not pay for it. Raises SetupError when weights are missing."""

    def train(self, photos: Sequence[Photo]) -> Trained:
        """One person's identity, in seconds. Raises the first photo's error when no photo is usable."""

    def training(self, photos: Sequence[Photo]) -> Training:
        """The identity with all that the engine can learn of the person; the Trained comes last, and once.

        Raises what `train` raises, and NotAlike for photos from which the person was not learnt. Closing it stops it.
        Pictures may be made between two of its steps, but no other training be begun.
        """

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """Exactly `job.count` outcomes, each depending on the job's inputs and seed alone.

        Raises a PortraitdError before the first outcome when the job as a whole cannot be done (no face in the
        template, say).
        """


@runtime_checkable
class Together(Protocol):
    """What an engine has, besides, that makes several jobs in little more time than one."""

    def go_together(self, jobs: Sequence[Job]) -> bool:
        """Whether these can be made at once. Quick, and thread-safe."""

    def generate_together(self, jobs: Sequence[Job]) -> list[list[Portrait | Failure]]:
        """What `generate` yields for each of the jobs, which go together. Raises where one of them cannot be done."""
