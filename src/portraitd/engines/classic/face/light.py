"""Light on a face: estimated at the mesh's points as spherical harmonics of their normals, taken out and put in.

Nine coefficients describe how a matte surface is lit (Ramamoorthi and Hanrahan 2001, "An efficient representation for
irradiance environment maps"); they are fitted to the logarithm of linear light, so that light is a ratio.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Points, to_linear

#: Keeps the logarithm of black finite; about 8-bit code 25.
FLOOR = 0.01
#: Pull of the six second-order coefficients towards 0: faces show half a sphere, which alone does not determine them.
RIDGE = np.array([1e-4] + [0.02] * 3 + [0.12] * 5)
#: Red, green and blue of a step towards darker skin, natural log of linear light, as a unit vector: melanin absorbs
#: blue more than green, and green more than red (Anderson and Parrish 1981, "The optics of human skin").
MELANIN = np.array([0.72, 1.0, 1.2], np.float32) / np.float32(np.linalg.norm([0.72, 1.0, 1.2]))
#: What of it is colour, the way it makes skin redder: skin in the shade, which skin lights, is redder, too.
REDDER = (MELANIN.mean() - MELANIN) / np.float32(np.linalg.norm(MELANIN.mean() - MELANIN))


@lru_cache(maxsize=1)
def skin_points() -> Floats:
    """(468,) 1 for mesh points on bare skin, 0 on eyes, lips, brows, nostrils and at the rim."""
    points = mean_face().points[:, :2]
    weight = np.ones(regions.POINT_COUNT, np.float32)
    rings = {
        regions.LEFT_EYE: 0.10,
        regions.RIGHT_EYE: 0.10,
        regions.LIPS_OUTER: 0.07,
        regions.LEFT_BROW: 0.10,
        regions.RIGHT_BROW: 0.10,
        regions.FACE_OVAL: 0.05,
    }
    for ring, reach in rings.items():
        gap = np.linalg.norm(points[:, None] - points[list(ring)][None], axis=2).min(axis=1)
        weight[gap < reach] = 0.0
        if ring != regions.FACE_OVAL:
            inside = [cv2.pointPolygonTest(_hull(points[list(ring)]), tuple(map(float, p)), False) > 0 for p in points]
            weight[inside] = 0.0
    weight[[98, 97, 2, 326, 327, 64, 294, 240, 460, 99, 328, 75, 305, 60, 290, 20, 250]] = 0.0  # nostrils
    return weight


def log_light(image: Image) -> Floats:
    """(H, W, 3) logarithm of the linear light of an sRGB image, FLOOR added first."""
    return np.asarray(cv2.LUT(image, _log_table()), np.float32)


@lru_cache(maxsize=1)
def _log_table() -> Floats:
    codes = np.arange(256, dtype=np.uint8)
    return np.asarray(np.log(to_linear(codes) + FLOOR), np.float32)


def grey_of(values: Floats) -> Floats:
    """(H, W) mean of the three channels of (H, W, 3); several times faster than numpy's over the last axis."""
    return np.asarray(cv2.transform(values, np.full((1, 3), 1 / 3, np.float32)), np.float32)


def is_grey(image: Image) -> bool:
    """Whether the (h, w, 3) image is black and white, however its compression coloured it."""
    red, green, blue = cv2.split(image)
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return float(np.percentile(spread, 95)) < 6.0


def _hull(points: Points) -> Points:
    return np.asarray(cv2.convexHull(points.astype(np.float32)), np.float32)


def colours_at(image: Image, mesh: FaceMesh) -> Floats:
    """(468, 3) log of linear light at each point, averaged over a spot of about 2.5 % of the face."""
    height, width = image.shape[:2]
    box = mesh.box
    shrink = max(1.0, max(box.width, box.height) / 48)
    size = (max(8, round(width / shrink)), max(8, round(height / shrink)))
    small = to_linear(shrunk(image, *size))
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)
    at = (mesh.xy + 0.5) * np.array([size[0] / width, size[1] / height], np.float32) - 0.5
    picked = cv2.remap(
        small, at[None, :, 0].copy(), at[None, :, 1].copy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.log(np.asarray(picked, np.float32)[0] + FLOOR), np.float32)


def harmonics(normals: Floats) -> Floats:
    """(N, 9) real spherical harmonics up to order 2 of (N, 3) unit normals, constants left to the coefficients."""
    x, y, z = normals[:, 0], normals[:, 1], normals[:, 2]
    columns = [np.ones_like(x), x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1]
    return np.stack(columns, axis=1).astype(np.float32)


def mirrored(coefficients: Floats) -> Floats:
    """(9, 3) the light that falls on a face's mirror image: what is odd across changes its sign."""
    signs = np.ones((9, 1), np.float32)
    signs[[1, 4, 6]] = -1
    return coefficients * signs


def fit_light(colours: Floats, normals: Floats, weights: Floats) -> Floats:
    """(9, 3) coefficients of log light per colour, robust to spots, shine and shadows (iterated Huber weights).

    colours: (N, 3) log linear light. normals: (N, 3). weights: (N,) 0 where a point must not count.
    """
    basis = harmonics(normals).astype(np.float64)
    w = weights.astype(np.float64).copy()
    ridge = np.diag(RIDGE * max(1.0, float(w.sum())))
    coefficients = np.zeros((9, 3))
    for _ in range(5):
        gram = (basis * w[:, None]).T @ basis + ridge
        coefficients = np.asarray(np.linalg.solve(gram, (basis * w[:, None]).T @ colours), np.float64)
        off = np.abs(colours - basis @ coefficients).mean(axis=1)
        scale = 1.4826 * float(np.median(off[weights > 0])) + 1e-3
        w = weights * np.minimum(1.0, 1.5 * scale / np.maximum(off, 1e-6))
    return coefficients.astype(np.float32)


def skin_seen(colours: Floats, weights: Floats) -> Floats:
    """(N,) the weights, with points dropped that are not the face's skin colour: hair, hats, shadows of both."""
    inner = weights > 0
    if inner.sum() < 20:
        return weights
    luma = colours.mean(axis=1)
    chroma = colours - luma[:, None]
    centre = np.median(chroma[inner], axis=0)
    off = np.linalg.norm(chroma - centre, axis=1)
    dark = np.median(luma[inner]) - luma
    spread = 1.4826 * np.median(off[inner]) + 0.03
    keep = (off < 3.5 * spread) & (dark < 0.9)
    return np.asarray(weights * keep, np.float32)
