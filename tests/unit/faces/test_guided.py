"""A small mask drawn along its picture."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.faces.guided import Guidance, drawn_along

GUIDANCE = Guidance(window_px=5, smoothness=1e-3, averaged_px=5)


@pytest.mark.parametrize("size", [(200, 160), (97, 131)])
def test_an_edge_comes_to_lie_where_the_picture_has_it(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.full((height, width, 3), 40, np.uint8)
    edge = round(0.43 * width)
    picture[:, edge:] = 200
    columns = (np.arange(width // 8) + 0.5) * width / (width // 8)
    small = np.tile(np.clip((columns - edge) / 16 + 0.5, 0, 1), (height // 8, 1)).astype(np.float32)
    found = drawn_along(small, picture, GUIDANCE)
    assert found.shape == size
    assert found.dtype == np.float32
    inner = found[height // 4 : -height // 4]
    assert np.abs(inner[:, : edge - 24]).max() < 0.1
    assert np.abs(inner[:, edge + 24 :] - 1).max() < 0.1
    assert (inner[:, edge + 1 : edge + 4] - inner[:, edge - 4 : edge - 1]).min() > 0.6, "sharper than the mask was"


def test_in_a_plain_picture_it_is_the_mask_smoothed() -> None:
    picture = np.full((80, 80, 3), 90, np.uint8)
    small = np.zeros((20, 20), np.float32)
    small[:, 10:] = 1
    found = drawn_along(small, picture, GUIDANCE)
    assert found[40, 10] == pytest.approx(0, abs=0.01)
    assert found[40, 70] == pytest.approx(1, abs=0.01)
    assert 0.3 < found[40, 40] < 0.7
