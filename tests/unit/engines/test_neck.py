"""The skin around a face, and how far the face goes towards it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic import light
from portraitd.engines.classic.neck import (
    FILL_SHARE,
    MOST,
    MOST_FILL,
    ROOM,
    SHARE,
    TINT_SHARE,
    FillLight,
    fill_light,
    skin_around,
    step_to_neck,
    surroundings,
)
from portraitd.engines.classic.region import Nearby
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask, from_linear, to_linear

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
    found = skin_around(surroundings(picture(FACE, NECK), MESH, log_of(FACE)))
    assert found is not None
    assert found == pytest.approx(log_of(NECK), abs=0.03)


@pytest.mark.parametrize(("face", "around"), [(FACE, WALL), (FACE, (20, 14, 12)), ((20, 14, 12), (16, 11, 9))])
def test_no_skin_shows_or_it_is_too_dark_to_tell(face: tuple[int, ...], around: tuple[int, ...]) -> None:
    assert skin_around(surroundings(picture(face, around), MESH, log_of(face))) is None


def test_the_face_goes_part_of_the_way_and_no_farther_than_allowed() -> None:
    face = light.log_light(picture(FACE, NECK))
    gap = log_of(NECK) - log_of(FACE)
    step = step_to_neck(face, POINTS[:, :2], log_of(NECK))
    assert step.mean() == pytest.approx(SHARE * gap.mean(), abs=1e-3)
    assert step - step.mean() == pytest.approx(TINT_SHARE * (gap - gap.mean()), abs=1e-3)
    assert step_to_neck(face, POINTS[:, :2], log_of(FACE) - 2).mean() == pytest.approx(-MOST, abs=1e-3)


def people_at(shown: float) -> Nearby:
    """As surely a person everywhere."""
    return Nearby(np.full((256, 256), shown, np.float32), np.array([[1, 0, 0], [0, 1, 0]], np.float32))


def filled(image: Image, person: float = 1.0) -> FillLight | None:
    return fill_light(surroundings(image, MESH, log_of(FACE)), lambda: people_at(person))


def lift_in(fill: FillLight, image: Image) -> Mask:
    """(H, W) by how much the picture's bare skin is brightened."""
    whole = Box(0, 0, image.shape[1], image.shape[0])
    lift = np.zeros(image.shape[:2], np.float32)
    x0, y0, x1, y1 = (int(v) for v in fill.box)
    lift[y0:y1, x0:x1] = cv2.resize(fill.bare * fill.lift, (x1 - x0, y1 - y0))
    assert fill.box == Box(max(whole.x0, x0), max(whole.y0, y0), min(whole.x1, x1), min(whole.y1, y1))
    return lift


def test_the_neck_in_shade_comes_part_of_the_way_to_the_cheeks() -> None:
    image = picture(FACE, NECK)
    fill = filled(image)
    assert fill is not None
    lift, gap = lift_in(fill, image), float((log_of(FACE) - log_of(NECK)).mean())
    assert lift[245:260, 130:170] == pytest.approx(FILL_SHARE * gap, abs=0.02)
    assert fill.brighter == pytest.approx(FILL_SHARE * gap, abs=0.02)
    assert np.abs(lift[90:170, 110:190]).max() == 0  # the face
    assert np.abs(lift[250:, :95]).max() == 0  # the wall
    assert np.abs(lift[250:, 205:]).max() == 0


def test_fill_light_is_not_stronger_than_allowed() -> None:
    dark = tuple(int(v) for v in from_linear(to_linear(np.array([[FACE]], np.uint8)) * np.float32(np.exp(-1.07)))[0, 0])
    image = picture(FACE, dark)
    fill = filled(image)
    assert fill is not None
    assert fill.lift.max() == pytest.approx(MOST_FILL, abs=1e-3)
    assert FILL_SHARE * float((log_of(FACE) - log_of(dark)).mean()) > MOST_FILL


def test_the_deepest_shade_is_brightened_no_more_than_shade_and_light_not_at_all() -> None:
    image = picture(FACE, NECK)
    image[250:270, 110:190] = np.array(NECK) * 0.8
    image[290:, 110:190] = FACE
    fill = filled(image)
    assert fill is not None
    lift = lift_in(fill, image)
    assert lift[256:264, 130:170].mean() == pytest.approx(fill.lift.max(), rel=0.1)
    assert lift[310:330, 130:170].max() < 0.2 * fill.lift.max()


def test_fill_light_ends_farther_down() -> None:
    image = np.full((640, 300, 3), WALL, np.uint8)
    image[:340] = picture(FACE, NECK)
    image[340:, 110:190] = NECK
    fill = filled(image)
    assert fill is not None
    lift, (chin, width) = lift_in(fill, image)[:, 150], (POINTS[152, 1], MESH.box.width)
    at = [float(lift[int(chin + reach * width)]) for reach in (0.1, 0.4, 0.7, 0.9, 1.1, 1.28)]
    assert at[:3] == pytest.approx([at[0]] * 3, rel=0.05)
    assert at[2] > at[3] > at[4] > at[5] >= 0
    assert at[5] < 0.1 * at[0]
    assert fill.box.y1 == pytest.approx(MESH.box.y1 + ROOM * width, abs=2)


def test_skin_that_does_not_hang_together_with_the_face_stays() -> None:
    """A hand, a beige coat."""
    image = picture(FACE, NECK)
    image[290:, 215:275] = NECK
    fill = filled(image)
    assert fill is not None
    lift = lift_in(fill, image)
    assert lift[300:, 218:].max() == 0
    assert lift[300:320, 130:170].min() > 0.05


@pytest.mark.parametrize("neck", [FACE, (240, 200, 180), WALL])
def test_no_shade_no_fill_light(neck: tuple[int, ...]) -> None:
    assert filled(picture(FACE, neck)) is None


def test_nobody_is_looked_for_where_no_fill_light_is_needed() -> None:
    fill_light(surroundings(picture(FACE, FACE), MESH, log_of(FACE)), lambda: pytest.fail("somebody was"))


def test_a_wall_of_skins_colour_stays() -> None:
    """What is nobody's is not brightened, though it looks like a neck."""
    assert filled(picture(FACE, NECK), person=0.0) is None


def test_what_looks_like_skin_but_is_not_surely_bare_tells_the_face_of_no_fill_light() -> None:
    """Skin on a hand beside the cheek, say: it stays, and so the face must come to it as it is."""
    image = picture(FACE, WALL)
    image[150:175, 205:245] = NECK
    image[185:230, 130:170] = NECK
    fill = filled(image)
    assert fill is not None
    assert 0 < fill.brighter < 0.95 * fill.lift.max()


def test_forehead_and_temples_keep_their_shade() -> None:
    """No line where the small picture ends, at the top of the face."""
    image = picture(FACE, NECK)
    image[:, 80:220] = NECK
    cv2.fillPoly(image, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], FACE)
    fill = filled(image)
    assert fill is not None
    lift, eyes = lift_in(fill, image), int(POINTS[[*regions.LEFT_EYE, *regions.RIGHT_EYE], 1].max())
    assert lift[: eyes - 1].max() == 0
    assert lift[250:260, 90:210].max() > 0.05
    rows = lift[eyes - 2 : eyes + 30, 90]
    assert np.abs(np.diff(rows)).max() < 0.02
