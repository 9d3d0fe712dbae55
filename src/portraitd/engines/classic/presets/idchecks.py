"""The checks of an ID photo, all measured on the finished picture.

Width of the face, room above the hair, height and middle of the eyes: GA 461-2004, given there for 358 x 441 px; widths
scale with the width, heights with the height. Height of the head, pose, eyes and mouth: after ISO/IEC 39794-5, with
limits of our own for tilt, turn and openings, which have to allow for the mesh's error.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from portraitd.engines.classic.presets.framing import CHEEK_SIDES, roll_of
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.expression import expression_of
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import pose_of
from portraitd.images import Floats, Image

#: Length of the standard's picture, px.
WIDTH, HEIGHT = 358, 441
#: More differs from the backdrop than this, in steps of 255: it is the person.
_BACKDROP_REACH = 6


class Check(enum.Enum):
    """What is checked; the value is its name in words, with the unit."""

    FACES = "faces found"
    FACE_WIDTH = "face width, px of 358"
    HEAD_HEIGHT = "hair to chin, share of the height"
    EYE_LINE = "eyes above the bottom edge, px of 441"
    HAIR_GAP = "hair below the top edge, px of 441"
    CENTRE = "middle of the eyes off the centre, px of 358"
    TILT = "tilt of the eyes, degrees"
    TURN = "turn, degrees"
    BACKDROP = "backdrop's unevenness, steps of 255"
    EYES = "eyes' opening over width"
    MOUTH = "mouth's opening over width"


@dataclass(frozen=True)
class Finding:
    """One figure and the limits it has to keep."""

    check: Check
    value: float
    least: float
    most: float

    @property
    def passed(self) -> bool:
        return self.least <= self.value <= self.most


def examine(models: FaceModels, image: Image) -> tuple[Finding, ...]:
    """All findings on a finished (H, W, 3) ID photo; the number of faces alone where that is not one."""
    faces = detect_faces(models, image)
    counted = Finding(Check.FACES, len(faces), 1, 1)
    if not counted.passed:
        return (counted,)
    return (counted, *id_checks(image, fit_mesh(models, image, faces[0])))


def id_checks(image: Image, mesh: FaceMesh) -> tuple[Finding, ...]:
    """The findings on a finished (H, W, 3) ID photo with the mesh of its face."""
    xy, (height, width) = mesh.xy, image.shape[:2]
    across, down = WIDTH / width, HEIGHT / height
    face, eyes, gap = expression_of(mesh.points), mesh.eye_centres.mean(axis=0), hair_gap(image, mesh)
    return (
        Finding(Check.FACE_WIDTH, float(xy[CHEEK_SIDES[1], 0] - xy[CHEEK_SIDES[0], 0]) * across, 193, 221),
        Finding(Check.HEAD_HEIGHT, (float(xy[regions.CHIN, 1]) - gap) / height, 0.6, 0.9),
        Finding(Check.EYE_LINE, (height - float(eyes[1])) * down, 207, HEIGHT),
        Finding(Check.HAIR_GAP, gap * down, 6, 22),
        Finding(Check.CENTRE, abs(float(eyes[0]) - (width - 1) / 2) * across, 0, 6),
        Finding(Check.TILT, abs(roll_of(xy)), 0, 1),
        Finding(Check.TURN, abs(pose_of(mesh.points).yaw_deg), 0, 8),
        Finding(Check.BACKDROP, unevenness(image), 0, 2),
        Finding(Check.EYES, face.eyes, 0.15, 1),
        Finding(Check.MOUTH, face.mouth, 0, 0.1),
    )


def hair_gap(image: Image, mesh: FaceMesh) -> float:
    """Rows from the top edge down to the first with 5 % of the face's width of person above the face, px."""
    box = mesh.box
    above = image[:, max(0, int(box.x0)) : max(1, int(box.x1))].astype(int)
    person = np.abs(above - backdrop_colour(image)).max(axis=2) > _BACKDROP_REACH
    rows = np.flatnonzero(person.sum(axis=1) > 0.05 * box.width)
    return float(rows[0]) if rows.size else float(image.shape[0])


def backdrop_colour(image: Image) -> Floats:
    """(3,) median of the two upper corners."""
    return np.asarray(np.median(_corners(image), axis=0), np.float32)


def unevenness(image: Image) -> float:
    """Greatest difference in any channel from the backdrop's colour in the two upper corners, 99.9 % of pixels."""
    return float(np.percentile(np.abs(_corners(image) - backdrop_colour(image)).max(axis=1), 99.9))


def _corners(image: Image) -> Floats:
    """(N, 3) pixels of the two upper corners, 8 % wide and 10 % high: above the shoulders of long hair."""
    height, width = image.shape[:2]
    reach, depth = max(1, width // 12), max(1, height // 10)
    strips = (image[:depth, :reach], image[:depth, -reach:])
    return np.concatenate([strip.reshape(-1, 3) for strip in strips]).astype(np.float32)
