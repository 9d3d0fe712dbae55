"""A face's pixels in another geometry: each sampled once."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face.geometry import Part, Raster, rim_weights, sampled
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask, Points

#: How much nearer to the nose's tip the jaw's colours are read, as a share of the way.
OFF_THE_EDGE = 0.045
#: The same of outer cheeks that are turned away; from which depth of their normal on they begin to be, and how much
#: deeper than on the other cheek it is where they surely are.
OFF_WHERE_TURNED = 0.06
TURNED = 0.4
FAR = 0.5
#: How many pixels of the photo a pixel may show, against the usual number, before they are averaged, and when they are.
STEEP = (2.2, 3.2)
#: How much finer than the photo's the pixels are between which a face is sampled linearly.
FINER = 2
#: Sigma of that average and softness of its edge, in heights of the face.
FOLD_BLUR = 0.016
FOLD_SOFTNESS = 0.006


def warp(face: FaceRegion, raster: Raster, height_px: float, size: tuple[int, int], part: Part | None = None) -> Image:
    """(h, w, 3) the face in the raster's geometry, at `size` (w, h), where a face is `height_px` high.

    part: which of it is given, in full detail. Without one it is all of it, and only its tone will be looked at.
    """
    image, points = face.image, off_the_edge(face)
    ratio = height_px / max(1.0, face.mesh.box.height)
    if ratio < 0.75:  # averaged first: sampling a large face sparsely would alias
        smaller = (max(8, round(image.shape[1] * ratio)), max(8, round(image.shape[0] * ratio)))
        scale = np.array([smaller[0] / image.shape[1], smaller[1] / image.shape[0]], np.float32)
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        points = (points + 0.5) * scale - 0.5
        ratio = 1.0
    if part is None:
        return sampled(image, raster.interpolate(points.astype(np.float32), size))
    # Enlarged by cubic interpolation, then sampled linearly: nearly as sharp as to sample by cubic, five times as fast.
    fine = np.asarray(cv2.resize(image, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC), np.uint8)
    at = raster.interpolate(((points + 0.5) * FINER - 0.5).astype(np.float32), None, part)
    warped = sampled(fine, at)
    folded = _folded(raster.steepness(points) * np.float32(ratio))
    if folded is None:
        return warped
    # Softened at the nodes: there it is a small picture, however large the face is.
    softened = cv2.GaussianBlur(folded, (0, 0), max(0.5, FOLD_SOFTNESS * height_px / raster.step))
    share = raster.enlarged(np.asarray(softened, np.float32), part)
    x0, y0, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    if width and height:
        box = np.s_[y0 : y0 + height, x0 : x0 + width]
        blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), FOLD_BLUR * height_px / ratio), np.uint8)
        there = (np.ascontiguousarray(at[box]) + np.float32(0.5)) / np.float32(FINER) - np.float32(0.5)
        soft, much = sampled(blurred, there), np.ascontiguousarray(share[box])
        warped[box] = cv2.blendLinear(soft, np.ascontiguousarray(warped[box]), much, 1 - much)
    return warped


def _folded(steepness: Floats) -> Mask | None:
    """(h, w) 0 to 1: where the map is steep; None where it is nowhere.

    There the far side of a nose is pressed into a line, in which its shadow and its nostril would be drawn in black.
    """
    steep = np.clip((steepness - STEEP[0]) / (STEEP[1] - STEEP[0]), 0, 1)
    return np.asarray(cv2.dilate(steep, np.ones((3, 3), np.uint8)), np.float32) if steep.any() else None


def off_the_edge(face: FaceRegion) -> Points:
    """(468, 2) px where each point's colour is read: along the jaw, and where a head turns away, a little further in
    than the contour.

    There a photo shows the jaw's own outline, its shadow, or a collar, hair or backdrop that a contour a little too
    wide takes in.
    """
    depth = face.facing[:, 2:]
    # On the far side of a turned head only: the near side's cheek, and both of a frontal one, lie where they seem to.
    far = np.clip((depth - depth[mean_face().mirror]) / FAR, 0, 1)
    turned = far * np.clip((TURNED + depth) / TURNED, 0, 1) * outer_cheeks(0.45)[:, None]
    middle = face.mesh.xy[regions.NOSE_TIP]
    share = np.maximum(OFF_THE_EDGE * _along_jaw(), OFF_WHERE_TURNED * turned)
    return np.asarray(face.mesh.xy + (middle - face.mesh.xy) * share, np.float32)


@lru_cache(maxsize=2)
def outer_cheeks(start: float) -> Floats:
    """(468,) 1 on the outer cheeks, temples and jaw, 0 nearer to the middle of the face than `start`, eye distances."""
    return np.asarray(np.clip((np.abs(mean_face().points[:, 0]) - start) / 0.2, 0, 1), np.float32)


@lru_cache(maxsize=1)
def _along_jaw() -> Floats:
    """(468, 1) 1 on the contour along cheeks and chin, falling to 0 inside it and above the ears."""
    low = np.clip((mean_face().points[:, 1] - 0.2) / 0.4, 0, 1)
    return np.asarray((rim_weights() ** 2 * low)[:, None], np.float32)
