"""Light and sharpness of a face, against faces made with known ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.faces.light import measure_light
from portraitd.faces.look import CROP_PX, FaceCrop, average_looks, part_likeness, parts
from portraitd.faces.shape import mean_face
from portraitd.faces.sharpness import blur_share
from portraitd.images import Image, from_linear


def crop_of(image: Image) -> FaceCrop:
    """The mean face laid over a picture of CROP_PX a side."""
    points = mean_face().points[:, :2]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    scale = 0.8 * CROP_PX / float(np.ptp(points, axis=0).max())
    return FaceCrop(image, ((points - middle) * scale + CROP_PX / 2).astype(np.float32))


def blots(blur_x_px: float, blur_y_px: float) -> Image:
    """Hard-edged blots, then blurred."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (CROP_PX, CROP_PX)), (0, 0), 12)
    hard = np.where(noise > 0, 190.0, 60.0)
    soft = cv2.GaussianBlur(hard, (0, 0), sigmaX=blur_x_px, sigmaY=blur_y_px)
    return np.rint(soft).astype(np.uint8)[..., None].repeat(3, axis=2)


@pytest.mark.parametrize("sigma_px", [1.5, 2.5, 4.0])
def test_the_blur_measured_is_the_blur_made(sigma_px: float) -> None:
    crop = crop_of(blots(sigma_px, sigma_px))
    assert blur_share(crop) * crop.face_px == pytest.approx(sigma_px, rel=0.2)


def test_blur_does_not_depend_on_contrast() -> None:
    strong = blots(2.5, 2.5)
    weak = (strong * 0.3 + 90).astype(np.uint8)
    assert blur_share(crop_of(weak)) == pytest.approx(blur_share(crop_of(strong)), rel=0.1)


def test_the_direction_that_is_blurred_most_decides() -> None:
    shaken = crop_of(blots(4.0, 0.8))
    assert blur_share(shaken) * shaken.face_px == pytest.approx(4.0, rel=0.3)


def test_a_picture_without_edges_is_blurred_but_no_error() -> None:
    assert blur_share(crop_of(np.full((CROP_PX, CROP_PX, 3), 128, np.uint8))) > 0.03


def test_light_from_one_side_is_measured_in_linear_light() -> None:
    linear = np.full((CROP_PX, CROP_PX, 3), 0.6, np.float32)
    linear[:, : CROP_PX // 2] = 0.15
    light = measure_light(crop_of(from_linear(linear)))
    assert light.side_ratio == pytest.approx(4.0, rel=0.05)
    assert (light.burnt_share, light.black_share) == (0.0, 0.0)


@pytest.mark.parametrize(("level", "burnt", "black"), [(255, 1.0, 0.0), (5, 0.0, 1.0), (128, 0.0, 0.0)])
def test_burnt_and_black_skin_is_counted(level: int, burnt: float, black: float) -> None:
    light = measure_light(crop_of(np.full((CROP_PX, CROP_PX, 3), level, np.uint8)))
    assert (light.burnt_share, light.black_share) == (burnt, black)
    assert light.luma_low == light.luma_middle == light.luma_high == light.luma_mean == level


def test_looks_have_the_sizes_of_their_parts() -> None:
    looks = average_looks()
    assert set(looks) == set(parts())
    for name, part in parts().items():
        assert looks[name].shape[1:] == (part.size.height, part.size.width)
        assert np.linalg.norm(looks[name], axis=(1, 2)) == pytest.approx(1.0, abs=1e-5)


def test_a_blank_face_is_like_nothing() -> None:
    likeness = part_likeness(crop_of(np.full((CROP_PX, CROP_PX, 3), 128, np.uint8)))
    assert likeness.keys() == parts().keys()
    assert max(abs(value) for value in likeness.values()) < 0.2
