"""Who can be dressed, and how their clothes are cut."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.presets.clothes.fitting import (
    BREADTHS,
    COLLARS,
    LIFTS,
    LOPSIDED,
    USUAL_NECK,
    Fitting,
    fitting_for,
)
from portraitd.engines.classic.presets.framing import read_person, straightened
from portraitd.images import Floats, Image
from tests.fakes import heads
from tests.fakes.wearers import CHIN, SIZE, UNIT, WALL, Wearer, px

STANDING = ((0.38, 0.12), (0.78, 0.24), (1.08, 0.38), (1.3, 0.56), (1.42, 0.9))


def measured(wearer: Wearer, rows: slice = slice(None), columns: slice = slice(None)) -> Fitting | None:
    view = wearer.view(rows, columns)
    assert view.alpha is not None
    head = straightened(read_person(view, view.alpha()), 1.0)
    return fitting_for(view.image(), view.alpha(), view.mesh.points, head)


def fitted(wearer: Wearer, rows: slice = slice(None), columns: slice = slice(None)) -> Fitting:
    fitting = measured(wearer, rows, columns)
    assert fitting is not None
    return fitting


def row(below: float) -> int:
    """The photo's row so many face widths below the chin."""
    return int(CHIN[1] + below * UNIT)


@pytest.mark.parametrize("neck", [0.33, 0.38, 0.44])
def test_the_neck_is_measured(neck: float) -> None:
    assert fitted(Wearer(neck=neck, opening=neck)).neck == pytest.approx(neck, abs=0.015)


@pytest.mark.parametrize("aside", [-0.2, 0.0, 0.1])
def test_its_middle_need_not_be_below_the_chin(aside: float) -> None:
    assert fitted(Wearer(aside=aside)).aside == pytest.approx(aside, abs=0.015)


def test_measures_are_in_face_widths_whatever_the_photo_s_size() -> None:
    view = Wearer().view()
    assert view.alpha is not None
    usual = fitted(Wearer())
    for scale in (0.6, 1.7):
        size = (round(SIZE.width * scale), round(SIZE.height * scale))
        image, alpha = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (view.image(), view.alpha()))
        points = view.mesh.points * np.float32(scale)
        points[:, :2] += (scale - 1) / 2
        sized = replace(view, mesh=replace(view.mesh, points=points))
        alpha = np.asarray(alpha, np.float32)
        head = straightened(read_person(sized, alpha), 1.0)
        fitting = fitting_for(np.asarray(image, np.uint8), alpha, points, head)
        assert fitting is not None
        assert fitting.neck == pytest.approx(usual.neck, abs=0.02)
        assert fitting.breadth == pytest.approx(usual.breadth, abs=0.02)


@pytest.mark.parametrize(
    "worn",
    [
        Wearer(bare_to=0.05),
        Wearer(bare_to=0.2),
        Wearer(opening=0.05, bare_to=0.35),
        Wearer(bare_to=0.33, opening=0.15),
        Wearer(neck=0.6, opening=0.6),
        Wearer(neck=0.22, opening=0.22),
        Wearer(aside=0.3),
    ],
    ids=["high neck", "scarf", "open collar", "shirt", "no neck seen", "two ends of a scarf", "neck far aside"],
)
def test_who_wears_something_at_the_neck_keeps_it(worn: Wearer) -> None:
    assert measured(worn) is None


def test_a_collar_does_not_stand_off_a_neck() -> None:
    """Where the backdrop would show inside it, the neck is not where it was measured."""
    wearer = Wearer()
    image, alpha = wearer.image(), wearer.alpha()
    inside = np.s_[row(-0.02) : row(0.12), int(CHIN[0] + 0.24 * UNIT) : int(CHIN[0] + 0.34 * UNIT)]
    alpha[inside] = 0
    assert fitting_for(image, wearer.alpha(), wearer.view().mesh.points, wearer.head()) is not None
    assert fitting_for(image, alpha, wearer.view().mesh.points, wearer.head()) is None


def test_a_photo_may_end_just_below_the_chin_but_not_at_it() -> None:
    assert measured(Wearer(), rows=slice(0, row(0.18))) is not None
    assert measured(Wearer(), rows=slice(0, row(0.10))) is None


