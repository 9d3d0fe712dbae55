"""The look of the finished picture, shared by person and backdrop: bloom, curve, tint, vignette, grain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from portraitd.images import Floats, Image

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
        linear = np.asarray(cv2.addWeighted(linear, 1 - 0.5 * grade.bloom, glow, grade.bloom, 0), np.float32)
    light = cv2.multiply(linear, cv2.cvtColor(_exposure(width, height, grade.vignette), cv2.COLOR_GRAY2RGB))
    steps = np.clip(light, 0, 65535, out=light).astype(np.uint16)
    image: Floats = _development(grade.contrast, grade.fade)[steps]
    mixer = grade.saturation * np.eye(3, dtype=np.float32) + (1 - grade.saturation) * LUMA[None]
    image = np.asarray(cv2.transform(image, mixer), np.float32)
    luma = np.clip(cv2.transform(image, LUMA[None]), 0, 255).astype(np.uint8)
    image = np.asarray(
        cv2.add(image, cv2.LUT(cv2.merge([luma] * 3), _tints(grade.shadows, grade.highlights)[None])), np.float32
    )
    if grade.grain > 0:
        grain = cv2.multiply(_grain(rng, (height, width), grade.grain), cv2.LUT(luma, _GRAIN_SHARE))
        image = np.asarray(cv2.add(image, cv2.merge([grain] * 3)), np.float32)
    return np.asarray(cv2.convertScaleAbs(np.maximum(image, 0, out=image)), np.uint8)


#: Linear light that the development tells from anything brighter.
_BRIGHTEST = 4.0
#: (256,) share of the grain by luma: most in the middle tones.
_GRAIN_SHARE = (1.4 - 0.8 * np.abs(np.linspace(-1, 1, 256))).astype(np.float32)


@lru_cache(maxsize=32)
def _development(contrast: float, fade: float) -> Floats:
    """(65536,) sRGB steps of linear light from 0 to _BRIGHTEST: shoulder, sRGB, S-curve, lifted black.

    The shoulder rolls light above 0.8 off instead of cutting it, as film does.
    """
    linear = np.linspace(0, _BRIGHTEST, 65536)
    knee = 0.8
    rolled = np.minimum(linear, knee) + (1 - knee) * (1 - np.exp(-np.clip(linear - knee, 0, None) / (1 - knee)))
    t = np.where(rolled <= 0.0031308, rolled * 12.92, 1.055 * rolled ** (1 / 2.4) - 0.055)
    middle = 0.45
    high = np.clip((1 - t) / (1 - middle), 0, 1)
    bent = np.where(t < middle, middle * (t / middle) ** contrast, 1 - (1 - middle) * high**contrast)
    return (255 * (fade + (1 - fade) * bent)).astype(np.float32)


@lru_cache(maxsize=32)
def _tints(shadows: tuple[float, float, float], highlights: tuple[float, float, float]) -> Floats:
    """(256, 3) what is added to a pixel by its luma."""
    t = np.linspace(0, 1, 256)[:, None]
    return np.asarray((1 - t) ** 2 * np.array(shadows) + t * t * np.array(highlights), np.float32)


@lru_cache(maxsize=4)
def _exposure(width: int, height: int, vignette: float) -> Floats:
    """(H, W) steps of the development per linear light: falls off to the corners as light does in a lens."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] * 0.75
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    kept = (1 + 0.1 * vignette) / (1 + vignette * 0.8 * (x * x + y * y)) ** 2
    return np.asarray(kept * (65535 / _BRIGHTEST), np.float32)


#: Side of the piece of film whose grain is used, px.
_FILM = 1536


def _grain(rng: np.random.Generator, shape: tuple[int, int], deviation: float) -> Floats:
    """(H, W) film grain, the same in all colours, a little wider than a pixel: another place of the film each time."""
    film = _film(max(_FILM, *shape))
    y, x = (int(rng.integers(0, len(film) - side + 1)) for side in shape)
    piece = film[y : y + shape[0], x : x + shape[1]]
    return np.asarray((piece if rng.random() < 0.5 else piece[::-1]) * np.float32(deviation), np.float32)


@lru_cache(maxsize=1)
def _film(side: int) -> Floats:
    """(side, side) grain of deviation 1."""
    noise = np.random.default_rng(1).standard_normal((side, side), dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.7) / 0.39, np.float32)
