"""Where every point of the person's face goes in the template, and the pixel map that follows from it.

No loop over triangles or pixels: all triangles are rasterised at once, on a coarse grid, and the map (linear within a
triangle) is enlarged to full size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from portraitd.errors import AlgorithmFailed
from portraitd.faces import regions
from portraitd.faces.shape import fit_similarity, mean_face, rigid_weights
from portraitd.images import Floats, Points

#: Within this distance of the rim (eye distances, on the mean face) the template's contour takes over.
RIM = 0.3


@lru_cache(maxsize=1)
def rim_weights() -> Floats:
    """(468,) 1 on the face oval, falling smoothly to 0 at RIM inside it."""
    points = mean_face().points
    oval = points[list(regions.FACE_OVAL)]
    dense = np.concatenate([oval * (1 - t) + np.roll(oval, -1, axis=0) * t for t in (0.0, 0.25, 0.5, 0.75)])
    gap = np.linalg.norm(points[:, None] - dense[None], axis=2).min(axis=1)
    x = np.clip(1.0 - gap / RIM, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def pose_shape(shape: Points, target: Points, expression: float = 0.0) -> Points:
    """(468, 3) px: the person's shape turned and placed like the target mesh, its rim on the target's contour.

    shape: (468, 3) in the mean face's frame. target: (468, 3) px mesh of the template's face. expression: 0 to 1, how
    far lips, lids and brows follow the target's.
    """
    posed = fit_similarity(shape, target, rigid_weights()).apply(shape)
    w = np.maximum(rim_weights(), expression * (1.0 - rigid_weights()))[:, None]
    return np.asarray(posed * (1 - w) + target * w, np.float32)


def normals(points: Points) -> Floats:
    """(468, 3) unit normals of a mesh in px, pointing out of the face (z < 0 towards the viewer)."""
    triangles = mean_face().triangles
    a, b, c = (points[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    total = np.zeros((len(points), 3))
    for axis in range(3):
        total[:, axis] = np.bincount(triangles.ravel(), np.repeat(faces[:, axis], 3), minlength=len(points))
    outward = total @ np.array([0, 0, -1.0])
    total *= np.sign(np.sum(np.sign(outward)))  # one winding for the whole mesh: most of a face looks at us
    unit: Floats = (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)).astype(np.float32)
    return unit


@dataclass(frozen=True)
class Raster:
    """Which triangle covers each node of a coarse grid over a (height, width) picture."""

    #: (h, w) triangle index; outside the mesh that of the nearest node inside.
    triangle: NDArray[np.int32]
    #: (h, w) 1 inside the mesh, 0 outside.
    inside: Floats
    #: (h, w, 3) barycentric weights of that triangle's points.
    weights: Floats
    #: Pixels between nodes.
    step: int
    shape: tuple[int, int]

    def interpolate(self, values: Floats) -> Floats:
        """(H, W[, C]) full-size interpolation of (468[, C]) values given at the points, held constant outwards."""
        corners = mean_face().triangles[self.triangle]
        coarse = np.einsum("hwk,hwk...->hw...", self.weights, values[corners]).astype(np.float32)
        return self._enlarge(coarse)

    def coverage(self) -> Floats:
        """(H, W) 1 inside the mesh, 0 outside."""
        return np.asarray(self._enlarge(self.inside), np.float32)

    def _enlarge(self, coarse: Floats) -> Floats:
        height, width = self.shape
        step = self.step
        # Node (i, j) lies on pixel (i * step, j * step): an affine map keeps them there, resize would shift by half.
        matrix = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(coarse, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(large, np.float32).reshape(
            height, width, *coarse.shape[2:]
        )  # cv2 drops a single channel's axis


def rasterise(points: Points, shape: tuple[int, int], step: int = 2, grow: float = 0.0) -> Raster:
    """The mesh (468, 3) px drawn over a (height, width) picture; the nearest triangle wins.

    grow: triangles are enlarged by this share of themselves, so that the enlarged map is defined past the rim.
    """
    triangles = mean_face().triangles
    height, width = -(-shape[0] // step) + 1, -(-shape[1] // step) + 1
    corners = points[triangles][:, :, :2].astype(np.float64) / step  # (M, 3, 2)
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.sign(np.median(np.sign(area)))
    order = np.argsort(-points[triangles][:, :, 2].mean(axis=1))  # far first: the nearest is written last
    order = order[area[order] * facing > 1e-9]
    corners, area = corners[order], area[order]
    low = np.clip(np.ceil(corners.min(axis=1) - grow), 0, [width, height]).astype(int)
    high = np.clip(np.floor(corners.max(axis=1) + grow) + 1, 0, [width, height]).astype(int)
    spans = np.maximum(high - low, 0)
    counts = spans[:, 0] * spans[:, 1]
    which = np.repeat(np.arange(len(order)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    x = low[which, 0] + offset % np.maximum(spans[which, 0], 1)
    y = low[which, 1] + offset // np.maximum(spans[which, 0], 1)
    node = np.stack([x, y], axis=1)
    a, b, c = corners[which, 0], corners[which, 1], corners[which, 2]
    w0 = _cross(c - b, node - b) / area[which]
    w1 = _cross(a - c, node - c) / area[which]
    weights = np.stack([w0, w1, 1 - w0 - w1], axis=1)
    inside = (weights >= -1e-6 - grow).all(axis=1)
    raster = np.full((height, width), -1, np.int32)
    bary = np.zeros((height, width, 3), np.float32)
    x, y, which, weights = x[inside], y[inside], which[inside], weights[inside]
    if grow:  # a node that truly lies in a triangle belongs to it; any other to the triangle it is nearest to
        least = weights.min(axis=1)
        sure = least >= -1e-6
        outside = np.flatnonzero(~sure)
        both = np.concatenate([outside[np.argsort(least[outside])], np.flatnonzero(sure)])
        x, y, which, weights = x[both], y[both], which[both], weights[both]
    raster[y, x] = order[which]
    bary[y, x] = weights
    covered = raster >= 0
    if not covered.any():
        raise AlgorithmFailed
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return Raster(raster[tuple(nearest)], covered.astype(np.float32), bary[tuple(nearest)], step, shape)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], np.float64)
