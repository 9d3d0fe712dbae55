"""The template's expression on the person's own face, as a change of shape: the lips stay the person's lips.

Two figures say what a mouth does: how far it is open, and how far its corners are drawn up. The person's mesh is
changed until it has the wanted ones, lips, cheeks and chin moving as people's do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from portraitd.faces import regions
from portraitd.faces.shape import align_to_mean, mean_face
from portraitd.images import Floats, Points

#: Gap of the inner lips over the width of the mouth up to which the mesh takes a shut mouth for open.
SHUT = 0.06
#: From this gap on there are teeth to see.
TEETH = 0.1
#: Up to here lips can be shut in a smile: of 98 faces whose are, the merriest has 0.08.
MOST_SMILE = 0.09
#: How far lips go on the way to others that are farther apart: with all of the template's teeth between them they are
#: hardly anybody's own (measured on identity distance).
PARTING = 0.5
#: How far an open mouth goes on the way to one that is less open: a laugh becomes a smile, where shutting it would
#: leave a thin line of teeth and the lips of somebody else. And how far open it stays at most.
CLOSING = 0.5
MOST_OPEN = 0.16
#: No smile that was measured is broader than 0.19.
BROADEST_SMILE = 0.2
#: The mouth's corners, and the middle of its inner lips.
_TELLING = [*regions.MOUTH_CORNERS, 13, 14]
#: Which way the lower lip goes from the upper one when they part.
_DOWN_AND_BACK = np.array([0.0, 0.88, 0.48], np.float32)
#: Lips that part by this much, in widths of the mouth, are apart: teeth half seen would be half lip.
APART = 0.01


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


#: What differs by less stays as it is: how a mouth is held at rest is the person's own, too.
HABIT = Mouth(opening=0.016, smile=0.05)


def mouth_of(shape: Points) -> Mouth:
    """The mouth of a (468, 3) mesh in the mean face's frame."""
    left, right, upper, lower = shape[_TELLING, 1]
    return Mouth(max(0.0, _gap(shape) - SHUT), float((upper + lower) / 2 - (left + right) / 2) / _width(shape))


def _gap(shape: Points) -> float:
    """Of the inner lips, in widths of the mouth."""
    return float(np.linalg.norm(shape[_TELLING[2]] - shape[_TELLING[3]])) / _width(shape)


def _width(shape: Points) -> float:
    return max(float(np.linalg.norm(shape[_TELLING[0]] - shape[_TELLING[1]])), 1e-6)


def mouth_in_picture(points: Points) -> Mouth:
    """The mouth of a (468, 3) mesh in px."""
    return mouth_of(align_to_mean(points).inverse().apply(points).astype(np.float32))


def apart(one: Mouth, other: Mouth) -> float:
    """How differently two mouths are held, in widths of the mouth."""
    return abs(one.opening - other.opening) + abs(one.smile - other.smile)


def towards(own: Mouth, other: Mouth, share: float) -> Mouth:
    """What becomes of one's own mouth `share` (0 to 1) of the way to another.

    HABIT stays. A laugh, which shows teeth, becomes a smile and no straight face.
    """
    smile = own.smile + _beyond(other.smile - own.smile, HABIT.smile)
    farther = _beyond(other.opening - own.opening, HABIT.opening)
    opening = own.opening + (PARTING if farther > 0 else CLOSING) * farther
    if smile < own.smile:
        smile += (1 - CLOSING) * own.shows_teeth * (own.smile - smile)
    if farther < 0:
        opening = min(opening, max(own.opening + farther, MOST_OPEN))
    return Mouth(*(mine + share * (goal - mine) for mine, goal in ((own.opening, opening), (own.smile, smile))))


def _beyond(value: float, spared: float) -> float:
    return float(np.sign(value)) * max(0.0, abs(value) - spared)


def parted(own: Mouth, wanted: Mouth) -> float:
    """0 to 1: how far lips are apart that were not, on the way from one mouth to the other."""
    return float(np.clip((wanted.opening - own.opening) / APART, 0, 1))


def smiling(mouth: Mouth, by: float) -> Mouth:
    """The mouth with its corners higher by this, up to MOST_SMILE; a wider smile stays."""
    return replace(mouth, smile=max(mouth.smile, min(mouth.smile + by, MOST_SMILE)))


def following(shape: Points, points: Points, share: float) -> Points:
    """(468, 3) the shape, in the mean face's frame, its mouth `share` (0 to 1) of the way to that of (468, 3) px."""
    return with_mouth(shape, towards(mouth_of(shape), mouth_in_picture(points), share))


def with_mouth(shape: Points, wanted: Mouth) -> Points:
    """(468, 3) the shape, in the mean face's frame, with its mouth held like the wanted one, nearly: the lips' gap is
    taken along the way they part, the width across.
    """
    own = mouth_of(shape)
    if own == wanted:
        return shape.astype(np.float32)
    rise, gap, width = _upright(shape[_TELLING])
    rises, gaps, widths = _upright(moves()[_TELLING])
    width = np.maximum(width, 1e-6)
    smile = rise / width + np.clip(wanted.smile, -BROADEST_SMILE, BROADEST_SMILE) - own.smile
    opening = gap / width + wanted.opening - own.opening
    # An opening is counted from SHUT on: lips that lie closer together part by as much more.
    opening += parted(own, wanted) * max(0.0, SHUT - _gap(shape))
    # Amounts of a smile and of an opening, of which all three lengths are linear: lengths that stand in the wanted
    # proportions to the width that the mouth then has.
    slope = np.stack([rises - smile * widths, gaps - opening * widths])
    amounts = np.linalg.solve(slope, [smile * width - rise, opening * width - gap])
    return np.asarray(shape + moves() @ amounts, np.float32)


