"""Light, folds, weave and shadows of cloth."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.presets.clothes.canvas import Canvas
from portraitd.engines.classic.presets.clothes.cloth import Cloth, dyed, laid, line_at
from portraitd.images import Floats, Mask


def cloth(sideways: float = 0.0) -> Cloth:
    rng = np.random.default_rng(3)
    return Cloth(Canvas.below((384.0, 700.0), 200.0, rng), rng, sideways)


def slope(across: float, down: float) -> Floats:
    """A form that rises so much a face width."""
    canvas = cloth().canvas
    return canvas.x * np.float32(across) + canvas.y * np.float32(down)


def middle(values: Floats) -> float:
    return float(values[100, 300])


@pytest.mark.parametrize("sideways", [0.0, 0.4])
@pytest.mark.parametrize("ambient", [0.2, 0.6])
def test_what_faces_the_camera_has_light_one(sideways: float, ambient: float) -> None:
    assert middle(cloth(sideways).lit(slope(0, 0), ambient)) == pytest.approx(1)


def test_light_comes_from_above() -> None:
    upwards, downwards = (middle(cloth().lit(slope(0, down), 0.4)) for down in (1.0, -1.0))
    assert upwards > 1 > downwards


def test_light_may_come_from_a_side() -> None:
    left, right = (middle(cloth(0.5).lit(slope(across, 0), 0.4)) for across in (0.6, -0.6))
    assert right > left + 0.2
    left, right = (middle(cloth().lit(slope(across, 0), 0.4)) for across in (0.6, -0.6))
    assert right == pytest.approx(left, abs=1e-4)


def test_the_more_comes_from_everywhere_the_flatter_it_is() -> None:
    hard, mild = (abs(middle(cloth().lit(slope(0, -0.8), ambient)) - 1) for ambient in (0.1, 0.9))
    assert mild < hard / 2


def test_folds_are_as_long_as_asked() -> None:
    made = cloth().folds(0.05, 0.4)
    assert made.std() == pytest.approx(1, abs=0.15)
    across, down = (float(np.abs(np.diff(made, axis=axis)).mean()) for axis in (1, 0))
    assert across > 3 * down


def test_weave_is_finer_than_any_fold_and_runs_diagonally() -> None:
    made = cloth().weave()
    assert made.std() == pytest.approx(1, abs=0.05)
    rising, falling = made[1:, :-1] * made[:-1, 1:], made[:-1, :-1] * made[1:, 1:]
    assert rising.mean() > falling.mean() + 0.2


def square() -> Mask:
    mask = np.zeros(cloth().canvas.shape, np.float32)
    mask[100:140, 300:360] = 1
    return mask


def test_a_shadow_falls_below_and_not_on_what_throws_it() -> None:
    left = cloth().shadow(square(), 0.05, 0.02, 0.5)
    assert left[100:140, 300:360].min() == 1
    assert left[143, 330] < 0.7
    assert left[97, 330] > 0.95
    assert left.min() >= 0.5
    assert left[300, 330] == pytest.approx(1)


def test_depth_is_in_face_widths() -> None:
    depth = cloth().depth(square())
    assert depth[120, 330] == pytest.approx(20 / 200, abs=0.01)
    assert depth[90, 330] == 0


def test_a_line_is_where_the_depth_says() -> None:
    line = line_at(np.array([[0.0, 0.1, 0.2, 0.9]], np.float32), 0.1, 0.05)
    assert line[0, 1] == pytest.approx(1)
    assert line[0, 0] == pytest.approx(line[0, 2])
    assert line[0, 3] < 1e-6


def test_cloth_is_laid_where_it_covers() -> None:
    under, over = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    cover = np.array([[0, 1], [0.25, 0.5]], np.float32)
    assert laid(under, over, cover)[..., 0] == pytest.approx(cover, abs=1e-4)


def test_dye_takes_light_and_shine_does_not() -> None:
    light = np.array([[0.5, 1.0]], np.float32)
    assert dyed((0.2, 0.4, 0.6), light)[0, 1] == pytest.approx((0.2, 0.4, 0.6))
    assert dyed((0.2, 0.4, 0.6), light, 0.1)[0, 0] == pytest.approx((0.2, 0.3, 0.4))