def test_a_photo_that_cuts_the_forehead_is_a_close_up() -> None:
    top = int(Wearer().view().mesh.box.y0)
    assert measured(Wearer(), rows=slice(top - 40, None)) is not None
    assert measured(Wearer(), rows=slice(top - 5, None)) is None


def test_hair_over_the_neck_s_sides_hides_how_broad_it_is() -> None:
    fitting = fitted(Wearer(hair_to=0.9))
    assert (fitting.neck, fitting.aside) == (USUAL_NECK, 0.0)


@pytest.mark.parametrize("hair", [(40, 30, 25), (200, 180, 130)])
def test_hair_beside_the_neck_is_kept(hair: tuple[int, int, int]) -> None:
    x, y = (np.array([[value]], np.float32) for value in (0.5, 0.1))
    assert fitted(Wearer(hair_to=0.9, hair=hair)).own_clothes_at(x, y)[0, 0] < 0.1


def test_hair_is_known_by_what_it_hangs_from() -> None:
    """A dark shirt is no hair of a dark-haired person."""
    dark = Wearer(shirt=(42, 32, 28))
    x, y = (np.array([[value]], np.float32) for value in (0.75, 0.3))
    assert fitted(dark).own_clothes_at(x, y)[0, 0] > 0.9


def test_the_wearer_s_own_shoulder_does_not_show_beside_the_jacket() -> None:
    fitting = fitted(Wearer())
    x = np.array([[-0.8, -0.8, 0.8, 0.8]], np.float32)
    y = np.array([[0.26, 0.23, 0.26, 0.23]], np.float32)  # below their outline, and in its soft edge
    assert fitting.own_clothes_at(x, y).min() > 0.5
    assert fitting.own_clothes_at(np.array([[0.0]], np.float32), np.array([[0.2]], np.float32))[0, 0] == 0


def test_too_much_beside_the_neck_is_not_hidden_but_kept_on() -> None:
    hood = ((0.38, -0.2), (0.7, -0.15), (1.08, 0.3), (1.3, 0.56), (1.42, 0.9))
    assert measured(Wearer(shoulders=hood)) is None


def test_shoulders_are_where_the_wearer_s_are() -> None:
    low, usual, high = (
        fitted(Wearer(shoulders=tuple((x, y + down) for x, y in STANDING))) for down in (0.1, 0.0, -0.08)
    )
    assert low.lifts == pytest.approx((LIFTS[0], LIFTS[0]))
    assert usual.lifts == pytest.approx((-0.015, -0.015), abs=0.02)
    assert high.lifts == pytest.approx((0.065, 0.065), abs=0.02)


def test_one_shoulder_may_be_higher_but_not_by_much() -> None:
    left, right = fitted(Wearer(raised=0.06)).lifts
    assert right - left == pytest.approx(0.06, abs=0.02)
    left, right = fitted(Wearer(raised=0.15)).lifts
    assert right - left == pytest.approx(2 * LOPSIDED)


def test_a_shoulder_is_as_high_as_the_line_that_is_drawn() -> None:
    fitting = replace(fitted(Wearer()), lifts=(0.0, 0.08))
    x = np.array([-0.9, 0.9], np.float32)
    left, right = fitting.shoulder_line(x)
    assert left - right == pytest.approx(0.08, abs=1e-3)
    near = np.array([-fitting.neck - 0.04, fitting.neck + 0.04], np.float32)
    assert np.ptp(fitting.shoulder_line(near)) < 1e-3, "at the collar both sides are one height"


def test_the_jacket_is_as_broad_as_the_wearer() -> None:
    def broad(by: float) -> Wearer:
        return Wearer(shoulders=tuple((0.38 + (x - 0.38) * by, y) for x, y in STANDING))

    narrow, usual, wide = (fitted(broad(by)).breadth for by in (0.85, 1.0, 1.07))
    assert narrow < usual < wide
    assert usual == pytest.approx(1.0, abs=0.04)


def test_where_arms_are_not_seen_the_neck_tells() -> None:
    beside = slice(int(CHIN[0] - UNIT), int(CHIN[0] + UNIT))
    slight, stout = (fitted(Wearer(neck=neck, opening=neck), columns=beside).breadth for neck in (0.33, 0.44))
    assert slight < 1 < stout


