"""Tone at the rim, sharpness and grain: each is found as it was made, and matched within bounds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portraitd.engines.classic.face.finish import (
    add_grain,
    bands,
    grain_of,
    middle,
    sharpened,
    sharpening_for,
    spread_inward,
)
from portraitd.images import Floats, Image, Mask

WHOLE: Mask = np.ones((96, 96), np.float32)
#: So wide would a face be whose finest details are as large as the blots' edges.
FACE_PX = 200.0


def blots(blur_px: float, seed: int = 1) -> Floats:
    """(96, 96, 3) grey blots in [0, 1] with edges that soft."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (96, 96)), (0, 0), 5)
    soft = cv2.GaussianBlur(np.where(noise > 0, 0.8, 0.3), (0, 0), blur_px)
    return np.asarray(soft[:, :, None].repeat(3, axis=2), np.float32)


def codes(image: Floats) -> Image:
    return np.asarray(np.rint(image * 255), np.uint8)


def grey(image: Floats | Image) -> Mask:
    """(H, W) from 0 to 255 of a grey picture."""
    return (image if image.dtype == np.uint8 else 255 * image)[:, :, 0].astype(np.float32)


def matched(image: Floats, target: Mask) -> Image:
    return sharpened(codes(image), sharpening_for(grey(image), target, WHOLE, FACE_PX), FACE_PX)


def sharpness(luma: Mask) -> float:
    fine, broad = bands(luma, WHOLE, FACE_PX)
    return fine / broad


class TestSpreadInward:
    @staticmethod
    def frame(size: tuple[int, int] = (70, 90)) -> Mask:
        weight = np.zeros(size, np.float32)
        weight[:3] = weight[-3:] = 1
        weight[:, :3] = weight[:, -3:] = 1
        return weight

    def test_values_of_full_weight_stay(self) -> None:
        values = np.random.default_rng(0).random((70, 90, 3)).astype(np.float32)
        spread = spread_inward(values, self.frame())
        known = self.frame() == 1
        assert np.allclose(spread[known], values[known], atol=1e-5)

    @given(st.floats(-5, 5))
    @settings(max_examples=20)
    def test_a_constant_stays_constant(self, value: float) -> None:
        values = np.full((70, 90, 2), value, np.float32)
        values[30:40, 30:40] = 99  # unknown there, and so ignored
        assert np.allclose(spread_inward(values, self.frame()), value, atol=1e-3)

    def test_what_is_unknown_is_ignored_even_when_it_is_wild(self) -> None:
        """Between a dark left and a bright right edge the values rise, and never leave the range of the edges."""
        values = np.full((70, 90, 1), 1e3, np.float32)
        values[:, :3], values[:, -3:] = -1, 1
        weight = np.zeros((70, 90), np.float32)
        weight[:, :3] = weight[:, -3:] = 1
        row = spread_inward(values, weight)[35, :, 0]
        assert row.min() >= -1.001
        assert row.max() <= 1.001
        assert row[20] < row[45] < row[70]
        assert abs(row[45]) < 0.2

    @given(st.integers(1, 40), st.integers(1, 40))
    @settings(max_examples=25)
    def test_any_size_will_do(self, height: int, width: int) -> None:
        spread = spread_inward(np.ones((height, width, 3), np.float32), np.full((height, width), 0.5, np.float32))
        assert spread.shape == (height, width, 3)
        assert np.allclose(spread, 1, atol=1e-3)


