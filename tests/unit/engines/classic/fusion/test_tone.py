"""Detail under another lamp: how its colour goes with its brightness."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.light import grey_of
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.fusion.place import Placement
from portraitd.engines.classic.fusion.tone import (
    MAX_TINT,
    MOST_SLOPE,
    SLOPE_SLACK,
    Sheet,
    _match_contrast,
    _slope,
    _toned,
    _two_lamps,
    relight,
)
from portraitd.engines.classic.looks import LOOKS
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

SIDE = 96
#: Darker is redder by so much: in daylight, and in the light of an evening.
DAY, EVENING = np.array([-0.2, 0.05, 0.15], np.float32), np.array([-0.6, 0.05, 0.55], np.float32)


POINTS = (mean_face().points[:, :2] * 40 + np.array([50, 40])).astype(np.float32)


def skin(reddening: Floats, seed: int = 1, strength: float = 0.12) -> Floats:
    """(h, w, 3) log light of spotted skin."""
    spots = np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    spots = cv2.GaussianBlur(spots, (0, 0), 1.5)
    grey = strength * spots / spots.std()
    return np.asarray(np.float32([-0.5, -0.9, -1.2]) + grey[:, :, None] * (1 + reddening), np.float32)


def place() -> Placement:
    ones = np.ones((SIDE, SIDE), np.float32)
    return Placement(ones, ones, ones, ones, ones)


def sheet(wanted: Floats, glare: float = 0.0) -> Sheet:
    """Of a template with this light, (h, w, 3), on its skin."""
    return Sheet(wanted, wanted, place(), 90.0, POINTS, None, glare)


def slope(lit: Floats) -> Floats:
    detail = lit - cv2.blur(lit, (15, 15))
    inner = np.s_[12:-12, 12:-12]
    return _slope(detail[inner].reshape(-1, 3), grey_of(detail)[inner].ravel())


def test_shadows_of_a_warm_photo_are_no_redder_than_the_templates() -> None:
    lit, wanted = skin(EVENING), skin(DAY, seed=2)
    found = slope(_match_contrast(lit, wanted, place(), 6.0, firm=0.0, most_tint=MAX_TINT[0]))
    assert slope(lit) == pytest.approx(EVENING, abs=0.02)
    assert np.abs(found - DAY).max() < SLOPE_SLACK + 0.04
    assert np.abs(EVENING - DAY).max() - SLOPE_SLACK < MOST_SLOPE


def test_as_much_as_photos_differ_anyway_stays() -> None:
    lit = skin(DAY + np.float32([-0.08, 0, 0.08]))
    found = _match_contrast(lit, skin(DAY, seed=2), place(), 6.0, firm=0.0, most_tint=MAX_TINT[0])
    assert slope(found) == pytest.approx(slope(lit), abs=0.02)


def test_brows_eyes_and_lips_keep_their_colours() -> None:
    """They are dark, but not in the shade."""
    features = np.ones((SIDE, SIDE), np.float32)
    features[40:56] = 0
    lit, wanted = skin(EVENING, strength=0.05), skin(DAY, seed=2, strength=0.05)
    spared = _match_contrast(lit, wanted, replace(place(), skin=features), 6.0, firm=0.0, most_tint=MAX_TINT[0])
    treated = _match_contrast(lit, wanted, place(), 6.0, firm=0.0, most_tint=MAX_TINT[0])
    row = np.s_[44:52, 12:-12]
    assert np.abs(treated - lit)[row].max() > 0.02
    assert np.abs(spared - lit)[row].max() < 0.005


def test_grey_details_have_no_slope() -> None:
    grey = np.linspace(-1, 1, 50, dtype=np.float32)
    assert _slope(np.repeat(grey[:, None], 3, axis=1), grey) == pytest.approx(0)
    assert _slope(np.zeros((50, 3), np.float32), np.zeros(50, np.float32)) == pytest.approx(0)


def test_far_from_all_that_is_trusted_the_mean_is_that_of_all_of_it() -> None:
    """In a beard's middle, where no skin is near; no light at all would be white."""
    values = np.full((80, 80, 3), -1.5, np.float32)
    values[20:60, 20:60] = -3.0
    trust = np.ones((80, 80), np.float32)
    trust[20:60, 20:60] = 0
    mean = skin_mean(values, trust, 3.0)
    assert mean[40, 40] == pytest.approx(-1.5, abs=0.05)
    assert mean[5, 5] == pytest.approx(-1.5, abs=0.01)
    assert skin_mean(values, np.zeros_like(trust), 3.0)[40, 40] == pytest.approx(0)


#: Log linear light: a ruddy face with a grey beard in its lower half, and templates whose skin is less red.
RUDDY, BEARD = np.float32([-0.6, -1.5, -1.9]), np.float32([-1.1, -1.16, -1.3])
FAIR, IN_GREEN_LIGHT = np.float32([-0.5, -0.9, -1.1]), np.float32([-0.9, -0.9, -1.1])


def bearded_in(template: Floats, beard: Floats = BEARD) -> tuple[Floats, Floats]:
    """(3,) each: the skin and the beard of a ruddy face in a template with this skin."""
    face = np.broadcast_to(RUDDY, (100, 100, 3)).copy()
    face[55:, 30:70] = beard
    skin = np.ones((100, 100), np.float32)
    skin[55:, 30:70] = 0
    ones = np.ones_like(skin)
    sheet = Sheet(
        face, np.broadcast_to(template, face.shape).copy(), Placement(ones, ones, ones, skin, ones), 90.0, POINTS, None
    )
    lit = relight(sheet, np.zeros((468, 3), np.float32), np.zeros_like(face), LOOKS[0])
    return lit[20:40, 40:60].mean(axis=(0, 1)), lit[75:85, 45:55].mean(axis=(0, 1))


