"""A mouth that follows another's: as far as asked, and nothing else with it."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face.expression import (
    BROADEST_SMILE,
    CLOSING,
    HABIT,
    MOST_OPEN,
    MOST_SMILE,
    PARTING,
    SHUT,
    Mouth,
    apart,
    mouth_in_picture,
    mouth_of,
    moves,
    smiling,
    towards,
    with_mouth,
)
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Points


def face(opening: float = 0.0, smile: float = 0.0) -> Points:
    """The mean face with its mouth changed by hand; in widths of the mouth."""
    points = mean_face().points.copy()
    left, right = regions.MOUTH_CORNERS
    width = float(np.linalg.norm(points[left] - points[right]))
    points[[14, 17], 1] += np.float32(opening * width)
    points[[left, right], 1] -= np.float32(smile * width)
    return points


@pytest.mark.parametrize(("opening", "smile"), [(0.1, 0.0), (0.25, 0.0), (0.0, 0.12), (0.2, 0.12), (0.1, -0.05)])
def test_a_mouth_is_held_as_asked(opening: float, smile: float) -> None:
    wanted = Mouth(opening, smile)
    found = mouth_of(with_mouth(face(), wanted))
    assert found.smile == pytest.approx(smile, abs=0.008)
    assert found.opening == pytest.approx(max(0.0, opening - SHUT + gap(face())), abs=0.008)


def test_lips_that_touch_part_as_far_as_others_do() -> None:
    """What the mesh calls open begins at a gap, and a photo's shut lips may lie closer."""
    touching = face()
    touching[[13, 14]] = touching[[13, 14]].mean(axis=0)
    assert mouth_of(with_mouth(touching, Mouth(0.1, 0.05))).opening == pytest.approx(0.1, abs=0.01)
    assert gap(with_mouth(touching, Mouth(0.0, 0.1))) < 0.02, "a smile alone parts none"


def test_no_smile_is_broader_than_people_smile() -> None:
    broad, endless = (with_mouth(face(), Mouth(0.0, smile)) for smile in (BROADEST_SMILE, 9.0))
    np.testing.assert_allclose(broad, endless, atol=1e-5)


def test_a_row_of_points_moves_smoothly() -> None:
    """One wrong sign in the table would be a dent."""
    ways = moves()
    for ring in (regions.LIPS_OUTER, regions.LIPS_INNER):
        along = ways[list(ring)]
        bend = np.roll(along, 1, axis=0) - 2 * along + np.roll(along, -1, axis=0)
        corners = [ring.index(point) for point in ring if point in {*regions.MOUTH_CORNERS, 78, 308}]
        assert np.abs(np.delete(bend, corners, axis=0)).max() < 0.7
    near = np.linalg.norm(mean_face().points[:, None] - mean_face().points, axis=2) + np.eye(regions.POINT_COUNT)
    lips = np.isin(np.arange(regions.POINT_COUNT), [*regions.LIPS_OUTER, *regions.LIPS_INNER])
    near[:, lips] = 9
    nearest = near.argmin(axis=1)
    assert np.abs(ways - ways[nearest])[~lips].max() < 0.8


def gap(points: Points) -> float:
    """Of the inner lips, widths of the mouth."""
    left, right = (points[index] for index in regions.MOUTH_CORNERS)
    return float(np.linalg.norm(points[13] - points[14]) / np.linalg.norm(left - right))


def test_a_laugh_becomes_a_smile_where_the_other_mouth_is_shut() -> None:
    """Half the way: shut, it would have the lips of somebody else; nearly shut, it would bare its teeth."""
    half = towards(Mouth(0.2, 0.0), Mouth(0.0, 0.0), 1.0).opening
    assert half == pytest.approx(0.2 - CLOSING * (0.2 - HABIT.opening))
    assert towards(Mouth(0.2, 0.0), Mouth(0.0, 0.0), 0.5).opening == pytest.approx((0.2 + half) / 2)


def test_a_mouth_open_wide_stays_open_as_far_as_a_smile_s() -> None:
    assert towards(Mouth(0.6, 0.0), Mouth(0.0, 0.0), 1.0).opening == pytest.approx(MOST_OPEN)
    assert towards(Mouth(0.6, 0.0), Mouth(0.45, 0.0), 1.0).opening == pytest.approx(0.45 + HABIT.opening)


def test_mouths_are_as_far_apart_as_they_are_held_differently() -> None:
    assert apart(mouth_of(face()), mouth_of(face())) == 0
    assert apart(mouth_of(face(0.3)), mouth_of(face())) > apart(mouth_of(face(0.1)), mouth_of(face())) > 0
    assert apart(Mouth(0.0, 0.1), Mouth(0.0, 0.02)) == pytest.approx(0.08)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mouth_follows_another_in_what_is_more_than_a_habit(sign: int) -> None:
    own, beyond = Mouth(0.0, 0.1), 0.09 - HABIT.smile
    assert towards(own, Mouth(0.0, 0.1 + sign * 0.8 * HABIT.smile), 1.0) == own
    assert towards(own, Mouth(0.0, 0.1 + sign * 0.09), 1.0).smile == pytest.approx(0.1 + sign * beyond)
    assert towards(own, Mouth(0.0, 0.1 + sign * 0.09), 0.5).smile == pytest.approx(0.1 + sign * beyond / 2)


