"""The template picture: its face, and what lies over it; read once for all n results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.ahead import beside
from portraitd.engines.classic.face import cover, light
from portraitd.engines.classic.face.beard import beard_below, tone_without_beard
from portraitd.engines.classic.face.finish import spread_inward
from portraitd.engines.classic.face.geometry import Part, beside_ring
from portraitd.engines.classic.face.hands import hands_in_region
from portraitd.engines.classic.face.region import FaceRegion, Nearby, look_everywhere, region_box, region_seen
from portraitd.engines.classic.template.neck import FillLight, fill_light, skin_around, surroundings
from portraitd.engines.classic.template.things import things_over
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: Face width at which light and tone are worked out, px.
WORK_PX = 90
#: Width of the blend inside the contour, in face widths.
FEATHER = 0.008
#: How far beyond the contour the template's skin goes along with the face's tone, in face widths; and the room around
#: the mesh that this takes, in face sizes.
REACH = 0.12
ROOM = 0.12
#: How far in brightness and in colour (natural log of light) skin beyond the contour may lie from the face's beside it.
ALIKE = (0.30, 0.15)
#: A jaw goes on a little beyond the mesh, in the shade, and is lit by the neck there. How much of its darkness is not
#: counted, how far outside the contour, face widths, and how much redder it may be for each step that it is darker.
JAW_SHADE, JAW_REACH, JAW_REDDER = 0.3, 0.06, 0.7
#: What is less alike than this is no skin of the face's.
STRANGE = 0.2


@dataclass(frozen=True)
class Ground:
    """What of a template's face stays the same whoever is put there: `alpha` at full size, all else small."""

    #: What of the region's pixels the face is: nothing else gets detail.
    part: Part
    #: (H, W) of that part: how much of each pixel becomes the person's in detail, if the photo shows it.
    alpha: Mask
    #: Small px per px.
    shrink: float
    #: (h, w, 3) the region, and its log linear light.
    image: Image
    light: Floats
    #: (h, w) the alpha; how far inside the template's contour, face widths; and 0 where something lies over the face.
    small_alpha: Mask
    depth: Mask
    bare: Mask
    #: (h, w) how much of a change of the face's tone a pixel takes: inside the contour all of it, and less and less
    #: beyond, where the template's skin goes on.
    beyond: Mask
    #: (468, 2) the template's mesh.
    points: Points
    in_colour: bool

    @property
    def width_px(self) -> float:
        """Width of the small face."""
        return float(np.ptp(self.points[:, 0]))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is small, px."""
        return self.depth.shape[1], self.depth.shape[0]


@dataclass(frozen=True)
class TemplateFace:
    """All that is known of the template's face before anybody's face goes in."""

    picture: Image
    #: Where the face's region lies in the picture, whole px.
    box: Box
    face: FaceRegion
    #: (h, w) of the region: what lies over the face.
    covered: Mask
    #: (3,) log linear light of the bare skin around the face; None where none shows.
    around: Floats | None
    #: None where it needs none, or nobody looked.
    fill: FillLight | None = None
    #: Whether it has a beard; and (36,) how far that goes on below each point of the contour, face widths, None where
    #: it does not.
    bearded: bool = False
    beard: Floats | None = None
    #: Whether skin is to be thought where the beard is.
    shaven: bool = False

    @property
    def whole_mesh(self) -> FaceMesh:
        """The mesh in the whole picture's pixels."""
        corner = np.array([self.box.x0, self.box.y0, 0], np.float32)
        return FaceMesh(self.face.mesh.points + corner, self.face.mesh.score)

    @cached_property
    def ground(self) -> Ground:
        """What every result starts from."""
        image, mesh = self.face.image, self.face.mesh
        shrink = min(1.0, WORK_PX / mesh.box.width)
        size = (max(8, round(image.shape[1] * shrink)), max(8, round(image.shape[0] * shrink)))
        depth, bare = _depth(self.face), 1 - self.covered
        alpha = np.asarray(ramp(depth / np.float32(FEATHER)) * bare, np.float32)
        small = shrunk(image, *size)
        shallow, deep, clear = (
            np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)
            for mask in (alpha, depth, np.asarray(bare, np.float32))
        )
        points = np.asarray((mesh.xy + 0.5) * np.float32(shrink) - 0.5, np.float32)
        tone, in_colour = light.log_light(small), not light.is_grey(small)
        if self.shaven:
            tone = tone_without_beard(small, self.face, points, deep)
        beyond = _beyond(tone, points, clear)
        part = _part_of(alpha)
        inner = np.ascontiguousarray(alpha[part[1] : part[3], part[0] : part[2]])
        return Ground(part, inner, shrink, small, tone, shallow, deep, clear, beyond, points, in_colour)