class TestSharpness:
    def test_a_softer_picture_has_less_fine_detail_for_its_broad_detail(self) -> None:
        found = [sharpness(grey(blots(blur))) for blur in (0.5, 1.0, 2.0, 4.0)]
        assert found == sorted(found, reverse=True)

    def test_contrast_plays_no_part_in_it(self) -> None:
        assert sharpness(0.3 * grey(blots(1))) == pytest.approx(sharpness(grey(blots(1))), rel=1e-3)

    def test_a_flat_picture_has_no_detail(self) -> None:
        assert bands(np.full((96, 96), 90, np.float32), WHOLE, FACE_PX) == pytest.approx((0, 0), abs=1)

    @pytest.mark.parametrize("target_blur", [1.0, 1.5, 2.5])
    def test_a_sharp_picture_is_blurred_to_the_targets_sharpness(self, target_blur: float) -> None:
        target = grey(blots(target_blur))
        assert sharpness(grey(matched(blots(0.5), target))) == pytest.approx(sharpness(target), rel=0.2)

    def test_a_soft_picture_is_sharpened_but_not_past_the_target(self) -> None:
        soft, target = blots(1.6), grey(blots(1.3))
        before, after, wanted = (sharpness(x) for x in (grey(soft), grey(matched(soft, target)), target))
        assert before * 1.02 < after <= wanted * 1.02

    def test_sharpening_is_bounded(self) -> None:
        """A hopelessly soft picture does not get halos."""
        soft = blots(4)
        sharp = matched(soft, grey(blots(0.3)))
        assert np.abs(sharp.astype(int) - codes(soft)).max() < 20
        assert sharp.max() < codes(soft).max() + 20

    def test_strong_features_do_not_make_a_soft_picture_gritty(self) -> None:
        """As sharp as the target for its contrast would be much more detail than the target has."""
        strong, faint = blots(1.8), 0.3 * grey(blots(1.0))
        result, before = (bands(x, WHOLE, FACE_PX)[0] for x in (grey(matched(strong, faint)), grey(strong)))
        assert before > 1.3 * bands(faint, WHOLE, FACE_PX)[0]
        assert result == pytest.approx(before, rel=0.02)

    def test_an_equally_sharp_picture_is_left_alone(self) -> None:
        image = blots(1.2)
        assert np.abs(matched(image, grey(image)).astype(int) - codes(image)).max() <= 1

    def test_only_the_mask_is_compared(self) -> None:
        left = WHOLE.copy()
        left[:, 48:] = 0
        target = grey(blots(2)).copy()
        target[:, 70:] = 255 * np.random.default_rng(0).random((96, 26))
        everywhere = sharpening_for(grey(blots(0.5)), grey(blots(2)), left, FACE_PX)
        assert sharpening_for(grey(blots(0.5)), target, left, FACE_PX) == pytest.approx(everywhere, abs=0.1)

    def test_a_flat_picture_stays_flat(self) -> None:
        flat = np.full((96, 96, 3), 0.5, np.float32)
        assert np.ptp(matched(flat, grey(blots(1)))) == 0

    def test_the_middle_of_a_mask_lies_in_it(self) -> None:
        mask = np.zeros((400, 300), bool)
        mask[200:380, 30:210] = True
        rows, columns = middle(mask, 64)
        assert mask[rows, columns].all()
        assert mask[rows, columns].shape == (64, 64)


class TestGrain:
    @pytest.mark.parametrize("deviation", [0.005, 0.02, 0.05])
    def test_the_deviation_of_white_noise_is_found(self, deviation: float) -> None:
        rng = np.random.default_rng(2)
        ramp = np.tile(np.linspace(0.3, 0.6, 96), (96, 1))
        luma = np.asarray(ramp + rng.normal(0, deviation, ramp.shape), np.float32)
        assert grain_of(luma, WHOLE) == pytest.approx(deviation, rel=0.2)

    def test_edges_are_no_grain(self) -> None:
        assert grain_of(blots(1.0)[:, :, 0], WHOLE) < 0.004

    def test_an_area_too_small_to_tell_has_none(self) -> None:
        tiny = np.zeros((96, 96), np.float32)
        tiny[:7, :7] = 1
        assert grain_of(np.random.default_rng(0).random((96, 96)).astype(np.float32), tiny) == 0.0

    def test_grain_is_as_strong_as_asked_grey_and_from_the_generator_alone(self) -> None:
        flat = np.full((96, 96, 3), 0.5, np.float32)
        grainy = add_grain(flat, 0.03, np.random.default_rng(5))
        added = grainy - flat
        assert added[:, :, 0].std() == pytest.approx(0.03, rel=0.02)
        assert abs(added.mean()) < 0.003
        assert np.ptp(added, axis=2).max() < 1e-6
        assert np.array_equal(grainy, add_grain(flat, 0.03, np.random.default_rng(5)))
        assert not np.array_equal(grainy, add_grain(flat, 0.03, np.random.default_rng(6)))
        assert (flat == 0.5).all()

    def test_no_grain_changes_nothing(self) -> None:
        flat = np.full((96, 96, 3), 0.5, np.float32)
        assert np.array_equal(add_grain(flat, 0.0, np.random.default_rng(5)), flat)
