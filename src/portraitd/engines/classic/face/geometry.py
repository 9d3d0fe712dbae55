"""Where every point of the person's face goes in the template, and the pixel map that follows from it.

No loop over triangles or pixels: all triangles are rasterised at once, on a coarse grid, and the map (linear within a
triangle) is enlarged to full size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from portraitd.errors import AlgorithmFailed
from portraitd.faces import regions
from portraitd.faces.shape import fit_similarity, mean_face, rigid_weights
from portraitd.images import Floats, Image, Points

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]
Pixels = TypeVar("Pixels", Floats, Image)
#: Whole pixels of a picture, half-open: x0, y0, x1, y1.
Part: TypeAlias = tuple[int, int, int, int]

#: Within this distance of the rim (eye distances, on the mean face) the template's contour takes over.
RIM = 0.3


@lru_cache(maxsize=1)
def rim_gap() -> Floats:
    """(468,) how far each point of the mean face lies inside the face oval, eye distances."""
    points = mean_face().points
    oval = points[list(regions.FACE_OVAL)]
    dense = np.concatenate([oval * (1 - t) + np.roll(oval, -1, axis=0) * t for t in (0.0, 0.25, 0.5, 0.75)])
    return np.asarray(np.linalg.norm(points[:, None] - dense[None], axis=2).min(axis=1), np.float32)


@lru_cache(maxsize=1)
def rim_weights() -> Floats:
    """(468,) 1 on the face oval, falling smoothly to 0 at RIM inside it."""
    x = np.clip(1.0 - rim_gap() / RIM, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def pose_shape(shape: Points, target: Points, lower_deg: float = 0.0) -> Points:
    """(468, 3) px: the person's shape turned and placed like the target mesh, its rim on the target's contour.

    shape: (468, 3) in the mean face's frame. target: (468, 3) px mesh of the template's face. lower_deg: how much
    farther down than it the face is turned, degrees of pitch.
    """
    placed = fit_similarity(shape, target, rigid_weights())
    posed = placed.apply(shape)
    if lower_deg:
        # About the line from ear to ear: about the picture's, a head that looks aside would tilt.
        turn, middle = cv2.Rodrigues(placed.rotation[:, 0] * np.deg2rad(lower_deg))[0], posed.mean(axis=0)
        posed = (posed - middle) @ turn.T + middle
    w = rim_weights()[:, None]
    return np.asarray(posed * (1 - w) + target * w, np.float32)


def normals(points: Points) -> Floats:
    """(468, 3) unit normals of a mesh in px, pointing out of the face (z < 0 towards the viewer)."""
    a, b, c = np.moveaxis(points[mean_face().triangles].astype(np.float64), 1, 0)
    (x1, y1, z1), (x2, y2, z2) = (b - a).T, (c - a).T
    faces = np.stack([y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2], axis=1)
    total = _triangles_around() @ faces
    if np.count_nonzero(total[:, 2] > 0) > len(total) / 2:  # one winding for the whole mesh: most of it looks at us
        total = -total
    return np.asarray(total / np.maximum(np.sqrt((total * total).sum(axis=1, keepdims=True)), 1e-9), np.float32)


@lru_cache(maxsize=1)
def _triangles_around() -> sparse.csr_array:
    """(468, M) 1 where a triangle has a point for a corner."""
    triangles = mean_face().triangles
    ones, columns = np.ones(triangles.size), np.repeat(np.arange(len(triangles)), 3)
    return sparse.csr_array((ones, (triangles.ravel(), columns)), shape=(regions.POINT_COUNT, len(triangles)))


def at_points(values: Floats, points: Points) -> Floats:
    """(N,) or (N, C) of the (H, W[, C]) values at (N, 2) px, linear in between and held constant outwards."""
    x, y = (np.ascontiguousarray(points[:, axis, None], np.float32) for axis in (0, 1))
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0], np.float32)


def sampled(values: Pixels, at: Floats, method: int = cv2.INTER_LINEAR) -> Pixels:
    """(h, w[, C]) of the (H, W[, C]) values at (h, w, 2) px, held constant outwards."""
    # The second map is the empty one where the first holds both coordinates; cv2's types know no None there.
    return cv2.remap(values, at, None, method, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, no-any-return]


def part_of(small: Floats, size: tuple[int, int], part: Part, method: int = cv2.INTER_LINEAR) -> Floats:
    """(h, w[, C]) of the (H', W'[, C]) small picture enlarged to `size` (w, h): that part of it."""
    x0, y0, x1, y1 = part
    # All of it, then the part: several times faster than to compute the part alone, by any function that could.
    return np.ascontiguousarray(cv2.resize(small, size, interpolation=method)[y0:y1, x0:x1], np.float32)


def beside_ring(ring: Points, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """(h, w) px of a picture of this width and height: how far a pixel lies inside the (N, 2) px ring, and how far
    outside; 0 on the other side."""
    within = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(within, [np.rint(ring * 8).astype(np.int32)], 255, shift=3)
    inside, outside = (cv2.distanceTransform(side, cv2.DIST_L2, 5) for side in (within, 255 - within))
    return np.asarray(inside, np.float32), np.asarray(outside, np.float32)


def outward(points: Points) -> Floats:
    """(36, 2) unit vectors across the contour of a face with these (468, 2) points, away from it."""
    ring = points[list(regions.FACE_OVAL)]
    along = smoothed(np.roll(ring, -1, axis=0) - np.roll(ring, 1, axis=0))
    across = np.column_stack([along[:, 1], -along[:, 0]])
    return np.asarray(across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6), np.float32)


def smoothed(ring: Floats) -> Floats:
    """(N, C) each value of a closed ring with its two neighbours on either side, weighted."""
    return np.asarray(sum(np.roll(ring, k, axis=0) * (3 - abs(k)) for k in range(-2, 3)) / 9, np.float32)


@dataclass(frozen=True)
class Raster:
    """Where the nodes of a coarse grid over a (height, width) picture lie on the mesh."""

    #: (h * w, 468) each node as a weighted mean of its triangle's points; outside the mesh, as its nearest node inside.
    nodes: sparse.csr_array
    #: (h, w) 1 inside the mesh, 0 outside.
    inside: Floats
    #: Pixels between nodes.
    step: int
    shape: tuple[int, int]

    def interpolate(self, values: Floats, size: tuple[int, int] | None = None, part: Part | None = None) -> Floats:
        """(H, W[, C]) interpolation of (468[, C]) values given at the points, held constant outwards; C at most 4.

        size: (width, height) of the picture to give, another size of the same region; full size without.
        part: x0, y0, x1, y1 of it that is given; all without.
        """
        coarse = np.asarray(self.nodes @ values.astype(np.float32), np.float32)
        return self._enlarge(coarse.reshape(*self.inside.shape, *values.shape[1:]), size, part)

    def steepness(self, values: Floats) -> Floats:
        """(h, w) at the nodes: by how much the (468, 2) values change a pixel, where they change most."""
        coarse = np.asarray(self.nodes @ values.astype(np.float32), np.float32).reshape(*self.inside.shape, 2)
        # Central differences: a node beside a fold sees it, too.
        down, across = (np.linalg.norm(np.gradient(coarse, self.step, axis=axis), axis=2) for axis in (0, 1))
        return np.asarray(np.maximum(down, across), np.float32)

    def enlarged(self, at_nodes: Floats, part: Part) -> Floats:
        """That part, at full size, of (h, w[, C]) values given at the nodes."""
        return self._enlarge(at_nodes, None, part)

    def coverage(self, size: tuple[int, int] | None = None) -> Floats:
        """(H, W) 1 inside the mesh, 0 outside."""
        return self._enlarge(self.inside, size)

    def _enlarge(self, coarse: Floats, size: tuple[int, int] | None, part: Part | None = None) -> Floats:
        height, width = self.shape
        wide, high = size or (width, height)
        x0, y0, x1, y1 = part or (0, 0, wide, high)
        # Node (i, j) lies on pixel (i * step, j * step); a picture of another size has its pixels' centres elsewhere.
        across, down = width / wide, height / high
        shift = (across * x0 + (across - 1) / 2, down * y0 + (down - 1) / 2)
        matrix = np.array([[across, 0, shift[0]], [0, down, shift[1]]]) / self.step
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(coarse, matrix, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(large, np.float32).reshape(
            y1 - y0, x1 - x0, *coarse.shape[2:]
        )  # cv2 drops a single channel's axis


def rasterise(points: Points, shape: tuple[int, int], step: int = 2, grow: float = 0.0) -> Raster:
    """The mesh (468, 3) px drawn over a (height, width) picture; the nearest triangle wins.

    grow: triangles are enlarged by this share of themselves, so that the enlarged map is defined past the rim.
    """
    triangles = mean_face().triangles
    height, width = -(-shape[0] // step) + 1, -(-shape[1] // step) + 1
    corners = points[triangles].astype(np.float64)
    x, y = corners[:, :, 0] / step, corners[:, :, 1] / step
    across, down = y[:, _AFTER] - y[:, _BEFORE], x[:, _BEFORE] - x[:, _AFTER]
    area = (across * x).sum(axis=1)
    facing = np.sign(np.median(np.sign(area)))
    order = np.argsort(-corners[:, :, 2].sum(axis=1))  # far first: the nearest is written last
    order = order[area[order] * facing > 1e-9]
    x, y, triangles = x[order], y[order], triangles[order]
    # A corner's weight is linear over its triangle: (M, 3) coefficients of x, of y, and the rest.
    across, down = across[order] / area[order, None], down[order] / area[order, None]
    rest = 1 / 3 - across * x.mean(axis=1, keepdims=True) - down * y.mean(axis=1, keepdims=True)
    which, column, row = _pairs(x, y, (height, width), grow)
    across, down, rest = (np.take(v, which, axis=0) for v in (across, down, rest))
    weights = across * column[:, None] + down * row[:, None] + rest
    found = _winners(weights, row * width + column, height * width, grow).reshape(height, width)
    inside = found >= 0
    if not inside.any():
        raise AlgorithmFailed
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    found = found[tuple(nearest)].ravel()
    points_of, weights_of = triangles[which[found]].ravel(), weights[found].astype(np.float32).ravel()
    rows = np.arange(0, 3 * len(found) + 1, 3)
    nodes = sparse.csr_array((weights_of, points_of, rows), shape=(len(found), len(points)))
    return Raster(nodes, inside.astype(np.float32), step, shape)


#: The other two corners of a triangle, for each of its three.
_AFTER, _BEFORE = [1, 2, 0], [2, 0, 1]


def _pairs(x: Doubles, y: Doubles, shape: tuple[int, int], grow: float) -> tuple[Integers, Integers, Integers]:
    """(N,) every triangle with every node of the box around it: triangle, node's column, node's row.

    x, y: (M, 3) corners in nodes. shape: (rows, columns) of the grid.
    """
    x0, y0 = (np.maximum(np.ceil(v.min(axis=1) - grow), 0).astype(np.intp) for v in (x, y))
    x1, y1 = (
        np.minimum(np.floor(v.max(axis=1) + grow) + 1, end).astype(np.intp) for v, end in ((x, shape[1]), (y, shape[0]))
    )
    wide = np.maximum(x1 - x0, 0)
    counts = wide * np.maximum(y1 - y0, 0)
    which = np.repeat(np.arange(len(x)), counts)
    place = np.arange(len(which)) - (np.cumsum(counts) - counts)[which]
    row, column = np.divmod(place, wide[which])
    return which, column + x0[which], row + y0[which]


def _winners(weights: Doubles, node: Integers, count: int, grow: float) -> Integers:
    """(count,) the pair that draws each node, -1 for none: the last of those whose triangle it lies in.

    Where it lies in none, the one whose triangle it is nearest to, by `grow` of that triangle at most.
    """
    least = np.minimum(np.minimum(weights[:, 0], weights[:, 1]), weights[:, 2])
    within = np.flatnonzero(least >= -1e-6)
    found = np.full(count, -1, np.intp)
    found[node[within]] = within
    # Few nodes are left over: only what lies beside those is put in order.
    beside = np.flatnonzero((least >= -grow) & (found[node] < 0))
    beside = beside[np.argsort(least[beside])]
    found[node[beside]] = beside
    return found
