"""A small mask at the size of its picture, its edges drawn along the picture's: the fast guided filter.

The small mask is taken as a linear function of brightness, another one around each pixel, and these functions are then
applied at full size (He, Sun 2015, "Fast guided filter", arXiv:1505.00996).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from portraitd.images import Floats, Image, Mask


class Guidance(NamedTuple):
    """How closely a mask follows a picture."""

    #: Side of the square in which one function holds, px of the small mask; odd.
    window_px: int
    #: Variance of brightness, of which white is 1, below which it says nothing.
    smoothness: float
    #: Side of the square over which functions are averaged, px of the small mask; odd.
    averaged_px: int


def drawn_along(small: Mask, picture: Image, guidance: Guidance) -> Floats:
    """(H, W) the small mask at the size of its (H, W, 3) picture. It may leave [0, 1] where brightness does more than
    the mask."""
    height, width = picture.shape[:2]
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    guide = np.asarray(cv2.resize(grey, small.shape[::-1], interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    box, wide = (guidance.window_px,) * 2, (guidance.averaged_px,) * 2
    level, mean = cv2.blur(guide, box), cv2.blur(small, box)
    slope = cv2.blur(guide * small, box) - level * mean
    slope /= cv2.blur(guide * guide, box) - level * level + guidance.smoothness
    lines = cv2.merge([cv2.blur(slope, wide) / np.float32(255), cv2.blur(mean - slope * level, wide)])
    large = cv2.resize(lines, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(large[:, :, 0], grey, dtype=cv2.CV_32F) + large[:, :, 1], np.float32)
