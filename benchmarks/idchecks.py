"""The checks of an ID photo (GA 461-2004 scaled to 768 x 1024; pose and face as ISO/IEC 39794-5 asks), all measured
on the finished picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measures import Seen, expression
from portraitd.engines.classic.framing import CHEEK_SIDES, roll_of
from portraitd.faces.shape import pose_of

#: Length of the standard's picture, px.
WIDTH, HEIGHT = 358, 441


@dataclass(frozen=True)
class Check:
    """One figure and the limits it has to keep."""

    name: str
    value: float
    least: float
    most: float

    @property
    def passed(self) -> bool:
        return self.least <= self.value <= self.most


def id_checks(photo: Seen) -> tuple[Check, ...]:
    """All checks of a finished ID photo."""
    image, xy = photo.image, photo.mesh.xy
    height, width = image.shape[:2]
    across, down = WIDTH / width, HEIGHT / height
    pose, face = pose_of(photo.mesh.points), expression(photo.mesh.points)
    eyes = photo.mesh.eye_centres.mean(axis=0)
    return (
        Check("face width, px of 358", float(xy[CHEEK_SIDES[1], 0] - xy[CHEEK_SIDES[0], 0]) * across, 193, 221),
        Check("eyes above the bottom edge, px of 441", (height - float(eyes[1])) * down, 207, HEIGHT),
        Check("hair below the top edge, px of 441", hair_gap(photo) * down, 6, 22),
        Check("middle of the eyes off the centre, px of 358", abs(float(eyes[0]) - (width - 1) / 2) * across, 0, 6),
        Check("tilt of the eyes, degrees", abs(roll_of(xy)), 0, 1),
        Check("turn, degrees", abs(pose.yaw_deg), 0, 8),
        Check("backdrop's unevenness, steps of 255", unevenness(photo), 0, 2),
        Check("eyes' opening over width", face["eyes"], 0.15, 1),
        Check("mouth's opening over width", face["mouth"], 0, 0.1),
    )


def hair_gap(photo: Seen) -> float:
    """Rows from the top edge down to the first with a hand's breadth of person above the face, px."""
    image = photo.image
    flat = np.abs(image.astype(int) - backdrop_colour(photo)).max(axis=2) <= 6
    box = photo.mesh.box
    person = ~flat[:, max(0, int(box.x0)) : int(box.x1)]
    rows = np.flatnonzero(person.sum(axis=1) > 0.05 * box.width)
    return float(rows[0]) if rows.size else float(image.shape[0])


def backdrop_colour(photo: Seen) -> np.ndarray:
    """(3,) median of the two upper corners."""
    return np.asarray(np.median(_corners(photo), axis=0))


def unevenness(photo: Seen) -> float:
    """Greatest difference in any channel from the backdrop's colour in the two upper corners, 99.9 % of pixels."""
    return float(np.percentile(np.abs(_corners(photo) - backdrop_colour(photo)).max(axis=1), 99.9))


def _corners(photo: Seen) -> np.ndarray:
    """(N, 3) pixels of the two upper corners, 8 % wide and 10 % high: above the shoulders of long hair."""
    height, width = photo.image.shape[:2]
    reach, depth = width // 12, height // 10
    strips = (photo.image[:depth, :reach], photo.image[:depth, -reach:])
    return np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(int)
