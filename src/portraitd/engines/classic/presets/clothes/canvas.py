"""The part of the portrait on which clothes are drawn: outlines become masks, and nothing on it is quite straight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from portraitd.engines.classic.presets.clothes.pattern import mirrored
from portraitd.engines.classic.presets.framing import PORTRAIT
from portraitd.images import Floats, Mask, Points

#: How far cloth wavers about its pattern, face widths, and over how much of it, waves a face width.
WAVER, WAVES = 0.007, (0.15, 0.45)
#: How many times finer than pixels masks are drawn.
FINER = 2


@dataclass(frozen=True)
class Canvas:
    """A rectangle of the portrait's pixels, and where the wearer is on it.

    Outlines are in face widths, to the right of the neck's middle and down from the chin's height.
    """

    #: First row and column, and how many of each.
    top: int
    left: int
    height: int
    width: int
    #: Width of the face, px.
    unit: float
    #: Where (0, 0) lies, px of the portrait.
    origin: tuple[float, float]
    #: (N, 6) waves by which outlines waver: two of frequency, two of phase, two of height.
    waves: Floats

    @staticmethod
    def below(origin: tuple[float, float], unit: float, rng: np.random.Generator) -> Canvas:
        """The canvas that takes everything from a quarter of the face's width above the chin's height down."""
        frequency = rng.uniform(*WAVES, (4, 2)) * rng.choice((-1, 1), (4, 2)) * 2 * np.pi
        phase = rng.uniform(0, 2 * np.pi, (4, 2))
        waves = np.column_stack([frequency, phase, rng.normal(0, WAVER / 2, (4, 2))])
        top = int(np.clip(origin[1] - 0.25 * unit, 0, PORTRAIT.height - 8)) // 2 * 2
        return Canvas(top, 0, PORTRAIT.height - top, PORTRAIT.width, unit, origin, waves.astype(np.float32))

    def middle(self, reach: float) -> Canvas:
        """The part of it that lies no farther than `reach` to either side of the neck's middle, face widths."""
        left, right = (int(np.clip(self.origin[0] + way * reach * self.unit, 0, PORTRAIT.width)) for way in (-1, 1))
        left = min(left, PORTRAIT.width - 8)
        return replace(self, left=left, width=max(8, right - left))

    def halved(self) -> Canvas:
        """The same, half as fine; of an even number of rows and columns, that begin at even ones."""
        sizes = self.top // 2, self.left // 2, self.height // 2, self.width // 2
        x, y = self.origin
        return Canvas(*sizes, self.unit / 2, ((x - 0.5) / 2, (y - 0.5) / 2), self.waves)

    @property
    def columns(self) -> slice:
        """Its columns on a canvas of all of them."""
        return slice(self.left, self.left + self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.height, self.width

    @cached_property
    def x(self) -> Floats:
        """(h, w) face widths to the right of the neck's middle."""
        row = (np.arange(self.width, dtype=np.float32) + np.float32(self.left - self.origin[0])) / np.float32(self.unit)
        return np.repeat(row[None], self.height, axis=0)

    @cached_property
    def y(self) -> Floats:
        """(h, w) face widths below the chin."""
        rows = np.arange(self.height, dtype=np.float32) + np.float32(self.top - self.origin[1])
        return np.repeat((rows / np.float32(self.unit))[:, None], self.width, axis=1)

    def px(self, share: float) -> float:
        """So many face widths in pixels."""
        return share * self.unit

    def mask(self, *outline: Points) -> Mask:
        """(h, w) how much of each pixel lies within the closed outline, pieces of (N, 2) points joined."""
        points = np.concatenate(outline).astype(np.float64)
        wavering = points.copy()
        for fx, fy, px, py, dx, dy in self.waves:
            turn = points @ (fx, fy)
            wavering += np.column_stack([dx * np.sin(turn + px), dy * np.sin(turn + py)])
        at = (wavering * self.unit + self.origin - (self.left, self.top) + 0.5) * FINER - 0.5
        fine = np.zeros((self.height * FINER, self.width * FINER), np.uint8)
        cv2.fillPoly(fine, [np.rint(at * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        small = cv2.resize(fine, self.shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) / np.float32(255)

    def pair(self, *outline: Points) -> Mask:
        """The same of an outline and its mirror image."""
        return np.maximum(self.mask(*outline), self.mask(*(mirrored(piece) for piece in outline)))
