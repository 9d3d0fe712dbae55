"""A picture judged before is not judged again for the same purpose."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.errors import NoHumanFace, SetupError
from portraitd.faces import remembered
from portraitd.faces.remembered import Remembered
from portraitd.faces.verdict import Verdict
from portraitd.images import Image

REFUSED = 255


class Judge:
    """Says how bright a picture is and what it is for, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image: Image, purpose: str) -> Verdict:
        self.asked += 1
        if not image.any():
            raise SetupError("no weights")
        error = NoHumanFace() if image.max() == REFUSED else None
        return Verdict(f"{purpose} {int(image.max())}", error, None)


def grey(level: int, shape: tuple[int, int] = (4, 6)) -> Image:
    return np.full((*shape, 3), level, np.uint8)


def test_each_picture_is_judged_once_for_each_purpose() -> None:
    judge = Judge()
    asked = Remembered(judge)
    assert asked(grey(1), "photo").reason == "photo 1"
    assert asked(grey(1).copy(), "photo").reason == "photo 1"
    assert judge.asked == 1
    assert asked(grey(1), "template").reason == "template 1"
    assert asked(grey(2), "photo").reason == "photo 2"
    assert judge.asked == 3


def test_the_same_bytes_in_another_shape_are_another_picture() -> None:
    judge = Judge()
    asked = Remembered(judge)
    asked(grey(1, (4, 6)), "photo")
    asked(grey(1, (6, 4)), "photo")
    assert judge.asked == 2


def test_a_part_of_a_picture_is_told_by_its_own_pixels() -> None:
    judge, wide = Judge(), np.zeros((4, 12, 3), np.uint8)
    wide[:, :6], wide[:, 6:] = 1, 2
    asked = Remembered(judge)
    assert asked(wide[:, 6:], "photo").reason == "photo 2"
    assert asked(grey(2), "photo").reason == "photo 2"
    assert judge.asked == 1


def test_a_judge_that_fails_is_asked_again() -> None:
    judge = Judge()
    asked = Remembered(judge)
    for _ in range(2):
        with pytest.raises(SetupError):
            asked(grey(0), "photo")
    assert judge.asked == 2


def test_a_refusal_is_a_new_one_each_time() -> None:
    judge = Judge()
    asked = Remembered(judge)
    one, other = asked(grey(REFUSED), "photo"), asked(grey(REFUSED), "photo")
    assert judge.asked == 2
    assert one.error is not other.error


def test_only_the_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", 2)
    judge = Judge()
    asked = Remembered(judge)
    for level in (1, 2, 1, 3):
        asked(grey(level), "photo")
    assert judge.asked == 3
    asked(grey(1), "photo")
    assert judge.asked == 3
    asked(grey(2), "photo")
    assert judge.asked == 4
