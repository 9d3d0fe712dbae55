"""The classic engine: what `engines.base.Engine` asks for, strung together from the modules beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from portraitd.engines.base import Failure, Job, Photo, Portrait, PresetJob, Trained, Training
from portraitd.engines.classic.ahead import beside, cores, in_order
from portraitd.engines.classic.face.beard import is_bearded
from portraitd.engines.classic.fusion.fuse import fuse
from portraitd.engines.classic.fusion.trial import views_by_trial
from portraitd.engines.classic.looks import look_of
from portraitd.engines.classic.person.album import open_faces
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.people import People
from portraitd.engines.classic.presets.make import make_preset
from portraitd.engines.classic.presets.recipe import IdPhotoRecipe, read_recipe, without_outfits
from portraitd.engines.classic.template.fill import with_fill
from portraitd.engines.classic.template.outline import with_outline
from portraitd.engines.classic.template.packs import PackPicture, Packs
from portraitd.engines.classic.template.readings import Readings
from portraitd.engines.classic.template.recolour import step_between, with_complexion
from portraitd.engines.classic.template.shave import shaved
from portraitd.engines.classic.template.template_face import TemplateFace, look_at
from portraitd.errors import HeadCutOff, PortraitdError, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.hands import JOINTS, PALMS
from portraitd.faces.mesh import NETWORK as MESH_NETWORK
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import NETWORK as SEGMENT_NETWORK
from portraitd.images import Image

_log = logging.getLogger(__name__)

#: Faces in larger regions of a template, px, are made one after the other: each takes a hundred bytes a pixel.
MOST_AT_ONCE_PX = 1_500_000


class ClassicEngine:
    """Portraits on the CPU. Not thread-safe, as `Engine` says."""

    name = "classic"

    def __init__(self, models: FaceModels) -> None:
        self._models = models
        self._people = People(models)
        self._templates = Readings(lambda picture: look_at(models, picture, self._people.mesh(picture)))
        self._packs = Packs(models)

    def warm(self) -> None:
        """Load networks and libraries by looking at a grey picture. Raises SetupError when weights are missing."""
        grey = np.full((256, 256, 3), 128, np.uint8)
        detect_faces(self._models, grey)
        for network in (MESH_NETWORK, SEGMENT_NETWORK, PALMS, JOINTS):
            self._models.network(network)

    def train(self, photos: Sequence[Photo]) -> Trained:
        """One person's identity. Raises the first photo's error when no photo is usable."""
        return self._people.train(photos)

    def training(self, photos: Sequence[Photo]) -> Training:
        """The same: there is no more to learn from photos than `train` does."""
        yield self.train(photos)

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """Exactly `job.count` outcomes; result k is made from seed + k alone."""
        at_once = cores()
        if isinstance(job, PresetJob):
            identity = self._people.read(job.identity)
            make = self._preset_maker(job, identity)
            # A scene takes 150 MB while it is made. The networks, which look at a pack's pictures, serve one at a time.
            is_light = isinstance(read_recipe(job.style), IdPhotoRecipe) and not job.style.templates
            at_once = min(at_once, 2 if is_light else 1)
        else:
            with beside(lambda: self._templates.read(job.template)) as read:
                identity = (
                    self._people.read(job.identity)
                    if hasattr(job, "identity")
                    else self._people.of_photos(job.photos, job.retouch)
                )
                if at_once > 1:  # with one core it is early enough when a portrait wants them
                    open_faces(identity)
                template = read()
            make = self._template_maker(template, identity)
            if template.covered.size > MOST_AT_ONCE_PX:
                at_once = 1
        seeds = range(job.seed, job.seed + job.count)
        with closing(in_order(make, seeds, at_once)) as made:
            for seed, take in zip(seeds, made, strict=True):
                try:
                    image, mesh = take()
                except SetupError:
                    raise
                except PortraitdError as error:
                    yield Failure(error)
                else:
                    yield Portrait(image, seed, self._people.likeness(identity, image, mesh))

    def _preset_maker(self, job: PresetJob, identity: Identity) -> Callable[[int], tuple[Image, FaceMesh | None]]:
        pack = self._packs.of(job.style.templates)
        if not pack:
            if job.style.templates:
                _log.warning("no picture of the pack of %s can be used", job.style.id)
            return lambda seed: (make_preset(identity, job.style, seed), None)
        if not isinstance(recipe := read_recipe(job.style), IdPhotoRecipe):
            return lambda seed: self._template_maker(pack.pick(identity, seed).template, identity)(seed)
        backdrops = len(recipe.backdrops)
        style = without_outfits(job.style)  # the pack's clothes are worn already
        dressed = lru_cache(maxsize=1)(lambda choice: self._dressed(pack.pick(identity, choice), identity, choice))

        def id_photo(seed: int) -> tuple[Image, FaceMesh | None]:
            # Consecutive seeds are one picture's backdrops. One that shows too little of its clothes gives way.
            for k in range(pack.choices(identity)):
                with suppress(HeadCutOff):
                    return make_preset(dressed(seed // backdrops + k), style, seed), None
            return make_preset(identity, job.style, seed), None

        return id_photo

    def _dressed(self, picture: PackPicture, identity: Identity, choice: int) -> Identity:
        """The person in a pack's picture, its clothes and hair, as whoever an ID photo is made of.

        Raises HeadCutOff for a picture that ends at the chin.
        """
        if not picture.shows_neck:
            raise HeadCutOff
        image, _ = self._template_maker(picture.template, identity)(choice)
        # Found on the pack's own picture, whose face may have had another outline.
        matte = with_outline(replace(picture.template, picture=picture.matte), identity.shape).picture
        view = view_of("dressed", image, self._people.mesh(image), quality=1.0)
        alpha = np.asarray(matte, np.float32) / np.float32(255)
        return replace(identity, views=(replace(view, alpha=lambda: alpha),))

    def _template_maker(
        self, template: TemplateFace, identity: Identity
    ) -> Callable[[int], tuple[Image, FaceMesh | None]]:
        coloured = with_complexion(self._models, template, step_between(identity.skin, template))
        bearded = template.bearded and is_bearded(identity.views[0].face())
        shaven = shaved(with_fill(coloured), identity.views[0].face() if bearded else None)
        worn = with_outline(shaven, identity.shape)
        gap = partial(self._people.gap, identity) if self._people.can_tell(identity) else None
        views = views_by_trial(worn, identity, gap)

        def make(seed: int) -> tuple[Image, FaceMesh | None]:
            look = look_of(seed)
            view = views[look.view_rank % len(views)]
            return fuse(worn, identity, view, look, np.random.default_rng(seed)), worn.whole_mesh

        return make
