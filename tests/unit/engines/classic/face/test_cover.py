"""What lies over a face is told from what belongs to it, on a painted face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.cover import (
    FEATURES,
    FULL,
    WORK_PX,
    AgainstSkin,
    _chin_points,
    _moustache_points,
    against_skin,
    at_full_size,
    cover_zone,
    features,
    hair_and_edge,
    hair_over,
)
from portraitd.engines.classic.face.geometry import at_points, normals, rasterise
from portraitd.engines.classic.face.light import FLOOR
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Image, Mask, from_linear, to_linear

SIZE = (300, 260)
SKIN = np.array([0.50, 0.30, 0.22], np.float32)
HAIR = (34, 24, 18)
POINTS = np.asarray(mean_face().points * 95 + np.array([130, 115, 0]), np.float32)
FACING = normals(POINTS)
LIGHT = np.zeros((9, 3), np.float32)
LIGHT[0] = np.log(SKIN + FLOOR)


def at(point: int) -> tuple[int, int]:
    x, y = np.rint(POINTS[point, :2]).astype(int)
    return int(x), int(y)


def painted() -> Image:
    """An evenly lit face with eyes, brows and lips before a grey wall."""
    image = np.full((*SIZE, 3), 120, np.uint8)
    oval = np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)
    cv2.fillPoly(image, [oval], tuple(int(v) for v in from_linear(SKIN[None, None])[0, 0]))
    for ring, colour in (
        (regions.LEFT_BROW, HAIR),
        (regions.RIGHT_BROW, HAIR),
        (regions.LEFT_EYE, (60, 40, 30)),
        (regions.RIGHT_EYE, (60, 40, 30)),
        (regions.LIPS_OUTER, (170, 70, 75)),
    ):
        cv2.fillConvexPoly(image, cv2.convexHull(np.rint(POINTS[list(ring), :2]).astype(np.int32)), colour)
    return image


def with_fringe() -> tuple[Image, np.ndarray]:
    """The face with hair hanging from above over half of its forehead, and where."""
    image = painted()
    x, y = at(regions.FOREHEAD_TOP)
    fringe = np.zeros(SIZE, np.uint8)
    cv2.rectangle(fringe, (x - 45, y - 40), (x + 5, y + 22), 1, -1)
    image[fringe > 0] = HAIR
    return image, fringe > 0


def found(image: Image) -> Mask:
    return at_full_size(hair_over(against_skin(image, POINTS, FACING, LIGHT)), image)


def found_at(image: Image, points: np.ndarray) -> Mask:
    return at_full_size(hair_over(against_skin(image, points, normals(points), LIGHT)), image)


def test_the_painted_light_is_the_skin_s() -> None:
    assert np.log(to_linear(painted())[at(50)[1], at(50)[0]] + FLOOR) == pytest.approx(LIGHT[0], abs=0.02)


def test_a_bare_face_has_nothing_over_it() -> None:
    face = rasterise(POINTS, SIZE).coverage() > 0.99
    inner = cv2.erode(face.astype(np.uint8), np.ones((9, 9))) > 0
    assert found(painted())[inner].max() < 0.2


def test_a_fringe_is_found_where_it_is() -> None:
    image, fringe = with_fringe()
    mask = found(image)
    assert mask.shape == SIZE
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1
    over_skin = fringe & (rasterise(POINTS, SIZE).coverage() > 0.99)
    core = cv2.erode(over_skin.astype(np.uint8), np.ones((9, 9))) > 0
    assert core.sum() > 200
    assert mask[core].mean() > 0.85
    away = cv2.dilate(fringe.astype(np.uint8), np.ones((13, 13))) == 0
    inner = cv2.erode((rasterise(POINTS, SIZE).coverage() > 0.99).astype(np.uint8), np.ones((9, 9))) > 0
    assert mask[away & inner].max() < 0.25


def test_brows_eyes_and_lips_belong_to_the_face() -> None:
    mask = found(with_fringe()[0])
    for point in (regions.NOSE_TIP, 13, 17, 159, 386, 52, 282):
        x, y = at(point)
        assert mask[y, x] < 0.2, point


def test_a_mole_on_the_forehead_belongs_to_the_face() -> None:
    """It is as dark as hair, but reaches in from nowhere."""
    image = painted()
    x, y = at(151)
    cv2.circle(image, (x, y), 4, HAIR, -1)
    assert found(image)[y, x] < 0.2


def test_a_beard_belongs_to_the_face() -> None:
    image = painted()
    beard = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(beard, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], 1)
    beard[: at(164)[1]] = 0
    image[beard > 0] = HAIR
    x, y = at(199)
    assert found(image)[y, x] < 0.2


def test_a_moustache_that_a_dark_cheek_joins_to_the_hair_is_none() -> None:
    """In hard light from one side all of that is dark."""
    image = with_long_hair()
    corner, nose = at(61), at(2)
    image[nose[1] : corner[1], : corner[0] + 4] = HAIR
    row = found(image)[corner[1] - 4]
    assert row[corner[0] - 9] < 0.2
    assert row[corner[0] - 38] > 0.6  # what hangs beside it is hair


def test_a_white_beard_is_part_of_the_face_and_a_white_backdrop_beside_a_bare_chin_is_not() -> None:
    white, chin = (235, 235, 240), at(152)
    bare, bearded = painted(), painted()
    for image in (bare, bearded):
        image[chin[1] - 4 :] = white  # the backdrop, seen where the contour is drawn too low
    beard = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(beard, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], 1)
    beard[: at(18)[1]] = 0
    bearded[beard > 0] = white
    low = (chin[1] - 2, chin[0])
    assert found(bare)[low] > 0.3
    assert found(bearded)[low] < 0.1


def held_against_skin(image: Image) -> AgainstSkin:
    return against_skin(image, POINTS, FACING, LIGHT)


def with_chin(colour: tuple[int, ...]) -> Image:
    """The face, all below its lips of this colour."""
    image = painted()
    beard = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(beard, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], 1)
    beard[: at(17)[1] + 3] = 0
    image[beard > 0] = colour
    return image


def light_of(*parts: float) -> tuple[int, ...]:
    """The skin's colour, its light exp(parts) as much."""
    return tuple(int(v) for v in from_linear((SKIN * np.exp(np.float32(parts)))[None, None])[0, 0])


