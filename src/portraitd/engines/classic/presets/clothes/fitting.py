"""A wearer's measures: where neck and shoulders are in a photo, and whether formal clothes can go there.

They go on whoever shows a bare neck down to where a buttoned collar closes, and wears nothing like that. Who wears a
collar, a scarf, a high neck or a long beard keeps what they wear: it would show above what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.bare import WORK_PX, bare_skin
from portraitd.engines.classic.presets.clothes.pattern import follows, neckline, shoulder
from portraitd.engines.classic.presets.framing import Head
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: What is looked at, face widths: to either side of the chin, above it and below.
AROUND, ABOVE, BELOW = 1.7, 1.9, 1.3
#: How much of a head the photo must show above the forehead, face widths.
CROWN = 0.12
#: How much brighter than the face's (natural log of light) the skin of a neck may be taken for, too.
GLARE = 0.45
#: Rows below the chin in which the neck is measured, and over how many of them it must show, face widths.
NECK_ROWS, LEAST_ROWS = (0.05, 0.26), 0.05
#: Half of a neck's width, face widths: what is believed, and what collars are cut for; how far to a side it may be.
NECK, COLLARS, MOST_ASIDE = (0.26, 0.54), (0.31, 0.46), 0.15
#: A neck does not narrow downwards to this; a collar does.
NARROWING = 0.72
#: Half of most people's neck: where hair hangs over it.
USUAL_NECK = 0.36
#: How much of what a collar leaves bare must be skin or hair, and of its middle skin; and how far
#: down the photo must show it, face widths.
BARE, SHOWN = (0.85, 0.9), 0.12
#: Who wears a collar shows less skin than this just below where one would be drawn,
SKIN_BELOW = 0.35
#: and clothes of other colours there than at the shoulders: how different (CIE76), and how much of them.
OTHER_COLOUR, FRONT = 25.0, 0.3
#: How unlike each other hair is (CIE76), and how many pixels are enough to know it by, or clothes.
UNLIKE_HAIR, SAMPLES = 22.0, 48
#: From where on upwards all that is no skin is hair, and from where on downwards clothes, face widths below the chin.
UP_TO, WORN_FROM = -0.45, 0.45
#: Where clothes of one's own would be seen beside those drawn, face widths to a side of the neck and below the chin.
NEARBY = (1.2, 0.5)
#: How much higher or lower than usual shoulders may be, and how much of the wearer's own clothes, or of a hand, may
#: show above them, face widths and their squares.
LIFTS, MOST_STRAY = (-0.03, 0.13), 0.03
#: How unlike each other two shoulders are at most, to either side of their middle.
LOPSIDED = 0.05
#: Where shoulders are measured, face widths below the chin; half of what is usual there; how broad they may be; and how
#: much broader a broad neck makes them where they are not seen.
ARM_ROWS, ARMS, BREADTHS, BROADER = (0.65, 0.95), 1.40, (0.88, 1.08), 1.2
#: Skin up to so far beside the neck and down to here is an ear; and so far around the mesh there is cheek and jaw.
EARS, JAW = (0.66, -0.2), 0.06

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fitting:
    """A wearer's measures, in face widths."""

    #: Half of the neck's width.
    neck: float
    #: How far the neck's middle lies right of the chin.
    aside: float
    #: How broad the shoulders are, 1 is usual; and how far the left and the right one lie above the pattern's.
    breadth: float = 1.0
    lifts: tuple[float, float] = (0.0, 0.0)
    #: (h, w) 0 to 1: the wearer's own clothes where they would show beside what is drawn; PX to a face width, around
    #: the chin.
    stray: Mask | None = None

    def stray_at(self, x: Floats, y: Floats) -> Mask:
        """(h, w) of `stray`, so many face widths right of the neck's middle and below the chin."""
        if self.stray is None:
            return np.zeros_like(x)
        at = ((x + np.float32(self.aside + AROUND)) * WORK_PX, (y + np.float32(ABOVE)) * WORK_PX)
        return np.asarray(cv2.remap(self.stray, *at, cv2.INTER_LINEAR), np.float32)

    def shoulder_line(self, x: Floats) -> Floats:
        """(...) how far below the chin the jacket's outline lies, so far right of the neck's middle."""
        line = shoulder(self.neck, self.breadth)
        lift = np.where(x < 0, self.lifts[0], self.lifts[1]) * follows(x, self.neck)
        return np.asarray(np.interp(np.abs(x), line[:, 0], line[:, 1]) - lift, np.float32)


