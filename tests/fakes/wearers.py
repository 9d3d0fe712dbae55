"""Somebody from the head to the chest, drawn in flat colours around the mean face."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portraitd.engines.classic.person.identity import View, view_of
from portraitd.engines.classic.presets.framing import CHEEK_SIDES, Head, read_person, straightened
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image, Mask, Points, Size
from tests.fakes import heads

Colour = tuple[int, int, int]

SIZE = Size(800, 760)
WALL, SHIRT = (120, 125, 130), (70, 110, 150)
POINTS = (heads.MESH.points + np.array([200, 60, 0], np.float32)).astype(np.float32)
MESH = FaceMesh(POINTS, 1.0)
#: Width of the face before the ears, px, and where the chin is.
UNIT = float(POINTS[CHEEK_SIDES[1], 0] - POINTS[CHEEK_SIDES[0], 0])
CHIN = POINTS[regions.CHIN, :2]


@dataclass(frozen=True)
class Wearer:
    """What is drawn. Lengths are face widths, right of the chin and below it."""

    #: Half of the neck's width, and how far its middle, and the body's, lies to the right.
    neck: float = 0.38
    aside: float = 0.0
    #: Down to where there is skin, and how wide it is there.
    bare_to: float = 0.55
    opening: float = 0.38
    #: The body's outline on the right: points from the neck outwards.
    shoulders: tuple[tuple[float, float], ...] = ((0.38, 0.12), (0.78, 0.24), (1.08, 0.38), (1.3, 0.56), (1.42, 0.9))
    #: How much higher the right shoulder is.
    raised: float = 0.0
    shirt: Colour = SHIRT
    #: Down to where hair hangs beside the neck; None: it is short.
    hair_to: float | None = None
    #: From how far beside the chin.
    hair_from: float = 0.3
    hair: Colour = heads.HAIR
    #: Of each ear.
    ears: float = 0.0

    def image(self) -> Image:
        """(760, 800, 3)."""
        picture = np.full((SIZE.height, SIZE.width, 3), WALL, np.uint8)
        self._body(picture, self.shirt)
        _fill(picture, self._neck(), heads.SKIN)
        self._hair(picture, self.hair)
        self._ears(picture, heads.SKIN)
        _fill_px(picture, POINTS[list(regions.FACE_OVAL), :2], heads.SKIN)
        _fill_px(picture, POINTS[list(regions.LIPS_OUTER), :2], heads.LIPS)
        return cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.uint8)

    def alpha(self) -> Mask:
        """(760, 800)."""
        matte = np.zeros((SIZE.height, SIZE.width), np.uint8)
        self._body(matte, 255)
        _fill(matte, self._neck(), 255)
        self._hair(matte, 255)
        self._ears(matte, 255)
        _fill_px(matte, POINTS[list(regions.FACE_OVAL), :2], 255)
        return (cv2.GaussianBlur(matte, (0, 0), 0.8) / 255).astype(np.float32)

    def head(self, share: float = 1.0) -> Head:
        """The head as it will be shown."""
        alpha = self.alpha()
        return straightened(read_person(self.view(), alpha), share)

    def view(self, rows: slice = slice(None), columns: slice = slice(None)) -> View:
        """These rows and columns of it as a photo, with its matte."""
        image, alpha = (np.ascontiguousarray(part[rows, columns]) for part in (self.image(), self.alpha()))
        shift = np.array([columns.start or 0, rows.start or 0, 0], np.float32)
        return replace(view_of("wearer", image, FaceMesh(POINTS - shift, 1.0), 0.9), alpha=lambda: alpha)

    def _neck(self) -> list[tuple[float, float]]:
        left, right = self.aside - self.neck, self.aside + self.neck
        low = ((self.aside + self.opening, self.bare_to), (self.aside - self.opening, self.bare_to))
        return [(left, -0.3), (right, -0.3), (right, 0.1), *low, (left, 0.1)]

    def _body(self, picture: Image, colour: Colour | int) -> None:
        right = [(self.aside + x, y - (self.raised if x > 0.5 else 0.0)) for x, y in self.shoulders]
        left = [(self.aside - x, y) for x, y in self.shoulders]
        _fill(picture, [*left[::-1], *right, (right[-1][0], 3.0), (left[-1][0], 3.0)], colour)

    def _hair(self, picture: Image, colour: Colour | int) -> None:
        middle, radius = POINTS[:, :2].mean(axis=0), 0.62 * UNIT
        cv2.circle(picture, (round(float(middle[0])), round(float(middle[1] - 0.25 * UNIT))), round(radius), colour, -1)
        if self.hair_to is not None:
            for way in (-1, 1):
                inner, outer = way * self.hair_from, way * 0.68
                edge = [(inner, -0.6), (outer, -0.6), (outer, self.hair_to), (inner, self.hair_to)]
                _fill(picture, edge, colour)

    def _ears(self, picture: Image, colour: Colour | int) -> None:
        for way in (-1, 1):
            (middle,) = np.rint(px([(way * 0.52, -0.4)])).astype(int)
            cv2.circle(picture, (int(middle[0]), int(middle[1])), round(self.ears * UNIT), colour, -1)


def px(points: list[tuple[float, float]]) -> Points:
    """(N, 2) pixels of the photo."""
    return np.asarray(CHIN + np.array(points, np.float32) * np.float32(UNIT), np.float32)


def _fill(picture: Image, outline: list[tuple[float, float]], colour: Colour | int) -> None:
    _fill_px(picture, px(outline), colour)


def _fill_px(picture: Image, outline: Points, colour: Colour | int) -> None:
    cv2.fillPoly(picture, [np.rint(outline).astype(np.int32)], colour)
