"""Light on a face: harmonic coefficients made up here are found again, whatever lies on the skin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.engines.classic.face.geometry import normals
from portraitd.engines.classic.face.light import (
    FLOOR,
    MELANIN,
    REDDER,
    colours_at,
    fit_light,
    harmonics,
    skin_points,
    skin_seen,
)
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, to_linear

FACING = normals(mean_face().points)


def lamp(rng: np.random.Generator) -> Floats:
    """(9, 3) a plausible light: strong first order, weak second order, a little coloured."""
    grey = np.concatenate([[-1.2], rng.normal(0, 0.5, 3), rng.normal(0, 0.08, 5)])
    return np.asarray(grey[:, None] + rng.normal(0, 0.03, (9, 3)), np.float32)


@given(st.integers(0, 2**32 - 1))
def test_light_is_found_again_through_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = harmonics(FACING) @ lamp(rng)
    found = harmonics(FACING) @ fit_light(true + rng.normal(0, 0.03, true.shape), FACING, skin_points())
    assert np.abs(found - true)[skin_points() > 0].mean() < 0.12


def test_spots_shine_and_strands_hardly_move_it() -> None:
    """A fifth of the points is 1.5 darker: plain least squares would be 0.3 too dark, always."""
    off = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = harmonics(FACING) @ lamp(rng)
        seen = true + rng.normal(0, 0.02, true.shape)
        seen[rng.permutation(468)[:94]] -= 1.5
        found = harmonics(FACING) @ fit_light(seen, FACING, skin_points())
        off.append(abs(float((found - true)[skin_points() > 0].mean())))
    assert np.median(off) < 0.1
    assert np.percentile(off, 90) < 0.15


def test_points_without_weight_do_not_count() -> None:
    true = harmonics(FACING) @ lamp(np.random.default_rng(3))
    weights = skin_points().copy()
    weights[:200] = 0
    wild = true.copy()
    wild[:200] = 9
    assert np.allclose(fit_light(wild, FACING, weights), fit_light(true, FACING, weights), atol=1e-5)


def test_flat_light_is_flat() -> None:
    """Colours that do not change with the normal give a constant and nothing else."""
    seen = np.tile(np.array([-0.5, -0.9, -1.3], np.float32), (468, 1))
    found = fit_light(seen, FACING, skin_points())
    assert found[0] == pytest.approx(seen[0], abs=0.01)
    assert np.abs(found[1:]).max() < 0.01


def test_light_from_our_left_is_brighter_where_the_normal_looks_left() -> None:
    towards_left = np.zeros((9, 3), np.float32)
    towards_left[1] = -0.8
    found = fit_light(harmonics(FACING) @ towards_left, FACING, skin_points())
    left, right = harmonics(np.array([[-0.7, 0, -0.714], [0.7, 0, -0.714]], np.float32)) @ found
    assert left.mean() > right.mean() + 0.5


def test_nothing_seen_is_no_crash() -> None:
    found = fit_light(np.zeros((468, 3), np.float32), FACING, np.eye(468, dtype=np.float32)[0])
    assert np.isfinite(found).all()


def test_skin_points_are_bare_skin() -> None:
    weight = skin_points()
    assert set(np.unique(weight)) == {0.0, 1.0}
    assert 150 < weight.sum() < 400
    for ring in (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_OUTER, regions.LIPS_INNER, regions.FACE_OVAL):
        assert weight[list(ring)].max() == 0
    assert weight[[50, 280, 151]].min() == 1  # both cheeks and the forehead


def test_hair_is_not_skin() -> None:
    skin = np.tile(np.log(np.array([0.5, 0.3, 0.22], np.float32)), (468, 1))
    skin += np.random.default_rng(0).normal(0, 0.03, skin.shape).astype(np.float32)
    hair = skin.copy()
    forehead = np.flatnonzero((mean_face().points[:, 1] < -0.45) & (skin_points() > 0))
    hair[forehead] = np.log(np.array([0.02, 0.015, 0.012], np.float32))
    kept = skin_seen(hair, skin_points())
    assert kept[forehead].max() == 0
    others = np.setdiff1d(np.flatnonzero(skin_points()), forehead)
    assert (kept[others] > 0).mean() > 0.9


def test_too_few_points_are_all_taken() -> None:
    weights = np.zeros(468, np.float32)
    weights[:10] = 1
    assert np.array_equal(skin_seen(np.zeros((468, 3), np.float32), weights), weights)


def test_colours_are_read_where_the_points_are() -> None:
    """A ramp of brightness across the picture is read off at each point, within what the calming blur takes."""
    ramp = np.tile(np.linspace(40, 220, 400), (400, 1)).astype(np.uint8)
    image = ramp[:, :, None].repeat(3, axis=2)
    points = (mean_face().points * 120 + np.array([200, 150, 0])).astype(np.float32)
    inside = (points[:, 1] > 5) & (points[:, 1] < 395)
    found = colours_at(image, FaceMesh(points, 1.0))
    at = np.clip(np.rint(points[:, :2]).astype(int), 0, 399)
    wanted = np.log(to_linear(image)[at[:, 1], at[:, 0]] + FLOOR)
    assert np.abs(found - wanted)[inside].max() < 0.05


def test_darker_skin_absorbs_blue_most_and_so_is_redder() -> None:
    assert MELANIN[0] < MELANIN[1] < MELANIN[2]
    assert REDDER[0] > REDDER[1] > REDDER[2]
    for line in (MELANIN, REDDER):
        assert np.linalg.norm(line) == pytest.approx(1, abs=1e-6)
    assert REDDER.sum() == pytest.approx(0, abs=1e-6)
