"""What lies over a photo's face, hair most of all, where that face is drawn in another geometry."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face.geometry import Raster, sampled
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.images import Floats, Mask

#: How far around hair another photo's skin takes over where there is one, and how softly, face widths.
LENDABLE = (0.03, 0.02)


def hair_at(face: FaceRegion, raster: Raster, size: tuple[int, int]) -> Mask:
    """(h, w) what lies over a photo's face, and what is beyond its edge, as `raster` draws it at `size` (w, h)."""
    shrink = np.float32(face.hair.shape[1] / face.image.shape[1])
    at = raster.interpolate((face.mesh.xy + np.float32(0.5)) * shrink - np.float32(0.5), size)
    return np.maximum(sampled(face.hair, at), beyond_edge(at, face.hair.shape))


def beyond_edge(at: Floats, shape: tuple[int, ...]) -> Mask:
    """(...) 0 inside a (height, width) picture, rising to 1 a pixel outside, at (..., 2) px."""
    x, y = at[..., 0], at[..., 1]
    outside = np.maximum(np.maximum(-x, x - (shape[1] - 1)), np.maximum(-y, y - (shape[0] - 1)))
    return np.asarray(np.clip(outside, 0, 1), np.float32)


def hair_in_place(face: FaceRegion, raster: Raster, size: tuple[int, int], width_px: float) -> Mask:
    """(h, w) what `hair_at` gives, where a face is `width_px` wide.

    Wider and softer than what was found: another's skin, already in the right tone, takes over there.
    """
    return widened(hair_at(face, raster, size), width_px)


def lendable_in_place(face: FaceRegion, raster: Raster, size: tuple[int, int], width_px: float) -> Mask:
    """(h, w) what another photo may show instead, where it shows skin: more than `hair_in_place`, and more softly."""
    reach, softness = (share * width_px for share in LENDABLE)
    return np.clip(_grown(hair_at(face, raster, size), reach, softness), 0, 1)


def widened(hair: Mask, width_px: float) -> Mask:
    """(h, w) the hair, wider and softer, where a face is `width_px` wide."""
    return _grown(hair, 0.02 * width_px, softness_px(width_px))


def _grown(hair: Mask, reach_px: float, soft_px: float) -> Mask:
    reach = max(1, round(reach_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.GaussianBlur(cv2.dilate(hair, disc), (0, 0), soft_px), np.float32)


def softness_px(width_px: float) -> float:
    """How softly hair gives way to skin where a face is so wide."""
    return max(0.5, 0.015 * width_px)
