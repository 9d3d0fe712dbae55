"""A mouth that follows another's: as far as asked, and nothing else with it."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face.expression import (
    CLOSING,
    MOST_OPEN,
    MOST_SMILE,
    SHUT,
    TOLERATED,
    Mouth,
    apart,
    mouth_in_picture,
    mouth_of,
    smiling,
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


@pytest.mark.parametrize("opening", [0.1, 0.25])
def test_a_shut_mouth_opens_as_far_as_asked(opening: float) -> None:
    wanted = mouth_of(face(opening))
    assert mouth_of(with_mouth(face(), wanted, 1.0)).opening == pytest.approx(wanted.opening, abs=0.02)
    half = mouth_of(with_mouth(face(), wanted, 0.5)).opening
    assert half == pytest.approx(wanted.opening / 2, abs=0.02)


def test_a_laugh_becomes_a_smile_where_the_other_mouth_is_shut() -> None:
    """Half the way: shut, it would have the lips of somebody else; nearly shut, it would bare its teeth."""
    own = mouth_of(face(0.2)).opening
    assert mouth_of(with_mouth(face(0.2), mouth_of(face()), 1.0)).opening == pytest.approx(
        (1 - CLOSING) * own, abs=0.02
    )


def test_a_mouth_open_wide_stays_open_as_far_as_a_smile_s() -> None:
    assert mouth_of(with_mouth(face(0.6), mouth_of(face()), 1.0)).opening == pytest.approx(MOST_OPEN, abs=0.03)
    asked = mouth_of(face(0.45))
    assert mouth_of(with_mouth(face(0.6), asked, 1.0)).opening == pytest.approx(asked.opening, abs=0.09)


def test_mouths_are_as_far_apart_as_they_are_held_differently() -> None:
    assert apart(mouth_of(face()), mouth_of(face())) == 0
    assert apart(mouth_of(face(0.3)), mouth_of(face())) > apart(mouth_of(face(0.1)), mouth_of(face())) > 0
    assert apart(Mouth(0.0, 0.1), Mouth(0.0, 0.02)) == pytest.approx(0.08)


def test_corners_rise_when_the_others_do_and_by_what_is_more_than_a_habit() -> None:
    own, wanted = mouth_of(face()), mouth_of(face(smile=0.12))
    smile = mouth_of(with_mouth(face(), wanted, 1.0)).smile
    assert smile - own.smile == pytest.approx(0.12 - TOLERATED, abs=0.02)
    slight = mouth_of(face(smile=0.8 * TOLERATED))
    np.testing.assert_allclose(with_mouth(face(), slight, 1.0), face(), atol=1e-3)


def test_a_hint_of_a_smile_never_outdoes_a_smile_that_is_there() -> None:
    assert smiling(Mouth(0.0, 0.01), 0.08) == Mouth(0.0, pytest.approx(0.09))
    assert smiling(Mouth(0.05, 0.18), 0.08) == Mouth(0.05, MOST_SMILE)
    assert smiling(Mouth(0.2, 0.25), 0.08) == Mouth(0.2, 0.25)
    assert smiling(Mouth(0.1, 0.05), 0.0) == Mouth(0.1, 0.05)


def test_lips_part_in_the_middle_and_corners_stay_together() -> None:
    opened = with_mouth(face(), mouth_of(face(0.3)), 1.0)
    moved = np.linalg.norm(opened - face(), axis=1)
    assert moved[14] > 3 * moved[list(regions.MOUTH_CORNERS)].max()
    assert moved[17] == pytest.approx(moved[14], rel=0.3)
    assert opened[13, 1] < face()[13, 1]  # the upper lip rises a little


def test_eyes_brows_and_the_upper_face_stay() -> None:
    laughing = with_mouth(face(), Mouth(0.25, 0.2), 1.0)
    upper = [*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LEFT_BROW, *regions.RIGHT_BROW, 10]
    assert np.abs(laughing - face())[upper].max() < 0.01


def test_both_sides_move_alike() -> None:
    laughing, twin = with_mouth(face(), Mouth(0.2, 0.2), 1.0), mean_face().mirror
    mirrored = laughing[twin] * np.array([-1, 1, 1])
    np.testing.assert_allclose(laughing, mirrored, atol=0.02)


def test_a_share_of_nothing_changes_nothing() -> None:
    np.testing.assert_allclose(with_mouth(face(), Mouth(0.3, 0.3), 0.0), face(), atol=1e-6)


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
