"""Shrinking averages: nothing aliases, nothing moves, and sizes come out as asked."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from portraitd.faces.shrink import shrunk


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_any_size_comes_out_as_asked(height: int, width: int, high: int, wide: int) -> None:
    small = shrunk(np.full((height, width, 3), 77, np.uint8), wide, high)
    assert small.shape == (high, wide, 3)
    assert (small == 77).all()


def test_lines_finer_than_a_pixel_become_grey() -> None:
    lines = np.zeros((1024, 768, 3), np.uint8)
    lines[:, ::2] = 255
    assert np.abs(shrunk(lines, 96, 128).astype(int) - 128).max() <= 2


def test_it_is_the_plain_average_within_a_step() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 6), np.uint8)
    plain = cv2.resize(smooth, (192, 144), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk(smooth, 192, 144).astype(int) - plain).max() <= 2


def test_an_odd_row_does_not_move_the_picture() -> None:
    ramp = np.repeat(np.linspace(0, 255, 1023).astype(np.uint8)[None, :, None], 801, axis=0).repeat(3, axis=2)
    middle = shrunk(ramp, 64, 50)[25, :, 0].astype(float)
    assert np.abs(middle - (np.arange(64) + 0.5) / 64 * 255).max() < 2
