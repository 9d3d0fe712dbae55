"""A job's paintings while they are made: each is the best of a few candidates, and of no more than it needs.

A painting's candidates come from its own number, and whether there is a second one hangs on its own first one alone:
what a result is does not depend on the results beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from portraitd.engines.base import Failure, Portrait
from portraitd.engines.classic.person.identity import Identity
from portraitd.engines.diffusion.painter import Draft, Person
from portraitd.errors import AlgorithmFailed, PortraitdError, SetupError
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image

#: What the face's sharpness, 0 to 1, counts beside its likeness when candidates are ranked: it decides between two that
#: are about as alike, and no more.
SHARPNESS_COUNTS = 0.05


@dataclass(frozen=True)
class CandidatePlan:
    """How many candidates a painting has."""

    most: int = 2
    #: Likeness with which a candidate is taken and no further one painted. The recogniser draws its line at 0.5, and
    #: two photos of one person come to about 0.9. Not tried on the real weights.
    enough: float = 0.8


@dataclass(frozen=True)
class Way:
    """How the paintings of one job are made."""

    #: A painting's number in, what the model is asked for out.
    prompt: Callable[[int], str]
    person: Person
    #: Drafts in, a picture of each out.
    draw: Callable[[Sequence[Draft]], Sequence[Image]]
    #: Where the face is in every picture drawn; None: it has to be found, and one without a face is none.
    mesh: FaceMesh | None = None
    #: A candidate in; out comes what makes of it the result of a seed.
    finish: Callable[[Image], Callable[[int], Image]] | None = None
    #: Results made of one painting: those of so many consecutive seeds.
    each: int = 1


@dataclass(frozen=True)
class Candidate:
    """One picture that may become a result."""

    image: Image
    #: 0 to 1; None where nobody can say.
    likeness: float | None
    #: Likeness, and a little of the face's sharpness.
    rank: float


def candidate_seed(number: int, candidate: int) -> int:
    """The seed of a painting's candidate, 63 bits: neighbouring paintings share none."""
    return int(np.random.SeedSequence([number, candidate]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Painting:
    """One painting, and the results of some seeds that are made of it."""

    def __init__(self, identity: Identity, way: Way, number: int, seeds: Sequence[int]) -> None:
        self.identity = identity
        self.way = way
        #: The results, once it is settled.
        self.outcomes: list[Portrait | Failure] = []
        self._number = number
        self._seeds = seeds
        self._candidates: list[Candidate] = []
        self._error: PortraitdError = AlgorithmFailed()

    @property
    def is_settled(self) -> bool:
        return bool(self.outcomes)

    def draft(self, candidate: int) -> Draft:
        return Draft(self.way.prompt(self._number), candidate_seed(self._number, candidate))

    def offer(self, candidate: Candidate | None) -> None:
        """One more candidate; None for a picture without a face."""
        if candidate is not None:
            self._candidates.append(candidate)

    def settle(self, enough: float) -> None:
        """Make the results of the best candidate, if that is alike enough; of the next best where it cannot be done."""
        while self._candidates:
            best = max(self._candidates, key=lambda candidate: candidate.rank)
            if (best.likeness or 0.0) < enough:
                return
            try:
                self.outcomes = self._results(best)
            except SetupError:
                raise
            except PortraitdError as error:
                self._error = error
                self._candidates.remove(best)
            else:
                return

    def give_up(self) -> None:
        """No candidate can be made a result of."""
        self.outcomes = [Failure(self._error) for _ in self._seeds]

    def _results(self, candidate: Candidate) -> list[Portrait | Failure]:
        finished = self.way.finish(candidate.image) if self.way.finish else lambda _seed: candidate.image
        return [Portrait(finished(seed), seed, candidate.likeness) for seed in self._seeds]


def paintings_of(identity: Identity, way: Way, seeds: range) -> list[Painting]:
    """What is to be painted for the results of these seeds, in their order; a painting's number is theirs by `each`."""
    return [
        Painting(identity, way, number, [seed for seed in seeds if seed // way.each == number])
        for number in dict.fromkeys(seed // way.each for seed in seeds)
    ]


#: The paintings that want another candidate, and its draft for each, in; a picture of each out.
Draw = Callable[[Sequence[Painting], Sequence[Draft]], Sequence[Image]]
#: A painting and a picture in; None where there is no face to judge.
Judge = Callable[[Painting, Image], Candidate | None]


def paint_together(paintings: Sequence[Painting], plan: CandidatePlan, draw: Draw, judge: Judge) -> None:
    """Settle all of them: a candidate each, then another for those that want one."""
    for number in range(plan.most):
        wanting = [painting for painting in paintings if not painting.is_settled]
        if not wanting:
            return
        pictures = draw(wanting, [painting.draft(number) for painting in wanting])
        is_last = number == plan.most - 1
        for painting, picture in zip(wanting, pictures, strict=True):
            painting.offer(judge(painting, picture))
            painting.settle(0.0 if is_last else plan.enough)
    for painting in paintings:
        if not painting.is_settled:
            painting.give_up()
