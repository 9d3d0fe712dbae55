"""The diffusion engine: what `engines.base.Engine` asks for, painted by a model.

An identity is the classic engine's: the person's photos, which the model takes as references, and their embedding; a
full training adds a LoRA. A result is the best of a few candidates; result k needs seed + k alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

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
from portraitd.engines.classic.face.skin import retouch
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.people import PHOTO_RETOUCH, People
from portraitd.engines.classic.person.training import sharpness, train_identity
from portraitd.engines.classic.presets.make import make_preset
from portraitd.engines.classic.presets.recipe import IdPhotoRecipe, read_recipe, without_outfits
from portraitd.engines.diffusion.candidates import (
    SHARPNESS_COUNTS,
    Candidate,
    CandidatePlan,
    Painting,
    Way,
    paint_together,
    paintings_of,
)
from portraitd.engines.diffusion.crop import FaceCrop, Square, side_for
from portraitd.engines.diffusion.keeping import lora_of, with_lora
from portraitd.engines.diffusion.learning import learn_person
from portraitd.engines.diffusion.painter import (
    LEARNS_NOBODY,
    MOST_PEOPLE,
    Draft,
    ModelChoice,
    Painter,
    Person,
    check_files,
    check_packages,
    load_painter,
)
from portraitd.engines.diffusion.portfolio import best_views
from portraitd.engines.diffusion.prompt import NAME, read_prompt
from portraitd.errors import AlgorithmFailed, HeadCutOff, NoHumanFace, PortraitdError
from portraitd.faces.embed import RECOGNISER
from portraitd.faces.models import FaceModels
from portraitd.images import Image
from portraitd.styles.catalog import Style

_log = logging.getLogger(__name__)

#: What a training's own log says where nobody is learnt.
KEPT_ONLY = "the photos are kept, and pictures go by them: this service has no model to learn a person with"

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


def make_engine(models: FaceModels, choice: ModelChoice, start: str = "noise") -> DiffusionEngine:
    """The engine, its model not loaded yet. Raises SetupError where packages are missing or files of the model broken.

    start: what a template's face is painted over, "noise" or the "classic" engine's result.
    """
    check_packages()
    check_files(choice)
    first = ClassicEngine(models) if start == "classic" else None
    return DiffusionEngine(models, partial(load_painter, choice), first=first)


class DiffusionEngine:
    """Portraits painted by a model. Not thread-safe, as `Engine` says."""

    name = "diffusion"

    def __init__(
        self,
        models: FaceModels,
        load: Callable[[], Painter],
        people: People | None = None,
        candidates: CandidatePlan | None = None,
        first: Engine | None = None,
    ) -> None:
        """`load`: gives the model, called when it is first needed. `first`: what paints a template's face before it."""
        self._models = models
        self._load = load
        self._people = people or People(models)
        self._candidates = candidates or CandidatePlan()
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
            _log.warning("the model %s", LEARNS_NOBODY)
            yield replace(trained, remark=KEPT_ONLY)
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
        paintings = paintings_of(identity, way, _seeds(job))
        at_once = max(1, self._painter().batch)
        for first in range(0, len(paintings), at_once):
            group = paintings[first : first + at_once]
            paint_together(group, self._candidates, lambda _group, drafts: way.draw(drafts), self._judged)
            for painting in group:
                yield from painting.outcomes

    def go_together(self, jobs: Sequence[Job]) -> bool:
        """Whether these are presets of one style that the model has room to paint at once."""
        presets = [job for job in jobs if isinstance(job, PresetJob)]
        if self._loaded is None or len(presets) < len(jobs) or len({job.style.id for job in presets}) > 1:
            return False
        return (
            sum(job.count for job in jobs) <= self._loaded.batch
            and len({job.identity for job in presets}) <= MOST_PEOPLE
        )

    def generate_together(self, jobs: Sequence[Job]) -> list[list[Portrait | Failure]]:
        """The outcomes of each job, all painted at once where everybody is known by as many references."""
        presets = [job for job in jobs if isinstance(job, PresetJob)]
        identities = [self._people.read(job.identity) for job in presets]
        ways = [self._preset_way(job, identity) for job, identity in zip(presets, identities, strict=True)]
        lora = read_prompt(presets[0].style).lora

        def draw(group: Sequence[Painting], drafts: Sequence[Draft]) -> Sequence[Image]:
            return self._painter().paint_people(drafts, [painting.way.person for painting in group], lora)

        paintings = [
            paintings_of(identity, way, _seeds(job))
            for identity, way, job in zip(identities, ways, presets, strict=True)
        ]
        for count in dict.fromkeys(len(way.person.references) for way in ways):
            alike = [one for of in paintings for one in of if len(one.way.person.references) == count]
            paint_together(alike, self._candidates, draw, self._judged)
        return [[outcome for painting in of for outcome in painting.outcomes] for of in paintings]

    def _judged(self, painting: Painting, image: Image) -> Candidate | None:
        """How much the picture is the person, and how sharp its face; None where there is none."""
        try:
            mesh = painting.way.mesh or self._people.mesh(image)
        except NoHumanFace:
            return None
        likeness = self._people.likeness(painting.identity, image, mesh)
        return Candidate(image, likeness, (likeness or 0.0) + SHARPNESS_COUNTS * sharpness(image, mesh))

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
            # Consecutive seeds are one picture's backdrops, as the classic engine has them.
            finish = partial(self._id_photo, style=job.style)
            return Way(asked, person, draw, finish=finish, each=len(recipe.backdrops))
        return Way(asked, person, draw)

    def _id_photo(self, image: Image, style: Style) -> Callable[[int], Image]:
        """Gives the painted person cut out, in the standard's geometry, before the seed's backdrop."""
        person, _ = train_identity(self._models, self._people.embedder, [Photo("candidate", image)])

        def before(seed: int) -> Image:
            try:
                return make_preset(person, without_outfits(style), seed)  # painted in clothes
            except HeadCutOff as error:  # of a painting, for which nobody can bring a better photo
                raise AlgorithmFailed from error

        return before

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


def _head(view: View, strength: float, side_px: int) -> Image:
    """(side_px, side_px, 3): the view's head."""
    image = view.image()
    if strength:
        image = retouch(image, view.mesh.points, strength)
    return Square.around(view.mesh, REFERENCE_ROOM).cut_from(image, side_px)
