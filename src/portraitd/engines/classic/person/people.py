"""Who is in a picture: identities trained from photos and read from bytes, and how alike a portrait is to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from portraitd.engines.base import LeftOut, Photo, Trained
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.face.skin import retouch
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.texture import hidden, leaf_of
from portraitd.engines.classic.person.training import train_identity
from portraitd.errors import NoHumanFace, NoUsablePhoto, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import DlibEmbedder, distance, similarity
from portraitd.faces.mesh import FaceMesh, main_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.verdict import VerdictLimits, judge
from portraitd.images import Image

#: How strongly `skin_retouch` works on a user's photos.
PHOTO_RETOUCH = 0.7


class People:
    """Identities, with the networks that find and tell apart faces. Not thread-safe."""

    def __init__(self, models: FaceModels) -> None:
        self._models = models
        self.embedder = DlibEmbedder(models)
        #: Identity bytes of the last job and what they read as: results of one person often come in a row.
        self._last: tuple[bytes, Identity] | None = None

    def train(self, photos: Sequence[Photo]) -> Trained:
        """One person's identity. Raises the first photo's error when no photo is usable."""
        errors = [judge(self._models, photo.image, VerdictLimits.detect()).error for photo in photos]
        refused = tuple(LeftOut(photo.name, error) for photo, error in zip(photos, errors, strict=True) if error)
        usable = [photo for photo, error in zip(photos, errors, strict=True) if error is None]
        if not usable:
            raise refused[0].error if refused else NoUsablePhoto()
        identity, strangers = train_identity(self._models, self.embedder, usable)
        names = {view.name for view in identity.views}
        used = tuple(photo.name for photo in photos if photo.name in names)
        return Trained(identity.to_bytes(), used, (*refused, *strangers))

    def read(self, data: bytes) -> Identity:
        """The identity in the bytes of a training."""
        if self._last is None or self._last[0] != data:
            self._last = (data, Identity.from_bytes(data))
        if self._last[1].embedding is None:
            self._last = (data, self._recognised(self._last[1]))
        return self._last[1]

    def of_photos(self, photos: Sequence[Photo], retouched: bool) -> Identity:
        """An identity for one job only; with `retouched`, from photos whose skin has been cleaned."""
        identity, _ = train_identity(self._models, self.embedder, photos, mattes=0)
        if not retouched:
            return identity
        return replace(identity, views=tuple(_retouched(view) for view in identity.views))

    def mesh(self, image: Image) -> FaceMesh:
        """The mesh of the picture's face; raises NoHumanFace."""
        mesh = main_mesh(self._models, image, detect_faces(self._models, image))
        if mesh is None:
            raise NoHumanFace
        return mesh

    def likeness(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        """0 to 1 against the person's mean embedding; None without a face or while the embedder's weights are missing.

        mesh: the face's, where it is known.
        """
        gap = self.gap(identity, image, mesh)
        return None if gap is None else round(similarity(gap), 4)

    def can_tell(self, identity: Identity) -> bool:
        """Whether likeness to the person can be told: not without their embedding and the embedder's weights."""
        return identity.embedding is not None and self.embedder.ready()

    def gap(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        """Distance of the picture's face from the person's mean embedding.

        None without a face, without an embedding, or while the embedder's weights are missing.
        """
        if identity.embedding is None:
            return None
        try:
            own = self.embedder.embed(image, mesh or self.mesh(image))
        except (SetupError, NoHumanFace):
            return None
        return distance(own, identity.embedding)

    def _recognised(self, identity: Identity) -> Identity:
        """The identity with its embedding, once the embedder's weights are there that its training lacked."""
        try:
            known = [self.embedder.embed(view.image(), view.mesh) for view in identity.views]
        except SetupError:
            return identity
        return replace(identity, embedding=np.mean(known, axis=0).astype(np.float32))


def _retouched(view: View) -> View:
    def face() -> FaceRegion:
        whole = view.face()
        return replace(whole, image=retouch(whole.image, whole.mesh.points, PHOTO_RETOUCH))

    face_once = cache(face)
    leaf_once = cache(lambda: leaf_of(face_once()))
    return replace(view, face=face_once, leaf=leaf_once, hidden=cache(lambda: hidden(face_once(), leaf_once())))
