"""A wearer as measures are taken from them: small, upright, and what of them is skin, hair, or worn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.bare import WORK_PX, bare_skin
from portraitd.engines.classic.presets.framing import Head
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: What is looked at, face widths: to either side of the chin, above it and below.
AROUND, ABOVE, BELOW = 1.7, 1.9, 1.3
#: A neck up to this much brighter than the face (natural log of light) is skin, too.
GLARE = 0.45
#: Skin in a black and white photo is between so much darker and so much brighter than the face (natural log of light).
GREY = (-1.25, 0.2)
#: Gaps in skin that are narrower are none: a necklace, a shadow; px.
GAPS = 7
#: How unlike each other hair is (CIE76); how many pixels are enough to know it by, or clothes, and how many of them
#: something must be like, for a few are a bright forehead's or an ear's.
UNLIKE_HAIR, SAMPLES, LIKE = 22.0, 48, 5
#: What is this much more unlike hair (CIE76), and so many times as unlike, as what is worn is none for sure.
SAME, MUCH_MORE = 5.0, 2.0
#: From where on upwards all that is no skin is hair, and from where on downwards clothes, face widths below the chin.
UP_TO, WORN_FROM = -0.45, 0.45
#: Skin up to so far to either side, and down to so far below the chin, is an ear; face widths.
EARS = (0.66, -0.2)
#: So far around the mesh, above the chin, there is cheek and jaw; face widths.
JAW = 0.06
#: Skin up to so far beyond where a neck was measured, and down to so far below the chin, is its side; face widths.
NECK_SIDE = (0.12, 0.1)
#: Where shoulders and arms are, face widths: to either side, and below the chin. Bare from so much skin among them on:
#: a sleeveless dress and a pale jacket show 0.26, straps 0.7 or more.
ARMS, MOSTLY = ((0.45, 1.2), (0.3, 1.1)), 0.5

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Sight:
    """The wearer, small and upright: the face is WORK_PX wide. All arrays (h, w) unless they say otherwise."""

    #: (h, w, 3).
    image: Image
    #: The matte, and whether the photo shows this at all.
    alpha: Mask
    in_photo: Flags
    #: (468, 3) mesh, px of the image.
    points: Points
    #: Face widths right of the neck's middle, where that is known, else of the chin's; and below the chin.
    x: Floats
    y: Floats
    #: Bare skin; and hair, the head's own and what hangs together with it.
    skin: Flags
    hair: Flags

    def from_neck(self, aside: float) -> Sight:
        """The same, seen from a neck whose middle lies so far right of the chin's."""
        return replace(self, x=self.x - np.float32(aside))

    def shoulders_are_bare(self) -> bool:
        """Whether most of what shows of shoulders and arms is skin; a black and white photo does not tell."""
        if light.is_grey(self.image):
            return False
        (inner, outer), (high, low) = ARMS
        away = np.abs(self.x)
        seen = (self.alpha > 0.5) & self.in_photo & ~self.hair
        seen &= (away > inner) & (away < outer) & (self.y > high) & (self.y < low)
        return float((self.skin & seen).sum()) > MOSTLY * max(1, int(seen.sum()))

    def face(self) -> Flags:
        """(h, w) the face's mesh, and the next pixel."""
        return _face(self.points, self.alpha.shape)

    def head_and_neck(self, neck: float) -> Flags:
        """(h, w) face, jaw, ears, and the sides of a neck of which this is half of the width."""
        reach = 2 * round(JAW * WORK_PX) + 1
        near = cv2.dilate(self.face().astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        ears = (self.y < EARS[1]) & (np.abs(self.x) < EARS[0])
        sides = (self.y < NECK_SIDE[1]) & (np.abs(self.x) < neck + NECK_SIDE[0])
        return np.asarray((near & (self.y < 0)) | (self.skin & (ears | sides)))


def sight_of(image: Image, alpha: Mask, points: Points, head: Head) -> Sight:
    """Whoever has this (468, 3) mesh and (H, W) matte in the (H, W, 3) image. head: the mesh turned as it will be
    shown."""
    # Shrunk by averaging first; what is left for warping to shrink is too little to alias.
    scale = min(1.0, 2 * WORK_PX / head.width)
    size = (max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale)))
    width, height = round(2 * AROUND * WORK_PX), round((ABOVE + BELOW) * WORK_PX)
    linear = head.turn * (WORK_PX / head.width)
    shift = (AROUND * WORK_PX, ABOVE * WORK_PX) - linear @ points[regions.CHIN, :2]
    step = np.array([alpha.shape[1] / size[0], alpha.shape[0] / size[1]])
    matrix = np.column_stack([linear * step, linear @ (step / 2 - 0.5) + shift])

    def moved(values: Image | Floats, border: int) -> Floats:
        return np.asarray(cv2.warpAffine(values, matrix, (width, height), borderMode=border), np.float32)

    small = np.asarray(moved(shrunk(image, *size), cv2.BORDER_REPLICATE), np.uint8)
    matte = moved(np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32), cv2.BORDER_CONSTANT)
    in_photo = moved(np.ones(size[::-1], np.float32), cv2.BORDER_CONSTANT) > 0.99
    placed = np.column_stack([points[:, :2] @ linear.T + shift, points[:, 2] * (WORK_PX / head.width)])
    placed = placed.astype(np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(WORK_PX)
    x, y = x - np.float32(AROUND), y - np.float32(ABOVE)
    skin = _skin(small, matte, placed)
    hair = _hair(small, (matte, in_photo), skin | _face(placed, matte.shape), y)
    return Sight(small, matte, in_photo, placed, x, y, skin, hair)


def _face(points: Points, shape: tuple[int, ...]) -> Flags:
    """(height, width) the hull of a (N, 2) mesh, and the next pixel."""
    hull = cv2.convexHull(np.rint(points[:, :2]).astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 1)
    return np.asarray(cv2.dilate(face, np.ones((3, 3), np.uint8)) > 0)


def _skin(image: Image, alpha: Mask, points: Points) -> Flags:
    """(h, w) bare skin of the one with this (468, 3) mesh."""
    colours = light.colours_at(image, FaceMesh(points, 1.0))
    seen = light.skin_seen(colours, light.skin_points()) > 0
    if not seen.any():
        return np.zeros(alpha.shape, bool)
    skin = np.asarray(np.median(colours[seen], axis=0), np.float32)
    oval, tone = points[list(regions.FACE_OVAL), :2], light.log_light(image)
    likely = np.maximum(*(bare_skin(tone, oval, skin + np.float32(more), alpha) for more in (0.0, GLARE))) > 0.4
    if light.is_grey(image):  # any shirt has skin's colour then
        off = light.grey_of(tone - skin)
        likely &= (off > GREY[0]) & (off < GREY[1])
    return np.asarray(cv2.morphologyEx(likely.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((GAPS, GAPS), np.uint8)) > 0)


def _hair(image: Image, person: tuple[Mask, Flags], bare: Flags, y: Floats) -> Flags:
    """(h, w) hair: what is around the head, and what hangs together with it and is like it, or less unlike it than what
    is worn. person: the matte, and what the photo shows; bare: skin and face; y: face widths below the chin."""
    alpha, in_photo = person
    head = (alpha > 0.8) & ~bare & (y < UP_TO)
    worn = (alpha > 0.8) & ~bare & (y > WORN_FROM) & in_photo
    colours = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    rows, columns = np.nonzero((alpha > 0.5) & ~bare & (y >= UP_TO))
    off, other = (_unlike(colours[rows, columns], colours[sample]) for sample in (head, worn))
    # Hair that hangs before what is worn is in that sample, too: only what is much more like it is none.
    like = ((off < UNLIKE_HAIR) & (off < SAME + MUCH_MORE * other)) | ((off < other) & np.isfinite(other))
    hair = head.astype(np.uint8)
    hair[rows[like], columns[like]] = 1
    count, labels = cv2.connectedComponents(hair, connectivity=4)
    joined = np.bincount(labels[head], minlength=count) > 0
    return np.asarray(joined[labels])


def _unlike(colours: Floats, sample: Floats) -> Floats:
    """(N,) how far (N, 3) colours are from the LIKE nearest of a sample's; endlessly where it has none."""
    if not len(sample):
        return np.full(len(colours), np.inf, np.float32)
    some = sample[np.linspace(0, len(sample) - 1, SAMPLES).astype(int)]
    # The square of a difference, multiplied out: ten times faster.
    squares = (colours**2).sum(axis=1)[:, None] + (some**2).sum(axis=1)[None] - 2 * colours @ some.T
    return np.asarray(np.sqrt(np.maximum(np.partition(squares, LIKE - 1, axis=1)[:, LIKE - 1], 0)), np.float32)