@pytest.mark.parametrize(
    ("colour", "white"),
    [
        (light_of(0, 0, 0), 0),
        (light_of(0.5, 0.5, 0.5), 0),  # glare
        (light_of(-0.4, 0, 0.4), 0),  # in the light of a screen
        (HAIR, 0),
        (light_of(0.1, 0.3, 0.75), 0.55),  # grey, in between
        ((235, 235, 240), 1),
    ],
)
def test_a_white_beard_is_brighter_than_skin_and_of_another_colour(colour: tuple[int, ...], white: float) -> None:
    assert held_against_skin(with_chin(colour)).white_bearded == pytest.approx(white, abs=0.2 if 0 < white < 1 else 0)


def test_beards_grow_on_the_chin_and_above_the_mouth_white_ones_are_told_by_the_chin() -> None:
    chin, lip = set(np.flatnonzero(_chin_points())), set(np.flatnonzero(_moustache_points()))
    assert {199, 200} <= chin
    assert 164 in lip  # between nose and lip
    assert not chin & lip
    assert not (chin | lip) & {regions.CHIN, regions.NOSE_TIP, 50, 280, *regions.LIPS_OUTER}


@pytest.mark.parametrize(
    ("chin", "lip", "full"), [(0.6, 0.6, True), (0.3, 0.6, False), (0.6, 0.3, False), (0, 0, False)]
)
def test_a_full_beard_is_dark_on_chin_and_lip(chin: float, lip: float, full: bool) -> None:
    """A head lit from above has a dark upper lip, one turned from the light a dark chin."""
    image = painted()
    for dark, points in ((chin, _chin_points()), (lip, _moustache_points())):
        colour = from_linear(np.exp(LIGHT[0] - dark)[None, None])[0, 0]
        for x, y in np.rint(POINTS[points, :2]).astype(int):
            cv2.circle(image, (int(x), int(y)), 6, tuple(int(v) for v in colour), -1)
    lips = np.rint(POINTS[list(regions.LIPS_OUTER), :2]).astype(np.int32)
    cv2.fillConvexPoly(image, cv2.convexHull(lips), (180, 125, 115))
    assert held_against_skin(image).full_beard == full


