"""A scene's light on the person, what flies before it, and the finish: each part does what its figure says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.presets import particles
from portraitd.engines.classic.presets.compose import Light, relight
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.grade import LUMA, Grade, finish
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

HEIGHT, WIDTH = 256, 192
#: No key, no rim, nothing of the backdrop: light as it is.
EVEN = Light(90.0, 0.0, (1.0, 1.0, 1.0), 0.0, 90.0, (1.0, 1.0, 1.0), 0.3, ambient=0.0, soft=0.0, haze=0.0)
PLAIN = Grade(grain=0.0)


def person(shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Cutout:
    height, width = shape
    points = (mean_face().points * width / 5 + np.array([width / 2, height * 0.4, 0])).astype(np.float32)
    alpha = np.zeros(shape, np.float32)
    alpha[height // 4 :, width // 4 : -width // 4] = 1
    return Cutout(np.full((*shape, 3), 150, np.uint8), alpha, points, 1.0)


def plane(*colour: float) -> Floats:
    return np.full((HEIGHT, WIDTH, 3), colour, np.float32)


def test_light_that_asks_for_nothing_leaves_the_person_as_it_is() -> None:
    linear = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
    assert relight(linear, person(), EVEN, plane(0.2, 0.2, 0.2)) == pytest.approx(linear, abs=1e-5)


def test_haze_is_the_backdrops_light_before_the_person() -> None:
    linear = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
    lit = relight(linear, person(), replace(EVEN, haze=0.1), plane(0.2, 0.4, 0.8))
    assert lit == pytest.approx(linear * 0.9 + np.float32([0.02, 0.04, 0.08]), abs=1e-5)


def test_a_rim_adds_its_colour_at_the_outline_and_nothing_within() -> None:
    lit = relight(plane(0.2, 0.2, 0.2), person(), replace(EVEN, rim=1.0, rim_colour=(1.0, 0.5, 0.0)), plane(0, 0, 0))
    gain = lit - np.float32(0.2)
    assert gain.min() > -1e-5
    at = np.unravel_index(gain[..., 0].argmax(), gain.shape[:2])
    assert gain[at][0] > 0.02
    assert gain[at][1] == pytest.approx(gain[at][0] / 2, rel=0.01)
    assert gain[at][2] == pytest.approx(0, abs=1e-5)
    assert gain[HEIGHT // 2 :, WIDTH // 2 - 8 : WIDTH // 2 + 8].max() < 0.2 * gain[at][0]


def flown(picture: Floats, light: float, what: str = "petals") -> Floats:
    return particles.before(what, np.random.default_rng(3), picture, person((1024, 768)), light)


def test_what_flies_hides_what_is_behind_it_and_is_lit_by_the_scene() -> None:
    """Of the same flakes: a black picture shows what they give, a white one what they let through besides."""
    black, white = np.zeros((1024, 768, 3), np.float32), np.ones((1024, 768, 3), np.float32)
    full, half = flown(black, 1.0), flown(black, 0.5)
    assert full.max() > 0.3
    assert half == pytest.approx(full / 2, abs=1e-5)
    through = flown(white, 1.0) - full
    assert through.min() < 0.7
    assert through.max() == pytest.approx(1, abs=1e-5)
    flake = full.max(axis=2) > 0.2
    assert through[flake].mean() < 0.9 < through[~flake].mean()


def test_snow_is_never_darker_than_what_lies_behind_it() -> None:
    """Before a bright sky grey flakes would look like dirt; before a dark wall they are as bright as ever."""
    for level in (0.05, 0.9):
        sky = np.full((1024, 768, 3), level, np.float32)
        assert (flown(sky, 0.4, "snow") >= sky).all()
        canvas = np.full((512, 384, 3), level, np.float32)
        assert (particles.behind("snow", np.random.default_rng(3), canvas) >= canvas).all()
    assert flown(np.full((1024, 768, 3), 0.05, np.float32), 0.4, "snow").max() > 0.25
    assert flown(np.full((1024, 768, 3), 0.9, np.float32), 0.4, "petals").min() < 0.8
    canvas = np.full((512, 384, 3), 0.95, np.float32)
    assert particles.behind("leaves", np.random.default_rng(3), canvas).min() < 0.9


def developed(level: float, grade: Grade) -> Floats:
    return finish(plane(level, level, level), grade, np.random.default_rng(0)).astype(np.float32)


def test_tints_colour_shadows_and_highlights_apart() -> None:
    for level, taken, left in ((0.01, 2, 0), (0.7, 0, 2)):
        tinted = developed(level, replace(PLAIN, shadows=(0, 0, 24), highlights=(24, 0, 0)))
        added = (tinted - developed(level, PLAIN)).mean(axis=(0, 1))
        assert added[taken] > 6
        assert added[left] < 0.35 * added[taken]
        assert added[1] == pytest.approx(0, abs=0.1)


def test_grain_is_the_same_in_all_colours_and_strongest_in_middle_tones() -> None:
    spread = []
    for level in (0.02, 0.2, 0.75):
        grain = developed(level, replace(PLAIN, grain=6.0)) - developed(level, PLAIN)
        assert np.abs(grain - grain[..., :1]).max() <= 1
        assert abs(float(grain.mean())) < 0.5
        spread.append(float(grain[..., 0].std()))
    assert spread[1] > 1.15 * max(spread[0], spread[2])
    assert 4 < spread[1] < 10


def test_a_vignette_darkens_the_corners() -> None:
    light = developed(0.3, replace(PLAIN, vignette=0.5)) @ LUMA
    assert light[0, 0] < 0.85 * light[HEIGHT // 2, WIDTH // 2]
