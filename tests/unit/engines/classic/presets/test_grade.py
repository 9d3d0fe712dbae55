"""Light, lens and development: the parts of the classic engine's presets that are plain functions."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face.skin import neutral_gains
from portraitd.engines.classic.presets.compose import merge
from portraitd.engines.classic.presets.grade import Grade, finish
from portraitd.engines.classic.presets.scenes.paint import CANVAS, colour, defocus, fractal


@pytest.mark.parametrize("radius", [4.0, 6.5, 9.0, 14.0])
def test_a_lens_keeps_all_light(radius: float) -> None:
    image = np.zeros((128, 128, 3), np.float32)
    image[64, 64] = 100
    blurred = defocus(image, radius)
    assert blurred.sum() == pytest.approx(image.sum(), rel=0.02)
    lit = blurred[..., 0] > 0.2 * blurred.max()
    assert lit.sum() == pytest.approx(np.pi * radius**2, rel=0.45)


def test_a_plain_grade_changes_nothing() -> None:
    codes = np.arange(256, dtype=np.uint8)
    linear = np.array([colour(f"#{c:02x}{c:02x}{c:02x}") for c in codes], np.float32)[None].repeat(4, axis=0)
    plain = finish(linear, Grade(grain=0), np.random.default_rng(0))
    below_the_shoulder = codes < 230
    assert np.abs(plain[0, below_the_shoulder, 0].astype(int) - codes[below_the_shoulder]).max() <= 1


def test_grain_is_grey_and_as_strong_as_asked() -> None:
    grey = np.full((200, 200, 3), colour("#808080"), np.float32)
    image = finish(grey, Grade(grain=3.0), np.random.default_rng(0)).astype(float)
    assert image[..., 0].std() == pytest.approx(3.0 * 1.4, rel=0.15)
    assert (np.ptp(image, axis=2) <= 1).all()


def test_skin_in_neutral_light_is_left_alone_and_orange_skin_is_not() -> None:
    neutral = np.array([0.75, 0.45, 0.33], np.float32)
    assert neutral_gains(neutral) == pytest.approx(np.ones(3), abs=0.01)
    orange = np.array([0.80, 0.36, 0.16], np.float32)
    mended = orange * neutral_gains(orange)
    assert mended[0] / mended[1] < orange[0] / orange[1]
    assert mended[2] / mended[1] > orange[2] / orange[1]
    luma = np.array([0.2126, 0.7152, 0.0722])
    assert mended @ luma == pytest.approx(orange @ luma, rel=1e-3)


def test_where_nobody_is_the_backdrop_is_untouched() -> None:
    rng = np.random.default_rng(2)
    person, backdrop = (rng.random((64, 48, 3), dtype=np.float32) for _ in range(2))
    alpha = np.zeros((64, 48), np.float32)
    alpha[20:, 10:30] = 1
    merged = merge(person, alpha, backdrop, wrap=0.4)
    assert (merged[alpha == 0] == backdrop[alpha == 0]).all()
    assert merge(person, alpha, backdrop, wrap=0.0)[alpha == 1] == pytest.approx(person[alpha == 1], abs=1e-6)


def test_noise_is_the_same_for_the_same_seed() -> None:
    first, second = (fractal(np.random.default_rng(3), 90, 6) for _ in range(2))
    assert (first == second).all()
    assert first.shape == (CANVAS.height, CANVAS.width)
    assert 0.35 < first.mean() < 0.65
