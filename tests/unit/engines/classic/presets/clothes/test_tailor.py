"""What is drawn: where, in which colours, and over what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.presets.clothes.canvas import Canvas
from portraitd.engines.classic.presets.clothes.fitting import Fitting
from portraitd.engines.classic.presets.clothes.pattern import CLOSES_AT, neckline, pattern_for, shoulder
from portraitd.engines.classic.presets.clothes.tailor import Clothes, Outfit, tailored
from portraitd.images import Floats

SUIT = Outfit(jacket=(0.02, 0.02, 0.03), shirt=(0.8, 0.8, 0.8), tie=(0.2, 0.01, 0.01))
FITTING = Fitting(0.38, 0.0)
UNIT, ORIGIN = 260.0, (384.0, 500.0)


def dressed(outfit: Outfit = SUIT, fitting: Fitting = FITTING, sideways: float = 0.0) -> Clothes:
    rng = np.random.default_rng(1)
    return tailored(fitting, outfit, Canvas.below(ORIGIN, UNIT, rng), rng, sideways)


def at(clothes: Clothes, values: Floats, x: float, y: float) -> Floats:
    """The median around a place, in face widths."""
    row, column = int(ORIGIN[1] + y * UNIT) - clothes.top, int(ORIGIN[0] + x * UNIT)
    return np.median(values[row - 3 : row + 4, column - 3 : column + 4], axis=(0, 1))


def test_the_neck_shows_and_what_is_below_it_does_not() -> None:
    clothes = dressed()
    assert at(clothes, clothes.cover, 0.0, 0.2) < 0.02
    assert at(clothes, clothes.shown, 0.0, 0.2) == 1
    for x, y in ((0.0, CLOSES_AT + 0.08), (0.2, 0.3), (-0.38, 0.15), (0.6, 0.4), (-1.0, 0.8), (1.2, 1.0)):
        assert at(clothes, clothes.cover, x, y) > 0.99


def test_beside_the_neck_only_what_is_above_the_shoulders_shows() -> None:
    clothes = dressed()
    for x in (-0.9, 0.9):
        assert at(clothes, clothes.shown, x, 0.1) > 0.99
        assert at(clothes, clothes.cover, x, 0.1) < 0.01
        assert at(clothes, clothes.shown, x, 0.5) < 0.01


def test_what_must_not_be_seen_does_not_show() -> None:
    own = np.zeros((205, 218), np.float32)
    own[:, 140:] = 1
    clothes = dressed(fitting=replace(FITTING, own_clothes=own))
    assert at(clothes, clothes.shown, 0.9, 0.05) < 0.01
    assert at(clothes, clothes.shown, -0.9, 0.05) > 0.99


def test_each_piece_has_its_colour() -> None:
    clothes = dressed()
    jacket, shirt, tie, collar = (
        at(clothes, clothes.light, *place) for place in ((0.9, 0.9), (0.17, 0.9), (0.0, 0.9), (0.2, 0.35))
    )
    assert jacket.max() < 0.06
    assert jacket[2] > jacket[0]
    assert shirt.min() > 0.4
    assert collar.min() > 0.4
    assert tie[0] > 4 * tie[1]


def test_without_a_tie_there_is_shirt() -> None:
    clothes = dressed(replace(SUIT, tie=None))
    assert at(clothes, clothes.light, 0.0, 0.9).min() > 0.4


@pytest.mark.parametrize("x", [-0.7, -0.3, 0.0, 0.25, 0.8])
def test_no_shirt_shines_through_along_the_shoulders(x: float) -> None:
    """An edge's pixels are mixed with the backdrop, by their cover; their own colour is the piece's."""
    clothes = dressed()
    column = int(ORIGIN[0] + (x if abs(x) > 0.5 else np.sign(x + 0.1) * 0.5) * UNIT)
    edge = np.flatnonzero((clothes.cover[:, column] > 0.05) & (clothes.cover[:, column] < 0.95))
    assert clothes.light[edge, column].max() < 0.12


def test_both_sides_are_dressed_alike() -> None:
    clothes = dressed()
    left, right = (at(clothes, clothes.light, x, 0.9) for x in (-0.9, 0.9))
    assert left == pytest.approx(right, rel=0.35)


def test_light_from_a_side_shows() -> None:
    clothes = dressed(sideways=0.5)
    left, right = (float(at(clothes, clothes.light, x, 0.5).mean()) for x in (-1.05, 1.05))
    assert right > 1.1 * left


def test_the_collar_shades_the_neck_it_touches() -> None:
    clothes = dressed()
    assert at(clothes, clothes.shade, 0.0, 0.05) > 0.9
    assert at(clothes, clothes.shade, 0.2, 0.19) < 0.9
    assert clothes.shade.min() > 0.4


def test_the_same_seed_draws_the_same_clothes() -> None:
    assert np.array_equal(dressed().light, dressed().light)


def test_clothes_are_as_soft_as_the_photo() -> None:
    sharp = dressed()
    blurred = sharp.softened(2.0)
    steps = [float(np.abs(np.diff(clothes.cover, axis=0)).max()) for clothes in (sharp, blurred)]
    assert steps[1] < 0.5 * steps[0]
    fine = [float(np.abs(np.diff(clothes.light, axis=0)).mean()) for clothes in (sharp, blurred)]
    assert fine[1] < 0.8 * fine[0]


def test_a_wearer_at_the_picture_s_side_is_dressed_too() -> None:
    for middle in (40.0, 760.0):
        rng = np.random.default_rng(1)
        clothes = tailored(FITTING, SUIT, Canvas.below((middle, 500.0), UNIT, rng), rng, 0.0)
        assert np.isfinite(clothes.light).all()
        assert clothes.cover[-1, int(middle)] > 0.99


def test_broad_necks_have_wide_collars() -> None:
    for neck in (0.31, 0.46):
        edge = neckline(neck)
        assert edge[0] == pytest.approx((neck + 0.012, -0.035))
        assert edge[-1] == pytest.approx((0.012, CLOSES_AT))


def test_a_lifted_shoulder_begins_at_the_same_collar() -> None:
    usual, lifted, broad = shoulder(0.38, 1.0), shoulder(0.38, 1.0, 0.1), shoulder(0.38, 1.08)
    assert lifted[0] == pytest.approx(usual[0])
    assert usual[-1, 1] - lifted[-1, 1] == pytest.approx(0.1)
    assert broad[0] == pytest.approx(usual[0])
    assert broad[-1, 0] == pytest.approx(1.08 * usual[-1, 0])


def test_each_shoulder_is_lifted_by_its_own() -> None:
    level, raised = dressed(), dressed(fitting=replace(FITTING, lifts=(0.0, 0.12)))
    for clothes, right in ((level, 0.0), (raised, 1.0)):
        assert at(clothes, clothes.cover, 0.9, 0.2) == pytest.approx(right, abs=0.02)
        assert at(clothes, clothes.cover, -0.9, 0.2) < 0.02


def test_a_placket_is_seen_without_a_tie_only() -> None:
    def line(clothes: Clothes) -> float:
        row, column = int(ORIGIN[1] + 0.65 * UNIT) - clothes.top, int(ORIGIN[0] + 0.052 * UNIT)
        across = clothes.light[row - 12 : row + 12, column - 15 : column + 16].mean(axis=(0, 2))
        return float(np.median(across) - across.min())

    assert line(dressed(replace(SUIT, tie=None))) > 0.03
    beside = dressed()
    row, column = int(ORIGIN[1] + 0.9 * UNIT) - beside.top, int(ORIGIN[0] + 0.2 * UNIT)
    assert np.ptp(beside.light[row - 12 : row + 12, column - 8 : column + 8].mean(axis=(0, 2))) < 0.08


def test_the_shirt_is_darker_beside_the_jacket_s_edge_and_never_on_it() -> None:
    clothes = dressed()
    row = int(ORIGIN[1] + 0.75 * UNIT) - clothes.top
    luma = clothes.light[row - 4 : row + 5].mean(axis=(0, 2))
    white = np.flatnonzero(luma > 0.3)
    edge = int(white.max())
    assert luma[edge + 8 : edge + 60].max() < 0.06, "no shirt on the jacket"
    assert luma[edge - 4 : edge].mean() < 0.9 * luma[edge - 30 : edge - 20].mean()


def test_a_sleeve_begins_at_a_dark_seam() -> None:
    clothes, pattern = dressed(), pattern_for(FITTING.neck, 1.0, (0.0, 0.0))
    at_seam = pattern.armhole[np.argmin(np.abs(pattern.armhole[:, 1] - 0.8))]
    row, column = (int(ORIGIN[axis] + at_seam[1 - (1 - axis)] * UNIT) for axis in (1, 0))
    band = clothes.light[row - clothes.top - 6 : row - clothes.top + 6].mean(axis=(0, 2))
    assert band[column - 3 : column + 4].min() < 0.85 * np.median(band[column - 40 : column - 15])


def test_a_broad_jacket_has_its_sleeves_farther_out() -> None:
    usual, broad = (pattern_for(0.38, breadth, (0.0, 0.0)).armhole for breadth in (1.0, 1.05))
    assert broad[:, 0] == pytest.approx(1.05 * usual[:, 0])


def test_between_hair_and_jacket_no_backdrop_shows() -> None:
    """Hair goes on behind a shoulder, wherever its line was drawn."""
    clothes = dressed()
    for way in (-1, 1):
        for x in np.linspace(0.5, 0.95, 8):
            column = int(ORIGIN[0] + way * x * UNIT)
            cover, shown = clothes.cover[:, column], clothes.shown[:, column]
            assert (cover + shown * (1 - cover))[: int(np.argmax(cover > 0.99)) + 1].min() > 0.97
