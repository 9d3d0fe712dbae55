"""Where the person is put, and that cuts stay outside the frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.person.identity import view_of
from portraitd.engines.classic.presets.framing import (
    CHEEK_SIDES,
    CLOTHED_PX,
    LARGER,
    PORTRAIT,
    Frame,
    Person,
    Wish,
    face_width,
    find_frame,
    head_is_cut_off,
    read_person,
    roll_of,
    shoulder_at,
    surely_shoulder,
)
from portraitd.engines.classic.presets.idphoto import WISH as DOCUMENT
from portraitd.engines.classic.presets.scene import CHIN_AT_MOST, EMERGENCY
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Mask, Points, Size, no_points
from tests.fakes import heads

WISH = Wish((250.0, 220.0, 340.0), (384.0, 30.0), (100.0, 50.0, 180.0), straighten=1.0)


def _person(cuts: list[tuple[float, float]], tilt_deg: float = 0.0) -> Person:
    """A mean face 100 px between the eyes in a photo of 800 x 900, its crown 150 px above the eyes."""
    t = np.deg2rad(tilt_deg)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    points = 100 * mean_face().points[:, :2] @ turn.T + (400, 350)
    crown = np.array([(0.0, -190.0)]) @ turn.T + (400, 350)
    outline = np.array(cuts, np.float32).reshape(-1, 2), crown.astype(np.float32)
    begin = surely_shoulder(points.astype(np.float32))
    return Person(points.astype(np.float32), Size(800, 900), *outline, no_points(), (begin, begin))


def _placed(person: Person, frame: Frame) -> Points:
    return frame.apply(person.points)


def test_a_wish_that_shows_no_cut_is_granted() -> None:
    person = _person([])
    points = _placed(person, find_frame(person, WISH))
    width = points[CHEEK_SIDES[1], 0] - points[CHEEK_SIDES[0], 0]
    assert width == pytest.approx(250, abs=1)
    assert points[:, 0].mean() == pytest.approx(384, abs=8)
    assert find_frame(person, WISH).apply(person.crown)[0, 1] == pytest.approx(100, abs=1)


def test_a_bottom_cut_is_left_below() -> None:
    person = _person([(x, 720.0) for x in range(200, 600, 20)])
    frame = find_frame(person, WISH)
    assert (frame.apply(person.cuts)[:, 1] >= PORTRAIT.height).all()


def test_a_side_cut_is_left_outside() -> None:
    person = _person([(150.0, y) for y in range(600, 890, 20)])
    frame = find_frame(person, WISH)
    shown = frame.apply(person.cuts)
    assert ((shown[:, 0] <= 0) | (shown[:, 1] >= PORTRAIT.height)).all()


def _cut_at(bottom: int, sides: tuple[int, int] | None = None, *, crown: bool = False) -> Person:
    """The same person in a photo that ends at this row and, where sides are given, at these columns; with `crown`, one
    that begins 110 px above the eyes."""
    left, right = sides or (0, 799)
    begin = 240 if crown else 0
    cuts = [(float(x), float(bottom)) for x in range(left + 40, right - 40, 20)]
    if sides:
        cuts += [(float(x), float(y)) for x in sides for y in range(begin, bottom, 20)]
    if crown:
        cuts += [(float(x), float(begin)) for x in range(left, right, 20)]
    person, corner = _person(cuts), np.array([left, begin], np.float32)
    top = np.maximum(person.crown, [0, begin]) - corner
    size = Size(right - left + 1, bottom - begin + 1)
    begin = surely_shoulder(person.points - corner)
    moved = replace(person, points=person.points - corner, cuts=person.cuts - corner, crown=top, size=size)
    return replace(moved, stretchable_from=(begin, begin))


CLOSE = replace(WISH, emergency=2.0)


def test_a_close_up_becomes_a_close_up_with_all_of_the_face() -> None:
    person = _cut_at(620, (200, 600), crown=True)
    frame = find_frame(person, CLOSE)
    points = _placed(person, frame)
    assert np.ptp(points[:, 0]) > 1.3 * 340, "larger than the greatest width"
    assert points[:, 0].min() >= 0
    assert points[:, 0].max() <= PORTRAIT.width
    assert points[list(regions.LEFT_BROW), 1].min() >= 0
    assert points[regions.CHIN, 1] <= PORTRAIT.height
    assert frame.apply(person.cuts[person.cuts[:, 1] == 0])[:, 1].max() <= 4, "no line above the forehead"


def test_a_forehead_never_ends_in_a_line_however_little_there_is_of_the_neck() -> None:
    person = _cut_at(560, (200, 600), crown=True)
    assert find_frame(person, CLOSE).apply(person.cuts[person.cuts[:, 1] == 0])[:, 1].max() <= 0


def test_room_around_the_face_is_enough() -> None:
    for person in (_person([]), _cut_at(720), _cut_at(899, (60, 740))):
        assert not head_is_cut_off(person, find_frame(person, CLOSE))


def test_a_photo_that_ends_at_the_chin_is_cut_off() -> None:
    """Its neck would be stretched from a few rows."""
    person = _cut_at(505, (180, 620))
    assert head_is_cut_off(person, find_frame(person, CLOSE))


def test_a_crown_that_ends_in_a_line_is_cut_off() -> None:
    person = _cut_at(899, crown=True)
    shown = Frame(np.array([[1.0, 0, 0], [0, 1, 30]]))
    hidden = Frame(np.array([[1.0, 0, 0], [0, 1, -5]]))
    assert head_is_cut_off(person, shown)
    assert not head_is_cut_off(person, hidden)


def test_shoulders_cut_beside_the_face_are_cut_off() -> None:
    person = _cut_at(899, (335, 465))
    assert head_is_cut_off(person, Frame(np.array([[1.0, 0, 300], [0, 1, 0]])))


#: What a scene wishes for: much is allowed, little is wanted.
SCENE = Wish(
    (240.0, 204.0, 460.0), (384.0, 150.0), (110.0, 40.0, 200.0), chin_at_most=CHIN_AT_MOST, emergency=EMERGENCY
)


@pytest.mark.parametrize("sides", [None, (150, 650)])
def test_shoulders_are_stretched_rather_than_a_face_made_huge_and_low(sides: tuple[int, int] | None) -> None:
    person = _cut_at(640, sides)
    frame = find_frame(person, SCENE)
    points = _placed(person, frame)
    assert np.ptp(points[:, 0]) < 380, "less than half of the picture"
    assert points[regions.CHIN, 1] < 710
    below = frame.apply(person.cuts[person.cuts[:, 1] == person.size.height - 1])[:, 1]
    assert PORTRAIT.height - 140 < below.max() < PORTRAIT.height, "so much is stretched, and no more"


def test_who_can_be_shown_without_is_hardly_stretched() -> None:
    person = _cut_at(740)
    below = find_frame(person, SCENE).apply(person.cuts)[:, 1]
    assert below.max() > PORTRAIT.height - 25


def test_next_to_nothing_is_not_stretched() -> None:
    person = _cut_at(560)
    below = find_frame(person, SCENE).apply(person.cuts)[:, 1]
    assert below.max() > PORTRAIT.height - 60


def _mirrored(person: Person) -> Person:
    across = np.array([person.size.width - 1, 0], np.float32)
    points, cuts, crown = (np.abs(across - found) for found in (person.points, person.cuts, person.crown))
    points = points[mean_face().mirror]
    return replace(person, points=points, cuts=cuts, crown=crown, stretchable_from=person.stretchable_from[::-1])


@pytest.mark.parametrize("right", [False, True])
def test_a_cut_shoulder_does_not_push_the_face_to_the_side(right: bool) -> None:
    person = _cut_at(899, (140, 799))
    person = replace(person, cuts=person.cuts[(person.cuts[:, 0] == 0) & (person.cuts[:, 1] > 500)])
    person = _mirrored(person) if right else person
    assert abs(_placed(person, find_frame(person, SCENE))[:, 0].mean() - 384) < 40


def test_what_is_no_shoulder_pushes_it() -> None:
    person = _cut_at(899, (140, 799))
    person = replace(person, cuts=person.cuts[(person.cuts[:, 0] == 0) & (person.cuts[:, 1] > 500)])
    hair = replace(person, stretchable_from=(900.0, 900.0))
    assert _placed(hair, find_frame(hair, SCENE))[:, 0].mean() < 384 - 60


def _edge(*runs: tuple[int, int]) -> Mask:
    """(900, 2) the side of a photo at which somebody is between these rows."""
    edge = np.zeros((900, 2), np.float32)
    for start, end in runs:
        edge[start:end, 1] = 1
    return edge


FACE = 100 * mean_face().points[:, :2] + np.array([400, 350], np.float32)
CHIN, ACROSS = float(FACE[:, 1].max()), float(np.ptp(FACE[:, 0]))


def test_a_shoulder_begins_where_nothing_is_above_it() -> None:
    begins = round(CHIN - 0.3 * ACROSS)
    assert shoulder_at(_edge((begins, 900)), FACE) == begins
    assert shoulder_at(_edge((100, 200), (begins, 900)), FACE) == begins
    assert shoulder_at(_edge((begins, 600), (604, 898)), FACE) == begins, "a stripe, and the photo's rim"


def test_hair_down_to_the_shoulder_hides_where_it_begins() -> None:
    assert shoulder_at(_edge((100, 900)), FACE) is None
    assert shoulder_at(_edge((0, 900)), FACE - [0, 460]) is None, "a chin at the photo's top"
    assert surely_shoulder(FACE) == pytest.approx(CHIN - 0.25 * ACROSS)


def test_what_is_known_of_a_view_comes_along() -> None:
    alpha = np.zeros((400, 400), np.float32)
    alpha[20:, 150:250] = 1
    alpha[240:, :200] = 1
    edge = np.array([(250, 300), (251, 310)], np.float32)
    view = replace(view_of("one", heads.head(), heads.MESH, 0.9), alpha=lambda: alpha, severed=edge)
    person = read_person(view, alpha)
    assert np.array_equal(person.severed, edge)
    left, right = person.stretchable_from
    assert left == min(240, surely_shoulder(heads.MESH.xy))
    assert right == surely_shoulder(heads.MESH.xy)
    assert person.size == Size(400, 400)


def test_beside_the_hair_nothing_is_stretched() -> None:
    person = _cut_at(899, (200, 799))
    person = replace(person, cuts=person.cuts[(person.cuts[:, 0] == 0) & (person.cuts[:, 1] < 430)])
    assert find_frame(person, SCENE).apply(person.cuts)[:, 0].max() <= 0


def test_an_edge_at_which_somebody_was_cut_away_is_left_outside_where_little_does_it() -> None:
    edge = np.array([(640.0, float(y)) for y in range(520, 640, 4)], np.float32)
    alone = _cut_at(899)
    assert find_frame(alone, SCENE).apply(edge)[:, 0].max() < PORTRAIT.width
    severed = replace(alone, severed=edge)
    frame = find_frame(severed, SCENE)
    shown = frame.apply(edge)
    assert ((shown[:, 0] >= PORTRAIT.width - 3) | (shown[:, 1] >= PORTRAIT.height - 3)).all()
    assert abs(_placed(severed, frame)[:, 0].mean() - 384) < 80
    one = replace(alone, severed=edge[:1])
    assert find_frame(one, SCENE).apply(edge[:1])[0, 0] > find_frame(alone, SCENE).apply(edge[:1])[0, 0] + 20
    nothing_hides_it = replace(alone, severed=np.array([(400.0, 560.0)], np.float32))
    assert find_frame(nothing_hides_it, SCENE).zoom == pytest.approx(find_frame(alone, SCENE).zoom, rel=0.1)


@pytest.mark.parametrize("tilt", [-25.0, -5.0, 10.0, 30.0])
def test_a_tilt_is_taken_out(tilt: float) -> None:
    person = _person([], tilt)
    assert abs(roll_of(person.points) - tilt) < 1
    assert abs(roll_of(_placed(person, find_frame(person, WISH)))) < 0.01


def test_z_scales_along() -> None:
    frame = Frame(np.array([[2.0, 0, 5], [0, 2, 7]]))
    assert frame.apply(np.array([[1, 1, 3]], np.float32)).tolist() == [[7, 9, 6]]


@pytest.mark.parametrize("tilt", [-30.0, 30.0])
def test_an_edge_turns_with_a_tilted_head(tilt: float) -> None:
    """What is wished upright, the edge must be looked for upright: there, it lies just inside the picture's right."""
    tilted, wish = _person([], tilt), replace(SCENE, straighten=1.0)
    frame = find_frame(tilted, wish)
    upright = np.array([(PORTRAIT.width - 30.0, float(y)) for y in range(300, 900, 20)], np.float32)
    back = (upright - frame.matrix[:, 2]) @ np.linalg.inv(frame.matrix[:, :2]).T
    moved = find_frame(replace(tilted, severed=back.astype(np.float32)), wish)
    assert (moved.apply(back.astype(np.float32))[:, 0] > PORTRAIT.width - 3).all()


