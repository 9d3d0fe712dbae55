"""The skin around a face, and how far the face goes towards it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic import light
from portraitd.engines.classic.neck import MOST, SHARE, TINT_SHARE, skin_around, step_to_neck
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image

#: 130 px from side to side.
POINTS = (mean_face().points * 60 + np.array([150, 130, 0])).astype(np.float32)
MESH = FaceMesh(POINTS, 1.0)
FACE, NECK, WALL = (225, 180, 160), (195, 150, 125), (40, 90, 160)


def picture(face: tuple[int, ...], around: tuple[int, ...]) -> Image:
    """A face over a neck before a blue wall."""
    image = np.full((340, 300, 3), WALL, np.uint8)
    image[180:, 110:190] = around
    cv2.fillPoly(image, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], face)
    return image


def log_of(colour: tuple[int, ...]) -> Floats:
    return light.log_light(np.array([[colour]], np.uint8))[0, 0]


def test_the_skin_around_a_face_is_found_beside_the_backdrop() -> None:
    found = skin_around(picture(FACE, NECK), MESH, log_of(FACE))
    assert found is not None
    assert found == pytest.approx(log_of(NECK), abs=0.03)


@pytest.mark.parametrize(("face", "around"), [(FACE, WALL), (FACE, (20, 14, 12)), ((20, 14, 12), (16, 11, 9))])
def test_no_skin_shows_or_it_is_too_dark_to_tell(face: tuple[int, ...], around: tuple[int, ...]) -> None:
    assert skin_around(picture(face, around), MESH, log_of(face)) is None


def test_the_face_goes_part_of_the_way_and_no_farther_than_allowed() -> None:
    face = light.log_light(picture(FACE, NECK))
    gap = log_of(NECK) - log_of(FACE)
    step = step_to_neck(face, POINTS[:, :2], log_of(NECK))
    assert step.mean() == pytest.approx(SHARE * gap.mean(), abs=1e-3)
    assert step - step.mean() == pytest.approx(TINT_SHARE * (gap - gap.mean()), abs=1e-3)
    assert step_to_neck(face, POINTS[:, :2], log_of(FACE) - 2).mean() == pytest.approx(-MOST, abs=1e-3)
