"""Pupils that a flash made red are made dark again: what shines there is the back of the eye, not the person."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face.light import skin_points
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Mask, Points

#: How much redder a pupil is than the face's skin, which warm light reddens too, or how red in any light; and how
#: bright its red is, of the skin's. Brown irises are darker, and more orange than red.
REDDER, RED, BRIGHT = 1.8, 3.0, 0.45
#: Added to all colours, so that what is nearly black is not red by its noise.
LIFT = 8.0
#: How large a pupil is, in widths of the eye; how far from the eye's middle its own may lie; and how much of the disc
#: around it is red, a highlight included.
ACROSS, OFF, ROUND = (0.1, 0.55), (0.3, 0.2), 0.6
#: Softness of its edge, widths of the eye.
EDGE = 0.03

_EYES = ((regions.LEFT_EYE, regions.LEFT_EYE_CORNERS), (regions.RIGHT_EYE, regions.RIGHT_EYE_CORNERS))


def without_red_eyes(image: Image, mesh: FaceMesh) -> Image:
    """The (H, W, 3) image, with this face's pupils dark; itself where none is red."""
    points, out = mesh.xy, image
    at = np.clip(np.rint(points[skin_points() > 0.5]), 0, np.array(image.shape[1::-1]) - 1).astype(int)
    skin = np.median(image[at[:, 1], at[:, 0]], axis=0)
    for ring, corners in _EYES:
        width = float(np.linalg.norm(points[corners[0]] - points[corners[1]]))
        low, high = points[list(ring)].min(axis=0) - 0.1 * width, points[list(ring)].max(axis=0) + 0.1 * width
        x0, y0 = (max(0, int(value)) for value in low)
        x1, y1 = (min(length, int(value) + 1) for value, length in zip(high, image.shape[1::-1], strict=True))
        if x1 - x0 < 3 or y1 - y0 < 3:  # beyond the picture's edge, or too small to be seen
            continue
        eye = out[y0:y1, x0:x1].astype(np.float32)
        pupil = _red_pupil(eye, points[list(ring)] - np.array([x0, y0], np.float32), width, skin)
        if pupil is None:
            continue
        # The shine has green and blue in it too, if less; a highlight is white and stays.
        grey = np.minimum(eye[..., 0], eye[..., 1:].mean(axis=2))
        dark = grey * np.sqrt(grey / np.float32(255))
        eye += (dark[..., None] - eye) * pupil[..., None]
        out = out.copy() if out is image else out
        out[y0:y1, x0:x1] = np.rint(eye)
    return out


def _red_pupil(eye: Floats, ring: Points, width: float, skin: Floats) -> Mask | None:
    """(h, w) 1 on the red pupil of an (h, w, 3) eye, whose (16, 2) lids these are; None where it has none.

    skin: (3,) the face's usual colour.
    """
    inside = np.zeros(eye.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(ring).astype(np.int32)], 1)
    red = (_redness(eye) > min(RED, REDDER * float(_redness(skin)))) & (eye[..., 0] > BRIGHT * skin[0]) & (inside > 0)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(red.astype(np.uint8), connectivity=4)
    if len(stats) < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    _, _, w, h, area = stats[largest]
    off = np.abs(centres[largest] - ring.mean(axis=0)) / width
    # Lids hide the upper and lower part of a pupil.
    is_round = area > ROUND * np.pi / 4 * w * h and h <= 1.3 * w
    if not (ACROSS[0] * width <= w <= ACROSS[1] * width and is_round and (off <= OFF).all()):
        return None
    pupil = (labels == largest).astype(np.float32)
    grown = cv2.dilate(pupil, np.ones((3, 3), np.uint8))  # its rim is half red
    soft = cv2.GaussianBlur(grown, (0, 0), max(0.5, EDGE * width))
    return np.asarray(np.clip(1.2 * soft - 0.1, 0, 1), np.float32)


def _redness(colours: Floats) -> Floats:
    """(...) red over the stronger of green and blue of (..., 3) colours from 0 to 255."""
    return np.asarray((colours[..., 0] + LIFT) / (colours[..., 1:].max(axis=-1) + LIFT), np.float32)