@pytest.mark.parametrize("crown", [False, True])
@pytest.mark.parametrize("bottom", [485, 500, 540, 592, 604, 616, 660])
def test_documents_draw_more_out_for_the_face_s_width_and_are_refused_no_more_often(bottom: int, crown: bool) -> None:
    """Nor less often: a face as wide as the picture is no document."""
    person = _cut_at(bottom, (180, 620), crown=crown)
    lenient, strict = (find_frame(person, wish) for wish in (replace(DOCUMENT, larger=LARGER), DOCUMENT))
    assert head_is_cut_off(person, strict) == head_is_cut_off(person, lenient)
    if not head_is_cut_off(person, strict):
        assert strict.zoom <= 1.05 * lenient.zoom


def test_a_document_keeps_the_standard_s_width_where_stretching_does_it() -> None:
    person = _cut_at(540, (180, 620))
    lenient, strict = (find_frame(person, wish) for wish in (replace(DOCUMENT, larger=LARGER), DOCUMENT))
    across = [np.subtract(*frame.apply(person.points)[CHEEK_SIDES[::-1], 0]) for frame in (strict, lenient)]
    assert across[0] < across[1] - 8


def test_a_turned_head_is_hardly_narrower() -> None:
    points = 100 * mean_face().points
    t = np.deg2rad(60)
    turned = points @ np.array([[np.cos(t), 0, -np.sin(t)], [0, 1, 0], [np.sin(t), 0, np.cos(t)]])
    cheeks = np.subtract(*points[CHEEK_SIDES[::-1], 0])
    assert face_width(points) == pytest.approx(cheeks)
    assert np.subtract(*turned[CHEEK_SIDES[::-1], 0]) < 0.6 * cheeks
    assert face_width(turned) == pytest.approx(0.8 * np.ptp(turned[:, 0]))


def test_under_clothes_no_cut_below_the_chin_counts() -> None:
    head = _person([])
    chin, (begin, _) = float(head.points[regions.CHIN, 1]), head.stretchable_from
    low, high = [(0.0, chin + 50), (799.0, chin + 50), (300.0, 899.0)], [(0.0, begin - 30), (400.0, 0.0)]
    severed = np.array([(100.0, chin - 40), (100.0, chin + 40)], np.float32)
    covered = replace(_person(low + high), severed=severed).covered_below_chin()
    assert sorted(map(tuple, covered.cuts.tolist())) == sorted(high)
    assert covered.severed.tolist() == [severed[0].tolist()]
    assert _person(low).covered_below_chin().severed.size == 0


def test_above_clothes_a_face_is_larger_but_no_larger_than_a_document_s() -> None:
    assert WISH.for_clothes().face_px == (CLOTHED_PX, 0.85 * CLOTHED_PX, 340.0)
    assert DOCUMENT.for_clothes() == DOCUMENT
