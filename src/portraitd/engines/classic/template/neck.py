"""Face, neck and ears of one tone: the template's neck goes part of the way to the cheeks, the face part of the rest.

A neck lies in the chin's shadow. Were all of the way the face's, it would be much darker than the model's was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.bare import WORK_PX, bare_skin
from portraitd.engines.classic.face.cover import tint_of
from portraitd.engines.classic.face.geometry import at_points, beside_ring
from portraitd.engines.classic.face.region import Nearby
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: How far beside and below the face skin is looked for, face widths.
ROOM = 1.3
#: How near to the face's contour and how far from it skin is taken for the neck's or an ear's, face widths.
REACH = (0.03, 0.35)
#: What counts as the same person's skin: how much darker or brighter than the face, and how far off in colour.
SHADE = (-1.1, 0.35)
TINT = 0.30
#: Of the way from the cheeks' tone to the neck's, how much the face goes: a neck lies in the chin's shadow, and is a
#: little yellower than cheeks by nature.
SHARE, TINT_SHARE = 0.53, 0.40
#: How far the face goes at most, natural log of light.
MOST = 0.34
#: Of the way from the neck's tone to the cheeks', how much the neck goes before that, in fill light, and how much at
#: most and at least, natural log of light.
FILL_SHARE, MOST_FILL, LEAST_FILL = 0.47, 0.4, 0.04
#: The same of its colour: shade is lit by clothes and skin, and faces that took its colour would look sallow.
FILL_TINT, LEAST_TINT = 0.4, 0.02
#: Red's, green's and blue's share in the brightness of skin (Rec. 709, for linear light of 0.55, 0.33 and 0.25).
SKIN_LUMA = np.array([0.315, 0.636, 0.049], np.float32)
#: Over which distance from the face's contour fill light begins, and over which it ends; over which below the eyes it
#: begins: brows, temples and hair keep their shade; and the scale of shade. All in face widths.
FILL_BEGINS, FILL_ENDS = 0.03, (0.8, ROOM)
BELOW_EYES = 0.15
SHADE_SCALE = 0.05
#: How surely a pixel is bare skin by which the neck hangs together with the face.
JOINED = 0.4
#: Faces darker than this (log linear light) are left alone: what colours their surroundings have is mostly noise.
TOO_DARK = -3.0
#: Points of the cheeks; those of the other side are their mirror twins.
CHEEK = (117, 50, 205, 36, 100)


@dataclass(frozen=True)
class Surroundings:
    """A face and what lies beside and below it, small."""

    #: The whole pixels of the picture that it shows.
    box: Box
    #: (h, w, 3) log linear light.
    tone: Floats
    #: (468, 2) the mesh on it.
    points: Points
    #: (h, w) how far outside the face's contour a pixel lies, face widths.
    outside: Mask
    #: (3,) log linear light of the face's bare skin.
    skin: Floats

    @property
    def width(self) -> float:
        """Of the face, px."""
        return float(np.ptp(self.points[:, 0]))

    @property
    def below_eyes(self) -> Floats:
        """(h, 1) how far each row lies below the lower eye, face widths."""
        eyes = self.points[[*regions.LEFT_EYE, *regions.RIGHT_EYE], 1]
        return np.asarray((np.arange(len(self.tone))[:, None] - eyes.max()) / self.width, np.float32)

    @cached_property
    def found(self) -> NDArray[np.bool_] | None:
        """(h, w) the skin of neck and ears; None where there is too little, or it is too dark to tell."""
        if float(self.skin.mean()) < TOO_DARK:
            return None
        off = self.tone - self.skin
        grey, tint = light.grey_of(off), tint_of(off)
        found = (self.outside > REACH[0]) & (self.outside < REACH[1]) & (self.below_eyes > 0)
        found &= (tint < TINT) & (grey > SHADE[0]) & (grey < SHADE[1])
        return found if found.sum() >= 0.01 * self.width**2 else None


@dataclass(frozen=True)
class FillLight:
    """By how much fill light brightens a picture, and which cast it takes out, on a small copy of a part of it."""

    #: The whole pixels of the part.
    box: Box
    #: (h, w) how surely a pixel is bare skin.
    bare: Mask
    #: (h, w) by how much what is bare skin is brightened there, natural log of light.
    lift: Mask
    #: (3,) how what is bare skin changes in colour, natural log of light; and (h, w) how much of that it does.
    tint: Floats
    cast: Mask
    #: (3,) how all that moves the skin around the face, natural log of light.
    moved: Floats


def surroundings(picture: Image, mesh: FaceMesh, skin: Floats) -> Surroundings:
    """What lies around the face with this mesh in the (H, W, 3) picture; skin: (3,) log linear light of the face's."""
    face, (height, width) = mesh.box, picture.shape[:2]
    reach = ROOM * face.width
    x0, x1 = max(0, int(face.x0 - reach)), min(width, int(face.x1 + reach) + 1)
    y0, y1 = max(0, int(face.y0)), min(height, int(face.y1 + reach) + 1)
    scale = min(1.0, WORK_PX / face.width)
    size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
    small = shrunk(np.ascontiguousarray(picture[y0:y1, x0:x1]), *size)
    step = np.array(size) / (x1 - x0, y1 - y0)
    points = np.asarray((mesh.xy - np.array([x0, y0]) + 0.5) * step - 0.5, np.float32)
    _, outside = beside_ring(points[list(regions.FACE_OVAL)], size)
    away = np.asarray(outside / np.float32(np.ptp(points[:, 0])), np.float32)
    return Surroundings(Box(x0, y0, x1, y1), light.log_light(small), points, away, skin)


