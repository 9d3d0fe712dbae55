"""The diffusion engine: what `engines.base.Engine` asks for, painted by a model.

An identity is the classic engine's: the person's photos, which the model takes as references, and their embedding; a
full training adds a LoRA. A result is the best of a few candidates, and candidates come from the result's own seed:
result k needs seed + k alone.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from portraitd.engines.base import (
    Engine,
    Failure,
    Job,
    Photo,
    Portrait,
    PresetJob,
    Progress,
    TemplateJob,
    Trained,
    TrainFreeJob,
    Training,
)
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.identity import Identity, View, sharpness, train_identity
from portraitd.engines.classic.people import PHOTO_RETOUCH, People
from portraitd.engines.classic.presets import make_preset
from portraitd.engines.classic.recipe import IdPhotoRecipe, read_recipe
from portraitd.engines.classic.skin import retouch
from portraitd.engines.diffusion.crop import FaceCrop, Square, side_for
from portraitd.engines.diffusion.folder import named_folder
from portraitd.engines.diffusion.keeping import lora_of, with_lora
from portraitd.engines.diffusion.learning import learn_person
from portraitd.engines.diffusion.painter import (
    MOST_PEOPLE,
    Draft,
    ModelChoice,
    Painter,
    Person,
    check_packages,
    load_painter,
)
from portraitd.engines.diffusion.portfolio import best_views
from portraitd.engines.diffusion.prompt import NAME, read_prompt
from portraitd.errors import AlgorithmFailed, NoHumanFace, PortraitdError, SetupError
from portraitd.faces.embed import RECOGNISER
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image
from portraitd.styles.catalog import Style

_log = logging.getLogger(__name__)

#: Pictures painted for each one that is returned.
CANDIDATES = 2
#: What the face's sharpness, 0 to 1, counts beside its likeness when candidates are ranked: it decides between two that
#: are about as alike, and no more.
SHARPNESS_COUNTS = 0.05
#: Side of a reference, in longer sides of the face's box: the whole head.
REFERENCE_ROOM = 2.0
#: No retouch of the references.
PLAIN = 0.0

PRESET_PROMPT = "A photograph of the person in the reference pictures, the same face, the same hair."
LEARNT_PROMPT = f"A photograph of {NAME}."
TEMPLATE_PROMPT = (
    "Replace the face with the face of the person in the reference pictures. Keep the pose of the head, the direction "
    "of the gaze, the expression and the light of the picture."
)
LEARNT_TEMPLATE_PROMPT = f"{TEMPLATE_PROMPT} That person is {NAME}."


@dataclass(frozen=True)
class Way:
    """How the results of one job are made."""

    #: A result's seed in, what the model is asked for out.
    prompt: Callable[[int], str]
    person: Person
    #: Drafts in, a picture of each out.
    draw: Callable[[Sequence[Draft]], Sequence[Image]]
    #: Where the face is in every picture drawn; None: it has to be found, and one without a face is none.
    mesh: FaceMesh | None = None
    #: The chosen candidate and the result's seed in: the result out.
    finish: Callable[[Image, int], Image] | None = None


def make_engine(models: FaceModels, choice: ModelChoice, start: str = "noise") -> DiffusionEngine:
    """The engine, its model not loaded yet. Raises SetupError where its packages or the model's folder are missing.

    start: what a template's face is painted over, "noise" or the "classic" engine's result.
    """
    check_packages()
    named_folder(choice.folder)
    if choice.training_folder is not None:
        named_folder(choice.training_folder, "PORTRAITD_DIFFUSION_TRAINING_MODEL")
    first = ClassicEngine(models) if start == "classic" else None
    return DiffusionEngine(models, partial(load_painter, choice), first=first)


def candidate_seed(seed: int, number: int) -> int:
    """The seed of a result's candidate `number`, 63 bits: neighbouring results share none."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class DiffusionEngine:
    """Portraits painted by a model. Not thread-safe, as `Engine` says."""

    name = "diffusion"

    def __init__(
        self,
        models: FaceModels,
        load: Callable[[], Painter],
        people: People | None = None,
        candidates: int = CANDIDATES,
        first: Engine | None = None,
    ) -> None:
        """`load`: gives the model, called when it is first needed. `first`: what paints a template's face before it."""
        self._models = models
        self._load = load
        self._people = people or People(models)
        self._candidates = candidates
        self._first = first
        self._loaded: Painter | None = None

    def warm(self) -> None:
        """Load the model. Raises SetupError where its files, memory or the scorer's weights are missing."""
        self._models.path(RECOGNISER)  # candidates are ranked by it: without it a seed would not say which one
        _log.info("the diffusion engine runs %s", self._painter().runs_on)

    def train(self, photos: Sequence[Photo]) -> Trained:
        """One person's identity: the photos. Raises the first photo's error when no photo is usable."""
        return self._people.train(photos)

    def training(self, photos: Sequence[Photo]) -> Training:
        """The identity with a LoRA of the person, where there is a model to train on; see `Engine.training`."""
        trained = self.train(photos)
        if self._painter().lesson_px is None:
            yield trained
            return
        self._models.path(RECOGNISER)  # without it nobody could say whether it is the person
        for step in learn_person(self._painter(), self._people, self._people.read(trained.identity)):
            if isinstance(step, Progress):
                yield step
            else:
                yield replace(trained, identity=with_lora(trained.identity, step))

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """Exactly `job.count` outcomes; result k is made from seed + k alone."""
        if isinstance(job, PresetJob):
            identity = self._people.read(job.identity)
            way = self._preset_way(job, identity)
        elif isinstance(job, TemplateJob):
            identity = self._people.read(job.identity)
            person = Person(self._references(identity.views, PLAIN), lora_of(job.identity))
            way = self._template_way(job, person)
        else:
            identity = self._people.of_photos(job.photos, retouched=False)
            person = Person(self._references(identity.views, PHOTO_RETOUCH if job.retouch else PLAIN))
            way = self._template_way(job, person)
        for seed, candidates in self._candidates_of(job, way):
            yield self._outcome(identity, way, seed, candidates)

    def go_together(self, jobs: Sequence[Job]) -> bool:
        """Whether these are presets of one style that the model has room to paint at once."""
        presets = [job for job in jobs if isinstance(job, PresetJob)]
        if self._loaded is None or len(presets) < len(jobs) or len({job.style.id for job in presets}) > 1:
            return False
        pictures = self._candidates * sum(job.count for job in jobs)
        return pictures <= self._loaded.batch and len({job.identity for job in presets}) <= MOST_PEOPLE

    def generate_together(self, jobs: Sequence[Job]) -> list[list[Portrait | Failure]]:
        """The outcomes of each job, all painted at once where everybody is known by as many references."""
        presets = [job for job in jobs if isinstance(job, PresetJob)]
        identities = [self._people.read(job.identity) for job in presets]
        ways = [self._preset_way(job, identity) for job, identity in zip(presets, identities, strict=True)]
        drawn: dict[tuple[int, int], list[Image]] = defaultdict(list)
        for places in _by_references(ways, presets):
            drafts = [
                (number, seed, Draft(ways[number].prompt(seed), candidate_seed(seed, n)))
                for number, seed in places
                for n in range(self._candidates)
            ]
            pictures = self._painter().paint_people(
                [draft for *_, draft in drafts],
                [ways[number].person for number, *_ in drafts],
                read_prompt(presets[0].style).lora,
            )
            for (number, seed, _), picture in zip(drafts, pictures, strict=True):
                drawn[number, seed].append(picture)
        return [
            [self._outcome(identities[number], way, seed, drawn[number, seed]) for seed in _seeds(presets[number])]
            for number, way in enumerate(ways)
        ]

    def _outcome(self, identity: Identity, way: Way, seed: int, candidates: Sequence[Image]) -> Portrait | Failure:
        try:
            return self._best(identity, way, seed, candidates)
        except SetupError:
            raise
        except PortraitdError as error:
            return Failure(error)

    def _candidates_of(self, job: Job, way: Way) -> Iterator[tuple[int, Sequence[Image]]]:
        """Each result's seed and candidates, painted together for as many results as the model paints at once."""
        at_once = max(1, self._painter().batch // self._candidates)
        for first in range(0, job.count, at_once):
            group = _seeds(job)[first : first + at_once]
            drawn = way.draw(
                [Draft(way.prompt(seed), candidate_seed(seed, n)) for seed in group for n in range(self._candidates)]
            )
            for number, seed in enumerate(group):
                yield seed, drawn[number * self._candidates : (number + 1) * self._candidates]

    def _best(self, identity: Identity, way: Way, seed: int, candidates: Sequence[Image]) -> Portrait:
        """The candidate most like the person, the sharper face where two are about as alike, finished."""
        best: tuple[float, Image, float | None] | None = None
        for image in candidates:
            try:
                mesh = way.mesh or self._people.mesh(image)
            except NoHumanFace:
                continue
            likeness = self._people.likeness(identity, image, mesh)
            rank = (likeness or 0.0) + SHARPNESS_COUNTS * sharpness(image, mesh)
            if best is None or rank > best[0]:
                best = (rank, image, likeness)
        if best is None:
            raise AlgorithmFailed
        _, image, likeness = best
        return Portrait(way.finish(image, seed) if way.finish else image, seed, likeness)

    def _preset_way(self, job: PresetJob, identity: Identity) -> Way:
        prompt = read_prompt(job.style)
        recipe = read_recipe(job.style)
        painter = self._painter()
        lora = lora_of(job.identity)
        # What was learnt needs no references, which cost time and bring the photos' poses and light along.
        person = Person(lora=lora) if lora else Person(self._references(identity.views, PLAIN))
        subject = LEARNT_PROMPT if lora else PRESET_PROMPT

        def asked(seed: int) -> str:
            return f"{subject} {prompt.for_seed(seed)}"

        def draw(drafts: Sequence[Draft]) -> Sequence[Image]:
            return painter.paint(drafts, person, prompt.lora, job.beat)

        if isinstance(recipe, IdPhotoRecipe):
            return Way(asked, person, draw, finish=lambda image, seed: self._id_photo(image, job.style, seed))
        return Way(asked, person, draw)

    def _id_photo(self, image: Image, style: Style, seed: int) -> Image:
        """The painted person cut out, in the standard's geometry, before one of its backdrops."""
        person, _ = train_identity(self._models, self._people.embedder, [Photo("candidate", image)])
        return make_preset(person, style, seed)

    def _template_way(self, job: TemplateJob | TrainFreeJob, person: Person) -> Way:
        mesh = self._people.mesh(job.template)
        painter = self._painter()
        crop = FaceCrop.of(job.template, mesh, side_for(mesh, painter.crop_px, painter.large_crop_px))
        if (begun := self._begun(job)) is not None:
            crop = crop.started_from(begun)
        prompt = LEARNT_TEMPLATE_PROMPT if person.lora else TEMPLATE_PROMPT

        def draw(drafts: Sequence[Draft]) -> Sequence[Image]:
            return [crop.put_back(square) for square in painter.repaint(crop, drafts, person, job.beat)]

        return Way(lambda _: prompt, person, draw, mesh)

    def _begun(self, job: TemplateJob | TrainFreeJob) -> Image | None:
        """The template as the other engine would fill it, always the same of its looks: no result hangs on another."""
        if self._first is None:
            return None
        try:
            outcome = next(iter(self._first.generate(replace(job, count=1, seed=0))))
        except PortraitdError:
            return None
        return outcome.image if isinstance(outcome, Portrait) else None

    def _references(self, views: Sequence[View], strength: float) -> tuple[Image, ...]:
        """A few of the person's photos as squares of one size, the skin retouched by `strength`."""
        side_px = self._painter().reference_px
        return tuple(_head(view, strength, side_px) for view in best_views(views))

    def _painter(self) -> Painter:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


def _seeds(job: Job) -> range:
    return range(job.seed, job.seed + job.count)


def _by_references(ways: Sequence[Way], jobs: Sequence[Job]) -> Iterator[list[tuple[int, int]]]:
    """Each result of the jobs, as its job's number and its seed: those of people with as many references together."""
    for count in dict.fromkeys(len(way.person.references) for way in ways):
        yield [
            (number, seed)
            for number, way in enumerate(ways)
            if len(way.person.references) == count
            for seed in _seeds(jobs[number])
        ]


def _head(view: View, strength: float, side_px: int) -> Image:
    """(side_px, side_px, 3): the view's head."""
    image = view.image()
    if strength:
        image = retouch(image, view.mesh.points, strength)
    return Square.around(view.mesh, REFERENCE_ROOM).cut_from(image, side_px)
