"""A face's pixels in another geometry: each sampled once."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.geometry import Raster, rim_weights, sampled
from portraitd.engines.classic.region import FaceRegion
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Points

#: How much nearer to the nose's tip the jaw's colours are read, as a share of the way.
OFF_THE_EDGE = 0.045


def warp(face: FaceRegion, raster: Raster, height_px: float, size: tuple[int, int]) -> Image:
    """(h, w, 3) the face in the raster's geometry, at `size` (w, h), where a face is `height_px` high."""
    image, points = face.image, off_the_edge(face.mesh)
    ratio = height_px / max(1.0, face.mesh.box.height)
    if ratio < 0.75:  # averaged first: sampling a large face sparsely would alias
        smaller = (max(8, round(image.shape[1] * ratio)), max(8, round(image.shape[0] * ratio)))
        scale = np.array([smaller[0] / image.shape[1], smaller[1] / image.shape[0]], np.float32)
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        points = (points + 0.5) * scale - 0.5
    return sampled(image, raster.interpolate(points.astype(np.float32), size), cv2.INTER_CUBIC)


def off_the_edge(mesh: FaceMesh) -> Points:
    """(468, 2) px where each point's colour is read: along the jaw a little further in than the contour.

    There a photo shows the jaw's own outline, its shadow, or a collar that a contour a little too wide takes in.
    """
    middle = mesh.xy[regions.NOSE_TIP]
    return np.asarray(mesh.xy + (middle - mesh.xy) * (OFF_THE_EDGE * _along_jaw()), np.float32)


@lru_cache(maxsize=1)
def _along_jaw() -> Floats:
    """(468, 1) 1 on the contour along cheeks and chin, falling to 0 inside it and above the ears."""
    low = np.clip((mean_face().points[:, 1] - 0.2) / 0.4, 0, 1)
    return np.asarray((rim_weights() ** 2 * low)[:, None], np.float32)