def test_a_grey_beard_beside_ruddy_skin_does_not_turn_green() -> None:
    skin, beard = bearded_in(FAIR)
    assert skin[0] - skin[1] == pytest.approx(FAIR[0] - FAIR[1], abs=0.15)
    assert beard[0] - beard[1] > 0.04


def test_what_is_green_in_the_photo_stays_green() -> None:
    """A leaf-green spot, as eyes may be."""
    _, spot = bearded_in(FAIR, np.float32([-1.6, -1.2, -1.7]))
    assert spot[0] - spot[1] < -0.2


def test_nothing_gets_brighter_by_it() -> None:
    skin, beard = bearded_in(FAIR)
    bare_skin, bare_beard = bearded_in(IN_GREEN_LIGHT + (FAIR - IN_GREEN_LIGHT).mean())
    assert beard.mean() - skin.mean() == pytest.approx(bare_beard.mean() - bare_skin.mean(), abs=0.03)


def test_in_green_light_it_may() -> None:
    _, beard = bearded_in(IN_GREEN_LIGHT)
    assert beard[0] - beard[1] < -0.1


def lit_by(left: Floats, right: Floats) -> Floats:
    """(h, w, 3) log light of spotted skin whose halves two lamps light, going over softly into each other."""
    share = np.clip((np.arange(SIDE, dtype=np.float32) - SIDE / 2) / 16 + 0.5, 0, 1)[None, :, None]
    return np.asarray(skin(DAY) + left * (1 - share) + right * share, np.float32)


def unevenness(values: Floats) -> float:
    inner = np.s_[12:-12, 12:-12]
    tint = (values - grey_of(values)[:, :, None])[inner]
    return float(np.linalg.norm(tint.reshape(-1, 3).std(axis=0)))


AMBER, BLUE = np.array([0.25, 0.05, -0.5], np.float32), np.array([-0.3, 0.0, 0.5], np.float32)


def test_the_colours_of_two_lamps_leave_no_patches() -> None:
    lit, wanted = lit_by(AMBER, BLUE), skin(DAY, seed=2)
    assert unevenness(lit) > 0.4
    assert unevenness(_toned(lit, sheet(wanted), 0.0)) < unevenness(wanted) + 0.06


def test_skin_under_one_lamp_keeps_its_own_colours() -> None:
    spots = lit_by(AMBER, AMBER)
    spots[40:46, 30:36] += np.array([0.15, -0.1, -0.05], np.float32)  # a red spot
    found = _toned(spots, sheet(skin(DAY, seed=2)), 0.0)
    red = (found[..., 0] - found[..., 1])[38:48, 28:38]
    assert red.max() - np.median(red) > 0.1


def test_two_lamps_are_told_from_one() -> None:
    trust = np.ones((SIDE, SIDE), np.float32)
    for left, right, told in ((AMBER, BLUE, 1.0), (AMBER, AMBER, 0.0), (0.2 * AMBER, 0.2 * BLUE, 0.0)):
        tint = lit_by(left, right) - skin(DAY)
        assert _two_lamps(np.asarray(tint - grey_of(tint)[:, :, None], np.float32), trust) == told
    assert _two_lamps(np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.float32)) == 0


def test_under_two_lamps_specks_keep_little_of_their_colour() -> None:
    def blue_left(right: Floats) -> float:
        lit = lit_by(AMBER, right)
        lit[42:45, 20:23] += np.array([-0.5, 0.1, 0.6], np.float32)  # a blue speck
        found = _toned(lit, sheet(skin(DAY, seed=2)), 0.0)
        blue = (found[..., 2] - found[..., 0])[38:49, 16:27]
        return float(blue.max() - np.median(blue))

    assert blue_left(BLUE) < 0.5 * blue_left(AMBER)


def test_sun_on_part_of_a_face_leaves_no_patch() -> None:
    """Of an even photo as much stays as may be a cheek's own."""
    patch = cv2.GaussianBlur(np.pad(np.ones((28, 28), np.float32), 34), (0, 0), 3)
    sunny, wanted = skin(DAY) + 0.5 * patch[:, :, None], skin(DAY, seed=2)

    def left(glare: float) -> float:
        found = grey_of(_toned(sunny, sheet(wanted, glare), 0.0))
        return float(found[40:56, 40:56].mean() - found[:16].mean())

    assert left(0.0) > 0.3
    assert left(1.0) < 0.6 * left(0.0)
    assert left(1.0) < left(0.5) < left(0.0)


def test_sun_however_bright_and_warm_leaves_no_patch() -> None:
    patch = cv2.GaussianBlur(np.pad(np.ones((28, 28), np.float32), 34), (0, 0), 3)[:, :, None]
    sunny, wanted = skin(DAY) + 1.3 * patch + patch * np.float32([0.3, 0.0, -0.4]), skin(DAY, seed=2)
    left = [
        (found[40:56, 40:56] - found[:16, :16]).mean(axis=(0, 1))
        for found in (_toned(sunny, sheet(wanted, glare), 0.0) for glare in (0.0, 1.0))
    ]
    brighter, bluer = ([grey_of(one[None, None]).item() for one in left], [float(one[2] - one[0]) for one in left])
    assert brighter[1] < 0.35 * brighter[0]
    assert abs(bluer[1]) < 0.35 * abs(bluer[0])
