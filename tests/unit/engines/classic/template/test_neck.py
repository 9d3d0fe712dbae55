"""The skin around a face, and how far the face goes towards it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.region import Nearby
from portraitd.engines.classic.template.neck import (
    BELOW_EYES,
    FILL_SHARE,
    FILL_TINT,
    JOINED,
    LEAST_TINT,
    MOST,
    MOST_FILL,
    ROOM,
    SHARE,
    SKIN_LUMA,
    TINT_SHARE,
    FillLight,
    _share_of,
    _wanted,
    fill_light,
    skin_around,
    step_to_neck,
    surroundings,
)
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


def lit(colour: tuple[int, ...], step: float) -> tuple[int, ...]:
    """The colour, its light exp(step) as much."""
    return tuple(
        int(v) for v in from_linear(to_linear(np.array([[colour]], np.uint8)) * np.float32(np.exp(step)))[0, 0]
    )


def log_of(colour: tuple[int, ...]) -> Floats:
    return light.log_light(np.array([[colour]], np.uint8))[0, 0]


def test_the_skin_around_a_face_is_found_beside_the_backdrop() -> None:
    found = skin_around(surroundings(picture(FACE, NECK), MESH, log_of(FACE)))
    assert found is not None
    assert found == pytest.approx(log_of(NECK), abs=0.03)


@pytest.mark.parametrize(("face", "around"), [(FACE, WALL), (FACE, (20, 14, 12)), ((20, 14, 12), (16, 11, 9))])
def test_no_skin_shows_or_it_is_too_dark_to_tell(face: tuple[int, ...], around: tuple[int, ...]) -> None:
    assert skin_around(surroundings(picture(face, around), MESH, log_of(face))) is None


def test_what_is_shown_is_the_face_and_room_beside_and_below_it() -> None:
    box, reach = MESH.box, ROOM * MESH.box.width
    wide = np.full((700, 700, 3), WALL, np.uint8)
    mesh = FaceMesh(POINTS + np.array([200, 100, 0], np.float32), 1.0)
    near = surroundings(wide, mesh, log_of(FACE))
    x0, y0, x1, y1 = (int(v) for v in (200 + box.x0 - reach, 100 + box.y0, 200 + box.x1 + reach, 100 + box.y1 + reach))
    assert near.box == Box(x0, y0, x1 + 1, y1 + 1)
    assert np.ptp(near.points[:, 0]) == pytest.approx(64, abs=0.5)


def test_a_small_face_is_not_enlarged() -> None:
    near = surroundings(np.full((100, 100, 3), WALL, np.uint8), FaceMesh(POINTS / 4, 1.0), log_of(FACE))
    assert near.tone.shape[:2] == (near.box.height, near.box.width)


def test_a_forehead_beyond_the_upper_edge() -> None:
    image, cut = picture(FACE, NECK), int(MESH.box.y0) + 20
    mesh = FaceMesh(POINTS - np.array([0, cut, 0], np.float32), 1.0)
    near = surroundings(np.ascontiguousarray(image[cut:]), mesh, log_of(FACE))
    assert near.box.y0 == 0
    found = skin_around(near)
    assert found is not None
    assert found == pytest.approx(log_of(NECK), abs=0.03)


def beside_face(rows: slice, columns: slice, colour: tuple[int, ...] = NECK) -> Image:
    """A face before a blue wall with a patch of this colour behind it."""
    image = picture(FACE, WALL)
    image[rows, columns] = colour
    cv2.fillPoly(image, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], FACE)
    return image


def test_most_of_the_skin_around_tells_its_tone() -> None:
    """Not a reflection on it."""
    image = picture(FACE, NECK)
    image[205:, 110:135] = lit(NECK, 0.5)
    found = skin_around(surroundings(image, MESH, log_of(FACE)))
    assert found is not None
    assert found == pytest.approx(log_of(NECK), abs=0.03)


@pytest.mark.parametrize("step", [-1.4, 0.5])
def test_what_is_much_darker_or_brighter_than_the_face_is_not_its_skin(step: float) -> None:
    face = lit(FACE, -0.6)
    image = picture(face, lit(face, step))
    assert skin_around(surroundings(image, MESH, log_of(face))) is None


def test_the_skin_around_is_below_the_eyes_and_near_but_not_the_faces_own_rim() -> None:
    above = beside_face(slice(0, int(POINTS[list(regions.LEFT_EYE), 1].min()) - 8), slice(0, 300))
    far = beside_face(slice(int(POINTS[152, 1]) + int(0.4 * MESH.box.width), 340), slice(0, 300))
    rim = picture(FACE, WALL)
    cv2.polylines(rim, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], True, NECK, 5)
    for image in (above, far, rim):
        assert skin_around(surroundings(image, MESH, log_of(FACE))) is None


@pytest.mark.parametrize(("side", "told"), [(9, False), (22, True)])
def test_a_spot_is_not_enough_to_tell_the_skin_around(side: int, told: bool) -> None:
    """Of 130 px from side to side."""
    top = int(POINTS[152, 1]) + 12
    image = beside_face(slice(top, top + side), slice(140, 140 + side))
    assert (skin_around(surroundings(image, MESH, log_of(FACE))) is not None) == told


def test_light_from_either_side_asks_for_the_same_step() -> None:
    steps = []
    for half in (np.s_[:, :150], np.s_[:, 150:]):
        image = picture(FACE, NECK)
        image[half] = lit(FACE, -0.5)
        steps.append(step_to_neck(light.log_light(image), POINTS[:, :2], log_of(NECK)))
    assert steps[0] == pytest.approx(steps[1], abs=0.02)


def test_a_glint_on_a_cheek_does_not_count() -> None:
    image = picture(FACE, NECK)
    plain = step_to_neck(light.log_light(image), POINTS[:, :2], log_of(NECK))
    x, y = np.rint(POINTS[50, :2]).astype(int)
    cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
    assert step_to_neck(light.log_light(image), POINTS[:, :2], log_of(NECK)) == pytest.approx(plain, abs=1e-3)


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
    assert fill.moved @ SKIN_LUMA == pytest.approx(FILL_SHARE * gap, abs=0.02)
    assert np.abs(lift[90:170, 110:190]).max() == 0  # the face
    assert np.abs(lift[250:, :95]).max() == 0  # the wall
    assert np.abs(lift[250:, 205:]).max() == 0


def test_fill_light_is_not_stronger_than_allowed() -> None:
    dark = lit(FACE, -1.07)
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
    assert fill.lift.max() == pytest.approx(FILL_SHARE * float((log_of(FACE) - log_of(NECK)).mean()), abs=0.01)
    assert lift[310:330, 108:192].max() < 0.02, "nor beside a dark wall"


def test_lighter_than_the_cheeks_is_not_darkened() -> None:
    image = picture(FACE, NECK)
    image[290:, 110:190] = (240, 200, 180)
    fill = filled(image)
    assert fill is not None
    assert fill.lift.min() == 0


def test_right_below_the_chin_and_beside_a_white_wall_it_is_as_strong() -> None:
    image = picture(FACE, NECK)
    image[(image == WALL).all(axis=2)] = (250, 250, 250)
    fill = filled(image)
    assert fill is not None
    whole, width = lift_in(fill, image), MESH.box.width
    at_chin = whole[int(POINTS[152, 1] + 0.055 * width), 145:155]
    assert at_chin.mean() == pytest.approx(whole[250, 150], rel=0.1)
    assert whole[250, 114] == pytest.approx(whole[250, 150], rel=0.1)


def test_a_thin_line_on_the_neck_is_brightened_like_what_is_beside_it() -> None:
    image = picture(FACE, NECK)
    image[260:262, 110:190] = FACE
    fill = filled(image)
    assert fill is not None
    lift = lift_in(fill, image)[:, 140:160].mean(axis=1)
    assert lift[255:267].min() > 0.7 * lift[245]


def test_faint_shade_is_brightened_as_well() -> None:
    fill = filled(picture(FACE, lit(FACE, -0.16)))
    assert fill is not None
    assert fill.lift.max() == pytest.approx(FILL_SHARE * 0.16, abs=0.01)


def test_how_far_the_cheeks_are_off_the_middle_of_the_skin_does_not_matter() -> None:
    image = picture(FACE, NECK)
    fill, other = (
        fill_light(surroundings(image, MESH, log_of(FACE) + np.float32(step)), lambda: people_at(1.0))
        for step in (0.0, -0.12)
    )
    assert fill is not None
    assert other is not None
    assert other.lift.max() == pytest.approx(fill.lift.max(), abs=1e-3)


def test_skin_is_told_by_the_face_and_not_by_the_shade() -> None:
    """A brown coat below a shaded neck."""
    image = picture(FACE, lit(FACE, -0.6))
    image[270:, 60:240] = lit(FACE, -1.9)
    fill = filled(image)
    assert fill is not None
    lift = lift_in(fill, image)
    assert lift[255:262, 140:160].min() > 0.2
    assert lift[275:].max() < 0.02


def test_half_sure_skin_is_brightened_half() -> None:
    """That is said by how sure it is, and not by the lift, too."""
    sure, half = filled(picture(FACE, NECK)), filled(picture(FACE, NECK), person=0.6)
    assert sure is not None
    assert half is not None
    assert half.lift.max() == pytest.approx(sure.lift.max(), abs=0.01)
    assert half.bare.max() == pytest.approx(0.6, abs=0.01)
    assert half.moved == pytest.approx(0.6 * sure.moved, abs=0.01)


def test_a_person_is_looked_for_where_the_neck_is() -> None:
    """The picture is larger than what lies around the face: only the neck's left half is somebody's."""
    wide = cv2.copyMakeBorder(picture(FACE, NECK), 150, 0, 250, 50, cv2.BORDER_CONSTANT, value=WALL)
    mesh = FaceMesh(POINTS + np.array([250, 150, 0], np.float32), 1.0)
    left = np.zeros((49, 60), np.float32)  # a tenth of the picture's size
    left[:, :40] = 1
    near = Nearby(left, np.array([[0.1, 0, -0.45], [0, 0.1, -0.45]], np.float32))
    fill = fill_light(surroundings(np.asarray(wide, np.uint8), mesh, log_of(FACE)), lambda: near)
    assert fill is not None
    lift = lift_in(fill, np.asarray(wide, np.uint8))
    assert lift[395:415, 370:390].min() > 0.05
    assert lift[395:415, 412:].max() < 0.01
    assert lift[:, :350].max() < 0.01


def test_skin_fades_out_at_its_edge_and_no_farther() -> None:
    """What hangs together with the face is joined by what is less surely skin right beside it, and by nothing else."""
    across = np.clip((np.arange(300) - 120) / 80, 0, 1).astype(np.float32)
    near = Nearby(np.tile(across, (340, 1)), np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    image = picture(FACE, NECK)
    fill = fill_light(surroundings(image, MESH, log_of(FACE)), lambda: near)
    assert fill is not None
    row = fill.bare[-8]
    faint, sure = np.flatnonzero((row > 0) & (row < JOINED)), np.flatnonzero(row >= JOINED)
    assert faint.size == 1
    assert faint[0] == sure[0] - 1


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
    image[290:, 195:275] = NECK
    fill = filled(image)
    assert fill is not None
    lift = lift_in(fill, image)
    assert lift[300:, 196:].max() == 0
    assert lift[300:320, 130:170].min() > 0.05


@pytest.mark.parametrize("neck", [FACE, lit(FACE, 0.2), WALL])
def test_no_shade_no_fill_light(neck: tuple[int, ...]) -> None:
    assert filled(picture(FACE, neck)) is None


#: As bright as the face, and yellower.
SALLOW = (228, 181, 140)


def test_a_sallow_neck_comes_part_of_the_way_to_the_cheeks_colour_and_is_no_darker() -> None:
    image = picture(FACE, SALLOW)
    fill = filled(image)
    assert fill is not None
    assert fill.lift.max() == 0
    gap = log_of(FACE) - log_of(SALLOW)
    wanted = FILL_TINT * (gap - gap.mean())
    assert fill.tint - fill.tint.mean() == pytest.approx(wanted, abs=0.01)
    assert fill.tint @ SKIN_LUMA == pytest.approx(0, abs=1e-5)
    assert fill.moved == pytest.approx(fill.tint, abs=0.02)
    whole = Box(0, 0, image.shape[1], image.shape[0])
    x0, y0, x1, y1 = (int(v) for v in fill.box)
    cast = np.zeros(image.shape[:2], np.float32)
    cast[y0:y1, x0:x1] = cv2.resize(fill.bare * fill.cast, (x1 - x0, y1 - y0))
    assert fill.box.x1 <= whole.x1
    assert cast[245:260, 130:170] == pytest.approx(0.95, abs=0.05)
    assert cast[90:170, 110:190].max() == 0  # the face
    assert cast[250:, 205:].max() == 0  # the wall


def test_what_has_the_cheeks_colour_already_keeps_it() -> None:
    """Though most of the neck has not: shoulders in the light, say."""
    image = picture(FACE, SALLOW)
    image[290:, 60:240] = FACE
    fill = filled(image)
    assert fill is not None
    lit_part, sallow = fill.cast[-12:, 60:90], fill.cast[80:90, 65:80]
    assert sallow.min() > 0.6
    assert lit_part.max() < 0.1


@pytest.mark.parametrize("gap", [(0.06, -0.03, -0.03), (-0.06, 0.03, 0.03)])
def test_a_cast_that_is_seen_in_one_colour_is_taken_out_and_a_smaller_one_is_not(gap: tuple[float, ...]) -> None:
    seen = np.asarray(gap, np.float32) * np.float32(1.1 * LEAST_TINT / (FILL_TINT * 0.06))
    lift, tint = _wanted(seen)
    assert lift == 0
    assert tint - tint.mean() == pytest.approx(FILL_TINT * seen, abs=1e-6)
    assert not _wanted(np.float32(0.8) * seen)[1].any()


def test_a_cast_taken_out_leaves_skin_as_bright() -> None:
    skin, luma = np.array([0.55, 0.33, 0.25]), np.array([0.2126, 0.7152, 0.0722])
    for gap in ((0.1, 0.0, -0.2), (-0.1, 0.05, 0.25)):
        tint = _wanted(np.asarray(gap, np.float32))[1]
        assert np.abs(tint).max() > 0.03
        assert (skin * np.exp(tint)) @ luma == pytest.approx(skin @ luma, rel=2e-3)


@pytest.mark.parametrize(
    ("off", "share"),
    [((0.1, 0.0, -0.1), 1), ((0.3, 0.0, -0.3), 1), ((-0.1, 0.0, 0.1), 0), ((0.0, -0.05, -0.1), 0.5), ((1, 1, 1), 0)],
)
def test_how_much_of_a_cast_a_pixel_has_is_told_by_its_colour_and_not_its_brightness(
    off: tuple[float, ...], share: float
) -> None:
    """Never more than all of it, and of the contrary nothing."""
    pixels = np.full((2, 3, 3), off, np.float32)
    assert _share_of(pixels, np.float32([0.5, 0.4, 0.3])) == pytest.approx(share, abs=1e-5)
    assert _share_of(pixels, np.float32([0.1, 0.1, 0.1])).max() == 0


def test_shade_of_the_faces_own_colour_keeps_its_colour() -> None:
    fill = filled(picture(FACE, lit(FACE, -0.3)))
    assert fill is not None
    assert fill.lift.max() > 0.1
    assert not fill.tint.any()
    assert not fill.cast.any()


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
    assert 0 < fill.moved @ SKIN_LUMA < 0.95 * fill.lift.max()


def test_forehead_and_temples_keep_their_shade() -> None:
    """No line at the top of the face, where the small picture ends, nor below the eyes, where the light begins."""
    image = picture(FACE, NECK)
    image[:, 60:240] = NECK
    cv2.fillPoly(image, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], FACE)
    fill = filled(image)
    assert fill is not None
    lift, eyes = lift_in(fill, image), int(POINTS[[*regions.LEFT_EYE, *regions.RIGHT_EYE], 1].max())
    assert lift[: eyes - 1].max() == 0
    beside, reach = lift[:, 75], BELOW_EYES * MESH.box.width
    full = beside[int(eyes + 1.3 * reach)]
    assert full > 0.05
    assert beside[int(eyes + 0.5 * reach)] == pytest.approx(full / 2, rel=0.25)
    assert np.abs(np.diff(beside[eyes - 2 : int(eyes + 1.3 * reach)])).max() < 0.2 * full
