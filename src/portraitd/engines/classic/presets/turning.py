"""A head turned towards the camera, with its hair: for documents, which allow hardly any turn.

The face is turned as the 3D mesh it is. Around it nothing is known in depth, but a head is about as deep as it is wide,
so that its outline stays where it is when it turns. The map between face and outline is the smoothest one there is
(harmonic). Good for some twenty degrees: what the far cheek hides beyond that no photo shows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face.geometry import normals, rasterise
from portraitd.engines.classic.person.identity import View
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, pose_of
from portraitd.images import Floats, Mask, Points

Flags: TypeAlias = NDArray[np.bool_]

#: A turn up to this is left alone: it is a head's natural bearing, and no more is asked of any document.
TOLERATED_DEG = 3.5
#: The axis a head turns about, in the mean face's frame: between the ears, eye distances behind the eyes.
AXIS = np.array([0.0, 0.0, 1.35])
#: The outline follows only half-heartedly, and a face is taken for turned by its outline, too.
OVERTURN = 1.2
#: How far a place of the mesh must look at the camera for the map to follow it: cosine.
FACING = 0.55
#: Width of the face on the grid that the map is worked out on, px.
GRID_PX = 40
#: How far beyond the head's outline nothing moves any more, and how far below the chin, in face widths.
BEYOND, BELOW = 0.12, 0.75


def turned_to_camera(view: View, most_deg: float) -> View:
    """The view with its head turned to face the camera, by `most_deg` at most; the same view where it does already.

    Needs a matte. Where it is severed stays: shoulders do not turn.
    """
    yaw = view.pose.yaw_deg
    if min(abs(yaw) - TOLERATED_DEG, most_deg) <= 0 or view.alpha is None:
        return view
    turn = float(np.copysign(min(OVERTURN * (abs(yaw) - TOLERATED_DEG), most_deg), yaw))
    image, alpha = view.image(), view.alpha()
    points = _turned(view.mesh.points, turn)
    x, y = _map(view.mesh.points, points, alpha)
    moved = cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    matte = np.clip(cv2.remap(alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), 0, 1)
    mesh = FaceMesh(points, view.mesh.score)
    return replace(
        view,
        mesh=mesh,
        pose=pose_of(points),
        image=lambda: np.asarray(moved, np.uint8),
        alpha=lambda: np.asarray(matte, np.float32),
    )


def _turned(points: Points, turn_deg: float) -> Points:
    """(468, 3) the mesh with its head turned back by `turn_deg` about its own axis."""
    place = align_to_mean(points)
    angle = np.deg2rad(turn_deg)
    back = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    own = place.inverse().apply(points)
    return place.apply((own - AXIS) @ back.T + AXIS).astype(np.float32)


def _map(before: Points, after: Points, alpha: Mask) -> tuple[Floats, Floats]:
    """(H, W) x and y of the photo pixel that each pixel of the turned picture shows."""
    height, width = alpha.shape
    shrink = min(1.0, GRID_PX / float(np.ptp(before[:, 0])))
    size = (max(8, round(width * shrink)), max(8, round(height * shrink)))
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    small = after.copy()
    small[:, :2] = (after[:, :2] + 0.5) * scale - 0.5
    raster = rasterise(small, size[::-1], step=1)
    # What looks away in the photo is a strip of a few pixels, its outline not quite the mesh's: not to be drawn out.
    known = (raster.coverage() > 0.5) & (raster.interpolate(-normals(before)[:, 2]) > FACING)
    shift = raster.interpolate((before[:, :2] - after[:, :2]).astype(np.float32))
    still = _still(after, np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32), scale)
    shift[still & ~known] = 0
    shift = _harmonic(shift, known | still)
    full = cv2.resize(shift, (width, height), interpolation=cv2.INTER_CUBIC)
    columns = np.arange(width, dtype=np.float32)[None]
    rows = np.arange(height, dtype=np.float32)[:, None]
    return columns + full[..., 0], rows + full[..., 1]


def _still(after: Points, alpha: Mask, scale: Floats) -> Flags:
    """(h, w) bool: what does not move: the backdrop a little beyond the person, and the body below the neck."""
    face_px = float(np.ptp(after[:, 0])) * float(scale[0])
    reach = max(1, round(BEYOND * face_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    beyond = np.asarray(cv2.dilate((alpha > 0.5).astype(np.uint8), disc) == 0)
    chin = (float(after[regions.CHIN, 1]) + 0.5) * float(scale[1])
    beyond[min(len(beyond) - 1, int(chin + BELOW * face_px)) :] = True
    return beyond


def _harmonic(values: Floats, fixed: Flags) -> Floats:
    """(h, w, 2) `values` where `fixed`, elsewhere the smoothest continuation: each pixel the mean of its neighbours."""
    height, width = fixed.shape
    weight = np.repeat(fixed.astype(np.float32)[:, :, None], 2, axis=2)
    known = values * weight
    rounds = 240
    if min(height, width) > 8:  # from coarse to fine: few rounds do at all sizes but the least
        rounds = 24
        half = (-(-width // 2), -(-height // 2))
        share = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(known, half, interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-6)
        coarse = _harmonic(np.asarray(mean, np.float32), share[:, :, 0] > 0.5)
        out = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR) * (1 - weight) + known
    else:
        out = known
    for _ in range(rounds):
        out = cv2.filter2D(out, -1, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE) * (1 - weight) + known
    return np.asarray(out, np.float32)


_NEIGHBOURS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4
