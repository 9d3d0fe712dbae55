"""How the person's own light becomes neutral and well exposed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.face.skin import neutral_gains, skin_light
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.exposure import RED_CUT_OFF, exposed, exposure_gain, person_light
from portraitd.images import Floats, to_linear
from tests.fakes import heads

Colour = tuple[int, int, int]

#: Skin in a warm lamp's light, white in it, and where things are.
WARM, WARM_WHITE = (232, 150, 104), (250, 214, 178)
LUMA = np.array([0.2126, 0.7152, 0.0722])
CHEEK, FOREHEAD, COLLAR, HAIR = np.s_[190:196, 150:160], np.s_[100:110, 190:210], np.s_[330:360, 20:380], np.s_[:40]


def head(skin: Colour = WARM, collar: Colour | None = None, forehead: Colour | None = None) -> Cutout:
    """A head of this skin with black hair, a collar below it and a lit forehead."""
    picture = heads.head()
    for own in (heads.SKIN, heads.LIPS):
        picture[(picture == own).all(axis=2)] = skin
    picture[HAIR] = 8
    for spot, colour in ((COLLAR, collar), (FOREHEAD, forehead)):
        if colour is not None:
            picture[spot] = colour
    return Cutout(picture, np.ones(picture.shape[:2], np.float32), heads.MESH.points, 1.0)


def linear_of(colour: Colour) -> Floats:
    return to_linear(np.array([[colour]], np.uint8))[0, 0]


def colour_in(light: Floats, spot: tuple[slice, slice]) -> Floats:
    return np.asarray(np.median(light[spot].reshape(-1, 3), axis=0), np.float32)


def test_warm_light_is_taken_off_skin() -> None:
    skin, lit = linear_of(WARM), colour_in(person_light(head()), CHEEK)
    assert lit[0] / lit[1] < 0.9 * skin[0] / skin[1]
    assert lit[2] / lit[1] > 1.1 * skin[2] / skin[1]


@pytest.mark.parametrize("collar", [(240, 240, 240), (250, 244, 236)])
def test_a_collar_that_is_white_turns_blue_by_half_of_it_at_most(collar: Colour) -> None:
    red, _, blue = colour_in(person_light(head(collar=collar)), COLLAR)
    plain, gains = linear_of(collar), neutral_gains(linear_of(WARM))
    assert blue / red < (plain[2] / plain[0]) * (gains[2] / gains[0]) ** 0.5


@pytest.mark.parametrize("collar", [WARM_WHITE, (60, 60, 120)])
def test_a_collar_in_the_lamp_s_light_says_nothing_against_it(collar: Colour) -> None:
    with_it, without = (colour_in(person_light(cutout), CHEEK) for cutout in (head(collar=collar), head()))
    assert with_it == pytest.approx(without, rel=0.02)


def test_white_behind_the_person_says_nothing() -> None:
    """The matte leaves it out: a white wall may be lit by another lamp."""
    wall, without = head(collar=(240, 240, 240)), head()
    wall.alpha[COLLAR] = 0
    assert colour_in(person_light(wall), CHEEK) == pytest.approx(colour_in(person_light(without), CHEEK), rel=0.02)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.6])
def test_a_matte_that_is_sure_of_nobody_breaks_nothing(alpha: float) -> None:
    for skin in (WARM, (150, 110, 92)):
        faint = replace(head(skin), alpha=np.full((400, 400), alpha, np.float32))
        lit = person_light(faint)
        assert np.isfinite(lit).all()
        assert np.isfinite(exposed(lit, faint, 0.44)).all()


@pytest.mark.parametrize("skin", [(0, 90, 0), (90, 0, 0), (0, 0, 0)])
def test_skin_without_a_colour_breaks_nothing(skin: Colour) -> None:
    assert np.isfinite(person_light(head(skin))).all()


def test_a_black_and_white_photo_stays_so() -> None:
    grey = replace(head(), colours=np.repeat(head().colours[:, :, :1], 3, axis=2))
    assert np.ptp(person_light(grey), axis=2).max() < 1e-6


def test_an_underexposed_photo_is_lifted_and_its_white_still_is_white() -> None:
    dim = head((80, 58, 48), collar=(120, 120, 120))
    light = person_light(dim)
    assert colour_in(light, COLLAR).max() > 0.35 > 1.5 * linear_of((120, 120, 120)).max()
    bright = light * np.float32(3.2)  # as a photo is that was lifted for its face's sake
    white = colour_in(bright, COLLAR)
    assert white.min() > 1.1
    assert exposure_gain(bright, dim, 0.44) > 1.2
    assert colour_in(exposed(bright, dim, 0.44), COLLAR) == pytest.approx(white, rel=0.05)


def test_a_forehead_whose_red_is_cut_off_stays_skin() -> None:
    """Twice as bright as the rest: its red can't be."""
    lit = person_light(head(forehead=(255, 205, 144)))
    skin, spot = colour_in(lit, CHEEK), colour_in(lit, FOREHEAD)
    assert linear_of((255, 0, 0))[0] > RED_CUT_OFF[1]
    assert spot[0] / spot[1] == pytest.approx(skin[0] / skin[1], rel=0.1)
    assert spot[1] > 1.5 * skin[1]


def test_white_whose_red_is_cut_off_stays_white() -> None:
    red, green, _ = colour_in(person_light(head(collar=(255, 236, 200))), COLLAR)
    assert red == pytest.approx(green, rel=0.12)


def test_what_is_red_stays_red() -> None:
    red, green, _ = colour_in(person_light(head(collar=(255, 40, 30))), COLLAR)
    assert red > 20 * green


def test_a_face_made_brighter_keeps_its_white_and_its_modelling() -> None:
    cutout = head((150, 110, 92), collar=(255, 255, 255), forehead=(236, 218, 208))
    light = to_linear(cutout.colours)
    gain, lit = exposure_gain(light, cutout, 0.44), exposed(light, cutout, 0.44)
    assert gain > 1.3
    assert colour_in(lit, COLLAR) == pytest.approx(1, abs=0.02)
    assert colour_in(light, FOREHEAD).max() * gain > 1, "by the gain alone it would be cut off"
    assert colour_in(lit, FOREHEAD).max() < 0.95
    assert skin_light(lit, cutout.points) @ LUMA > 1.2 * skin_light(light, cutout.points) @ LUMA
    order = np.argsort(light, axis=None)
    assert (np.diff(lit.reshape(-1)[order]) >= 0).all(), "what was brighter still is"


def test_a_face_made_darker_is_only_that() -> None:
    cutout = head((250, 214, 196))
    light = to_linear(cutout.colours)
    gain = exposure_gain(light, cutout, 0.3)
    assert gain < 1
    assert exposed(light, cutout, 0.3) == pytest.approx(light * gain, rel=1e-5)
