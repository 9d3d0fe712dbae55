"""Lips that are seen are not covered, whatever nose and mouth look like."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portraitd.faces.cover import CoverHints, EyeHints

EYE = EyeHints(likeness=0.7, under=0.9, lightest=1.0, contrast=0.5)
#: A smile in odd light: nose and mouth look little like average ones.
SMILE = CoverHints(EYE, EYE, 0.24, 0.38, 0.85, 28.0, 24.0, 12.0, 0.0)


def test_red_lips_below_a_doubtful_nose_are_seen() -> None:
    assert not SMILE.mouth_hidden


@pytest.mark.parametrize(
    "change",
    [
        {"lips_redder": 3.0, "lips_apart": 4.0},  # a cloth is of one colour
        {"nose_likeness": 0.05},  # nothing like a nose above them: something painted
    ],
)
def test_a_cloth_or_a_thing_before_the_mouth_hides_it(change: dict[str, float]) -> None:
    assert replace(SMILE, **change).mouth_hidden
