"""A face cut out of its picture: its pixels, its mesh, its light, and the hair that lies over it.

A template's is read when its job begins, a photo's when the person is trained: every portrait then starts from both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from portraitd.engines.classic.face import cover, light
from portraitd.engines.classic.face.geometry import normals
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh, crop_square
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import INPUT, person_probability
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask

#: Room around a photo's mesh, in face sizes.
ROOM = 0.04
#: What a photo must show beside, above and below the mesh to be one for a preset, in widths and heights of the face.
AROUND = (0.1, 0.15, 0.3)
#: Side of the square in which people are looked for, heights of the face; and how surely a pixel is of nobody
#: before it is the backdrop's, and before it surely is.
LOOK = 1.6
NOBODY = (0.6, 0.9)


@dataclass(frozen=True)
class FaceRegion:
    """One face and what surrounds it."""

    #: (h, w, 3) sRGB.
    image: Image
    #: In the image's pixels.
    mesh: FaceMesh
    #: (9, 3) light on the face, as `light.fit_light` gives it.
    light: Floats
    #: (3,) log linear light of its bare skin, the middle of it.
    skin: Floats
    #: What lies over the face, on a picture of the same region, as read a small one (`cover.WORK_PX` to the face).
    hair: Mask

    @cached_property
    def facing(self) -> Floats:
        """(468, 3) normals of the mesh."""
        return normals(self.mesh.points)

    @cached_property
    def beard(self) -> Floats:
        """(468,) 0 to 1: how far each point lies in a full beard; all 0 where there is none."""
        return cover.against_skin(self.image, self.mesh.points, self.facing, self.light).beard


def mirrored(face: FaceRegion) -> FaceRegion:
    """The face as a mirror shows it, left and right of its mesh exchanged."""
    points = face.mesh.points[mean_face().mirror]
    points[:, 0] = face.image.shape[1] - 1 - points[:, 0]
    image, hair = np.ascontiguousarray(face.image[:, ::-1]), np.ascontiguousarray(face.hair[:, ::-1])
    return FaceRegion(image, FaceMesh(points, face.mesh.score), light.mirrored(face.light), face.skin, hair)


def region_box(mesh: FaceMesh, shape: tuple[int, ...], room: float = ROOM) -> Box:
    """The whole pixels of a (height, width, ...) picture that belong to the face's region."""
    box, (height, width) = mesh.box, shape[:2]
    reach = room * max(box.width, box.height)
    return Box(
        max(0, int(box.x0 - reach)),
        max(0, int(box.y0 - reach)),
        min(width, int(box.x1 + reach) + 1),
        min(height, int(box.y1 + reach) + 1),
    )


def has_room(mesh: FaceMesh, shape: tuple[int, ...]) -> bool:
    """Whether a (height, width, ...) picture shows neck and crown of the face, and something beside it."""
    box, (height, width) = mesh.box, shape[:2]
    beside = min(box.x0, width - box.x1) / box.width
    return bool(beside > AROUND[0] and box.y0 / box.height > AROUND[1] and (height - box.y1) / box.height > AROUND[2])


def read_region(picture: Image, mesh: FaceMesh, room: float = ROOM, over: Sequence[Mask] = ()) -> FaceRegion:
    """The region of the face with this mesh in the (H, W, 3) picture.

    over: what `over.over_face` says of it, if it was asked.
    """
    face, seen = region_seen(picture, mesh, room)
    return covered_by(replace(face, hair=cover.hair_and_edge(seen)), over)


@dataclass(frozen=True)
class Nearby:
    """How surely a pixel is a person's, near a face or in all of a picture."""

    #: (n, n) of a square around the face, or of the whole picture, small.
    probability: Mask
    #: (2, 3): the picture's pixels to those.
    matrix: Floats

    def within(self, box: Box, size: tuple[int, int]) -> Mask:
        """(h, w) of a box of the picture's whole pixels, as a picture of this width and height shows it."""
        return _sampled(self.probability, self.matrix, box, size)


