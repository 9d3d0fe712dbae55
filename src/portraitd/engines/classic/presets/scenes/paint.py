"""Brushes for out-of-focus backdrops: noise, colour ramps, scattered spots, a lens.

Everything is linear light, float32, (h, w, 3), on a canvas half the portrait's size; highlights may exceed 1, which is
what makes them discs of light behind the lens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Mask, Size

CANVAS = Size(384, 512)

Colour = tuple[float, float, float]


@lru_cache(maxsize=256)
def colour(code: str) -> Colour:
    """Linear light of an sRGB colour written "#rrggbb"."""
    values = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    r, g, b = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(r), float(g), float(b)


def fractal(rng: np.random.Generator, largest_px: float, smallest_px: float, size: Size = CANVAS) -> Mask:
    """(h, w) noise in [0, 1] of mean about 0.5: octaves from `largest_px` to `smallest_px`, each 0.6 of the one before.

    Each octave doubles the grid of the coarser ones, so that only the last is drawn at full size.
    """
    octaves = max(1, int(np.log2(largest_px / smallest_px)) + 1)
    finest = largest_px / 2 ** (octaves - 1)
    nodes = (int(size.width / largest_px) + 3, int(size.height / largest_px) + 3)
    total = rng.random(nodes[::-1], dtype=np.float32)
    weight, weights = 1.0, 1.0
    for _ in range(octaves - 1):
        nodes = (2 * nodes[0], 2 * nodes[1])
        weight *= 0.6
        weights += weight
        finer = np.float32(weight) * rng.random(nodes[::-1], dtype=np.float32)
        total = np.asarray(cv2.resize(total, nodes, interpolation=cv2.INTER_CUBIC) + finer, np.float32)
    shift = rng.uniform(1, 2, 2) * largest_px / finest  # in nodes of the finest grid
    matrix = np.array([[1 / finest, 0, shift[0]], [0, 1 / finest, shift[1]]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(total, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(np.clip(drawn / weights, 0, 1), np.float32)


def spread(noise: Mask, contrast: float) -> Mask:
    """Noise with its values spread around their middle: octaves summed crowd around a half."""
    return np.asarray(np.clip((noise - 0.5) * contrast + 0.5, 0, 1), np.float32)


def step_up(x: NDArray[Any], low: NDArray[Any] | float, high: NDArray[Any] | float) -> Floats:
    """0 below `low`, 1 above `high` (or the reverse when low > high), smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def ramp(t: Mask, colours: Sequence[str]) -> Floats:
    """(h, w, 3): colours in order as t goes from 0 to 1, mixed in linear light."""
    stops = np.linspace(0, 1, len(colours))
    table = np.array([colour(code) for code in colours])
    fine = np.stack([np.interp(np.linspace(0, 1, 256), stops, table[:, c]) for c in range(3)], axis=1).astype(
        np.float32
    )
    return fine[(np.clip(t, 0, 1) * 255).astype(np.uint8)]


def rows(size: Size = CANVAS) -> Mask:
    """(h, w): 0 at the top row, 1 at the bottom."""
    return np.repeat(np.linspace(0, 1, size.height, dtype=np.float32)[:, None], size.width, axis=1)


def columns(size: Size = CANVAS) -> Mask:
    """(h, w): 0 at the left, 1 at the right."""
    return np.repeat(np.linspace(0, 1, size.width, dtype=np.float32)[None], size.height, axis=0)


def over(below: Floats, above: NDArray[Any] | Colour, alpha: NDArray[Any]) -> Floats:
    """`above` laid over `below` with a (h, w) alpha."""
    return np.asarray(below + (np.asarray(above, np.float32) - below) * alpha[..., None], np.float32)


@dataclass(frozen=True)
class Layer:
    """Things at one distance: colour times alpha, and alpha, so that both can be blurred alike."""

    #: (h, w, 4)
    premultiplied: Floats

    def over(self, below: Floats) -> Floats:
        """The layer laid over a backdrop."""
        return np.asarray(self.premultiplied[..., :3] + below * (1 - self.premultiplied[..., 3:]), np.float32)

    def over_layer(self, below: Layer) -> Layer:
        """The layer laid over another one."""
        return Layer(self.premultiplied + below.premultiplied * (1 - self.premultiplied[..., 3:]))

    def blurred(self, radius_px: float) -> Layer:
        """The layer as far out of focus as `radius_px`, the radius of its discs."""
        return Layer(defocus(self.premultiplied, radius_px))


