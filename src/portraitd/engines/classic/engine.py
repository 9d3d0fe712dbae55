"""The classic engine: what `engines.base.Engine` asks for, strung together from the modules beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from portraitd.engines.base import Failure, Job, LeftOut, Photo, Portrait, PresetJob, Trained
from portraitd.engines.classic.complexion import shift_between, with_complexion
from portraitd.engines.classic.fuse import fuse, pick_view
from portraitd.engines.classic.identity import Identity, View, train_identity
from portraitd.engines.classic.looks import look_of
from portraitd.engines.classic.packs import pick_template, read_pack
from portraitd.engines.classic.presets import make_preset
from portraitd.engines.classic.recipe import IdPhotoRecipe, read_recipe
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.skin import retouch
from portraitd.engines.classic.template import TemplateFace, read_template
from portraitd.errors import NoHumanFace, NoUsablePhoto, PortraitdError, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import DlibEmbedder, distance, similarity
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.verdict import VerdictLimits, judge
from portraitd.images import Image
from portraitd.styles.catalog import Style

#: How strongly `skin_retouch` works on a user's photos.
PHOTO_RETOUCH = 0.7


class ClassicEngine:
    """Portraits on the CPU. Not thread-safe, as `Engine` says."""

    name = "classic"

    def __init__(self, models: FaceModels) -> None:
        self._models = models
        self._embedder = DlibEmbedder(models)
        #: Identity bytes of the last job and what they read as: results of one person often come in a row.
        self._last: tuple[bytes, Identity] | None = None

    def warm(self) -> None:
        """Load networks and libraries by looking at a grey picture. Raises SetupError when weights are missing."""
        grey = np.full((256, 256, 3), 128, np.uint8)
        detect_faces(self._models, grey)
        for name in ("face_landmark.tflite", "selfie_segmentation.tflite"):
            self._models.network(name)

    def train(self, photos: Sequence[Photo]) -> Trained:
        """One person's identity. Raises the first photo's error when no photo is usable."""
        errors = [judge(self._models, photo.image, VerdictLimits.detect()).error for photo in photos]
        refused = tuple(LeftOut(photo.name, error) for photo, error in zip(photos, errors, strict=True) if error)
        usable = [photo for photo, error in zip(photos, errors, strict=True) if error is None]
        if not usable:
            raise refused[0].error if refused else NoUsablePhoto()
        identity, strangers = train_identity(self._models, self._embedder, usable)
        names = {view.name for view in identity.views}
        used = tuple(photo.name for photo in photos if photo.name in names)
        return Trained(identity.to_bytes(), used, (*refused, *strangers))

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        """Exactly `job.count` outcomes; result k is made from seed + k alone."""
        if isinstance(job, PresetJob):
            identity = self._read(job.identity)
            make = self._preset_maker(job, identity)
        else:
            identity = (
                self._read(job.identity) if hasattr(job, "identity") else self._of_photos(job.photos, job.retouch)
            )
            template = read_template(job.template, self._mesh(job.template))
            make = self._template_maker(template, identity)
        for seed in range(job.seed, job.seed + job.count):
            try:
                image, mesh = make(seed)
            except SetupError:
                raise
            except PortraitdError as error:
                yield Failure(error)
            else:
                yield Portrait(image, seed, self._likeness(identity, image, mesh))

    def _read(self, data: bytes) -> Identity:
        if self._last is None or self._last[0] != data:
            self._last = (data, Identity.from_bytes(data))
        if self._last[1].embedding is None:
            self._last = (data, self._recognised(self._last[1]))
        return self._last[1]

    def _recognised(self, identity: Identity) -> Identity:
        """The identity with its embedding, once the embedder's weights are there that its training lacked."""
        try:
            known = [self._embedder.embed(view.image(), view.mesh) for view in identity.views]
        except SetupError:
            return identity
        return replace(identity, embedding=np.mean(known, axis=0).astype(np.float32))

    def _of_photos(self, photos: Sequence[Photo], retouched: bool) -> Identity:
        """An identity for one job only; with `retouched`, from photos whose skin has been cleaned."""
        identity, _ = train_identity(self._models, self._embedder, photos, mattes=0)
        if not retouched:
            return identity
        return replace(identity, views=tuple(_retouched(view) for view in identity.views))

    def _preset_maker(self, job: PresetJob, identity: Identity) -> Callable[[int], tuple[Image, FaceMesh | None]]:
        pack = read_pack(self._models, job.style.templates) if job.style.templates else ()
        if not pack:
            return lambda seed: (make_preset(identity, job.style, seed), None)

        if isinstance(recipe := read_recipe(job.style), IdPhotoRecipe):
            backdrops = len(recipe.backdrops)
            return lambda seed: (self._dressed_id_photo(pack, identity, job.style, seed, backdrops), None)

        def make(seed: int) -> tuple[Image, FaceMesh | None]:
            return self._template_maker(pick_template(pack, identity, seed), identity)(seed)

        return make

    def _dressed_id_photo(
        self, pack: Sequence[TemplateFace], identity: Identity, style: Style, seed: int, backdrops: int
    ) -> Image:
        """The ID photo of the person in a pack's picture: its clothes and hair, the standard's frame and backdrop.

        Consecutive seeds are one picture's backdrops.
        """
        template = pick_template(pack, identity, seed // backdrops)
        image, _ = self._template_maker(template, identity)(seed)
        dressed, _ = train_identity(self._models, self._embedder, [Photo("dressed", image)])
        return make_preset(dressed, style, seed)

    def _template_maker(
        self, template: TemplateFace, identity: Identity
    ) -> Callable[[int], tuple[Image, FaceMesh | None]]:
        worn = with_complexion(self._models, template, shift_between(identity.skin, template))

        def make(seed: int) -> tuple[Image, FaceMesh | None]:
            look = look_of(seed)
            view = pick_view(identity, worn.face.mesh, look.view_rank)
            return fuse(worn, identity, view, look, np.random.default_rng(seed)), worn.whole_mesh

        return make

    def _mesh(self, image: Image) -> FaceMesh:
        faces = detect_faces(self._models, image)
        if not faces:
            raise NoHumanFace
        return fit_mesh(self._models, image, faces[0])

    def _likeness(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        """0 to 1 against the person's mean embedding; None while the embedder's weights are missing."""
        if identity.embedding is None:
            return None
        try:
            own = self._embedder.embed(image, mesh or self._mesh(image))
        except (SetupError, NoHumanFace):
            return None
        return round(similarity(distance(own, identity.embedding)), 4)


def _retouched(view: View) -> View:
    def face() -> FaceRegion:
        whole = view.face()
        return replace(whole, image=retouch(whole.image, whole.mesh.points, PHOTO_RETOUCH))

    return replace(view, face=cache(face))
