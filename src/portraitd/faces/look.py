"""A face seen in one fixed way: a level crop of fixed size, its skin, and how much its parts look like a face's.

The likeness of a part is the normalised cross-correlation of its grey values, slope of the light removed, with average
looks of that part (template matching: Brunelli and Poggio 1993, "Face recognition: features versus templates").
`data/face_look.npz` holds the averages; `benchmarks/face_look.py` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh, crop_square
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask, Points, Size

_DATA = Path(__file__).parent / "data" / "face_look.npz"

#: Side of the crop; the face fills 1 / MARGIN of it.
CROP_PX = 256
MARGIN = 1.25

#: Mesh points around patches of bare skin, one side of the face; the mirror twins are the other side's.
_FOREHEAD = (67, 109, 10, 151, 108, 69)
_CHEEK = (117, 50, 205, 36, 100)
_JAW = (212, 202, 204, 194, 211, 210, 214)

_UNDER_EYE = (110, 24, 23, 22, 26, 112, 31, 228, 229, 230, 231, 232, 233)
_MOUTH = (*regions.LIPS_OUTER, *regions.LIPS_INNER, 2, 164, 0, 17, 18, 200, 98, 327, 205, 425, 204, 424)
_NOSE = (*regions.NOSTRILS, 1, 2, 5, 195, 48, 278, 102, 331)


@dataclass(frozen=True)
class Part:
    """A part of the face and the size of the patch it is compared in."""

    #: Mesh points that hold the part.
    indices: tuple[int, ...]
    size: Size


@dataclass(frozen=True)
class FaceCrop:
    """A face with level eyes in the middle of a square of CROP_PX."""

    #: (CROP_PX, CROP_PX, 3) uint8; black where the picture ended.
    image: Image
    #: (468, 2) px of the crop.
    points: Points

    @property
    def face_px(self) -> float:
        """Hairline to chin, pixels of the crop."""
        return float(np.linalg.norm(self.points[regions.FOREHEAD_TOP] - self.points[regions.CHIN]))

    def polygon(self, indices: tuple[int, ...]) -> NDArray[np.bool_]:
        """(CROP_PX, CROP_PX) True inside the hull of some mesh points."""
        mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
        hull = cv2.convexHull(self.points[list(indices)])
        cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 1, shift=4)
        return mask > 0


def face_crop(image: Image, mesh: FaceMesh) -> FaceCrop:
    """The face of a mesh of the (H, W, 3) image, cut out and levelled."""
    left, right = mesh.eye_centres
    angle = float(np.rad2deg(np.arctan2(right[1] - left[1], right[0] - left[0])))
    box = mesh.box
    centre = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    crop = crop_square(image, centre, max(box.width, box.height) * MARGIN, angle, CROP_PX)
    points = mesh.xy @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    return FaceCrop(crop.image, points.astype(np.float32))


def mirrored(indices: tuple[int, ...]) -> tuple[int, ...]:
    """The mirror twins of mesh points."""
    twins = mean_face().mirror
    return tuple(int(twins[index]) for index in indices)


def skin_patches(crop: FaceCrop) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """(CROP_PX, CROP_PX) masks of bare skin, left and right as the viewer sees them, by name."""
    patches = {"forehead": _FOREHEAD, "cheek": _CHEEK, "jaw": _JAW}
    return {name: (crop.polygon(ring), crop.polygon(mirrored(ring))) for name, ring in patches.items()}


@lru_cache(maxsize=1)
def parts() -> dict[str, Part]:
    """The parts that are compared: both eyes with their brows, the nose, the mouth."""
    left_eye = (*regions.LEFT_EYE, *regions.LEFT_BROW, *_UNDER_EYE)
    return {
        "left_eye": Part(left_eye, Size(32, 28)),
        "right_eye": Part(mirrored(left_eye), Size(32, 28)),
        "nose": Part(_NOSE, Size(28, 24)),
        "mouth": Part(_MOUTH, Size(36, 28)),
    }


def part_look(grey: Floats, points: Points, part: Part) -> Floats:
    """(h, w) float32 look of one part of unit norm: the part laid flat on the mean face, slope of the light removed.

    `grey`: (H, W) float32, any unit. `points`: (468, 2) px of it.
    """
    width, height = part.size
    mean = mean_face().points[list(part.indices), :2]
    low, high = mean.min(axis=0), mean.max(axis=0)
    rim = 0.08 * (high - low)
    target = (mean - low + rim) / (high - low + 2 * rim) * [width - 1, height - 1]
    source = np.column_stack([points[list(part.indices)], np.ones(len(mean))])
    affine = np.linalg.lstsq(source, target, rcond=None)[0].T  # picture -> patch
    shrink = 1 / np.sqrt(max(abs(float(np.linalg.det(affine[:, :2]))), 1e-6))
    soft = cv2.GaussianBlur(grey, (0, 0), max(0.5, 0.45 * shrink))  # sampling every `shrink` px would alias
    patch = cv2.warpAffine(soft, affine, (width, height), borderMode=cv2.BORDER_REPLICATE).ravel()
    slope = _plane(width, height)
    flat = patch - slope @ (slope.T @ patch)
    return np.asarray((flat / (np.linalg.norm(flat) + 1e-6)).reshape(height, width), np.float32)


@lru_cache(maxsize=4)
def _plane(width: int, height: int) -> NDArray[Any]:
    """(h * w, 3) orthonormal basis of constant and linear grey."""
    y, x = np.mgrid[:height, :width]
    return np.asarray(np.linalg.qr(np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1))[0], np.float32)


@lru_cache(maxsize=1)
def average_looks() -> dict[str, Mask]:
    """(k, h, w) average looks of each part, unit norm."""
    with np.load(_DATA) as data:
        looks = {name: data[name].astype(np.float32) for name in data.files}
    return {name: look / np.linalg.norm(look, axis=(1, 2), keepdims=True) for name, look in looks.items()}


def part_likeness(crop: FaceCrop) -> dict[str, float]:
    """How much each part looks like one: correlation with the nearest average look, -1 to 1 (0.5 to 0.9 usual)."""
    # Green: lips are darker than skin in it for every skin tone.
    grey = crop.image[..., 1].astype(np.float32)
    return {
        name: float((average_looks()[name] * part_look(grey, crop.points, part)).sum(axis=(1, 2)).max())
        for name, part in parts().items()
    }
