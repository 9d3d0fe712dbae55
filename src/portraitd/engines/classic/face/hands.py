"""A hand before a face, pixel by pixel. Its skin is the face's: only its joints and its edges tell it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face.grabcut import foreground, window_around
from portraitd.engines.classic.face.region import ROOM, cut_out, region_box
from portraitd.faces import regions
from portraitd.faces.hands import WRIST, Hand, find_hands
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: Face width at which a hand's edges are looked for, px, and the room around the face, in face sizes: what a hand
#: looks like is seen where it is not before the face, too.
WORK_PX = 128
AROUND = 0.25
#: How far outside a face's contour the wrist of a hand before it is, face widths: little where a chin rests in it, less
#: in a face that is mistaken for a hand; and the same of a hand that has this probability, as such faces have not.
WRIST_AWAY, CERTAIN_AWAY = 0.12, 0.04
CERTAIN = 0.98
#: Half of a hand's breadth at each joint, in widths of the palm.
BREADTH = np.array(
    [
        0.30,
        *(0.26, 0.22, 0.17, 0.14),
        *(0.20, 0.165, 0.145, 0.12),
        *(0.20, 0.17, 0.15, 0.125),
        *(0.20, 0.165, 0.145, 0.12),
        *(0.19, 0.15, 0.13, 0.11),
    ],
    np.float32,
)
#: The joints that have a bone between them, and those around the palm.
BONES = (
    *((0, 1), (1, 2), (2, 3), (3, 4)),
    *((0, 5), (5, 6), (6, 7), (7, 8)),
    *((5, 9), (9, 10), (10, 11), (11, 12)),
    *((9, 13), (13, 14), (14, 15), (15, 16)),
    *((0, 17), (13, 17), (17, 18), (18, 19), (19, 20)),
)
PALM = (0, 1, 5, 9, 13, 17)
#: A palm's width seen from the side, in lengths from the wrist to where the middle finger begins.
FORESHORTENED = 0.75
#: How far inside that shape a pixel is surely the hand's, how far outside surely not, and how far around it pixels are
#: compared, widths of the palm.
INSIDE, OUTSIDE, COMPARED = 0.06, 0.10, 0.8
#: How far from a hand before a face its shadow is, face widths.
SHADOW = 0.025
#: Fewer pixels of the small picture than this say nothing.
LEAST_PX = 12


def hands_in_region(models: FaceModels, picture: Image, mesh: FaceMesh, room: float = ROOM) -> Mask:
    """(h, w) 1 on hands before the face, on a small picture of its region in the (H, W, 3) picture; 0 elsewhere."""
    before = [hand for hand in find_hands(models, picture, mesh) if _reaches(hand, mesh)]
    if not before:
        return np.zeros((8, 8), np.float32)
    region, box = (region_box(mesh, picture.shape, reach) for reach in (room, max(room, AROUND)))
    scale = min(1.0, WORK_PX / mesh.box.width)
    part = np.ascontiguousarray(picture[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)])
    small = shrunk(part, *(max(8, round(length * scale)) for length in (box.width, box.height)))
    step = np.array([small.shape[1] / box.width, small.shape[0] / box.height], np.float32)
    corner = np.array([box.x0, box.y0], np.float32)
    # Pixel centres at integers: shrinking moves them.
    joints = [(hand.joints - corner + np.float32(0.5)) * step - np.float32(0.5) for hand in before]
    found = np.maximum.reduce([hand_at(small, at) for at in joints])
    return np.asarray(cut_out(found, box, region) > 0.5, np.float32)


def hands_and_shadow(models: FaceModels, picture: Image, mesh: FaceMesh) -> Mask:
    """(h, w) the same of a photo, whose hands must not come along: with the skin right beside them, in their shadow."""
    found = hands_in_region(models, picture, mesh)
    reach = max(1, round(SHADOW * min(WORK_PX, mesh.box.width)))
    return np.asarray(
        cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))), np.float32
    )


def _reaches(hand: Hand, mesh: FaceMesh) -> bool:
    """Whether the hand lies over the face in part. What has its wrist in a face is that face, mistaken for a hand."""
    oval = mesh.xy[list(regions.FACE_OVAL)]
    inside = [cv2.pointPolygonTest(oval, (float(x), float(y)), measureDist=True) for x, y in hand.joints]
    broad = float(BREADTH.max()) * palm_width(hand.joints)
    away = CERTAIN_AWAY if hand.score > CERTAIN else WRIST_AWAY
    return inside[WRIST] < -away * mesh.box.width and max(inside) > -broad


def hand_at(image: Image, joints: Points) -> Mask:
    """(h, w) 1 on the hand with these (21, 2) joints, px, in the (h, w, 3) image.

    The shape that joints and bones make, its edge moved to where colours change (GrabCut).
    """
    shape = image.shape[:2]
    whole, core = drawn(joints, shape, 0.0), drawn(joints, shape, -INSIDE)
    near, compared = drawn(joints, shape, OUTSIDE), drawn(joints, shape, COMPARED)
    if min(core.sum(), (compared & ~near).sum()) < LEAST_PX:
        return whole.astype(np.float32)
    known = np.where(whole, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    known[~near], known[core] = cv2.GC_BGD, cv2.GC_FGD
    window, found = window_around(compared), np.zeros(shape, np.float32)
    found[window] = foreground(image, known, window)
    return np.asarray(cv2.medianBlur(found, 3), np.float32)


def palm_width(joints: Points) -> float:
    """Width of the palm of a hand with these (21, 2) joints, in their unit."""
    across = np.linalg.norm(joints[5] - joints[17])
    return float(max(across, FORESHORTENED * np.linalg.norm(joints[WRIST] - joints[9])))


def drawn(joints: Points, shape: tuple[int, int], grown: float) -> NDArray[np.bool_]:
    """(h, w) inside a hand with these (21, 2) joints, px, made broader by `grown` widths of its palm all around."""
    reach = (BREADTH + np.float32(grown)) * np.float32(palm_width(joints))
    mask = np.zeros(shape, np.uint8)
    for i, j in BONES:
        _draw_bone(mask, joints[[i, j]], reach[[i, j]])
    cv2.fillConvexPoly(mask, cv2.convexHull(_fixed(joints[list(PALM)])), 1, shift=4)
    return mask > 0


def _draw_bone(mask: NDArray[np.uint8], ends: Points, reach: Floats) -> None:
    """Two discs, and what lies between them; nothing of a bone that is thinner than nothing."""
    if reach.min() <= 0:
        return
    for centre, r in zip(_fixed(ends), reach, strict=True):
        cv2.circle(mask, tuple(map(int, centre)), int(16 * r), 1, -1, shift=4)
    along = ends[1] - ends[0]
    across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    sides = [ends[0] + across * reach[0], ends[1] + across * reach[1]]
    sides += [ends[1] - across * reach[1], ends[0] - across * reach[0]]
    cv2.fillConvexPoly(mask, _fixed(np.asarray(sides, np.float32)), 1, shift=4)


def _fixed(points: Points) -> NDArray[np.int32]:
    """Points in sixteenths of a pixel, as OpenCV draws them."""
    return np.rint(np.asarray(points) * 16).astype(np.int32)
