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
#: Probability from which what may be a palm is looked at, and from which it is a hand.
MAYBE, SURE = 0.3, 0.5
#: Side of the square in which hands are looked for, and how far below the face's middle its own lies, face heights.
LOOK, LOWER = 2.4, 0.25
#: Side of a hand's square, and how far from the palm towards the fingers its middle lies, sides of the palm's box.
HAND, TOWARDS_FINGERS = 2.6, 0.5
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
    hands = (_hand(models, image, palm) for palm in _palms(models, image, centre, max(8.0, LOOK * box.height)))
    return tuple(hand for hand in hands if hand.score > SURE)


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
    side = max(8.0, HAND * palm.side)
    crop = crop_square(image, (float(x), float(y)), side, float(np.rad2deg(upright)), JOINTS_INPUT)
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
