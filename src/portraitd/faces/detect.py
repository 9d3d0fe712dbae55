"""Where the faces are: BlazeFace full range (Google, Apache-2.0; Bazarevsky et al. 2019, arXiv:1907.05047)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from portraitd.faces.models import FaceModels
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Points

NETWORK = "face_detection_full_range_sparse.tflite"
INPUT = 192
STRIDE = 4
#: A tile pass finds faces that the whole picture, shrunk to 192 px, would lose.
TILE_FROM_PX = 1200


class Box(NamedTuple):
    """x0, y0, x1, y1 in pixels, half-open."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)


@dataclass(frozen=True)
class DetectedFace:
    """One face found."""

    box: Box
    #: (6, 2) px: left eye, right eye (as the viewer sees them), nose tip, mouth, left ear, right ear.
    keypoints: Points
    #: Probability, 0 to 1.
    score: float


def detect_faces(models: FaceModels, image: Image, min_score: float = 0.5) -> tuple[DetectedFace, ...]:
    """Every face in the (H, W, 3) image, largest first; the box spans brows to chin, ear to ear."""
    height, width = image.shape[:2]
    found = _detect_square(models, image, min_score)
    if max(height, width) >= TILE_FROM_PX and not any(face.box.width > 0.15 * max(height, width) for face in found):
        found += _detect_tiles(models, image, min_score)
    return tuple(sorted(_suppress(found), key=lambda face: -face.box.area))


def _detect_tiles(models: FaceModels, image: Image, min_score: float) -> list[DetectedFace]:
    """Faces in a 3 x 3 grid of tiles, each half the longer side, overlapping by half a tile."""
    height, width = image.shape[:2]
    side = max(height, width) // 2
    found: list[DetectedFace] = []
    for y in sorted({0, max(0, (height - side) // 2), max(0, height - side)}):
        for x in sorted({0, max(0, (width - side) // 2), max(0, width - side)}):
            tile = image[y : y + side, x : x + side]
            for face in _detect_square(models, tile, min_score):
                found.append(_moved(face, x, y))
    return found


def _moved(face: DetectedFace, x: float, y: float) -> DetectedFace:
    box = Box(face.box.x0 + x, face.box.y0 + y, face.box.x1 + x, face.box.y1 + y)
    return DetectedFace(box, face.keypoints + np.array([x, y], np.float32), face.score)


def _detect_square(models: FaceModels, image: Image, min_score: float) -> list[DetectedFace]:
    """Faces of the image padded to a square and shrunk to the network's input, overlaps still in."""
    height, width = image.shape[:2]
    side = max(height, width)
    scale = INPUT / side
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((INPUT, INPUT, 3), np.float32)
    canvas[: inner[1], : inner[0]] = shrunk(image, *inner).astype(np.float32) / 127.5 - 1.0
    regressors, logits = models.network(NETWORK)(canvas[None])
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[0, :, 0], -50, 50)))
    keep = np.flatnonzero(scores >= min_score)
    raw = regressors[0, keep].reshape(-1, 8, 2)
    centres = _anchors()[keep]
    middle = (raw[:, 0] + centres) / scale
    half = raw[:, 1] / scale / 2
    keypoints = (raw[:, 2:] + centres[:, None]) / scale
    return [
        DetectedFace(Box(*(middle[i] - half[i]), *(middle[i] + half[i])), keypoints[i].astype(np.float32), float(score))
        for i, score in enumerate(scores[keep])
    ]


@lru_cache(maxsize=1)
def _anchors() -> Floats:
    """(2304, 2) anchor centres in input pixels: one a cell of a 48 x 48 grid."""
    cells = (np.arange(INPUT // STRIDE, dtype=np.float32) + 0.5) * STRIDE
    y, x = np.meshgrid(cells, cells, indexing="ij")
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _suppress(faces: list[DetectedFace], overlap: float = 0.3) -> list[DetectedFace]:
    """One face per cluster of overlapping boxes: their mean, weighted by score (as BlazeFace does)."""
    kept: list[DetectedFace] = []
    rest = sorted(faces, key=lambda face: -face.score)
    while rest:
        best = rest[0]
        cluster = [face for face in rest if _overlap(best.box, face.box) > overlap]
        rest = [face for face in rest if _overlap(best.box, face.box) <= overlap]
        weights = np.array([face.score for face in cluster])
        box = np.average(np.array([face.box for face in cluster]), axis=0, weights=weights)
        keypoints = np.average(np.array([face.keypoints for face in cluster]), axis=0, weights=weights)
        kept.append(DetectedFace(Box(*map(float, box)), keypoints.astype(np.float32), best.score))
    return kept


def _overlap(a: Box, b: Box) -> float:
    """Intersection over the smaller area: a face found in two tiles counts once even when a tile cut it."""
    shared = Box(max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1))
    if shared.width <= 0 or shared.height <= 0:
        return 0.0
    return shared.area / max(1e-6, min(a.area, b.area))