def test_shade_that_lies_on_the_lips_as_well_is_no_beard() -> None:
    """Lips are darker than skin: where chin and lip are no darker than they, all of it lies in the shade."""
    image = painted()
    nose = int(POINTS[regions.NOSE_TIP, 1])
    image[nose:] = from_linear(to_linear(image[nose:]) * np.float32(np.exp(-0.9)))
    seen = held_against_skin(image)
    dark = [np.median(at_points(seen.dark, seen.at[points, :2])) for points in (_chin_points(), _moustache_points())]
    assert min(dark) > FULL
    assert not seen.full_beard
    assert not seen.beard.any()


def test_a_white_beard_is_a_full_one() -> None:
    assert held_against_skin(with_chin((235, 235, 240))).full_beard


def test_what_may_be_a_white_beard_is_half_of_the_face() -> None:
    low = np.s_[at(152)[1] - 3, at(152)[0] - 8 : at(152)[0] + 8]
    hidden = {}
    for name, colour in (("bare", light_of(0, 0, 0)), ("maybe", light_of(0.1, 0.3, 0.75)), ("white", (235, 235, 240))):
        image = with_chin(colour)
        image[at(152)[1] - 6 :] = (235, 235, 240)
        hidden[name] = float(found(image)[low].mean())
    assert hidden["white"] < 0.6 * hidden["maybe"]
    assert hidden["maybe"] < 0.9 * hidden["bare"]


def test_a_strip_of_wall_beside_the_jaw_is_no_part_of_a_white_beard_on_the_chin() -> None:
    white, oval = (235, 235, 240), np.zeros(SIZE, np.uint8)
    cv2.fillPoly(oval, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], 1)
    strip = oval & (1 - cv2.erode(oval, np.ones((1, 9), np.uint8), borderValue=0))
    strip[: at(13)[1]] = strip[at(18)[1] + 6 :] = strip[:, at(152)[0] :] = 0
    beard = oval.copy()
    beard[: at(17)[1] + 3] = beard[:, : at(152)[0] - 24] = beard[:, at(152)[0] + 24 :] = 0
    hidden = []
    for image in (painted(), painted()):
        image[strip > 0] = white
        if hidden:
            image[beard > 0] = white
            assert held_against_skin(image).white_bearded == 1
        hidden.append(cv2.resize(hair_over(held_against_skin(image)), SIZE[::-1])[strip > 0])
    assert hidden[0].max() > 0.8
    assert hidden[1] == pytest.approx(hidden[0], abs=1e-3)


def test_glare_on_a_cheek_is_no_backdrop_though_it_goes_to_the_contour() -> None:
    image, (x, y) = painted(), at(61)
    image[y - 8 : y, : x + 2] = light_of(0.9, 0.9, 0.9)
    hidden = cv2.resize(hair_over(held_against_skin(image)), SIZE[::-1])[y - 5 : y - 3]
    assert hidden[:, x - 14 :].max() < 0.05


#: A point on the side of the cheek, below the cheekbone; one nearer to the nose, where hair ends; a brow's outer end.
CHEEK_SIDE, HAIR_END, BROW_END = 147, 192, 46


def with_long_hair(*, bearded: bool = False) -> Image:
    """The face with hair hanging down beside and over its left cheek, from above the brow to the jaw."""
    image = painted()
    if bearded:
        beard = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(beard, [np.rint(POINTS[list(regions.FACE_OVAL), :2]).astype(np.int32)], 1)
        beard[: at(2)[1]] = 0
        image[beard > 0] = HAIR
    image[at(54)[1] : at(58)[1], : at(HAIR_END)[0] + 3] = HAIR
    return image


def test_hair_that_hangs_over_a_bare_cheek_is_found() -> None:
    mask = found(with_long_hair())
    assert mask[at(CHEEK_SIDE)[1], at(CHEEK_SIDE)[0] - 3] > 0.6
    assert mask[at(CHEEK_SIDE)[1], at(mean_face().mirror[CHEEK_SIDE])[0] + 3] < 0.1
    for point in (regions.NOSE_TIP, 13, 159, 50):
        x, y = at(point)
        assert mask[y, x] < 0.2, point


#: Points of the right jaw, from below the ear to beside the chin.
JAW = (397, 365)


def hung_over_the_jaw(image: Image, width: int) -> Image:
    """The picture with hair that hangs beside the head down to the chin, so wide inside the face's contour."""
    contour = np.rint(POINTS[[454, 323, 361, 288, *JAW, 379], :2]).astype(int)
    inner = contour - np.array([width, 0])
    outer = contour + np.array([40, 0])
    cv2.fillPoly(image, [np.concatenate([inner, outer[::-1]]).astype(np.int32)], HAIR)
    return image