def test_a_hand_beside_the_neck_is_in_the_way() -> None:
    wearer = Wearer()
    view = wearer.view()
    assert view.alpha is not None
    image, alpha = view.image().copy(), view.alpha().copy()
    hand = (round(float(CHIN[0] + 0.75 * UNIT)), round(float(CHIN[1] - 0.1 * UNIT)))
    cv2.circle(image, hand, round(0.15 * UNIT), (200, 160, 140), -1)
    cv2.circle(alpha, hand, round(0.15 * UNIT), 1.0, -1)
    assert fitting_for(image, alpha, view.mesh.points, wearer.head()) is None


def spot(x: float, y: float) -> tuple[Floats, Floats]:
    """A place, in face widths."""
    return np.array([[x]], np.float32), np.array([[y]], np.float32)


def test_a_body_aside_is_measured_from_its_own_neck() -> None:
    middle, aside = fitted(Wearer()), fitted(Wearer(aside=0.1))
    assert aside.lifts == pytest.approx(middle.lifts, abs=0.015)
    for x in (-0.8, 0.8):
        assert aside.own_clothes_at(*spot(x, 0.26))[0, 0] > 0.9
        assert aside.own_clothes_at(*spot(x, 0.12))[0, 0] < 0.1
    assert fitted(Wearer(aside=0.1, hair_to=0.9)).own_clothes_at(*spot(0.4, 0.1))[0, 0] < 0.1


def test_a_tilted_head_is_measured_upright() -> None:
    view, turn = Wearer().view(), cv2.getRotationMatrix2D((400.0, 300.0), 15, 1)
    assert view.alpha is not None
    image = cv2.warpAffine(view.image(), turn, SIZE, borderMode=cv2.BORDER_REPLICATE)
    alpha = np.asarray(cv2.warpAffine(view.alpha(), turn, SIZE, borderMode=cv2.BORDER_REPLICATE), np.float32)
    points = view.mesh.points.copy()
    points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
    tilted = replace(view, mesh=replace(view.mesh, points=points.astype(np.float32)))
    head = straightened(read_person(tilted, alpha), 1.0)
    fitting = fitting_for(np.asarray(image, np.uint8), alpha, tilted.mesh.points, head)
    assert fitting is not None
    usual = fitted(Wearer())
    assert fitting.neck == pytest.approx(usual.neck, abs=0.02)
    assert fitting.aside == pytest.approx(usual.aside, abs=0.02)
    assert fitting.lifts == pytest.approx(usual.lifts, abs=0.02)


def test_half_a_head_gets_no_suit() -> None:
    """What a side of the photo cuts in the head, no clothes cover."""
    assert measured(Wearer(), columns=slice(0, int(CHIN[0] + 0.7 * UNIT))) is not None
    assert measured(Wearer(), columns=slice(0, int(CHIN[0] + 0.5 * UNIT))) is None


def test_a_shoulder_that_is_not_seen_is_as_high_as_the_other() -> None:
    high = Wearer(shoulders=tuple((x, y - 0.08) for x, y in STANDING))
    left, right = fitted(high, columns=slice(0, int(CHIN[0] + 0.72 * UNIT))).lifts
    assert left == right == pytest.approx(fitted(high).lifts[0], abs=0.01)
    nothing = slice(int(CHIN[0] - 0.62 * UNIT), int(CHIN[0] + 0.62 * UNIT))
    assert fitted(high, columns=nothing).lifts == (0.0, 0.0)


def test_a_broad_neck_between_hair_is_measured() -> None:
    assert fitted(Wearer(hair_to=0.9, hair_from=0.46, neck=0.44, opening=0.44)).neck == pytest.approx(0.44, abs=0.02)


def test_ears_and_the_sides_of_a_thick_neck_are_no_clothes() -> None:
    fitting = fitted(Wearer(ears=0.1, neck=0.5, opening=0.5))
    assert fitting.own_clothes_at(*spot(0.58, -0.38))[0, 0] < 0.05
    assert fitting.own_clothes_at(*spot(0.5, -0.05))[0, 0] < 0.3


