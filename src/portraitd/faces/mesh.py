"""The 468-point mesh of a face, and what can be read off it: pose, scale, crops.

Landmark network: MediaPipe face mesh (Google, Apache-2.0; Kartynnik et al. 2019, arXiv:1907.06724).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.faces import regions
from portraitd.faces.detect import Box, DetectedFace
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, Image, Points

NETWORK = "face_landmark.tflite"
INPUT = 192
#: Side of the square crop, in longer sides of the face's box.
MARGIN = 1.5
#: A detection counts as a face when the landmark network agrees.
MESH_SCORE = 0.5


@dataclass(frozen=True)
class FaceMesh:
    """One face's points in the picture it was found in."""

    #: (468, 3) float32 px; z in pixels too, smaller is nearer.
    points: Points
    #: Probability that the crop shows a face, 0 to 1.
    score: float

    @property
    def xy(self) -> Points:
        """(468, 2) px."""
        return self.points[:, :2]

    @property
    def box(self) -> Box:
        """Tight box around all points."""
        (x0, y0), (x1, y1) = self.xy.min(axis=0), self.xy.max(axis=0)
        return Box(float(x0), float(y0), float(x1), float(y1))

    @property
    def eye_centres(self) -> Points:
        """(2, 2) px: middle of the left and of the right eye ring."""
        rings = (regions.LEFT_EYE, regions.RIGHT_EYE)
        return np.stack([self.xy[list(ring)].mean(axis=0) for ring in rings])


@dataclass(frozen=True)
class SquareCrop:
    """A rotated square of a picture, resampled to `side_px` pixels a side."""

    image: Image
    #: (2, 3): picture pixels -> crop pixels.
    matrix: Floats

    def to_picture(self, points: Points) -> Points:
        """(N, 2) or (N, 3) points of the crop in picture pixels; z scales along."""
        inverse = cv2.invertAffineTransform(self.matrix).astype(np.float32)
        flat = points[:, :2] @ inverse[:, :2].T + inverse[:, 2]
        if points.shape[1] == 2:
            return flat.astype(np.float32)
        scale = float(np.hypot(inverse[0, 0], inverse[1, 0]))
        return np.column_stack([flat, points[:, 2] * scale]).astype(np.float32)


def crop_square(image: Image, centre: tuple[float, float], side: float, angle_deg: float, side_px: int) -> SquareCrop:
    """The square of `side` px around `centre`, its x axis along `angle_deg` (clockwise), side_px pixels a side."""
    shrink = max(1, int(side / side_px))
    if shrink > 1:  # averaged first: sampling a large face every few pixels would alias
        image, origin = _shrunk(image, centre, side, shrink)
    else:
        origin = (0.0, 0.0)
    to_small = np.array([[1 / shrink, 0, -origin[0] / shrink], [0, 1 / shrink, -origin[1] / shrink]], np.float64)
    # Pixel centres at integers: averaging k pixels moves the grid by half of (k - 1).
    to_small[:, 2] -= (shrink - 1) / (2 * shrink)
    scale = side_px / side * shrink
    angle = np.deg2rad(angle_deg)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float64)
    middle = to_small[:, :2] @ np.array(centre, np.float64) + to_small[:, 2]
    shift = (side_px - 1) / 2 - turn @ middle
    matrix = np.column_stack([turn, shift])
    crop = cv2.warpAffine(image, matrix, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    whole = np.column_stack([turn @ to_small[:, :2], turn @ to_small[:, 2] + shift])
    return SquareCrop(np.asarray(crop, np.uint8), whole.astype(np.float32))


def _shrunk(image: Image, centre: tuple[float, float], side: float, shrink: int) -> tuple[Image, tuple[float, float]]:
    """The part of the image a rotated crop can touch, `shrink` times smaller, and its origin in picture pixels."""
    reach = side * 0.75
    height, width = image.shape[:2]
    x0, y0 = max(0, int(centre[0] - reach)), max(0, int(centre[1] - reach))
    x1, y1 = min(width, int(centre[0] + reach) + 1), min(height, int(centre[1] + reach) + 1)
    x1, y1 = x0 + max(1, (x1 - x0) // shrink) * shrink, y0 + max(1, (y1 - y0) // shrink) * shrink
    part = image[y0:y1, x0:x1]
    small = cv2.resize(part, (max(1, (x1 - x0) // shrink), max(1, (y1 - y0) // shrink)), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), (float(x0), float(y0))


def fit_mesh(models: FaceModels, image: Image, face: DetectedFace) -> FaceMesh:
    """The mesh of a detected face. Two passes: the second, on the first one's mesh, is the steadier (classic.md)."""
    left, right = face.keypoints[0], face.keypoints[1]
    box = face.box
    centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    first = _pass(models, image, centre, max(box.width, box.height) * MARGIN, _angle(left, right))
    return refit_mesh(models, image, first)


def main_mesh(models: FaceModels, image: Image, detected: Sequence[DetectedFace]) -> FaceMesh | None:
    """The mesh of the picture's main face; None where nothing was detected.

    detected: largest first. The main face is the largest that the landmark network agrees is one: a print on a shirt,
    or half a face at the edge, may be larger. Where it agrees to none, the likeliest.
    """
    likeliest: FaceMesh | None = None
    for face in detected:
        mesh = fit_mesh(models, image, face)
        if mesh.score >= MESH_SCORE:
            return mesh
        if likeliest is None or mesh.score > likeliest.score:
            likeliest = mesh
    return likeliest


def refit_mesh(models: FaceModels, image: Image, mesh: FaceMesh) -> FaceMesh:
    """The mesh found in a crop placed by a mesh that is nearly right."""
    eyes = mesh.eye_centres
    angle = _angle(eyes[0], eyes[1])
    turn = np.deg2rad(angle)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    level = mesh.xy @ axes.T
    low, high = level.min(axis=0), level.max(axis=0)
    centre = axes.T @ ((low + high) / 2)
    side = float((high - low).max()) * MARGIN
    return _pass(models, image, (float(centre[0]), float(centre[1])), side, angle)


def _pass(models: FaceModels, image: Image, centre: tuple[float, float], side: float, angle_deg: float) -> FaceMesh:
    crop = crop_square(image, centre, max(side, 8.0), angle_deg, INPUT)
    raw, logit = models.network(NETWORK)(crop.image[None].astype(np.float32) / 255.0)
    # The network counts pixel edges from 0; ours are centres.
    points = raw.reshape(regions.POINT_COUNT, 3) - np.array([0.5, 0.5, 0.0], np.float32)
    score = 1.0 / (1.0 + float(np.exp(-float(logit.reshape(-1)[0]))))
    turned = crop.to_picture(points)
    return FaceMesh(turned, score)


def _angle(left: Points, right: Points) -> float:
    """Angle of the line from the left to the right eye, degrees, clockwise positive."""
    return float(np.rad2deg(np.arctan2(right[1] - left[1], right[0] - left[0])))
