"""What enlarging a small photo must and must not do."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.enlarge import flow, hair_mask, noise_of, strand_noise, textured
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Image, Mask, Points

SKIN, HAIR, SUIT = (205, 165, 140), (60, 45, 38), (40, 42, 50)


def _person(hair: tuple[int, int, int] = HAIR) -> tuple[Image, Mask, Points]:
    """A drawn head and shoulders of 480 x 480 px: colours, matte, mesh."""
    mean = mean_face().points
    points = ((mean - mean.mean(axis=0)) * 75 + (240, 220, 0)).astype(np.float32)
    oval = np.rint(points[list(regions.FACE_OVAL), :2]).astype(np.int32)
    centre, width = oval.mean(axis=0).astype(int).tolist(), int(np.ptp(oval[:, 0]))
    top = int(oval[:, 1].min())
    image = np.full((480, 480, 3), SUIT, np.uint8)
    alpha = np.zeros((480, 480), np.float32)
    cv2.rectangle(alpha, (60, int(oval[:, 1].max()) + 50), (420, 480), 1.0, -1)
    cv2.rectangle(image, (200, centre[1]), (280, int(oval[:, 1].max()) + 50), SKIN, -1)
    cv2.rectangle(alpha, (200, centre[1]), (280, 480), 1.0, -1)
    for canvas, value in ((image, hair), (alpha, 1.0)):
        cv2.ellipse(canvas, (centre[0], top + 20), (int(0.62 * width), 60), 0, 0, 360, value, -1)
    cv2.fillPoly(image, [oval], SKIN)
    cv2.fillPoly(alpha, [oval], 1.0)
    return image, alpha, points


def test_hair_is_found_and_neither_skin_nor_a_dark_suit_is() -> None:
    image, alpha, points = _person()
    mask = hair_mask(image, alpha, points)
    top = int(points[regions.FOREHEAD_TOP, 1])
    assert mask[top - 25, 240] > 0.8
    assert mask[int(points[regions.NOSE_TIP, 1]), 240] < 0.05
    assert mask[460, 100:380].max() < 0.05


def test_a_bald_head_has_no_hair() -> None:
    assert hair_mask(*_person(hair=SKIN)).max() == 0


def test_strands_follow_the_hair() -> None:
    stripes = np.tile(np.sin(np.arange(240, dtype=np.float32) / 3)[:, None] * 60 + 120, (1, 240)).astype(np.float32)
    u, v, firm = flow(stripes, 4.0)
    assert np.abs(u[40:-40, 40:-40]).min() > 0.95
    assert firm[40:-40, 40:-40].min() > 0.5
    noise = strand_noise(np.random.default_rng(0), u, v)
    inner = noise[40:-40, 40:-40]
    assert np.abs(np.diff(inner, axis=1)).mean() < 0.3 * np.abs(np.diff(inner, axis=0)).mean()


def test_texture_keeps_the_person_and_is_the_same_each_time() -> None:
    image, alpha, points = _person()
    first, second = (textured(image, alpha, points, 4.0) for _ in range(2))
    assert (first.colours == second.colours).all()
    assert (first.alpha == second.alpha).all()
    assert abs(float(first.colours.mean()) - float(image.mean())) < 1
    assert abs(float(first.alpha.sum()) / float(alpha.sum()) - 1) < 0.02


def test_a_photo_as_large_as_the_portrait_is_left_alone() -> None:
    image, alpha, points = _person()
    same = textured(image, alpha, points, 1.0)
    assert same.colours is image
    assert same.alpha is alpha


def test_noise_is_measured() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((200, 200, 3), 120, np.float32)
    for deviation in (2.0, 6.0):
        grey = rng.normal(0, deviation, (200, 200, 1))
        noisy = np.clip(np.rint(flat + grey), 0, 255).astype(np.uint8)
        assert abs(noise_of(noisy) / deviation - 1) < 0.2


def test_black_and_white_is_told_from_pale_colour() -> None:
    image, alpha, points = _person()
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert Cutout(grey, alpha, points, 1.0).is_grey()
    assert not Cutout(image, alpha, points, 1.0).is_grey()