def test_hair_of_two_colours_is_hair() -> None:
    wearer = Wearer(hair_to=0.9)
    view = wearer.view()
    assert view.alpha is not None
    image = view.image().copy()
    streaked = np.abs(image.astype(int) - heads.HAIR).max(axis=2) < 12
    streaked[:, ::3] = streaked[:, 1::3] = False
    image[streaked] = (190, 150, 90)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    fitting = fitting_for(np.asarray(image, np.uint8), view.alpha(), view.mesh.points, wearer.head())
    assert fitting is not None
    assert fitting.own_clothes_at(*spot(0.55, 0.1))[0, 0] < 0.2


def test_a_white_pin_in_the_hair_makes_no_hair_of_a_white_dress() -> None:
    wearer = Wearer(shirt=(240, 238, 235), hair_to=0.3)
    view = wearer.view()
    assert view.alpha is not None
    image = view.image().copy()
    (pin,) = np.rint(px([(0.0, -1.62)])).astype(int)
    cv2.circle(image, (int(pin[0]), int(pin[1])), round(0.07 * UNIT), (240, 238, 235), -1)
    fitting = fitting_for(image, view.alpha(), view.mesh.points, wearer.head())
    assert fitting is not None
    assert fitting.own_clothes_at(*spot(0.9, 0.32))[0, 0] > 0.9


