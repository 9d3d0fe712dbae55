"""The look of the finished picture, shared by person and backdrop: bloom, curve, tint, vignette, grain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from portraitd.images import Floats, Image, from_linear

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Grade:
    """A look."""

    #: Slope of the tone curve in the middle; 1 leaves it.
    contrast: float = 1.0
    #: Black of the finished picture, 0 to 0.1: film's faded shadows.
    fade: float = 0.0
    #: 1 leaves colours as strong as they are.
    saturation: float = 1.0
    #: Tints added to shadows and to highlights, sRGB steps of 255, (red, green, blue).
    shadows: tuple[float, float, float] = (0.0, 0.0, 0.0)
    highlights: tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: Light that bright places spread over the picture, 0 to 0.3.
    bloom: float = 0.0
    #: How much darker the corners are, 0 to 0.5.
    vignette: float = 0.0
    #: Deviation of the grain, sRGB steps of 255.
    grain: float = 1.2


def finish(linear: Floats, grade: Grade, rng: np.random.Generator) -> Image:
    """(H, W, 3) uint8: linear light developed to the grade."""
    height, width = linear.shape[:2]
    if grade.bloom > 0:
        small = cv2.resize(linear, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        glow = cv2.GaussianBlur(np.clip(small, 0, 3), (0, 0), 5, borderType=cv2.BORDER_REPLICATE)
        glow = cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
        linear = linear + grade.bloom * (glow - linear * 0.5)
    if grade.vignette > 0:
        linear = linear * _vignette(width, height, grade.vignette)[..., None]
    image = _developed(linear).astype(np.float32)
    luma = (image @ LUMA)[..., None]
    toned = luma + (image - luma) * grade.saturation
    t = luma / 255.0
    toned += (1 - t) ** 2 * np.asarray(grade.shadows, np.float32) + t * t * np.asarray(grade.highlights, np.float32)
    curve = _curve(grade.contrast, grade.fade)
    toned = curve[np.clip(toned * 4, 0, 1023).astype(np.uint16)]
    if grade.grain > 0:
        toned += _grain(rng, (height, width), grade.grain) * (0.6 + 0.8 * (1 - np.abs(2 * t - 1)))
    return np.asarray(np.clip(np.rint(toned), 0, 255), np.uint8)


def _developed(linear: Floats) -> Image:
    """uint8 sRGB with a soft shoulder: light above 0.8 is rolled off instead of cut, as film does."""
    knee = 0.8
    above = np.clip(linear - knee, 0, None)
    rolled = np.minimum(linear, knee) + (1 - knee) * (1 - np.exp(-above / (1 - knee)))
    return _LINEAR_TO_SRGB[np.clip(rolled * 4095, 0, 4095).astype(np.uint16)]


def _linear_table() -> Image:
    return from_linear(np.linspace(0, 1, 4096, dtype=np.float32))


_LINEAR_TO_SRGB = _linear_table()


@lru_cache(maxsize=32)
def _curve(contrast: float, fade: float) -> Floats:
    """(1024,) tone curve over quarter steps of 255: an S around the middle, black lifted by `fade`."""
    t = np.linspace(0, 1, 1024)
    middle = 0.45
    bent = np.where(
        t < middle,
        middle * (t / middle) ** contrast,
        1 - (1 - middle) * ((1 - t) / (1 - middle)) ** contrast,
    )
    return (255 * (fade + (1 - fade) * bent)).astype(np.float32)


@lru_cache(maxsize=16)
def _vignette(width: int, height: int, strength: float) -> Floats:
    """(H, W) share of light kept: falls with the fourth power of the cosine, as in a lens."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] * 0.75
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return np.asarray(1 / (1 + strength * 0.8 * (x * x + y * y)) ** 2 * (1 + 0.1 * strength), np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> Floats:
    """(H, W, 1) film grain, the same in all colours, a little wider than a pixel."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), 0.7)
    return np.asarray(noise * (deviation / 0.39), np.float32)[..., None]