def empty_layer(size: Size = CANVAS) -> Layer:
    """A layer of nothing."""
    return Layer(np.zeros((size.height, size.width, 4), np.float32))


@dataclass(frozen=True)
class Spots:
    """Many small flat shapes: leaves, petals, lamps."""

    #: (n, 2) centres, (n, 2) half axes, px; (n,) turn in degrees; (n, 3) linear colours.
    centres: Floats
    axes: Floats
    turns_deg: Floats
    colours: Floats


def scatter(
    rng: np.random.Generator, centres: NDArray[Any], radius_px: tuple[float, float], codes: Sequence[str]
) -> Spots:
    """Spots at (n, 2) centres, sizes log-uniform between two radii, narrowed and turned, colours mixed of codes."""
    n = len(centres)
    radius = np.exp(rng.uniform(np.log(radius_px[0]), np.log(radius_px[1]), n))
    table = np.array([colour(code) for code in codes])
    mix = rng.random((n, 1))
    tint = table[rng.integers(0, len(codes), n)] * mix + table[rng.integers(0, len(codes), n)] * (1 - mix)
    tint = tint * np.exp(rng.normal(0, 0.25, (n, 1)))
    axes = np.column_stack([radius, radius * rng.uniform(0.45, 0.95, n)])
    return Spots(
        centres.astype(np.float32),
        axes.astype(np.float32),
        rng.uniform(0, 180, n).astype(np.float32),
        tint.astype(np.float32),
    )


def draw(layer: Layer, spots: Spots) -> Layer:
    """The layer with the spots drawn on it, later ones on top; edges are left rough, a lens will blur them."""
    canvas = layer.premultiplied.copy()
    for (x, y), (a, b), turn, tint in zip(spots.centres, spots.axes, spots.turns_deg, spots.colours, strict=True):
        fixed = (round(float(x) * 8), round(float(y) * 8)), (max(4, round(float(a) * 8)), max(4, round(float(b) * 8)))
        cv2.ellipse(canvas, *fixed, float(turn), 0, 360, (*map(float, tint), 1.0), -1, cv2.LINE_8, 3)
    return Layer(canvas)


def clusters(rng: np.random.Generator, hearts: Sequence[tuple[float, float]], each: int, spread_px: float) -> Floats:
    """(n, 2) points, `each` around every heart (given in shares of the canvas), normally spread."""
    centre = np.repeat(np.array(hearts) * (CANVAS.width, CANVAS.height), each, axis=0)
    return np.asarray(centre + rng.normal(0, spread_px, centre.shape), np.float32)


def sparkle(rng: np.random.Generator, where: Mask, count: int, tint: Colour | Floats, strength: float) -> Floats:
    """(h, w, 3) single bright pixels, likelier where `where` is high, log-normally bright: discs once out of focus.

    strength: the light of a typical one, in pixels of white.
    """
    height, width = where.shape
    chance = np.cumsum(where.ravel().astype(np.float64))
    picks = np.searchsorted(chance, rng.random(count) * chance[-1]).clip(0, where.size - 1)
    light = strength * np.exp(rng.normal(0, 0.8, (count, 1))) * np.asarray(tint, np.float32).reshape(-1, 3)
    image = np.zeros((height * width, 3), np.float32)
    np.add.at(image, picks, np.broadcast_to(light, (count, 3)).astype(np.float32))
    return image.reshape(height, width, 3)


@lru_cache(maxsize=32)
def _disc(radius_px: float) -> NDArray[np.float32]:
    """A lens's circle of confusion: even, its rim a little brighter and antialiased."""
    reach = int(np.ceil(radius_px))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    r = np.hypot(x, y)
    disc = np.clip(radius_px + 0.5 - r, 0, 1) * (0.88 + 0.22 * (r / max(radius_px, 1)) ** 4)
    return np.asarray(disc / disc.sum(), np.float32)


def defocus(image: Floats, radius_px: float) -> Floats:
    """The (h, w, C) linear image seen by a lens out of focus by discs of `radius_px`; borders go on as mirrored."""
    if radius_px < 0.6:
        return image
    height, width = image.shape[:2]
    if radius_px > 9:  # large discs lose nothing at half size
        half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        small = cv2.filter2D(half, -1, _disc(round(radius_px) / 2), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0), np.float32)
    return np.asarray(cv2.filter2D(image, -1, _disc(round(radius_px * 2) / 2), borderType=cv2.BORDER_REFLECT_101))


def enlarged(image: Floats, size: Size) -> Floats:
    """The backdrop at the portrait's size."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).clip(0), np.float32)
