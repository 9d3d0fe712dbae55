"""Red pupils become dark; eyes that are not red, whatever their colour and light, keep every pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.redeye import without_red_eyes
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image, Points
from tests.fakes import meshes

RINGS = {"left": regions.LEFT_EYE, "right": regions.RIGHT_EYE}
SKIN, WHITE, FLASHED, BROWN = (215, 170, 150), (225, 220, 215), (200, 50, 55), (70, 28, 12)
SIDE, FACE_PX = 400, 260.0


def mesh_at(x: float, y: float) -> FaceMesh:
    return meshes.mesh_at(x, y, width=FACE_PX)


MESH = mesh_at(SIDE / 2, SIDE / 2)


def middle(ring: tuple[int, ...], mesh: FaceMesh = MESH) -> Points:
    return np.asarray(mesh.xy[list(ring)].mean(axis=0), np.float32)


def eye_width(mesh: FaceMesh = MESH) -> float:
    left, right = regions.LEFT_EYE_CORNERS
    return float(np.linalg.norm(mesh.xy[left] - mesh.xy[right]))


def face(
    pupil: tuple[int, int, int],
    across: float = 0.3,
    off: float = 0.0,
    mesh: FaceMesh = MESH,
    light: tuple[float, float, float] = (1, 1, 1),
) -> Image:
    """A face with these pupils, so many widths of the eye across and beside the eye's middle, in this light."""
    picture = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for ring in RINGS.values():
        lids = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillPoly(lids, [np.rint(mesh.xy[list(ring)]).astype(np.int32)], 1)
        disc = np.zeros_like(lids)
        x, y = middle(ring, mesh) + np.array([off * eye_width(mesh), 0])
        cv2.circle(disc, (round(float(x)), round(float(y))), round(across / 2 * eye_width(mesh)), 1, -1)
        picture[lids > 0] = WHITE
        picture[(lids & disc) > 0] = pupil
    return np.clip(picture * np.array(light), 0, 255).astype(np.uint8)


def pixel(image: Image, ring: tuple[int, ...], mesh: FaceMesh = MESH) -> Image:
    x, y = np.rint(middle(ring, mesh)).astype(int)
    return np.asarray(image[y, x])


@pytest.mark.parametrize("light", [(1, 1, 1), (1, 0.75, 0.5), (0.6, 0.6, 0.6), (0.8, 0.9, 1)])
def test_red_pupils_become_dark_and_nothing_else_changes(light: tuple[float, float, float]) -> None:
    flashed = face(FLASHED, light=light)
    before = flashed.copy()
    out = without_red_eyes(flashed, MESH)
    assert np.array_equal(flashed, before)
    for ring in RINGS.values():
        assert pixel(out, ring).max() < 40
        assert int(np.ptp(pixel(out, ring).astype(int))) <= 2
    pupils = (face((0, 0, 0)) == 0).all(axis=2)
    near = cv2.dilate(pupils.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.array_equal(out[~near], flashed[~near])


def test_a_highlight_stays_white() -> None:
    flashed = face(FLASHED)
    x, y = np.rint(middle(regions.LEFT_EYE)).astype(int)
    flashed[y - 2 : y + 1, x - 2 : x + 1] = 250
    assert without_red_eyes(flashed, MESH)[y - 1, x - 1].min() > 235


def test_one_red_pupil_is_enough() -> None:
    flashed = face(FLASHED)
    flashed[:, : SIDE // 2] = face(BROWN)[:, : SIDE // 2]
    out = without_red_eyes(flashed, MESH)
    on_left = int(middle(regions.LEFT_EYE)[0] > SIDE / 2)
    kept, mended = (("right", "left"), ("left", "right"))[1 - on_left]
    assert np.array_equal(pixel(out, RINGS[kept]), pixel(flashed, RINGS[kept]))
    assert pixel(out, RINGS[mended]).max() < 40


@pytest.mark.parametrize(
    "colour", [BROWN, (20, 20, 22), (90, 55, 30), (60, 90, 130), (110, 100, 60), (85, 17, 2), (150, 75, 5)]
)
@pytest.mark.parametrize("light", [(1, 1, 1), (1, 0.7, 0.45)])
def test_other_eyes_stay_as_they_are(colour: tuple[int, int, int], light: tuple[float, float, float]) -> None:
    picture = face(colour, light=light)
    assert without_red_eyes(picture, MESH) is picture


def test_beside_very_red_skin_a_pupil_need_not_be_nearly_twice_as_red() -> None:
    flashed = face((190, 50, 55))
    flashed[(flashed == SKIN).all(axis=2)] = (200, 85, 60)
    assert pixel(without_red_eyes(flashed, MESH), regions.LEFT_EYE).max() < 40


@pytest.mark.parametrize(("across", "off"), [(0.06, 0), (0.3, 0.4), (1.2, 0)])
def test_what_is_red_and_no_pupil_stays(across: float, off: float) -> None:
    """A vein, the eye's corner, an eye that is all red."""
    picture = face(FLASHED, across, off)
    assert without_red_eyes(picture, MESH) is picture


def test_a_red_line_is_no_pupil() -> None:
    picture = face((20, 20, 22))
    for ring in RINGS.values():
        x, y = np.rint(middle(ring)).astype(int)
        picture[y - 1 : y + 1, x - 8 : x + 8] = FLASHED
        picture[y - 6 : y + 6, x - 1 : x + 1] = FLASHED
    assert without_red_eyes(picture, MESH) is picture


@pytest.mark.parametrize("at", [(0, 0), (SIDE, SIDE), (-900, 200), (200, 1200)])
def test_of_a_face_that_the_picture_cuts_what_shows_is_mended(at: tuple[float, float]) -> None:
    mesh = mesh_at(*at)
    out = without_red_eyes(face(FLASHED, mesh=mesh), mesh)
    for ring in RINGS.values():
        if (middle(ring, mesh) > 15).all() and (middle(ring, mesh) < SIDE - 15).all():
            assert pixel(out, ring, mesh).max() < 40
