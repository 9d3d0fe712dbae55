"""A head of flat colours, drawn around the mean face."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Image

SKIN, LIPS, HAIR = (200, 160, 140), (170, 90, 85), (40, 30, 25)
#: 180 px from side to side.
MESH = FaceMesh((mean_face().points * 82 + np.array([200, 150, 0])).astype(np.float32), 1.0)
WIDTH = MESH.box.width


def head(left: tuple[int, int, int] = SKIN, right: tuple[int, int, int] = SKIN) -> Image:
    """(400, 400, 3) a face on a picture of these colours, left and right of its middle."""
    picture = np.full((400, 400, 3), right, np.uint8)
    picture[:, :200] = left
    fill(picture, regions.FACE_OVAL, SKIN)
    fill(picture, regions.LIPS_OUTER, LIPS)
    return picture


def fill(picture: Image, ring: tuple[int, ...], colour: tuple[int, int, int]) -> None:
    """Paint the ring of points of the mesh."""
    cv2.fillPoly(picture, [np.rint(MESH.xy[list(ring)]).astype(np.int32)], colour)