def test_hair_that_hangs_along_the_jaw_is_found_down_to_the_chin() -> None:
    mask = found(hung_over_the_jaw(painted(), 8))
    for point in JAW:
        x, y = at(point)
        assert mask[y - 2, x - 4] > 0.5, point
    assert found(painted())[at(397)[1] - 2, at(397)[0] - 4] < 0.2


def test_dark_farther_in_on_the_jaw_belongs_to_the_face() -> None:
    image = painted()
    x, y = at(397)
    cv2.circle(image, (x - 34, y - 4), 7, HAIR, -1)
    assert found(image)[y - 4, x - 34] < 0.2


def test_shade_under_the_middle_of_the_chin_is_no_hair() -> None:
    image = painted()
    x, y = at(regions.CHIN)
    image[y - 8 : y + 3, x - 18 : x + 18] = HAIR
    assert found(image)[y - 4, x] < 0.2


def test_along_the_jaw_of_a_beard_nothing_is_taken_for_hair() -> None:
    image = painted()
    beard = np.rint(POINTS[[172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 291, 0, 61, 58], :2])
    cv2.fillPoly(image, [beard.astype(np.int32)], (70, 50, 40))
    x, y = at(365)
    assert found(hung_over_the_jaw(image, 8))[y - 2, x - 4] < 0.2


def test_beside_the_mouth_of_a_turned_head_hair_is_found_but_no_moustache() -> None:
    """Turned away, one corner of the mouth is at the outline of what is drawn."""
    turned = POINTS.copy()
    angle = np.deg2rad(40)
    middle = turned.mean(axis=0)
    back = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    turned = np.asarray((turned - middle) @ back.T + middle, np.float32)
    image = np.full((*SIZE, 3), from_linear(SKIN[None, None])[0, 0], np.uint8)
    inside = rasterise(turned, SIZE).coverage() > 0.5
    for way in (-1, 1):
        corner = turned[61 if way < 0 else 291]
        row = int(corner[1]) + 6
        ends = np.flatnonzero(inside[row])
        edge = int(ends[0] if way < 0 else ends[-1])
        hairy = image.copy()
        left, right = sorted((edge + way * 60, edge - way * 5))
        hairy[row - 40 : row + 60, left:right] = HAIR
        mask = found_at(hairy, turned)
        assert mask[row, edge - way * 2] > 0.4, way


def test_below_the_cheekbones_of_a_beard_nothing_is_taken_for_hair() -> None:
    mask = found(with_long_hair(bearded=True))
    assert mask[at(CHEEK_SIDE)[1], at(CHEEK_SIDE)[0] - 3] < 0.1


def test_a_brow_under_hair_is_hair_and_the_other_end_of_it_a_brow() -> None:
    image = painted()
    end = at(BROW_END)
    image[end[1] - 25 : end[1] + 12, : end[0] + 8] = HAIR
    mask = found(image)
    assert mask[end[1], end[0] + 2] > 0.6
    assert mask[at(55)[1], at(55)[0]] < 0.1
    assert found(painted())[end[1], end[0] + 2] < 0.1


def test_the_frame_of_glasses_is_no_hair() -> None:
    """It is as dark, lies over the cheek and reaches to the contour; but it is narrow."""
    image = painted()
    for ring, side in ((regions.LEFT_EYE, 234), (regions.RIGHT_EYE, 454)):
        middle = np.rint(POINTS[list(ring), :2].mean(axis=0)).astype(int)
        cv2.circle(image, (int(middle[0]), int(middle[1])), 34, HAIR, 5)
        outer = int(middle[0]) + (34 if side == 454 else -34)
        cv2.line(image, (outer, int(middle[1])), at(side), HAIR, 5)
    mask = cv2.resize(hair_and_edge(against_skin(image, POINTS, FACING, LIGHT)), SIZE[::-1])
    eye = np.rint(POINTS[list(regions.LEFT_EYE), :2].mean(axis=0)).astype(int)
    for angle in (20, 60, 100, 140):  # the lower half of the frame
        x, y = eye + np.rint(34 * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])).astype(int)
        assert image[y, x].mean() < 40
        assert mask[y, x] < 0.1, angle


