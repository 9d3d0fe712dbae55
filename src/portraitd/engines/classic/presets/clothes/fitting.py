"""A wearer's measures: where neck and shoulders are in a photo, and whether formal clothes can go there.

They go on whoever shows a bare neck down to where a buttoned collar closes. Who wears a buttoned collar, a scarf or a
high neck, or has a long beard, keeps what they wear: it would show above what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portraitd.engines.classic.face.bare import WORK_PX
from portraitd.engines.classic.presets.clothes.pattern import neckline, share_of_lift, shoulder
from portraitd.engines.classic.presets.clothes.sight import ABOVE, AROUND, UP_TO, Flags, Sight, sight_of
from portraitd.engines.classic.presets.framing import Head
from portraitd.faces import regions
from portraitd.images import Floats, Image, Mask, Points

#: How much of a head the photo must show above the forehead, and how far to either side, face widths.
CROWN = (0.12, 0.3)
#: How far to either side of the chin it must show the head, face widths.
HALF_HEAD = 0.6
#: Rows below the chin in which the neck is measured, and over how many of them it must show, face widths.
NECK_ROWS, LEAST_ROWS = (0.05, 0.26), 0.05
#: Half of a neck's width, face widths: what is believed, and what collars are cut for; how far to a side it may be.
NECK, COLLARS, MOST_ASIDE = (0.29, 0.54), (0.31, 0.46), 0.24
#: A neck does not narrow downwards to this; a collar does.
NARROWING = 0.72
#: Half of most people's neck: where hair hangs over it.
USUAL_NECK = 0.36
#: How much of what a collar leaves bare must be skin or hair, and of its middle skin; and how far down the photo must
#: show it, face widths.
BARE, SHOWN = (0.85, 0.9), 0.12
#: How much of it must be the person: a collar does not stand off a neck.
FILLED = 0.97
#: Where clothes of one's own would be seen beside those drawn, face widths: from so far beyond the neck, and above the
#: shoulder's line, up to so far from the neck's middle, and down to so far below the chin.
BEYOND_NECK, ABOVE_LINE, FARTHEST, LOWEST = 0.03, 0.015, 1.2, 0.5
#: How large an area of them is too much, face widths squared; and how large a one of a collar, which is up to so far
#: beyond the neck, from so far below the chin on.
MOST_OWN, MOST_COLLAR, AT_NECK = 0.03, 0.0035, (0.3, -0.15)
#: How much higher or lower than usual shoulders may be, and how far from the middle of both each; face widths.
LIFTS, LOPSIDED = (-0.03, 0.13), 0.05
#: Between where they are measured, face widths beyond the neck and from its middle.
SHOULDERS = (0.25, 1.1)
#: Between where arms are measured, face widths below the chin, and half of what is usual there.
ARM_ROWS, ARMS = (0.65, 0.95), 1.40
#: How broad people may be, and how much broader a broad neck makes one whose arms are not seen.
BREADTHS, BROADER = (0.88, 1.08), 1.2


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
    #: (h, w) 0 to 1 what the wearer has on and must not be seen beside what is drawn, as `Sight` sees it.
    own_clothes: Mask | None = None

    def own_clothes_at(self, x: Floats, y: Floats) -> Mask:
        """(h, w) of `own_clothes`, so far right of the neck's middle and below the chin."""
        if self.own_clothes is None:
            return np.zeros_like(x)
        at = ((x + np.float32(self.aside + AROUND)) * WORK_PX, (y + np.float32(ABOVE)) * WORK_PX)
        return np.asarray(cv2.remap(self.own_clothes, *at, cv2.INTER_LINEAR), np.float32)

    def shoulder_line(self, x: Floats) -> Floats:
        """(...) how far below the chin the jacket's outline lies, so far right of the neck's middle."""
        line = shoulder(self.neck, self.breadth)
        lift = np.where(x < 0, self.lifts[0], self.lifts[1]) * share_of_lift(x, self.neck)
        return np.asarray(np.interp(np.abs(x), line[:, 0], line[:, 1]) - lift, np.float32)


def fitting_for(image: Image, alpha: Mask, points: Points, head: Head) -> Fitting | None:
    """The measures of whoever has this (468, 3) mesh and (H, W) matte in the (H, W, 3) image; None where nothing can be
    put on. head: the same mesh turned as it will be shown."""
    sight = sight_of(image, alpha, points, head)
    measured = _neck(sight) if _crown_is_shown(sight) else None
    if measured is None:
        return None
    neck, aside = measured
    sight = sight.from_neck(aside)
    if not _neck_is_bare(sight, neck):
        return None
    kept = sight.hair | sight.head_and_neck(neck)
    own = (sight.alpha > 0.5) & (sight.y > UP_TO) & ~kept
    usual = Fitting(neck, aside, _breadth(sight, own, neck))
    fitting = replace(usual, lifts=_lifts(sight, own, usual))
    worn = own & (np.abs(sight.x) > neck + BEYOND_NECK)
    away, high = np.abs(sight.x), fitting.shoulder_line(sight.x) - sight.y > ABOVE_LINE
    seen = worn & high & (away < FARTHEST) & (sight.y < LOWEST)
    collar = seen & (away < neck + AT_NECK[0]) & (sight.y > AT_NECK[1])
    if seen.sum() > MOST_OWN * WORK_PX**2 or collar.sum() > MOST_COLLAR * WORK_PX**2:
        return None
    beside = cv2.dilate(kept.astype(np.float32), np.ones((3, 3), np.uint8))
    grown = cv2.dilate(worn.astype(np.float32), np.ones((7, 7), np.uint8)) * (1 - beside)  # with its soft edge
    return replace(fitting, own_clothes=np.asarray(cv2.blur(grown, (3, 3)), np.float32))


