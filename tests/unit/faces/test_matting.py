"""The matting solver on pictures whose matte is known because the test composed them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.faces.matte import (
    BACKDROP_WEIGHT,
    CLOTHES_WEIGHT,
    PRIOR_WEIGHT,
    estimate_foreground,
    make_prior,
    make_trimap,
)
from portraitd.faces.matting import MattingLaplacian, Prior, Trimap, solve_matte
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask


@pytest.fixture(scope="module")
def hairy_disc() -> tuple[Image, Mask, Image]:
    """A reddish disc with fine strands before a bluish gradient: picture, alpha, own colours."""
    size = 220
    large = np.zeros((4 * size, 4 * size), np.float32)
    cv2.circle(large, (440, 480), 220, 1.0, -1)
    rng = np.random.default_rng(5)
    for angle in rng.uniform(0, 2 * np.pi, 90):
        way = np.array([np.cos(angle), np.sin(angle)])
        start, end = (440, 480) + 210 * way, (440, 480) + rng.uniform(240, 290) * way
        cv2.line(large, tuple(start.astype(int).tolist()), tuple(end.astype(int).tolist()), 1.0, 4)
    alpha = np.asarray(cv2.resize(large, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    person = np.stack([0.7 + 0.1 * x, 0.30 + 0.1 * y, 0.25 + 0 * x], axis=-1)
    backdrop = np.stack([0.2 + 0.1 * y, 0.4 + 0.2 * x, 0.7 + 0 * x], axis=-1)
    picture = person * alpha[..., None] + backdrop * (1 - alpha[..., None])
    return (picture * 255).round().astype(np.uint8), alpha, (person * 255).round().astype(np.uint8)


def _solved(picture: Image) -> Mask:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    radius = np.hypot(x - 110, y - 120)
    trimap = Trimap(radius < 44, radius > 80)
    opinion = np.clip((60 - radius) / 10 + 0.5, 0, 1).astype(np.float32)
    prior = Prior(opinion, np.full(radius.shape, 0.004, np.float32))
    return solve_matte(picture.astype(np.float32) / 255, trimap, prior)


def test_strands_are_found(hairy_disc: tuple[Image, Mask, Image]) -> None:
    picture, alpha, _ = hairy_disc
    solved = _solved(picture)
    assert np.abs(solved - alpha).mean() < 0.01
    strands = (alpha > 0.3) & (alpha < 0.9)
    assert np.abs(solved - alpha)[strands].mean() < 0.04


def test_what_the_trimap_knows_stays(hairy_disc: tuple[Image, Mask, Image]) -> None:
    solved = _solved(hairy_disc[0])
    assert (solved[100:140, 90:130] == 1).all()
    assert (solved[:20] == 0).all()


def test_without_colour_the_prior_decides() -> None:
    grey = np.full((60, 60, 3), 0.5, np.float32)
    x = np.mgrid[:60, :60][1]
    trimap = Trimap(x < 15, x >= 45)
    prior = Prior((x < 24).astype(np.float32), np.full((60, 60), 2.0, np.float32))
    solved = solve_matte(grey, trimap, prior, iterations=200)
    assert solved[30, 20] > 0.8
    assert solved[30, 30] < 0.2


def test_the_laplacian_has_no_energy_where_alpha_is_linear_in_colour() -> None:
    rng = np.random.default_rng(1)
    colours: Floats = rng.random((24, 24, 3), dtype=np.float32)
    unknown = np.zeros((24, 24), bool)
    unknown[4:20, 4:20] = True
    alpha = colours @ np.array([0.5, 0.3, -0.2], np.float32) + np.float32(0.1)
    assert np.abs(MattingLaplacian(colours, unknown).at_unknown(alpha)).max() < 1e-3


def test_own_colours_come_back_at_the_edge(hairy_disc: tuple[Image, Mask, Image]) -> None:
    picture, alpha, person = hairy_disc
    found = estimate_foreground(picture, alpha)
    edge = (alpha > 0.15) & (alpha < 0.85)
    before = np.abs(picture.astype(float) - person)[edge].mean()
    after = np.abs(found.astype(float) - person)[edge].mean()
    assert after < 6
    assert after < 0.15 * before
    assert (found[alpha == 1] == picture[alpha == 1]).all()


def test_where_the_network_is_sure_of_the_backdrop_it_has_a_say_even_beside_hair() -> None:
    """A busy backdrop looks like strands; where strands may be, the network is not sure."""
    points = np.asarray(mean_face().points[:, :2] * 40 + 110, np.float32)
    colours = np.random.default_rng(4).uniform(0, 1, (220, 220, 3)).astype(np.float32)
    y, x = np.mgrid[:220, :220]
    radius = np.hypot(x - 110, y - 110)
    trimap = Trimap(radius < 50, radius > 90)
    ring = (radius > 55) & (radius < 85) & (y < 90)  # around the skull
    weight = {
        rough: make_prior(colours, np.full((220, 220), rough, np.float32), trimap, points, 80).weight[ring].mean()
        for rough in (0.0, 0.2, 0.4)
    }
    assert weight[0.2] == pytest.approx(weight[0.4])
    assert weight[0.0] == pytest.approx(weight[0.2] + BACKDROP_WEIGHT, rel=0.1)


def test_more_is_left_open_within_the_hair_than_within_clothes() -> None:
    points = np.asarray(mean_face().points[:, :2] * 40 + 150, np.float32)
    width = float(np.ptp(points[:, 0]))
    rough = np.zeros((400, 300), np.float32)
    cv2.circle(rough, (150, 130), 75, 1.0, -1)  # a head, and clothes
    rough[260:, 40:260] = 1
    sure = make_trimap(rough, points, width).person
    crown, shoulder = np.flatnonzero(sure[:, 150])[0] - 55, np.flatnonzero(sure[340])[0] - 40
    assert shoulder == pytest.approx(0.03 * width, abs=1.5)
    assert 1.5 * shoulder < crown < 5 * shoulder


def test_an_opinion_is_taken_for_certain_near_its_ends_alone() -> None:
    points = np.asarray(mean_face().points[:, :2] * 40 + 110, np.float32)
    colours = np.full((220, 220, 3), 0.5, np.float32)
    trimap = Trimap(np.zeros((220, 220), bool), np.zeros((220, 220), bool))
    told = [
        make_prior(colours, np.full((220, 220), rough, np.float32), trimap, points, 80).alpha[20, 20]
        for rough in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    assert told == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=1e-5)


def test_the_network_always_has_a_say_and_more_at_clothes() -> None:
    points = np.asarray(mean_face().points[:, :2] * 40 + 110, np.float32)
    colours = np.zeros((400, 220, 3), np.float32)
    colours[:, 110:] = 1  # the backdrop is black, and the right half has nothing of it
    trimap = Trimap(np.zeros((400, 220), bool), np.tile(np.arange(220) < 100, (400, 1)))
    weight = make_prior(colours, np.full((400, 220), 0.5, np.float32), trimap, points, 80).weight
    assert weight[60, 140] == pytest.approx(PRIOR_WEIGHT, rel=0.2)  # hair
    assert weight[380, 140] == pytest.approx(PRIOR_WEIGHT + CLOTHES_WEIGHT, rel=0.01)
    assert 0 < 2 * weight[60, 140] < weight[380, 140] < 0.1 < weight[380, 60]
