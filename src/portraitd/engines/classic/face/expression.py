"""The template's expression on the person's own face, as a change of shape: the lips stay the person's lips.

Two figures say what a mouth does: how far it is open, and how far its corners are drawn up. The person's mesh is
changed until it has the template's, lips and all that is near them moving along; an open one shuts half the way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.shape import align_to_mean, mean_face
from portraitd.images import Floats, Points

#: Gap of the inner lips over the width of the mouth up to which the mesh takes a shut mouth for open.
SHUT = 0.06
#: From this gap on there are teeth to see.
TEETH = 0.1
#: A smile that differs by less stays as it is: how the corners of a mouth lie at rest is the person's own, too.
TOLERATED = 0.04
#: Up to here a smile with shut lips looks like one.
MOST_SMILE = 0.22
#: How far an open mouth goes on the way to one that is less open: a laugh becomes a smile, where shutting it would
#: leave a thin line of teeth and the lips of somebody else. And how far open it stays at most.
CLOSING = 0.5
MOST_OPEN = 0.16
#: Share of an opening that the upper lip makes.
UPPER = 0.15
#: How far beyond the lips skin moves along, in widths of the mouth.
REACH = 0.4
#: How much wider a mouth gets for what its corners rise.
WIDENING = 0.25


@dataclass(frozen=True)
class Mouth:
    """What a mouth does, in widths of the mouth."""

    #: Gap of the inner lips, 0 for a shut mouth.
    opening: float
    #: How far the corners lie above the middle of the inner lips.
    smile: float

    @property
    def shows_teeth(self) -> float:
        """0 for shut lips, 1 for lips so far apart that teeth show."""
        return float(np.clip(self.opening / (TEETH - SHUT), 0, 1))


def mouth_of(shape: Points) -> Mouth:
    """The mouth of a (468, 3) mesh in the mean face's frame."""
    left, right = (shape[index] for index in regions.MOUTH_CORNERS)
    width = max(float(np.linalg.norm(left - right)), 1e-6)
    gap = float(np.linalg.norm(shape[_UPPER_LIP] - shape[_LOWER_LIP])) / width
    middle = (shape[_UPPER_LIP, 1] + shape[_LOWER_LIP, 1]) / 2
    return Mouth(max(0.0, gap - SHUT), float(middle - (left[1] + right[1]) / 2) / width)


def mouth_in_picture(points: Points) -> Mouth:
    """The mouth of a (468, 3) mesh in px."""
    return mouth_of(align_to_mean(points).inverse().apply(points).astype(np.float32))


def apart(one: Mouth, other: Mouth) -> float:
    """How differently two mouths are held, in widths of the mouth."""
    return abs(one.opening - other.opening) + abs(one.smile - other.smile)


def smiling(mouth: Mouth, by: float) -> Mouth:
    """The mouth with its corners higher by this, up to MOST_SMILE; a wider smile stays."""
    return replace(mouth, smile=max(mouth.smile, min(mouth.smile + by, MOST_SMILE)))


def with_mouth(shape: Points, wanted: Mouth, share: float) -> Points:
    """(468, 3) the shape, in the mean face's frame, with its mouth `share` (0 to 1) of the way to the wanted one."""
    own = mouth_of(shape)
    left, right = (shape[index] for index in regions.MOUTH_CORNERS)
    width = float(np.linalg.norm(left - right))
    opening = share * (_opened(own, wanted) - own.opening) * width
    # Opening moves the middle of the lips down by itself, away from the corners.
    drawn = wanted.smile - own.smile
    rise = share * float(np.sign(drawn) * max(0.0, abs(drawn) - TOLERATED)) * width - (0.5 - UPPER) * opening
    jaw, corners = _jaw(), _corners()
    moved = shape.astype(np.float32).copy()
    moved[:, 1] += jaw * opening - np.abs(corners) * rise
    moved[:, 0] += corners * WIDENING * rise
    return moved


def _opened(own: Mouth, wanted: Mouth) -> float:
    """How far the mouth may open or close on the way to the wanted one, in its widths."""
    if wanted.opening >= own.opening:
        return wanted.opening
    return min(own.opening + CLOSING * (wanted.opening - own.opening), max(wanted.opening, MOST_OPEN))


_UPPER_LIP, _LOWER_LIP = 13, 14


@lru_cache(maxsize=1)
def _jaw() -> Floats:
    """(468,) how far each point goes down when the lips part by 1: lower lip and jaw do, the upper lip hardly."""
    across, down, near = _around_mouth()
    middle = np.clip(1 - across**2, 0, 1)
    lower = np.zeros(regions.POINT_COUNT, bool)
    lower[[*_LOWER_INNER, *_LOWER_OUTER]] = True
    lower |= ~_lips() & (down > 0)
    return np.asarray(np.where(lower, 1 - UPPER, -UPPER) * middle * near, np.float32)


@lru_cache(maxsize=1)
def _corners() -> Floats:
    """(468,) how far each point goes with the corners of the mouth, negative on the left side."""
    points = mean_face().points[:, :2]
    across, _down, near = _around_mouth()
    width = float(np.linalg.norm(points[regions.MOUTH_CORNERS[0]] - points[regions.MOUTH_CORNERS[1]]))
    gap = np.min([np.linalg.norm(points - points[index], axis=1) for index in regions.MOUTH_CORNERS], axis=0)
    along = np.where(_lips(), np.clip(across**2, 0, 1), np.exp(-((gap / (REACH * width)) ** 2)))
    return np.asarray(np.sign(across) * along * near, np.float32)


@lru_cache(maxsize=1)
def _lips() -> NDArray[np.bool_]:
    """(468,) points of the lips."""
    lips = np.zeros(regions.POINT_COUNT, bool)
    lips[[*regions.LIPS_OUTER, *regions.LIPS_INNER]] = True
    return lips


@lru_cache(maxsize=1)
def _around_mouth() -> tuple[Floats, Floats, Floats]:
    """(468,) each, on the mean face: across the mouth, -1 and 1 at its corners; below its middle, in its widths; and 1
    on the lips, falling to 0 away from them."""
    points = mean_face().points
    left, right = (points[index] for index in regions.MOUTH_CORNERS)
    width = float(np.linalg.norm(left - right))
    middle = (points[_UPPER_LIP] + points[_LOWER_LIP]) / 2
    across = (points[:, 0] - middle[0]) / (width / 2)
    down = (points[:, 1] - middle[1]) / width
    outer = points[list(regions.LIPS_OUTER), :2]
    gap = np.linalg.norm(points[:, None, :2] - outer[None], axis=2).min(axis=1) / width
    near = np.where(_lips(), 1.0, np.exp(-((gap / REACH) ** 2)))
    return tuple(np.asarray(part, np.float32) for part in (across, down, near))  # type: ignore[return-value]


#: The lower halves of the rings, corners left out.
_LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
_LOWER_OUTER = (146, 91, 181, 84, 17, 314, 405, 321, 375)
