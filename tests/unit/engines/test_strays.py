"""Which skin of the person is given up for the template's."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.geometry import rasterise
from portraitd.engines.classic.place import Placement
from portraitd.engines.classic.strays import without_strays
from portraitd.engines.classic.tone import Sheet
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

SHAPE = (120, 110)
#: 90 px from side to side.
POSED = (mean_face().points * 41 + np.array([55, 45, 0])).astype(np.float32)
RASTER = rasterise(POSED, SHAPE, grow=0.35)
#: Points of the mesh: temples, cheeks before the ears and low on the jaw, by side; and between them.
TEMPLES, HIGH, LOW = (127, 356), (227, 447), (192, 416)
NOSE, BROW, EYE = 1, 105, 159

Marks = tuple[int, ...]


def kept_at(
    points: Marks, dark: Marks, skin: Floats | None = None, change: tuple[float, ...] = (-0.7,) * 3
) -> list[float]:
    """How much of the person is left at these points, when there are dark patches at those."""
    ones = np.ones(SHAPE, np.float32)
    place = Placement(ones, ones, ones, ones, ones if skin is None else skin, ones)
    wanted = np.full((*SHAPE, 3), -1.0, np.float32)
    lit = wanted.copy()
    rows, columns = np.indices(SHAPE)
    for point in dark:
        x, y = POSED[point, :2]
        lit[np.hypot(columns - x, rows - y) < 9] += np.float32(change)
    kept = without_strays(Sheet(lit, wanted, place, 90.0, POSED[:, :2], None), lit, RASTER)
    return [float(kept[round(y), round(x)]) for x, y in POSED[list(points), :2]]


def test_a_face_like_the_template_s_stays() -> None:
    assert kept_at((*TEMPLES, *HIGH, *LOW, NOSE), ()) == [1.0] * 7


def test_a_shadow_at_a_temple_goes_and_nothing_else() -> None:
    left, *others = kept_at((*TEMPLES, NOSE, *LOW), TEMPLES[:1])
    assert left < 0.3
    assert min(others) > 0.95


def test_both_temples_may_go() -> None:
    assert max(kept_at(TEMPLES, TEMPLES)) < 0.3


def test_the_dark_side_of_the_jaw_goes_but_not_a_beard() -> None:
    assert kept_at(LOW[:1], LOW[:1])[0] < 0.4
    assert min(kept_at(LOW, LOW)) > 0.9


def test_another_colour_counts_too() -> None:
    assert kept_at(HIGH[:1], HIGH[:1], change=(0.25, 0.0, -0.25))[0] < 0.3


def test_what_is_only_a_little_darker_stays() -> None:
    assert kept_at(TEMPLES, TEMPLES, change=(-0.25,) * 3) == pytest.approx([1.0, 1.0], abs=0.01)


def test_the_middle_of_the_face_brows_and_eyes_stay() -> None:
    assert kept_at((NOSE,), (NOSE,)) == [1.0]
    assert kept_at((BROW, EYE), (BROW, EYE), skin=np.zeros(SHAPE, np.float32)) == pytest.approx([1.0, 1.0], abs=0.01)
