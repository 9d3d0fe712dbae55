"""The square around a face that a model repaints, and the way back: what lies outside the mask stays bit for bit.

So it is in the picture that comes out here. Whoever encodes it as a JPEG changes a little everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image, Mask

#: Side of the square, in longer sides of the face's box.
ROOM = 2.0
#: How far the mask reaches beyond the face, and over how much of its own rim it fades, in the same unit.
REACH = 0.09
FADE = 0.07
#: How much a painting may be enlarged on its way back before a larger one is worth its time.
MOST_ENLARGED = 1.25


@dataclass(frozen=True)
class Square:
    """A square of whole pixels in a picture's coordinates; it may reach beyond the picture."""

    x0: int
    y0: int
    side: int

    @staticmethod
    def around(mesh: FaceMesh, room: float) -> Square:
        """The square around the face, `room` longer sides of its box wide."""
        box = mesh.box
        side = max(2, round(room * max(box.width, box.height)))
        return Square(round((box.x0 + box.x1 - side) / 2), round((box.y0 + box.y1 - side) / 2), side)

    @staticmethod
    def within(picture: Image, mesh: FaceMesh, room: float) -> Square:
        """As `around`, but moved, and where need be shrunk, until it lies in the (H, W, 3) picture."""
        height, width = picture.shape[:2]
        wanted = Square.around(mesh, room)
        side = min(wanted.side, height, width)
        moved = (wanted.side - side) // 2
        x0, y0 = (min(max(0, at + moved), most - side) for at, most in ((wanted.x0, width), (wanted.y0, height)))
        return Square(x0, y0, side)

    def cut_from(self, picture: Image, side_px: int) -> Image:
        """(side_px, side_px, 3): the square's pixels; beyond the picture, those of its edge."""
        height, width = picture.shape[:2]
        columns = np.clip(np.arange(self.x0, self.x0 + self.side), 0, width - 1)
        rows = np.clip(np.arange(self.y0, self.y0 + self.side), 0, height - 1)
        return _resized(picture[rows[:, None], columns], side_px)


@dataclass(frozen=True)
class FaceCrop:
    """One face of a picture, at the size a model works at."""

    picture: Image
    square: Square
    #: (side_px, side_px, 3).
    image: Image
    #: (side_px, side_px), 1 where the model may paint and 0 elsewhere.
    mask: Mask
    #: (side, side) in the square's own pixels: how much of the painting is taken over.
    share: Mask
    #: (side_px, side_px, 3): where the painting starts from instead of noise, if anywhere.
    start: Image | None = None

    @staticmethod
    def of(picture: Image, mesh: FaceMesh, side_px: int) -> FaceCrop:
        """The face with this mesh in the (H, W, 3) picture."""
        square = Square.around(mesh, ROOM)
        covered = _covered(mesh, square)
        share = _faded(covered, FADE * max(mesh.box.width, mesh.box.height))
        mask = cv2.resize(covered, (side_px, side_px), interpolation=cv2.INTER_NEAREST).astype(np.float32)
        return FaceCrop(picture, square, square.cut_from(picture, side_px), mask, share)

    def started_from(self, picture: Image) -> FaceCrop:
        """The same face, to be painted over what this (H, W, 3) picture shows in its place, and put back into it.

        Its neck may have another complexion than the template's, and what lies beside its jaw have given way.
        """
        return replace(self, picture=picture, start=self.square.cut_from(picture, len(self.image)))

    def put_back(self, painted: Image) -> Image:
        """The picture with the (side_px, side_px, 3) painting in its face's place."""
        height, width = self.picture.shape[:2]
        x0, y0, side = self.square.x0, self.square.y0, self.square.side
        left, top = max(0, x0), max(0, y0)
        right, bottom = min(width, x0 + side), min(height, y0 + side)
        inside = slice(top - y0, bottom - y0), slice(left - x0, right - x0)
        new = _resized(painted, side)[inside].astype(np.float32)
        share = self.share[inside][..., None]
        result = self.picture.copy()
        old = result[top:bottom, left:right].astype(np.float32)
        result[top:bottom, left:right] = np.rint(np.clip(old + (new - old) * share, 0, 255)).astype(np.uint8)
        return result


def side_for(mesh: FaceMesh, usual_px: int, large_px: int) -> int:
    """The side to paint the face's square at: the usual one, unless so large a face would come back soft."""
    return usual_px if Square.around(mesh, ROOM).side <= MOST_ENLARGED * usual_px else large_px


def _covered(mesh: FaceMesh, square: Square) -> Image:
    """(side, side) uint8, 1 on the face and around it as far as REACH."""
    outline = mesh.xy[list(regions.FACE_OVAL)] - np.array([square.x0, square.y0], np.float32)
    covered = np.zeros((square.side, square.side), np.uint8)
    cv2.fillConvexPoly(covered, cv2.convexHull(np.rint(outline).astype(np.int32)), 1)
    reach = max(1, round(REACH * max(mesh.box.width, mesh.box.height)))
    round_brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(covered, round_brush), np.uint8)


def _faded(covered: Image, fade_px: float) -> Mask:
    """(side, side) in [0, 1]: 0 outside, rising over `fade_px` from the outline inwards."""
    depth = cv2.distanceTransform(covered, cv2.DIST_L2, 3)
    return np.asarray(np.clip(depth / max(fade_px, 1.0), 0, 1), np.float32)


def _resized(image: Image, side_px: int) -> Image:
    """The square image at another size; there and back is the identity on coordinates."""
    how = cv2.INTER_AREA if side_px < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (side_px, side_px), interpolation=how), np.uint8)