@dataclass(frozen=True)
class _Sight:
    """The wearer, small and upright: the face is WORK_PX wide."""

    #: (h, w, 3).
    image: Image
    #: (h, w) the matte, and whether the photo shows this at all.
    alpha: Mask
    known: Flags
    #: (468, 3) mesh, px of the image.
    points: Points
    #: (h, w) face widths right of the chin and below it.
    x: Floats
    y: Floats

    def face(self) -> Flags:
        """(h, w) the face's mesh, and the next pixel."""
        hull = cv2.convexHull(np.rint(self.points[:, :2]).astype(np.int32))
        face = cv2.fillConvexPoly(np.zeros(self.alpha.shape, np.uint8), hull, 1)
        return np.asarray(cv2.dilate(face, np.ones((3, 3), np.uint8)) > 0)


def fitting_for(image: Image, alpha: Mask, points: Points, head: Head) -> Fitting | None:
    """The measures of whoever has this (468, 3) mesh and (H, W) matte in the (H, W, 3) image; None where nothing can be
    put on, or formal clothes are worn. head: the same mesh turned as it will be shown."""
    sight = _sight(image, alpha, points, head)
    if not sight.known[_above_brow(sight)].all():
        return None
    skin = _bare(sight)
    hair = _hair(sight, skin)
    measured = _neck(sight, skin, hair)
    if measured is None:
        return None
    neck, aside = measured
    x = sight.x - np.float32(aside)
    if not _neck_is_bare(sight, skin, hair, x, neck) or _is_dressed(sight, skin, x, neck):
        return None
    own = (sight.alpha > 0.5) & ~hair & (sight.y > UP_TO) & ~_head(sight, skin, x, neck)
    usual = Fitting(neck, aside, _breadth(sight, own, x, neck))
    fitting = replace(usual, lifts=_lifts(usual, own, x, sight.y))
    above = fitting.shoulder_line(x) - sight.y
    stray = own & (np.abs(x) > neck + 0.03)
    seen = stray & (above > 0.015) & (np.abs(x) < NEARBY[0]) & (sight.y < NEARBY[1])
    if seen.sum() > MOST_STRAY * WORK_PX**2:
        return None
    grown = cv2.dilate((stray & (above > -0.04)).astype(np.float32), np.ones((3, 3), np.uint8))
    grown *= ~_head(sight, skin, x, neck)
    return replace(fitting, stray=np.asarray(cv2.blur(grown, (3, 3)), np.float32))


def _sight(image: Image, alpha: Mask, points: Points, head: Head) -> _Sight:
    scale = min(1.0, 2 * WORK_PX / head.width)  # averaged first, by whole pixels: the rest is little
    size = (max(8, round(alpha.shape[1] * scale)), max(8, round(alpha.shape[0] * scale)))
    small, matte = shrunk(image, *size), cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    width, height = round(2 * AROUND * WORK_PX), round((ABOVE + BELOW) * WORK_PX)
    step = np.array([alpha.shape[1] / size[0], alpha.shape[0] / size[1]])
    linear = head.turn * (WORK_PX / head.width)
    chin = head.points[regions.CHIN] @ np.linalg.inv(head.turn).T
    shift = (AROUND * WORK_PX, ABOVE * WORK_PX) - linear @ chin
    matrix = np.column_stack([linear * step, linear @ (step / 2 - 0.5) + shift])

    def moved(values: Image | Floats, border: int) -> Floats:
        return np.asarray(cv2.warpAffine(values, matrix, (width, height), borderMode=border), np.float32)

    placed = points.copy()
    placed[:, :2] = points[:, :2] @ linear.T + shift
    placed[:, 2] *= WORK_PX / head.width
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return _Sight(
        np.asarray(moved(small, cv2.BORDER_REPLICATE), np.uint8),
        moved(np.asarray(matte, np.float32), cv2.BORDER_CONSTANT),
        moved(np.ones(size[::-1], np.float32), cv2.BORDER_CONSTANT) > 0.99,
        placed.astype(np.float32),
        (x - np.float32(AROUND * WORK_PX)) / WORK_PX,
        (y - np.float32(ABOVE * WORK_PX)) / WORK_PX,
    )


