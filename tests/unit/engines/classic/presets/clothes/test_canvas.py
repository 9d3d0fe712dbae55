"""Where outlines in face widths come to lie on the portrait."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.presets.clothes.canvas import WAVER, Canvas
from portraitd.engines.classic.presets.clothes.pattern import curve, mirrored
from portraitd.engines.classic.presets.framing import PORTRAIT

SQUARE = np.array([(-0.5, 0.2), (0.5, 0.2), (0.5, 1.2), (-0.5, 1.2)], np.float32)


def canvas(unit: float = 200.0, origin: tuple[float, float] = (384.0, 600.0), waver: float = 0.0) -> Canvas:
    made = Canvas.below(origin, unit, np.random.default_rng(1))
    made.waves[:, 4:] *= waver
    return made


def test_it_goes_from_above_the_chin_to_the_portrait_s_end() -> None:
    made = canvas()
    assert made.top == 550
    assert made.shape == (PORTRAIT.height - 550, PORTRAIT.width)
    assert canvas(origin=(384.0, 10.0)).top == 0
    assert canvas(origin=(384.0, 2000.0)).shape[0] == 8


def test_its_grid_is_in_face_widths() -> None:
    made = canvas()
    assert made.x[0, 384] == pytest.approx(0)
    assert made.x[7, 584] == pytest.approx(1)
    assert made.y[600 - made.top, 3] == pytest.approx(0)
    assert made.y[700 - made.top, 0] == pytest.approx(0.5)
    assert made.x.shape == made.y.shape == made.shape


def test_a_mask_lies_where_its_outline_does() -> None:
    made, (y, x) = canvas(), np.nonzero(canvas().mask(SQUARE) > 0.5)
    assert (x.min(), x.max()) == pytest.approx((284, 484), abs=1)
    assert (y.min() + made.top, y.max() + made.top) == pytest.approx((640, 840), abs=1)
    assert made.mask(SQUARE).sum() == pytest.approx(200 * 200, rel=0.02)
    assert np.average(np.arange(made.width), weights=made.mask(SQUARE).sum(axis=0)) == pytest.approx(384, abs=0.3)


def test_part_of_it_shows_the_same() -> None:
    made = canvas(waver=1.0)
    part = made.middle(0.3)
    assert part.width == pytest.approx(120, abs=1)
    assert part.shape[0] == made.shape[0]
    assert np.abs(part.mask(SQUARE) - made.mask(SQUARE)[:, part.columns])[:, 4:-4].max() < 0.02
    assert np.allclose(part.x, made.x[:, part.columns])
    assert np.array_equal(part.y, made.y[:, part.columns])


@pytest.mark.parametrize("at", [-300.0, 20.0, 750.0, 1100.0])
def test_a_wearer_at_the_portrait_s_edge_leaves_some_of_it(at: float) -> None:
    part = canvas(origin=(at, 600.0)).middle(0.3)
    assert part.width >= 8
    assert part.left >= 0
    assert part.left + part.width <= PORTRAIT.width


def test_nothing_is_quite_straight() -> None:
    straight, wavering = canvas().mask(SQUARE), canvas(waver=1.0).mask(SQUARE)
    off = np.abs(straight - wavering)
    assert off.sum() > 200
    reach = round(4 * WAVER * 200)
    assert off[150 + reach : 250 - reach, 284 + reach : 484 - reach].max() == 0


def test_a_pair_is_an_outline_and_its_mirror_image() -> None:
    made, right = canvas(), SQUARE * 0.5 + np.array([0.6, 0.2], np.float32)
    both = made.pair(right)
    assert np.allclose(both, np.maximum(made.mask(right), made.mask(mirrored(right))))
    assert both[:, 384:].sum() == pytest.approx(both[:, :384].sum(), rel=0.03)


def test_a_curve_goes_through_its_knots() -> None:
    knots = ((0.0, 0.0), (1.0, 2.0), (3.0, 1.0))
    points = curve(*knots)
    for knot in knots:
        assert np.linalg.norm(points - np.array(knot), axis=1).min() < 1e-6
    assert points[0] == pytest.approx(knots[0])
    assert points[-1] == pytest.approx(knots[-1])
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps.max() < 0.35


def test_half_as_fine_it_shows_the_same_place() -> None:
    made = canvas(waver=1.0)
    half = made.halved()
    assert half.shape == (made.shape[0] // 2, made.shape[1] // 2)
    small = made.mask(SQUARE).reshape(half.shape[0], 2, half.shape[1], 2).mean(axis=(1, 3))
    assert np.abs(half.mask(SQUARE) - small).mean() < 0.002
    assert half.x[3, 100] == pytest.approx(made.x[6, 200:202].mean(), abs=1e-4)
    assert half.y[50, 0] == pytest.approx(made.y[100:102, 0].mean(), abs=1e-4)
