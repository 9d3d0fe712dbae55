"""Where the person is put, and that cuts stay outside the frame."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.framing import CHEEK_SIDES, PORTRAIT, Frame, Person, Wish, find_frame, roll_of
from portraitd.faces.shape import mean_face
from portraitd.images import Points

WISH = Wish((250.0, 220.0, 340.0), (384.0, 30.0), (100.0, 50.0, 180.0), straighten=1.0)


def _person(cuts: list[tuple[float, float]], tilt_deg: float = 0.0) -> Person:
    """A mean face 100 px between the eyes in a photo of 800 x 900, its crown 150 px above the eyes."""
    t = np.deg2rad(tilt_deg)
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    points = 100 * mean_face().points[:, :2] @ turn.T + (400, 350)
    crown = np.array([(0.0, -190.0)]) @ turn.T + (400, 350)
    return Person(points.astype(np.float32), np.array(cuts, np.float32).reshape(-1, 2), crown.astype(np.float32))


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


@pytest.mark.parametrize("tilt", [-25.0, -5.0, 10.0, 30.0])
def test_a_tilt_is_taken_out(tilt: float) -> None:
    person = _person([], tilt)
    assert abs(roll_of(person.points) - tilt) < 1
    assert abs(roll_of(_placed(person, find_frame(person, WISH)))) < 0.01


def test_z_scales_along() -> None:
    frame = Frame(np.array([[2.0, 0, 5], [0, 2, 7]]))
    assert frame.apply(np.array([[1, 1, 3]], np.float32)).tolist() == [[7, 9, 6]]
