"""How cloth looks: folds, weave, the light on it, and the shadow that one piece throws on another."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.engines.classic.presets.clothes.canvas import Canvas
from portraitd.engines.classic.presets.scenes.paint import Colour
from portraitd.images import Floats, Mask

#: Where light comes from that does not come from everywhere: from above as much as from the front.
KEY = (0.0, -0.7, 0.75)


@dataclass(frozen=True)
class Cloth:
    """Cloth to be drawn on a canvas. All lengths are face widths, as the canvas's."""

    canvas: Canvas
    rng: np.random.Generator
    #: How much more light comes from the right.
    sideways: float

    def lit(self, form: Floats, ambient: float) -> Floats:
        """(h, w) light on cloth of this (h, w) height, 1 where it faces the camera (Lambert's cosine law); ambient: the
        share of it that comes from everywhere."""
        towards = np.array([KEY[0] + self.sideways, KEY[1], KEY[2]])
        x, y, z = (float(part) for part in towards / np.linalg.norm(towards))
        slope = self.canvas.unit / 2
        right = cv2.Sobel(form, cv2.CV_32F, 1, 0, ksize=1, scale=slope, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Sobel(form, cv2.CV_32F, 0, 1, ksize=1, scale=slope, borderType=cv2.BORDER_REPLICATE)
        flat = 1 / np.sqrt(1 + right * right + down * down)
        key = np.maximum((1 - right * np.float32(x / z) - down * np.float32(y / z)) * flat, 0)
        sky = (1 + np.float32(0.3) * down * flat) * (np.float32(0.6) + np.float32(0.4) * flat)
        return np.asarray(np.float32(ambient) * sky + np.float32(1 - ambient) * key, np.float32)

    def folds(self, across: float, along: float) -> Floats:
        """(h, w) smooth noise of deviation 1: so wide sideways, so long downwards."""
        shape = self.canvas.shape
        shrink = max(1, int(self.canvas.px(min(across, along)) / 4))
        size = (max(4, shape[0] // shrink), max(4, shape[1] // shrink))
        wide, long = (max(0.5, self.canvas.px(length) / shrink) for length in (across, along))
        noise = self.rng.standard_normal(size, dtype=np.float32)
        smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=wide, sigmaY=long, borderType=cv2.BORDER_REFLECT)
        even = np.asarray(smooth / max(float(smooth.std()), 1e-6), np.float32)
        return np.asarray(cv2.resize(even, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)

    def weave(self) -> Floats:
        """(h, w) the fine diagonal grain of twill, deviation 1."""
        noise = self.rng.standard_normal(self.canvas.shape, dtype=np.float32)
        twill = np.array([[0, 0, 1, 2], [0, 1, 2, 1], [1, 2, 1, 0], [2, 1, 0, 0]], np.float32)
        return np.asarray(cv2.filter2D(noise, -1, twill / np.linalg.norm(twill)), np.float32)

    def soft(self, values: Floats, sigma: float) -> Floats:
        """(h, w) the values, blurred; the picture goes on beyond its edges."""
        return soft(values, self.canvas.px(sigma))

    def depth(self, mask: Mask) -> Floats:
        """(h, w) how deep inside the mask each pixel lies; 0 outside."""
        inside = (mask > 0.5).astype(np.uint8)
        return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5) / self.canvas.unit, np.float32)

    def shadow(self, over: Mask, drop: float, sigma: float, strength: float) -> Floats:
        """(h, w) what is left of the light under a piece of cloth, (h, w), that throws its shadow so far down; beside
        the piece itself."""
        moved = cv2.warpAffine(
            over,
            np.array([[1, 0, 0], [0, 1, self.canvas.px(drop)]], np.float32),
            over.shape[::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        dark = self.soft(np.asarray(moved, np.float32), sigma) * (1 - over)
        return np.asarray(1 - np.float32(strength) * dark, np.float32)


def soft(values: Floats, sigma_px: float) -> Floats:
    """(h, w, ...) Gaussian blur; the picture goes on beyond its edges."""
    blurred = cv2.GaussianBlur(values, (0, 0), max(0.3, sigma_px), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def laid(under: Floats, over: Floats, cover: Mask) -> Floats:
    """(h, w) or (h, w, 3) one piece over another where it covers it."""
    return np.asarray(cv2.blendLinear(over, under, cover, 1 - cover), np.float32)


def line_at(depth: Floats, at: float, width: float) -> Floats:
    """(h, w) 1 where the depth is just so, falling to 0: a stitched line, a bent edge."""
    return np.asarray(cv2.exp(-(((depth - np.float32(at)) / np.float32(width)) ** 2)), np.float32)


def dyed(colour: Colour, light: Floats, shine: Floats | float = 0.0) -> Floats:
    """(h, w, 3) cloth of one linear colour in (h, w) light, and what it sends back without its colour."""
    return np.asarray(cv2.merge([light * np.float32(part) + np.float32(shine) for part in colour]), np.float32)