def ramp(x: NDArray[np.floating[Any]]) -> Mask:
    """0 below 0, 1 above 1, smooth in between."""
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _part_of(alpha: Mask) -> Part:
    """The least box around all that is not 0; all of it where nothing is."""
    rows, columns = (np.flatnonzero(alpha.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, alpha.shape[1], alpha.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _depth(face: FaceRegion) -> Mask:
    """(H, W) how far inside the face's contour a pixel lies, in face widths; 0 outside."""
    oval = np.rint(face.mesh.xy[list(regions.FACE_OVAL)] * 8).astype(np.int32)
    inside = np.zeros(face.image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [oval], 255, shift=3)
    # Not the outermost pixel: there the posed mesh, drawn on a coarse grid, may end.
    depth = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - 1.0, 0)
    return np.asarray(depth / max(1.0, face.mesh.box.width), np.float32)


def _beyond(tone: Floats, points: Points, bare: Mask) -> Mask:
    """(h, w) how much of a change of the face's tone each pixel takes. Tone (h, w, 3), log linear light; points of the
    mesh; and 0 where something lies over the face.

    Where the face ends for the eye, at hair, at a jaw before its neck's shadow, at a backdrop, there the change does;
    where skin goes on, it fades. A change that ended at the mesh's contour would leave a pale line beside it.
    """
    width = float(np.ptp(points[:, 0]))
    oval = points[list(regions.FACE_OVAL)]
    depth, outside = (gap / np.float32(width) for gap in beside_ring(oval, (bare.shape[1], bare.shape[0])))
    skin = (1 - cover.features(points, bare.shape, cover.FEATURES, 0.04)) * bare
    carried = spread_inward(tone, np.asarray(ramp(depth / 0.06) * skin + 1e-4, np.float32))
    off = tone - carried
    grey = light.grey_of(off)
    shade = np.maximum(-grey, 0) * (1 - ramp(outside / JAW_REACH))
    redder = np.minimum(np.maximum(off @ light.REDDER, 0), JAW_REDDER * shade)
    tint = cover.tint_of(np.asarray(off - redder[:, :, None] * light.REDDER, np.float32))
    alike = np.exp(-(((grey + JAW_SHADE * shade) / ALIKE[0]) ** 2) - (tint / ALIKE[1]) ** 2)
    # Hair and backdrops unlike skin stay as they are.
    alike = np.clip((alike - STRANGE) / (1 - STRANGE), 0, 1)
    return np.asarray(np.maximum(alike, ramp(depth / 0.08)) * (1 - ramp(outside / REACH)) * bare, np.float32)


def look_at(models: FaceModels, picture: Image, mesh: FaceMesh) -> TemplateFace:
    """`read_template`, with what the networks see before the face."""
    with beside(lambda: hands_in_region(models, picture, mesh, ROOM)) as hands:
        return read_template(picture, mesh, lambda: look_everywhere(models, picture), hands)


def read_template(
    picture: Image,
    mesh: FaceMesh,
    person: Callable[[], Nearby] | None = None,
    hands: Callable[[], Mask] | None = None,
) -> TemplateFace:
    """The template's face, ready for `fuse`; picture (H, W, 3), mesh in its pixels.

    person: gives where a person is around the face and below it; without it there is no fill light. hands: gives what
    `hands_in_region` says of it, with room ROOM; asked last.
    """
    face, seen = region_seen(picture, mesh, ROOM)
    near = surroundings(picture, mesh, face.skin)
    things, around = things_over(seen), skin_around(near)
    bearded = seen.full_beard and not things.any()  # what is before a chin may look like one
    beard = beard_below(picture, mesh, face.skin, around) if bearded else None
    fill = None if person is None else fill_light(near, person)
    if hands is not None:
        things = np.maximum(things, cv2.resize(hands(), things.shape[::-1], interpolation=cv2.INTER_LINEAR))
    covered = cover.at_full_size(np.maximum(face.hair, things), face.image)
    if things.any():  # brightness tells their edges, but not what lies between them
        solid = cv2.erode(things, np.ones((3, 3), np.uint8), iterations=2)
        covered = np.maximum(covered, cv2.resize(solid, covered.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    return TemplateFace(picture, region_box(mesh, picture.shape, ROOM), face, covered, around, fill, bearded, beard)