@pytest.mark.parametrize("shirt", [(235, 235, 235), (60, 60, 60)])
def test_in_black_and_white_a_shirt_is_no_skin(shirt: tuple[int, int, int]) -> None:
    def grey(wearer: Wearer) -> Fitting | None:
        image = cv2.cvtColor(cv2.cvtColor(wearer.image(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return fitting_for(np.asarray(image, np.uint8), wearer.alpha(), wearer.view().mesh.points, wearer.head())

    assert grey(Wearer(bare_to=0.05, shirt=shirt)) is None
    assert grey(Wearer(bare_to=0.33, opening=0.15, shirt=shirt)) is None
    assert grey(Wearer(shirt=shirt)) is not None


@pytest.mark.parametrize(("height", "fits"), [(0.05, True), (0.2, False)], ids=["necklace", "bandage"])
def test_a_necklace_is_worn_under_a_collar_but_a_bandage_is_not(height: float, fits: bool) -> None:
    wearer = Wearer()
    image = wearer.image()
    corners = np.rint(px([(-0.4, 0.12), (0.4, 0.12 + height)])).astype(int)
    image[corners[0, 1] : corners[1, 1], corners[0, 0] : corners[1, 0]] = (235, 235, 240)
    assert (fitting_for(image, wearer.alpha(), wearer.view().mesh.points, wearer.head()) is not None) == fits


def test_a_neck_in_the_light_is_skin_too() -> None:
    wearer = Wearer()
    image = wearer.image()
    bright = np.zeros(image.shape[:2], bool)
    bright[row(0.02) : row(0.6), int(CHIN[0]) : int(CHIN[0] + 0.38 * UNIT)] = True
    image[bright] = np.clip(image[bright].astype(float) * 1.24, 0, 255).astype(np.uint8)
    fitting = fitting_for(image, wearer.alpha(), wearer.view().mesh.points, wearer.head())
    assert fitting is not None
    assert fitting.aside == pytest.approx(0.0, abs=0.02)


def test_two_rows_of_skin_are_no_neck() -> None:
    assert measured(Wearer(bare_to=0.075)) is None


def test_a_little_at_the_shoulders_is_hidden_but_no_collar() -> None:
    def bump(at: float, top: float) -> Wearer:
        rise = ((at, 0.2), (at + 0.03, top), (at + 0.13, top), (at + 0.16, 0.25))
        return Wearer(shoulders=((0.38, 0.12), *rise, *STANDING[2:]))

    x, y = spot(0.88, 0.14)
    assert fitted(bump(0.8, 0.06)).own_clothes_at(x, y)[0, 0] > 0.5
    assert measured(bump(0.46, -0.06)) is None


def test_who_is_wider_than_what_is_looked_at_is_judged_by_the_neck() -> None:
    vast = Wearer(neck=0.44, opening=0.44, shoulders=(*STANDING[:4], (2.2, 0.58)))
    assert fitted(vast).breadth == pytest.approx(BREADTHS[1])
    assert fitted(Wearer(shoulders=(*STANDING[:4], (2.2, 0.58)))).breadth == pytest.approx(1.02, abs=0.02)


def test_own_clothes_are_where_the_body_is_however_far_aside() -> None:
    fitting = fitted(Wearer(aside=0.2))
    for way in (-1, 1):
        assert fitting.own_clothes_at(*spot(way * 0.8, 0.3))[0, 0] > 0.8
        assert fitting.own_clothes_at(*spot(way * 1.0, 0.22))[0, 0] < 0.2


def repainted(wearer: Wearer, *parts: tuple[tuple[float, float], tuple[float, float], tuple[int, int, int]]) -> Image:
    """The wearer's picture with rectangles of other colours, each from one corner to the other."""
    image = wearer.image()
    for one, other, colour in parts:
        (x0, y0), (x1, y1) = np.rint(px([one, other])).astype(int)
        image[y0:y1, x0:x1] = colour
    return image


def looked_at(wearer: Wearer, image: Image) -> Fitting | None:
    return fitting_for(image, wearer.alpha(), wearer.view().mesh.points, wearer.head())


def test_hair_bleached_at_its_ends_is_hair() -> None:
    """Unlike the crown's, but more like it than the shirt is."""
    wearer = Wearer(hair_to=0.42, shirt=(60, 90, 230))
    ends = [((left, 0.06), (left + 0.3, 0.42), (105, 108, 112)) for left in (-0.68, 0.38)]
    fitting = looked_at(wearer, repainted(wearer, *ends))
    assert fitting is not None
    assert fitting.own_clothes_at(*spot(0.55, 0.1))[0, 0] < 0.2


def test_hair_over_one_side_of_the_neck_hides_its_breadth_too() -> None:
    wearer = Wearer(hair_to=0.9)
    bare = repainted(wearer, ((-0.7, -0.6), (-0.38, 0.1), WALL), ((-0.38, -0.3), (-0.28, 0.55), heads.SKIN))
    alpha = wearer.alpha()
    (x0, y0), (x1, y1) = np.rint(px([(-0.7, -0.6), (-0.38, 0.1)])).astype(int)
    alpha[y0:y1, x0:x1] = 0
    fitting = fitting_for(bare, alpha, wearer.view().mesh.points, wearer.head())
    assert fitting is not None
    assert fitting.neck == USUAL_NECK


def test_hair_before_the_neck_s_sides_may_hang_into_the_collar() -> None:
    assert measured(Wearer(hair_to=0.9, hair_from=0.24)) is not None


@pytest.mark.parametrize(
    ("one", "other"), [((-0.07, 0.0), (0.07, 0.4)), ((-0.4, -0.1), (-0.15, 0.4))], ids=["tie", "shawl on one side"]
)
def test_cloth_before_the_neck_is_not_covered(one: tuple[float, float], other: tuple[float, float]) -> None:
    wearer = Wearer()
    assert looked_at(wearer, repainted(wearer, (one, other, (235, 235, 240)))) is None


def test_the_broadest_neck_gets_the_widest_collar() -> None:
    assert fitted(Wearer(neck=0.5, opening=0.5)).neck == COLLARS[1]


def test_one_strap_lifts_no_shoulder() -> None:
    strap = ((0.38, 0.12), (0.78, 0.24), (0.8, 0.1), (0.84, 0.1), (0.86, 0.27), *STANDING[2:])
    assert fitted(Wearer(shoulders=strap)).lifts == pytest.approx(fitted(Wearer()).lifts, abs=0.02)


def test_high_sleeves_on_both_sides_are_too_much_to_hide() -> None:
    wings = ((0.38, 0.12), (0.74, 0.22), (0.76, -0.05), (1.1, -0.05), (1.15, 0.42), *STANDING[3:])
    assert measured(Wearer(shoulders=wings)) is None


def test_an_elbow_low_at_the_side_is_not_in_the_way() -> None:
    elbow = (*STANDING[:4], (1.42, 0.7), (1.66, 0.75), (1.66, 1.1), (1.42, 1.2))
    assert measured(Wearer(shoulders=elbow)) is not None