def test_make_up_beside_hair_is_no_hair() -> None:
    image = with_long_hair()
    x, y = at(33)  # the eye's outer corner
    image[y - 2 : y + 3, at(HAIR_END)[0] : x + 6] = (70, 50, 45)
    assert found(image)[y, x + 2] < 0.2


def test_a_photo_s_hair_ends_where_skin_is_bare_again() -> None:
    """What is half dark counts beside hair, and nowhere else."""
    image = with_long_hair()
    half = from_linear((SKIN * 0.55)[None, None])[0, 0]
    x, y = at(HAIR_END)[0], at(CHEEK_SIDE)[1]
    image[y - 12 : y + 12, x + 3 : x + 7] = half
    image[at(50)[1] - 4 : at(50)[1] + 4, at(50)[0] + 8 : at(50)[0] + 14] = half
    seen = against_skin(image, POINTS, FACING, LIGHT)
    plain, wide = (cv2.resize(mask, SIZE[::-1]) for mask in (hair_over(seen), hair_and_edge(seen)))
    assert plain[y, x + 5] < 0.3
    assert wide[y, x + 5] > 0.6
    assert wide[at(50)[1], at(50)[0] + 11] < 0.1


def test_a_coloured_hat_is_found_though_it_is_as_bright_as_skin() -> None:
    image = painted()
    image[: at(151)[1]] = (60, 150, 190)
    x, y = at(regions.FOREHEAD_TOP)
    assert found(image)[y + 10, x] > 0.8


def test_the_zone_spares_features_and_chin() -> None:
    zone = cover_zone()
    assert zone[regions.FOREHEAD_TOP] > 0.9
    assert zone[[127, 356]].min() > 0.4  # temples
    spared = [*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LIPS_OUTER, regions.NOSE_TIP, regions.CHIN]
    assert zone[spared].max() == 0


def test_features_are_inside_their_rings_and_grow() -> None:
    bare, grown = (features(POINTS, SIZE, FEATURES, grow) for grow in (0.0, 0.1))
    x, y = np.rint(POINTS[list(regions.LEFT_EYE), :2].mean(axis=0)).astype(int)
    assert bare[y, x] > 0.9
    assert grown.sum() > 1.2 * bare.sum()
    assert bare[at(50)[1], at(50)[0]] == 0


def test_a_guided_mask_keeps_to_the_guides_edge() -> None:
    image = np.zeros((180, 180, 3), np.uint8)
    image[:, 90:] = 255
    rough = np.zeros((60, 60), np.float32)
    rough[:, 32:] = 1
    drawn = at_full_size(rough, image)
    assert drawn.shape == (180, 180)
    step = np.diff(drawn[90])
    assert np.argmax(step) == 89, "between 89 and 90, as in the image; not at 96, as in the mask"


def test_a_bright_backdrop_inside_the_contour_is_found_at_the_jaw() -> None:
    """The mesh lies a little outside the jaw: what it takes for a cheek there is the wall behind it."""
    image = painted()
    x, y = at(136)
    cv2.circle(image, (x, y), 9, (250, 250, 250), -1)
    hair = hair_over(against_skin(image, POINTS, FACING, LIGHT))
    beside = hair_over(against_skin(painted(), POINTS, FACING, LIGHT))
    scale = hair.shape[1] / SIZE[1]
    down, across = np.argwhere(hair > beside + 0.5).T / scale
    assert len(down) > 5
    assert np.hypot(down - y, across - x).max() < 12


def test_shine_on_the_cheek_belongs_to_the_face() -> None:
    image = painted()
    x, y = at(50)
    cv2.circle(image, (x, y), 6, (250, 245, 240), -1)
    assert found(image)[y, x] < 0.2


def test_the_middle_of_the_picture_is_the_middle_of_the_small_one() -> None:
    """Pixel centres are at integers: shrinking by 2 moves them by half of one."""
    points = (POINTS - POINTS[regions.NOSE_TIP]) * np.float32(2 * WORK_PX / np.ptp(POINTS[:, 0]))
    points[:, :2] += (359 / 2, 439 / 2)
    seen = against_skin(np.full((440, 360, 3), 120, np.uint8), points.astype(np.float32), FACING, LIGHT)
    assert seen.shape == (220, 180)
    assert seen.at[regions.NOSE_TIP, :2] == pytest.approx((179 / 2, 219 / 2), abs=1e-3)
