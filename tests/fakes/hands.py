"""An open hand, drawn: joints as they lie in one, flesh around them, darker towards the edges and between fingers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Image, Points

#: (21, 2) lengths of the palm, from the wrist; fingers upwards.
JOINTS = np.array(
    [
        (0, 0),
        *((0.30, -0.20), (0.52, -0.45), (0.68, -0.68), (0.80, -0.88)),
        *((0.28, -0.95), (0.37, -1.38), (0.42, -1.62), (0.46, -1.84)),
        *((0.00, -1.00), (0.00, -1.48), (0.00, -1.76), (0.00, -2.00)),
        *((-0.24, -0.92), (-0.34, -1.36), (-0.39, -1.62), (-0.43, -1.84)),
        *((-0.44, -0.80), (-0.62, -1.10), (-0.72, -1.30), (-0.80, -1.48)),
    ],
    np.float32,
)
#: Half of a finger's breadth, and of the arm's, lengths of the palm.
FINGER, ARM = 0.10, 0.30


def placed(wrist: tuple[float, float], palm_px: float, angle_deg: float = 0.0) -> Points:
    """(21, 2) px: the joints of a hand that is turned clockwise by the angle."""
    turn = np.deg2rad(angle_deg)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(JOINTS @ axes * palm_px + wrist, np.float32)


def with_hand(picture: Image, joints: Points, skin: tuple[int, int, int]) -> tuple[Image, NDArray[np.bool_]]:
    """The (H, W, 3) picture with a hand of this colour before it; and (H, W) where that is."""
    palm = float(np.linalg.norm(joints[9] - joints[0]))
    down = (joints[0] - joints[9]) / palm
    forearm = np.array([joints[0], joints[0] + 4 * palm * down])
    bones = [joints[[4 * finger + k, 4 * finger + k + 1]] for finger in range(5) for k in (1, 2, 3)]
    flesh, shade = np.zeros(picture.shape[:2], np.uint8), np.ones(picture.shape[:2], np.float32)
    cv2.polylines(flesh, [np.rint(forearm).astype(np.int32)], False, 1, round(2 * ARM * palm))
    cv2.fillConvexPoly(flesh, cv2.convexHull(np.rint(joints[[0, 1, 2, 5, 9, 13, 17]]).astype(np.int32)), 1)
    for bone in bones:
        finger = np.zeros(picture.shape[:2], np.uint8)
        cv2.polylines(finger, [np.rint(bone).astype(np.int32)], False, 1, round(2 * FINGER * palm))
        shade = np.where(finger > 0, 0.75 + 0.25 * _depth(finger, 0.08 * palm), shade)
        flesh |= finger
    flesh = np.asarray(cv2.morphologyEx(flesh, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8)
    lit = np.minimum(shade, 0.65 + 0.35 * _depth(flesh, 0.10 * palm))
    soft = cv2.GaussianBlur(flesh.astype(np.float32), (0, 0), 0.8)[:, :, None]
    colour = np.array(skin, np.float32) * lit[:, :, None]
    return np.asarray(np.rint(picture * (1 - soft) + colour * soft), np.uint8), flesh > 0


def _depth(mask: NDArray[np.uint8], reach: float) -> Floats:
    return np.asarray(np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 5) / reach, 0, 1) ** 0.5, np.float32)