def _upright(telling: Floats) -> tuple[Floats, Floats, Floats]:
    """How high the corners lie above the middle of the inner lips, the lips' gap, and the mouth's width: of (4, 3[, n])
    points of upright faces."""
    left, right, upper, lower = telling
    gap = np.tensordot(_DOWN_AND_BACK, lower - upper, axes=1)
    return (upper[1] + lower[1]) / 2 - (left[1] + right[1]) / 2, gap, right[0] - left[0]


@lru_cache(maxsize=1)
def moves() -> Floats:
    """(468, 3, 2) where each point goes, in widths of the mouth, when a smile grows by 1 and when lips part by 1.

    Between the measured points, the smoothest that there is: radial basis functions of distance itself, which are
    biharmonic in space. Written out, for scipy's own take 25 MB more of a worker.
    """
    face = mean_face()
    measured = {point: np.array(move) for point, move in _MEASURED.items()}
    twins = {int(face.mirror[point]): move * _MIRRORED for point, move in measured.items()}
    known = {point: np.zeros((2, 3)) for point in _UNMOVED} | twins | measured
    away = np.linalg.norm(face.points[:, None] - face.points[list(known)], axis=2)
    constant, values = np.ones((len(known), 1)), np.stack([move.T.ravel() for move in known.values()])
    system = np.block([[away[list(known)], constant], [constant.T, np.zeros((1, 1))]])
    weights = np.linalg.solve(system, np.vstack([values, np.zeros(6)]))
    return np.asarray((away @ weights[:-1] + weights[-1]).reshape(-1, 3, 2), np.float32)


#: Across, down, and away from the viewer, of points on the left side and in the middle: when a smile grows by 1, and
#: when lips part by 1. Least squares over the meshes of 162 faces of 89 people, pose and person held equal.
_MEASURED = {
    # The lips' outer ring, from the corner along the lower lip, and along the upper one.
    61: ((-1.79, -2.02, 1.02), (0.32, 0.48, -0.06)),
    146: ((-1.44, -1.55, 1.02), (0.22, 0.59, 0.05)),
    91: ((-1.07, -1.11, 0.65), (0.11, 0.71, 0.25)),
    181: ((-0.71, -0.83, 0.29), (0.01, 0.83, 0.40)),
    84: ((-0.36, -0.68, -0.16), (-0.03, 0.92, 0.53)),
    17: ((0.00, -0.61, -0.30), (0.00, 0.96, 0.57)),
    185: ((-1.63, -1.79, 0.89), (0.30, 0.30, -0.09)),
    40: ((-1.28, -1.40, 0.57), (0.21, 0.16, -0.08)),
    39: ((-0.91, -0.96, 0.25), (0.12, 0.03, -0.07)),
    37: ((-0.44, -0.60, 0.14), (0.04, -0.06, -0.06)),
    0: ((0.00, -0.56, 0.19), (0.00, -0.08, -0.08)),
    # Their inner ring, the same way. Lips lie on each other here: what one does must not be guessed from the other.
    78: ((-1.66, -1.72, 1.09), (0.35, 0.44, -0.06)),
    95: ((-1.38, -1.26, 1.00), (0.29, 0.62, 0.06)),
    88: ((-1.16, -0.96, 0.68), (0.22, 0.72, 0.19)),
    178: ((-0.82, -0.65, 0.39), (0.13, 0.81, 0.28)),
    87: ((-0.45, -0.45, 0.16), (0.05, 0.86, 0.35)),
    14: ((0.00, -0.38, 0.07), (0.00, 0.88, 0.37)),
    191: ((-1.58, -1.65, 0.87), (0.33, 0.28, -0.11)),
    80: ((-1.30, -1.45, 0.59), (0.27, 0.17, -0.12)),
    81: ((-0.98, -1.22, 0.32), (0.18, 0.08, -0.13)),
    82: ((-0.59, -1.03, 0.13), (0.09, 0.02, -0.12)),
    13: ((0.00, -0.95, 0.07), (0.00, -0.01, -0.11)),
    # Below the nose, beside it, where a smile folds the cheek, the cheek, and down to the chin.
    164: ((0.00, -0.07, -0.13), (0.00, -0.12, -0.01)),
    240: ((-0.41, -0.18, -0.32), (0.10, -0.08, 0.00)),
    216: ((-1.13, -1.06, 0.34), (0.32, 0.15, -0.02)),
    205: ((-0.89, -0.33, -0.18), (0.24, 0.02, 0.01)),
    147: ((-0.84, -0.07, 0.08), (0.22, 0.02, -0.16)),
    202: ((-0.58, -1.09, 0.61), (0.14, 0.30, 0.11)),
    211: ((-0.17, -0.43, 0.12), (0.05, 0.24, 0.28)),
    215: ((-0.49, 0.27, 0.11), (0.17, 0.02, -0.19)),
    199: ((0.00, -0.16, -0.52), (0.00, 0.43, 0.62)),
}
_MIRRORED = np.array([-1.0, 1.0, 1.0])
#: What stays: eyes, brows, forehead, nose, and the contour above the mouth.
_UNMOVED = (
    *(33, 133, 145, 159, 230, 263, 362, 374, 386, 450),
    *(70, 105, 107, 300, 334, 336),
    *(9, 10, 54, 103, 284, 332),
    *(1, 6, 48, 168, 278),
    *(93, 127, 234, 323, 356, 454),
)