def _above_brow(sight: _Sight) -> Flags:
    """(h, w) the forehead and what is just above it: a head that the photo cuts there is a close-up."""
    top = float(sight.points[regions.FOREHEAD_TOP, 1]) / WORK_PX - ABOVE
    return np.asarray((np.abs(sight.x) < 0.3) & (sight.y > top - CROWN) & (sight.y < top))


def _bare(sight: _Sight) -> Flags:
    """(h, w) bare skin."""
    colours = light.colours_at(sight.image, FaceMesh(sight.points, 1.0))
    seen = light.skin_seen(colours, light.skin_points()) > 0
    skin = np.asarray(np.median(colours[seen], axis=0), np.float32)
    oval = sight.points[list(regions.FACE_OVAL), :2]
    tone = light.log_light(sight.image)
    likely = np.maximum(*(bare_skin(tone, oval, skin + np.float32(more), sight.alpha) for more in (0.0, GLARE))) > 0.4
    return np.asarray(cv2.morphologyEx(likely.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0)


def _neck(sight: _Sight, skin: Flags, hair: Flags) -> tuple[float, float] | None:
    """Half of the neck's width, and how far right of the chin its middle lies; None where none shows."""
    spans, covered = [], 0
    middle = int(AROUND * WORK_PX)
    first, last = (int((ABOVE + below) * WORK_PX) for below in NECK_ROWS)
    for row, strands, known in zip(skin[first:last], hair[first:last], sight.known[first:last], strict=True):
        near = np.flatnonzero(row & known)
        start = int(near[np.argmin(np.abs(near - middle))]) if near.size else -row.size
        if abs(start - middle) > MOST_ASIDE * WORK_PX:
            continue
        gaps = np.flatnonzero(~row)
        left, right = gaps[gaps < start], gaps[gaps > start]
        ends = (int(left[-1]) if left.size else 0, int(right[0]) if right.size else row.size - 1)
        covered += bool(strands[list(ends)].any())
        spans.append((ends[0] + 1, ends[1]))
    if len(spans) < LEAST_ROWS * WORK_PX:
        return None
    third = max(3, len(spans) // 3)
    upper, lower = np.array(spans[:third], np.float64), np.array(spans[-third:], np.float64)  # shoulders begin below
    half = float(np.median(upper[:, 1] - upper[:, 0])) / 2 / WORK_PX
    if covered > len(spans) / 2 and half < USUAL_NECK:
        return USUAL_NECK, 0.0
    if float(np.median(lower[:, 1] - lower[:, 0])) / 2 / WORK_PX < NARROWING * half:
        return None
    aside = (float(np.median(upper.mean(axis=1))) - middle) / WORK_PX
    if not NECK[0] < half < NECK[1] or abs(aside) > MOST_ASIDE:
        return None
    return float(np.clip(half, *COLLARS)), aside


def _below_collar(x: Floats, y: Floats, neck: float) -> Floats:
    """(h, w) face widths below the edge of a collar that is buttoned around such a neck."""
    edge = neckline(neck)[::-1]
    return np.asarray(y - np.interp(np.abs(x), edge[:, 0], edge[:, 1]), np.float32)


def _neck_is_bare(sight: _Sight, skin: Flags, hair: Flags, x: Floats, neck: float) -> bool:
    """Whether the photo shows skin where a collar leaves it bare, or hair that hangs over it at the sides."""
    below = _below_collar(x, sight.y, neck)
    opening = (np.abs(x) < neck - 0.04) & (below < -0.015) & (sight.y > -0.1) & sight.known & ~sight.face()
    shown = sight.known & (np.abs(x) < 0.05) & (sight.y > SHOWN - 0.03) & (sight.y < SHOWN)
    middle = opening & (np.abs(x) < 0.4 * neck)
    if not shown.any() or not middle.any():
        return False
    return bool((skin | hair)[opening].mean() > BARE[0] and skin[middle].mean() > BARE[1])


def _is_dressed(sight: _Sight, skin: Flags, x: Floats, neck: float) -> bool:
    """Whether the wearer has a collar already: no skin below it, and other colours there than at the shoulders."""
    below = _below_collar(x, sight.y, neck)
    rim = (np.abs(x) < 0.8 * neck) & (below > 0.02) & (below < 0.09) & sight.known
    if not rim.any() or skin[rim].mean() > SKIN_BELOW:
        return False
    worn = (sight.alpha > 0.8) & ~skin & sight.known
    front = worn & (np.abs(x) < 0.28) & (below > 0.03) & (below < 0.25)
    sides = worn & (np.abs(x) > 0.55) & (np.abs(x) < 0.95) & (sight.y > 0.35) & (sight.y < 0.65)
    if not front.any() or not sides.any():
        return False
    colours = _lab(sight.image)
    off = np.linalg.norm(colours[front] - np.median(colours[sides], axis=0), axis=1)
    return bool((off > OTHER_COLOUR).mean() > FRONT)


def _head(sight: _Sight, skin: Flags, x: Floats, neck: float) -> Flags:
    """(h, w) face, jaw, ears, and the sides of the neck."""
    reach = 2 * round(JAW * WORK_PX) + 1
    near = cv2.dilate(sight.face().astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    ears = (sight.y < EARS[1]) & (np.abs(x) < EARS[0])
    sides = (sight.y < 0.1) & (np.abs(x) < neck + 0.12)
    return np.asarray((near & (sight.y < 0)) | (skin & (ears | sides)))


def _hair(sight: _Sight, skin: Flags) -> Flags:
    """(h, w) hair: what is around the head, and what hangs together with it and is like it, or less unlike it than what
    is worn."""
    matter = ~skin & ~sight.face()
    head = (sight.alpha > 0.8) & matter & (sight.y < UP_TO)
    worn = (sight.alpha > 0.8) & matter & (sight.y > WORN_FROM) & sight.known
    colours = _lab(sight.image)
    rows, columns = np.nonzero((sight.alpha > 0.5) & matter & (sight.y >= UP_TO))
    off, other = (_unlike(colours[rows, columns], colours[sample]) for sample in (head, worn))
    like = (off < UNLIKE_HAIR) | ((off < other) & np.isfinite(other))
    hair = head.astype(np.uint8)
    hair[rows[like], columns[like]] = 1
    count, labels = cv2.connectedComponents(hair, connectivity=4)
    joined = np.bincount(labels[head], minlength=count) > 0
    joined[0] = False
    return np.asarray(joined[labels])


def _unlike(colours: Floats, known: Floats) -> Floats:
    """(N,) how far (N, 3) colours are from the nearest of these; endlessly where there are none."""
    if not len(known):
        return np.full(len(colours), np.inf, np.float32)
    some = known[np.linspace(0, len(known) - 1, SAMPLES).astype(int)]
    return np.asarray(np.linalg.norm(colours[:, None] - some[None], axis=2).min(axis=1), np.float32)


def _breadth(sight: _Sight, own: Flags, x: Floats, neck: float) -> float:
    """How broad the shoulders are, 1 is usual; by the neck where the photo does not show them."""
    halves = []
    for row in range(*(int((ABOVE + below) * WORK_PX) for below in ARM_ROWS)):
        at = x[row][own[row]]
        if at.size and sight.known[row].all() and not own[row, [0, -1]].any():
            halves.append(float(at.max() - at.min()) / 2)
    seen = np.median(halves) / ARMS if halves else 1 + BROADER * (neck - USUAL_NECK)
    return float(np.clip(seen, *BREADTHS))


def _lifts(usual: Fitting, own: Flags, x: Floats, y: Floats) -> tuple[float, float]:
    """How far the left and the right shoulder lie above the usual; nobody's differ much."""
    above = np.where(own & (np.abs(x) > usual.neck + 0.25) & (np.abs(x) < 1.1), usual.shoulder_line(x) - y, -np.inf)
    left, right = (_lift(np.where(side, above, -np.inf)) for side in (x < 0, x > 0))
    middle = (left + right) / 2
    low, high = middle - LOPSIDED, middle + LOPSIDED
    return float(np.clip(left, low, high)), float(np.clip(right, low, high))


def _lift(above: Floats) -> float:
    """The same of one; above: (h, w) how far its pixels are above the usual line, endlessly below for all others."""
    tops = above.max(axis=0)
    tops = tops[np.isfinite(tops)]
    return float(np.clip(np.percentile(tops, 80) + 0.015, *LIFTS)) if tops.size > 0.2 * WORK_PX else 0.0


def _lab(image: Image) -> Floats:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
