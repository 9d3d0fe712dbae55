"""The backdrop's tinge on the outline, on pictures whose true colours are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.faces.matte import estimate_foreground
from portraitd.faces.spill import without_spill
from portraitd.images import Image, Mask

SIDE, MIDDLE, RADIUS = 400, 200, 120
HAIR, BLUE, GREY = (84, 70, 60), (40, 80, 220), (128, 126, 127)


def disc(radius: float, softness: float) -> Mask:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.clip((radius - np.hypot(x - MIDDLE, y - MIDDLE)) / softness + 0.5, 0, 1).astype(np.float32)


def photographed(backdrop: tuple[int, int, int], person: Image | None = None) -> tuple[Image, Image, Mask]:
    """Picture, the person's true colours, matte: colours smeared over 4 px as a lens and compression do."""
    alpha, own = disc(RADIUS, 2), person if person is not None else np.full((SIDE, SIDE, 3), HAIR, np.uint8)
    picture = own * alpha[..., None] + np.array(backdrop) * (1 - alpha[..., None])
    brightness = picture @ np.array([0.299, 0.587, 0.114])
    smeared = cv2.GaussianBlur(picture, (0, 0), 2.0)
    smeared += (brightness - smeared @ np.array([0.299, 0.587, 0.114]))[..., None]
    return np.clip(np.rint(smeared), 0, 255).astype(np.uint8), own, alpha


def off(found: Image, own: Image, where: np.ndarray) -> float:
    return float(np.abs(found.astype(float) - own)[where].mean())


def test_a_blue_wall_leaves_no_blue_line_on_dark_hair() -> None:
    picture, own, alpha = photographed(BLUE)
    outline = (alpha > 0.995) & (disc(RADIUS - 4, 0.01) == 0)
    found = estimate_foreground(picture, alpha)
    assert off(picture, own, outline) > 8
    assert off(found, own, outline) < 0.5 * off(picture, own, outline)


def test_beyond_the_outline_nothing_changes() -> None:
    picture, _, alpha = photographed(BLUE)
    deep = disc(RADIUS - 14, 0.01) > 0
    assert (without_spill(picture, picture, alpha)[deep] == picture[deep]).all()


def test_less_and_less_is_taken_out_inwards() -> None:
    """A step where it ends would be a line."""
    alpha, tinged = disc(RADIUS, 2), np.full((SIDE, SIDE, 3), HAIR, np.float32)
    ring = disc(RADIUS + 20, 0.01) - disc(RADIUS - 5, 0.01)
    tinged += 0.4 * ring[..., None] * (np.float32(BLUE) - tinged)
    person = np.rint(tinged).astype(np.uint8)
    photo = np.rint(person * alpha[..., None] + np.float32(BLUE) * (1 - alpha[..., None])).astype(np.uint8)
    row = without_spill(person, photo, alpha)[MIDDLE].astype(int) - person[MIDDLE]
    taken = -row[MIDDLE + RADIUS - 6 : MIDDLE + RADIUS, 2]
    assert (np.diff(taken) >= 0).all()
    assert len({*taken}) >= 4
    assert taken[-1] > 30


def test_brightness_stays() -> None:
    picture, _, alpha = photographed(BLUE)
    found = without_spill(picture, picture, alpha)
    luma = np.array([0.299, 0.587, 0.114])
    free = (picture.min(axis=2) > 30) & (found.min(axis=2) > 0) & (alpha > 0.5)
    assert np.abs(found[free] @ luma - picture[free] @ luma).max() < 1.5


def test_a_grey_wall_tinges_nothing() -> None:
    picture, _, alpha = photographed(GREY)
    assert without_spill(picture, picture, alpha) is picture


def test_a_picture_without_backdrop_is_left_alone() -> None:
    picture, _, _ = photographed(BLUE)
    whole = np.ones((SIDE, SIDE), np.float32)
    assert without_spill(picture, picture, whole) is picture


def test_clothes_of_the_backdrop_s_colour_keep_it() -> None:
    picture, own, alpha = photographed(BLUE, np.full((SIDE, SIDE, 3), (60, 90, 200), np.uint8))
    assert off(without_spill(picture, picture, alpha), own, alpha > 0.9) <= off(picture, own, alpha > 0.9) + 0.5


@pytest.mark.parametrize("size", [(16, 16), (17, 300), (1, 40)])
def test_small_pictures_do_not_fail(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    alpha = np.random.default_rng(2).uniform(0, 1, size).astype(np.float32)
    assert without_spill(picture, picture, alpha).shape == picture.shape
