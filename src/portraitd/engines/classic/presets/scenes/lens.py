"""What a lens makes of light: discs out of focus, glare around lamps, streaks of what moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.presets.scenes.paint import CANVAS, Colour, colour
from portraitd.images import Floats


@dataclass(frozen=True)
class Discs:
    """Highlights out of focus."""

    count: int
    #: Least and greatest radius, canvas px: far ones are large.
    radius_px: tuple[float, float]
    #: Light of a typical one over what is behind it; the brightest have about three times as much.
    light: float
    #: Colours "#rrggbb", each disc of one; half of it is the colour of the place it lies on.
    codes: tuple[str, ...]


def bokeh(rng: np.random.Generator, image: Floats, where: NDArray[Any], discs: Discs) -> Floats:
    """The (h, w, 3) blurred backdrop with discs of light, likelier where `where` is high.

    Towards the frame's edge the barrel of the lens cuts them to cat's eyes; large ones spread their light thinner.
    """
    width = where.shape[1]
    chance = np.cumsum(where.ravel().astype(np.float64))
    picks = np.searchsorted(chance, rng.random(discs.count) * chance[-1]).clip(0, where.size - 1)
    low, high = discs.radius_px
    radii = low * (high / low) ** rng.random(discs.count)
    lights = discs.light * np.exp(np.clip(rng.normal(0, 0.6, discs.count), -1.2, 1.1)) * (low * high) / radii**2
    tints = np.array([colour(code) for code in discs.codes])[rng.integers(0, len(discs.codes), discs.count)]
    out = image.copy()
    for pick, radius_px, light, tint in zip(picks, radii, lights, tints, strict=True):
        at = np.array((pick % width, pick // width), np.float64) + rng.uniform(-0.5, 0.5, 2)
        own = image[int(pick) // width, int(pick) % width]
        mixed = 0.5 * tint + 0.5 * own / max(float(own.max()), 0.05)
        _add_disc(out, at, float(radius_px), np.asarray(min(light, 1.1) * mixed, np.float32))
    return out


def _add_disc(image: Floats, at: NDArray[np.float64], radius_px: float, light: Floats) -> None:
    height, width = image.shape[:2]
    reach = int(np.ceil(radius_px)) + 2
    x0, x1 = max(0, int(at[0]) - reach), min(width, int(at[0]) + reach + 1)
    y0, y1 = max(0, int(at[1]) - reach), min(height, int(at[1]) + reach + 1)
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    r = np.hypot(x - at[0], y - at[1])
    shape = np.clip((radius_px - r) / 2.2 + 0.5, 0, 1) * (0.78 + 0.30 * np.clip(r / radius_px, 0, 1) ** 5)
    off = (np.asarray(at) - (width / 2, height / 2)) / (height / 2)
    barrel = np.hypot(x - at[0] + 0.6 * radius_px * off[0], y - at[1] + 0.6 * radius_px * off[1])
    shape = shape * np.clip((1.15 * radius_px - barrel) / 2.2 + 0.5, 0, 1)
    image[y0:y1, x0:x1] += shape[..., None].astype(np.float32) * light


def glare(lamps: Floats, streaks: float = 0.02) -> Floats:
    """(h, w, 3) light that (h, w, 3) overexposed lamps spread in lens and haze: a core, a wide veil, a faint star."""
    height, width = lamps.shape[:2]
    small = cv2.resize(lamps, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    widths = ((2.0, 0.35), (6.0, 0.40), (20.0, 0.55))
    dim = np.asarray(small, np.float32)
    veil = sum(np.float32(share) * cv2.GaussianBlur(dim, (0, 0), sigma) for sigma, share in widths)
    star = sum(streaked(dim, 44, angle) for angle in (8.0, 68.0, 128.0))
    light = cv2.resize(np.asarray(veil + np.float32(8 * streaks) * star, np.float32), (width, height))
    return np.asarray(np.clip(light, 0, None), np.float32)


def streaked(image: Floats, length_px: float, angle_deg: float) -> Floats:
    """The image as if it had moved `length_px` along a direction (degrees, 90 is upright), fading to both ends."""
    reach = max(1, int(np.ceil(length_px / 2)))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    along = np.deg2rad(angle_deg)
    for t in np.linspace(-1, 1, 4 * reach + 1):
        x, y = reach + t * reach * np.cos(along), reach - t * reach * np.sin(along)
        kernel[round(float(y)), round(float(x))] += np.float32(1 - abs(t))
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_CONSTANT), np.float32)


def glow(centre: tuple[float, float], radius_px: tuple[float, float], tint: Colour | NDArray[Any]) -> Floats:
    """(h, w, 3) soft round light: centre and radius_px in shares of the canvas."""
    x = np.linspace(0, 1, CANVAS.width, dtype=np.float32)[None]
    y = np.linspace(0, 1, CANVAS.height, dtype=np.float32)[:, None]
    light = np.exp(-(((x - centre[0]) / radius_px[0]) ** 2) - ((y - centre[1]) / radius_px[1]) ** 2)
    return np.asarray(light[..., None] * np.asarray(tint, np.float32), np.float32)
