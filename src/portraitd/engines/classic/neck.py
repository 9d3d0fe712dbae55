"""Face, neck and ears of one tone: the face goes part of the way to the template's bare skin around it."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic import light
from portraitd.engines.classic.cover import tint_of
from portraitd.engines.classic.geometry import at_points
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Points

#: Face width at which skin is looked for, px.
WORK_PX = 64
#: How near to the face's contour and how far from it skin is looked for, face widths.
REACH = (0.03, 0.35)
#: What counts as the same person's skin: how much darker or brighter than the face, and how far off in colour.
SHADE = (-1.1, 0.35)
TINT = 0.30
#: Of the way from the cheeks' tone to the neck's, how much the face goes: a neck lies in the chin's shadow, and is a
#: little yellower than cheeks by nature.
SHARE, TINT_SHARE = 0.68, 0.52
#: How far the face goes at most, natural log of light.
MOST = 0.48
#: Faces darker than this (log linear light) are left alone: what colours their surroundings have is mostly noise.
TOO_DARK = -3.0
#: Points of the cheeks; those of the other side are their mirror twins.
CHEEK = (117, 50, 205, 36, 100)


def skin_around(picture: Image, mesh: FaceMesh, skin: Floats) -> Floats | None:
    """(3,) log linear light of the bare skin around the face in the (H, W, 3) picture; None where none can be told.

    skin: (3,) that of the face.
    """
    if float(skin.mean()) < TOO_DARK:
        return None
    box, (height, width) = mesh.box, picture.shape[:2]
    reach = REACH[1] * box.width
    x0, x1 = max(0, int(box.x0 - reach)), min(width, int(box.x1 + reach) + 1)
    y0, y1 = max(0, int(mesh.eye_centres[:, 1].max())), min(height, int(box.y1 + reach) + 1)
    if y1 - y0 < 8 or x1 - x0 < 8:
        return None
    scale = min(1.0, WORK_PX / box.width)
    size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
    off = light.log_light(shrunk(np.ascontiguousarray(picture[y0:y1, x0:x1]), *size)) - skin
    oval = (mesh.xy[list(regions.FACE_OVAL)] - np.array([x0, y0]) + 0.5) * scale - 0.5
    outside = np.ones(size[::-1], np.uint8)
    cv2.fillPoly(outside, [np.rint(oval).astype(np.int32)], 0)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / (scale * box.width)
    grey = light.grey_of(off)
    tint = tint_of(off)
    found = (away > REACH[0]) & (away < REACH[1]) & (tint < TINT) & (grey > SHADE[0]) & (grey < SHADE[1])
    if found.sum() < 0.01 * (scale * box.width) ** 2:
        return None
    return np.asarray(np.median(off[found], axis=0) + skin, np.float32)


def step_to_neck(lit: Floats, points: Points, around: Floats) -> Floats:
    """(3,) of log light that brings the face nearer to the skin around it, of which `around` is the colour.

    lit: (h, w, 3) log linear light. points: (468, 2) the mesh on it.
    """
    cheeks = at_points(lit, points[[*CHEEK, *mean_face().mirror[list(CHEEK)]]])
    gap = around - np.median(cheeks, axis=0)
    grey = float(gap.mean())
    return np.asarray(np.clip(SHARE * grey, -MOST, MOST) + TINT_SHARE * (gap - grey), np.float32)