def skin_around(near: Surroundings) -> Floats | None:
    """(3,) log linear light of the bare skin around the face; None where none can be told."""
    return None if near.found is None else np.asarray(np.median(near.tone[near.found], axis=0), np.float32)


def fill_light(near: Surroundings, person: Callable[[], Nearby]) -> FillLight | None:
    """The fill light for the shade beside and below the face; None where it needs none, or no skin shows.

    person: gives where a person is.
    """
    found, around = near.found, skin_around(near)
    if found is None or around is None:
        return None
    cheeks = _cheeks(near.tone, near.points)
    gap = cheeks - around
    dim, lift, tint = float(gap.mean()), *_wanted(gap)
    if not lift and not tint.any():
        return None
    oval = near.points[list(regions.FACE_OVAL)]
    bare = bare_skin(near.tone, oval, near.skin, person().within(near.box, near.outside.shape[::-1]))
    bare = _joined_to_face(bare, near.outside)
    off, reach = cheeks - _skin_nearby(near, bare), _reach(near) * (bare > 0)
    shade = np.clip(light.grey_of(off) / max(dim, 1e-6), 0, 1)
    lifted, cast = lift * shade * reach, _share_of(off, gap) * reach * np.float32(tint.any())
    if not lifted.any() and not cast.any():
        return None
    # What counts as the skin around the face is not all surely bare.
    change = bare[found, None] * (lifted[found, None] + cast[found, None] * tint)
    moved = np.median(near.tone[found] + change, axis=0) - around
    return FillLight(
        near.box, bare, np.asarray(lifted, np.float32), tint, np.asarray(cast, np.float32), moved.astype(np.float32)
    )


def _skin_nearby(near: Surroundings, bare: Mask) -> Floats:
    """(h, w, 3) log linear light of the bare skin around each pixel, the face's left out."""
    shown = bare * (near.outside > 0) + np.float32(1e-3)
    sigma = SHADE_SCALE * near.width
    total, weight = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (near.tone * shown[:, :, None], shown))
    return np.asarray(total / weight[:, :, None], np.float32)


def _share_of(off: Floats, gap: Floats) -> Mask:
    """(h, w) 0 to 1: how much of the (3,) gap in colour, brightness left out, is in the (h, w, 3) differences."""
    towards = gap - gap.mean()  # brightness, the same in all three, is left out by it
    return np.asarray(np.clip(off @ towards / max(float(towards @ towards), 1e-6), 0, 1), np.float32)


def _wanted(gap: Floats) -> tuple[float, Floats]:
    """How much brighter skin becomes that is (3,) `gap` from the cheeks, and (3,) how it changes in colour; natural log
    of light, 0 for less than can be seen."""
    dim = float(gap.mean())
    lift = min(MOST_FILL, FILL_SHARE * dim)
    tint = np.float32(FILL_TINT) * (gap - np.float32(dim))
    seen = bool(np.abs(tint).max() >= LEAST_TINT)
    tint -= tint @ SKIN_LUMA  # no darker by it
    return lift if lift >= LEAST_FILL else 0.0, np.asarray(tint * seen, np.float32)


def _reach(near: Surroundings) -> Mask:
    """(h, w) how much of the fill light falls where: beside and below the face, to 0."""
    below = np.clip(near.below_eyes / BELOW_EYES, 0, 1)
    begins = np.clip(near.outside / FILL_BEGINS, 0, 1)
    ends = np.clip((FILL_ENDS[1] - near.outside) / (FILL_ENDS[1] - FILL_ENDS[0]), 0, 1)
    return np.asarray(below * begins * ends, np.float32)


def _joined_to_face(bare: Mask, outside: Mask) -> Mask:
    """(h, w) the bare skin that hangs together with the face, outside of which a pixel is or is not."""
    face = outside == 0
    _, labels = cv2.connectedComponents(((bare > JOINED) | face).astype(np.uint8), connectivity=4)
    own = np.isin(labels, np.unique(labels[face]))
    return np.asarray(bare * cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)


def step_to_neck(lit: Floats, points: Points, around: Floats) -> Floats:
    """(3,) of log light that brings the face nearer to the skin around it, of which `around` is the colour.

    lit: (h, w, 3) log linear light. points: (468, 2) the mesh on it.
    """
    gap = around - _cheeks(lit, points)
    grey = float(gap.mean())
    return np.asarray(np.clip(SHARE * grey, -MOST, MOST) + TINT_SHARE * (gap - grey), np.float32)


def _cheeks(tone: Floats, points: Points) -> Floats:
    """(3,) the cheeks' (h, w, 3) tone, the middle of it."""
    colours = at_points(tone, points[[*CHEEK, *mean_face().mirror[list(CHEEK)]]])
    return np.asarray(np.median(colours, axis=0), np.float32)