def _sampled(small: Mask, matrix: Floats, box: Box, size: tuple[int, int]) -> Mask:
    """(h, w) what a small mask, to whose pixels the (2, 3) matrix leads from the picture's, says of a box of these."""
    step = np.array([box.width / size[0], box.height / size[1]])
    corner = np.array([box.x0, box.y0]) + step / 2 - 0.5
    way = np.column_stack([matrix[:, :2] * step, matrix[:, :2] @ corner + matrix[:, 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(small, way, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)


def cut_out(mask: Mask, box: Box, inner: Box) -> Mask:
    """(h', w') of a small (h, w) mask of one box of the picture's whole pixels: what it says of another one inside."""
    step, matrix = _shrinking(mask, box)
    size = (max(8, round(inner.width * step[0])), max(8, round(inner.height * step[1])))
    return _sampled(mask, matrix, inner, size)


def _shrinking(small: Floats | Image, box: Box) -> tuple[Floats, Floats]:
    """(2,) small px a pixel of the picture, and (2, 3) from the picture's pixels to those of a small one of the box."""
    step = np.array([small.shape[1] / box.width, small.shape[0] / box.height])
    shift = (0.5 - np.array([box.x0, box.y0])) * step - 0.5
    return step, np.column_stack([np.diag(step), shift]).astype(np.float32)


def look_everywhere(models: FaceModels, picture: Image) -> Nearby:
    """Where a person is in the (H, W, 3) picture."""
    small, whole = shrunk(picture, INPUT, INPUT), Box(0, 0, picture.shape[1], picture.shape[0])
    return Nearby(person_probability(models, small), _shrinking(small, whole)[1])


def look_nearby(models: FaceModels, picture: Image, mesh: FaceMesh) -> Nearby:
    """Where a person is near the face with this mesh in the (H, W, 3) picture."""
    box = mesh.box
    side = LOOK * box.height
    crop = crop_square(picture, ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2), side, 0.0, INPUT)
    return Nearby(person_probability(models, crop.image), crop.matrix)


def backdrop_in_region(near: Nearby, shape: tuple[int, ...], mesh: FaceMesh) -> Mask:
    """(h, w) 1 on the backdrop on a small picture of the face's region in a (height, width, ...) picture.

    A mesh is a little too wide where a head is turned away: what lies behind it would come along as a pale strip.
    """
    region, side = region_box(mesh, shape), LOOK * mesh.box.height
    width, height = (max(8, round(length * INPUT / side)) for length in (region.width, region.height))
    nobody = 1 - near.within(region, (width, height))
    return np.asarray(np.clip((nobody - NOBODY[0]) / (NOBODY[1] - NOBODY[0]), 0, 1), np.float32)


def covered_by(face: FaceRegion, over: Sequence[Mask]) -> FaceRegion:
    """The face, these covering it, too, each (h, w) on a small picture of its region."""
    fitted = [cv2.resize(mask, face.hair.shape[::-1], interpolation=cv2.INTER_LINEAR) for mask in over]
    return replace(face, hair=np.asarray(np.maximum.reduce([face.hair, *fitted]), np.float32))


def region_seen(picture: Image, mesh: FaceMesh, room: float) -> tuple[FaceRegion, cover.AgainstSkin]:
    """The same; and the face held against its skin."""
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, picture.shape, room))
    image = np.ascontiguousarray(picture[y0:y1, x0:x1])
    local = FaceMesh(mesh.points - np.array([x0, y0, 0], np.float32), mesh.score)
    facing = normals(local.points)
    colours = light.colours_at(image, local)
    towards_us = np.clip(-facing[:, 2] * 2, 0, 1)
    weights = light.skin_seen(colours, light.skin_points() * towards_us)
    lit = light.fit_light(colours, facing, weights)
    shown = weights > 0.5
    skin = np.median(colours[shown] if shown.any() else colours, axis=0).astype(np.float32)
    seen = cover.against_skin(image, local.points, facing, lit)
    return FaceRegion(image, local, lit, skin, cover.hair_over(seen)), seen