def test_lips_follow_others_in_what_is_more_than_a_habit() -> None:
    assert towards(Mouth(0.3, 0.1), Mouth(0.3 + 0.8 * HABIT.opening, 0.1), 1.0) == Mouth(0.3, 0.1)
    assert towards(Mouth(0.3, 0.1), Mouth(0.5, 0.1), 1.0).opening == pytest.approx(
        0.3 + PARTING * (0.2 - HABIT.opening)
    )


def test_a_laugh_stays_a_smile_where_the_other_is_earnest() -> None:
    """Teeth in a mouth made narrow: nobody looks so."""
    shut, laughing = (towards(Mouth(opening, 0.14), Mouth(0.0, 0.0), 1.0).smile for opening in (0.0, 0.2))
    assert shut == pytest.approx(HABIT.smile)
    assert laughing == pytest.approx(0.14 - CLOSING * (0.14 - HABIT.smile))
    assert towards(Mouth(0.2, 0.05), Mouth(0.2, 0.14), 1.0).smile == pytest.approx(0.14 - HABIT.smile)


def test_a_share_of_nothing_changes_nothing() -> None:
    assert towards(Mouth(0.1, 0.05), Mouth(0.3, 0.3), 0.0) == Mouth(0.1, 0.05)
    np.testing.assert_array_equal(with_mouth(face(), mouth_of(face())), face())


def test_a_hint_of_a_smile_never_outdoes_a_smile_that_is_there() -> None:
    assert smiling(Mouth(0.0, 0.01), 0.08) == Mouth(0.0, pytest.approx(0.09))
    assert smiling(Mouth(0.05, 0.04), 0.08) == Mouth(0.05, MOST_SMILE)
    assert smiling(Mouth(0.2, 0.25), 0.08) == Mouth(0.2, 0.25)
    assert smiling(Mouth(0.1, 0.05), 0.0) == Mouth(0.1, 0.05)


def moved_by(wanted: Mouth) -> Points:
    """(468, 3) in widths of the mouth."""
    left, right = (face()[index] for index in regions.MOUTH_CORNERS)
    return np.asarray((with_mouth(face(), wanted) - face()) / np.linalg.norm(left - right), np.float32)


def test_a_smile_is_a_wider_mouth_with_thinner_lips_and_rounder_cheeks() -> None:
    """Corners that rise alone ball the lips: nobody smiles so."""
    moved = moved_by(Mouth(0.0, mouth_of(face()).smile + 0.08))
    corner, cheek = moved[61], moved[205]
    assert corner[0] == pytest.approx(corner[1], rel=0.3)  # as far outwards as up
    assert corner[1] < -0.08
    assert corner[2] > 0.03  # around the teeth
    assert moved[0, 1] > moved[13, 1]  # the upper lip is stretched,
    assert moved[14, 1] > moved[17, 1]  # and the lower one
    assert -0.1 < cheek[0] < -0.04
    assert -0.06 < cheek[1] < -0.01


def test_lips_that_lie_on_each_other_part_all_along() -> None:
    """And each goes its own way: else a row of teeth has a ragged edge."""
    moved = moved_by(Mouth(0.25, mouth_of(face()).smile))
    upper, lower = [80, 81, 82, 13, 312, 311, 310], [88, 178, 87, 14, 317, 402, 318]
    assert moved[lower, 1].min() > 0.12
    assert moved[upper, 1].max() < 0.06


def test_lips_part_downwards_with_the_chin_and_corners_draw_in() -> None:
    moved = moved_by(Mouth(0.25, mouth_of(face()).smile))
    assert 0.15 < moved[14, 1] < 0.25
    assert moved[17, 1] == pytest.approx(moved[14, 1], rel=0.2)
    assert abs(moved[13, 1]) < 0.03
    assert 0.3 < moved[199, 1] / moved[14, 1] < 0.7
    assert 0 < moved[61, 0] < 0.12


def test_eyes_brows_nose_and_the_upper_face_stay() -> None:
    upper = [*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LEFT_BROW, *regions.RIGHT_BROW, 10, 1, 168]
    assert np.abs(moved_by(Mouth(0.25, 0.12)))[upper].max() < 0.02


def test_both_sides_move_alike() -> None:
    laughing, twin = moved_by(Mouth(0.2, 0.12)), mean_face().mirror
    np.testing.assert_allclose(laughing, laughing[twin] * np.array([-1, 1, 1]), atol=0.002)


def test_teeth_show_between_parted_lips_only() -> None:
    assert Mouth(0.0, 0.1).shows_teeth == 0
    assert Mouth(0.2, 0.1).shows_teeth == 1
    assert mouth_of(face()).opening <= SHUT


def test_the_mouth_of_a_picture_is_read_whatever_the_pose() -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    laughing = face(0.2, 0.1)
    seen = mouth_in_picture((laughing @ turn.T * 70 + 300).astype(np.float32))
    assert seen.opening == pytest.approx(mouth_of(laughing).opening, abs=0.02)
    assert seen.smile == pytest.approx(mouth_of(laughing).smile, abs=0.03)