def _crown_is_shown(sight: Sight) -> bool:
    """Whether the photo shows more than a face: who is cut off above the brows has a close-up, without shoulders, and
    half a head has none either."""
    top = float(sight.points[regions.FOREHEAD_TOP, 1]) / WORK_PX - ABOVE
    above = (np.abs(sight.x) < CROWN[1]) & (sight.y > top - CROWN[0]) & (sight.y <= top)
    beside = (np.abs(sight.x) < HALF_HEAD) & (sight.y > top) & (sight.y < 0)
    return bool(sight.in_photo[above | beside].all())


def _neck(sight: Sight) -> tuple[float, float] | None:
    """Half of the neck's width, and how far right of the chin its middle lies; None where none shows."""
    spans, covered = [], 0
    first, last = (int((ABOVE + below) * WORK_PX) for below in NECK_ROWS)
    for row in range(first, last):
        near = np.flatnonzero(sight.skin[row] & sight.in_photo[row])
        start = int(near[np.argmin(np.abs(sight.x[row, near]))]) if near.size else 0
        if not near.size or abs(float(sight.x[row, start])) > MOST_ASIDE:
            continue
        gaps = np.flatnonzero(~sight.skin[row])
        left, right = int(gaps[gaps < start].max(initial=0)), int(gaps[gaps > start].min(initial=sight.x.shape[1] - 1))
        covered += bool(sight.hair[row, [left, right]].any())
        spans.append((float(sight.x[row, left]), float(sight.x[row, right])))
    if len(spans) < LEAST_ROWS * WORK_PX:
        return None
    edges, third = np.array(spans), max(3, len(spans) // 3)
    widths = edges[:, 1] - edges[:, 0] - 1 / WORK_PX  # between the pixels beside it
    half = float(np.median(widths[:third])) / 2  # shoulders begin below
    if covered > len(spans) / 2 and half < USUAL_NECK:
        return USUAL_NECK, 0.0
    aside = float(np.median(edges[:third].mean(axis=1)))
    narrows = float(np.median(widths[-third:])) / 2 < NARROWING * half
    if narrows or not NECK[0] < half < NECK[1] or abs(aside) > MOST_ASIDE:
        return None
    return float(np.clip(half, *COLLARS)), aside


def _neck_is_bare(sight: Sight, neck: float) -> bool:
    """Whether the photo shows skin where a buttoned collar leaves it bare, or hair that hangs over it at the sides."""
    x, edge = np.abs(sight.x), neckline(neck)[::-1]
    within = (x < neck - 0.04) & (sight.y < np.interp(x, edge[:, 0], edge[:, 1]) - 0.015)
    opening = within & (sight.y > -0.1) & sight.in_photo & ~sight.face()
    middle = opening & (x < 0.4 * neck)
    shown = sight.in_photo & (x < 0.05) & (sight.y > SHOWN - 0.03) & (sight.y < SHOWN)
    if not shown.any() or not middle.any() or (sight.alpha[opening] > 0.5).mean() < FILLED:
        return False
    return bool((sight.skin | sight.hair)[opening].mean() > BARE[0] and sight.skin[middle].mean() > BARE[1])


def _breadth(sight: Sight, own: Flags, neck: float) -> float:
    """How broad the shoulders are, 1 is usual; by the neck where the photo does not show them."""
    halves = []
    for row in range(*(int((ABOVE + below) * WORK_PX) for below in ARM_ROWS)):
        at = sight.x[row][own[row]]
        if at.size and sight.in_photo[row].all() and not own[row, [0, -1]].any():
            halves.append(float(at.max() - at.min()) / 2)
    seen = np.median(halves) / ARMS if halves else 1 + BROADER * (neck - USUAL_NECK)
    return float(np.clip(seen, *BREADTHS))


def _lifts(sight: Sight, own: Flags, usual: Fitting) -> tuple[float, float]:
    """How far the left and the right shoulder lie above the usual; nobody's differ much."""
    away = np.abs(sight.x)
    measured = own & (away > usual.neck + SHOULDERS[0]) & (away < SHOULDERS[1])
    above = np.where(measured, usual.shoulder_line(sight.x) - sight.y, -np.inf)
    seen = [_lift(np.where(side, above, -np.inf)) for side in (sight.x < 0, sight.x > 0)]
    left, right = (other if lift is None else lift for lift, other in (seen, seen[::-1]))
    if left is None or right is None:
        return 0.0, 0.0
    low, high = (left + right) / 2 - LOPSIDED, (left + right) / 2 + LOPSIDED
    return float(np.clip(left, low, high)), float(np.clip(right, low, high))


def _lift(above: Floats) -> float | None:
    """How far one shoulder lies above the usual line; None where it is not seen.

    above: (h, w) how far its pixels are above that line; minus infinity for all others.
    """
    tops = above.max(axis=0)
    tops = tops[np.isfinite(tops)]
    return float(np.clip(np.percentile(tops, 80) + ABOVE_LINE, *LIFTS)) if tops.size > 0.2 * WORK_PX else None
