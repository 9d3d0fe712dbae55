"""Where hands are near a face: MediaPipe hands (Google, Apache-2.0; Zhang et al. 2020, arXiv:2006.10214)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from portraitd.faces.mesh import FaceMesh, crop_square
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, Image, Points

PALMS = "palm_detection_lite.tflite"
JOINTS = "hand_landmark_full.tflite"
PALMS_INPUT, JOINTS_INPUT = 192, 224
#: Probability from which what may be a palm is looked at; from which it is likely to be a hand's; and which a hand has
#: in a second look: a jaw or a collar seldom looks like one twice.
MAYBE, LIKELY, SURE = 0.3, 0.5, 0.8
#: Most palms that are looked at, the surest first.
MOST = 3
#: Side of the square in which hands are looked for, and how far below the face's middle its own lies, face heights.
LOOK, LOWER = 2.4, 0.25
#: Side of a hand's square, and how far from the palm towards the fingers its middle lies, sides of the palm's box.
HAND, TOWARDS_FINGERS = 2.6, 0.5
#: The same of a hand whose joints are known, in sides of the box around those that bent fingers move least; and the
#: knuckles that tell where it points, the middle one twice.
FIRM_HAND, FIRM_TOWARDS_FINGERS = 2.0, 0.1
FIRM, KNUCKLES = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18), (5, 9, 9, 13)
#: Of a palm's seven points, and of a hand's 21 joints: the wrist, and where the middle finger begins.
PALM_WRIST, PALM_MIDDLE = 0, 2
WRIST = 0
#: Cells along a side of the palm network's two grids, and anchors in each cell.
_GRIDS = ((24, 2), (12, 6))


@dataclass(frozen=True)
class Hand:
    """One hand."""

    #: (21, 2) px: the wrist, then four joints for each finger from the thumb on, its tip last.
    joints: Points
    #: Probability that it is one.
    score: float


@dataclass(frozen=True)
class _Palm:
    centre: Points
    side: float
    #: (7, 2) px
    points: Points


def find_hands(models: FaceModels, image: Image, mesh: FaceMesh) -> tuple[Hand, ...]:
    """The hands near the face with this mesh in the (H, W, 3) image."""
    box = mesh.box
    centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2 + LOWER * box.height)
    palms = _palms(models, image, centre, max(8.0, LOOK * box.height))[:MOST]
    hands = [hand for palm in palms if (hand := _hand(models, image, palm)).score > LIKELY]
    return tuple(again for hand in hands if (again := _looked_at_again(models, image, hand)).score > SURE)


def _palms(models: FaceModels, image: Image, centre: tuple[float, float], side: float) -> list[_Palm]:
    """What may be a palm in a square of the image, surest first, each once; px of the image."""
    crop = crop_square(image, centre, side, 0.0, PALMS_INPUT)
    regressors, logits = models.network(PALMS)(crop.image[None].astype(np.float32) / 255.0)
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[0, :, 0], -50, 50)))
    found: list[_Palm] = []
    for i in np.argsort(-scores)[: np.count_nonzero(scores > MAYBE)]:
        raw = regressors[0, i].reshape(9, 2)
        palm_side = float(raw[1].max())
        # Box and points are offsets from the anchor; the network counts pixel edges from 0, ours are centres.
        middle, *points = np.delete(raw, 1, axis=0) + _anchors()[i] - 0.5
        if all(np.linalg.norm(middle - other.centre) > max(palm_side, other.side) / 2 for other in found):
            found.append(_Palm(middle, palm_side, np.stack(points)))
    scale = side / PALMS_INPUT
    return [
        _Palm(crop.to_picture(palm.centre[None])[0], palm.side * scale, crop.to_picture(palm.points)) for palm in found
    ]


def _hand(models: FaceModels, image: Image, palm: _Palm) -> Hand:
    """The hand that this palm is part of, if it is one."""
    along = palm.points[PALM_MIDDLE] - palm.points[PALM_WRIST]
    upright = np.arctan2(along[0], -along[1])
    x, y = palm.centre + TOWARDS_FINGERS * palm.side * np.array([np.sin(upright), -np.cos(upright)])
    return _joints_in(models, image, (float(x), float(y)), HAND * palm.side, float(upright))


def _looked_at_again(models: FaceModels, image: Image, hand: Hand) -> Hand:
    """The hand in a square placed by its own joints."""
    knuckles = hand.joints[list(KNUCKLES)]
    along = knuckles.mean(axis=0) - hand.joints[WRIST]
    upright = float(np.arctan2(along[0], -along[1]))
    axes = np.array([[np.cos(upright), np.sin(upright)], [-np.sin(upright), np.cos(upright)]])
    level = hand.joints[list(FIRM)] @ axes.T
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = axes.T @ ((low + high) / 2 - np.array([0, FIRM_TOWARDS_FINGERS * (high - low)[1]]))
    return _joints_in(models, image, (float(x), float(y)), FIRM_HAND * float((high - low).max()), upright)


def _joints_in(models: FaceModels, image: Image, centre: tuple[float, float], side: float, upright: float) -> Hand:
    """The hand in this square of the image, whose fingers point along `upright`, radians clockwise from upwards."""
    crop = crop_square(image, centre, max(8.0, side), float(np.rad2deg(upright)), JOINTS_INPUT)
    joints, score, *_ = models.network(JOINTS)(crop.image[None].astype(np.float32) / 255.0)
    return Hand(crop.to_picture(joints.reshape(21, 3)[:, :2] - np.float32(0.5)), float(score.reshape(-1)[0]))


@lru_cache(maxsize=1)
def _anchors() -> Floats:
    """(2016, 2) anchor centres in input pixels."""
    grids = []
    for cells, each in _GRIDS:
        middles = (np.arange(cells, dtype=np.float32) + 0.5) * np.float32(PALMS_INPUT / cells)
        y, x = np.meshgrid(middles, middles, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(grids)
