"""Two grounds told apart by their colours, from a little of each."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.grabcut import foreground, window_around


def test_what_is_likely_is_settled_by_its_colours() -> None:
    """The window shows both; its answer is of the window, and the same each time."""
    image = np.full((60, 80, 3), (60, 90, 160), np.uint8)
    image[20:40, 30:50] = (200, 150, 120)
    image = np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    known = np.full((60, 80), cv2.GC_PR_BGD, np.uint8)
    known[23:43, 33:53] = cv2.GC_PR_FGD  # three pixels off
    known[:15], known[28:32, 38:42] = cv2.GC_BGD, cv2.GC_FGD
    window = np.s_[10:50, 20:60]
    found = foreground(image, known, window)
    wanted = np.zeros((40, 40), np.bool_)
    wanted[10:30, 10:30] = True
    assert (found != wanted).mean() < 0.01
    cv2.setRNGSeed(5)
    assert np.array_equal(foreground(image, known, window), found)
    assert (known[23:43, 33:53] != cv2.GC_PR_BGD).all(), "what was likely stays as it was"


@pytest.mark.parametrize(("reach", "rows", "columns"), [(0, (5, 8), (2, 4)), (3, (2, 10), (0, 7))])
def test_the_window_is_the_least_and_ends_with_the_picture(
    reach: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    flags = np.zeros((10, 20), np.bool_)
    flags[5, 2] = flags[7, 3] = True
    covered = np.zeros_like(flags)
    covered[window_around(flags, reach)] = True
    wanted = np.zeros_like(flags)
    wanted[slice(*rows), slice(*columns)] = True
    assert np.array_equal(covered, wanted)
