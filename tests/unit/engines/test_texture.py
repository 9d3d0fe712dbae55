"""What several photos of a person say of their skin together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic import light
from portraitd.engines.classic.geometry import at_points, normals, rasterise
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.template import TemplateFace
from portraitd.engines.classic.texture import (
    WORTH_POINTS,
    Table,
    agreed,
    best_lender,
    leaf_seen,
    lent_by,
    mirrored,
    table_of,
    turned_away,
)
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

SHAPE = (120, 110)
MIDDLE = np.array([55, 45, 0])
NOSE, CHEEK = 1, 50


def points_turned(yaw_deg: float) -> Floats:
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.asarray(mean_face().points @ turn.T * 41 + MIDDLE, np.float32)


def face(yaw_deg: float = 0.0) -> FaceRegion:
    """An evenly lit face with nothing over it."""
    image = np.full((*SHAPE, 3), 150, np.uint8)
    dark = np.zeros((9, 3), np.float32)
    return FaceRegion(image, FaceMesh(points_turned(yaw_deg), 1.0), dark, dark[0], np.zeros(SHAPE, np.float32))


def table(yaw_deg: float = 0.0) -> Table:
    """A face all of which is bare skin."""
    points = points_turned(yaw_deg)
    raster = rasterise(points, SHAPE, grow=0.35)
    return Table(raster, points[:, :2], np.ones(SHAPE, np.float32), 90.0, 105.0)


def changes(spots: tuple[float, ...], level: float = 0.0) -> list[float]:
    """What is added at the cheek when each photo has a patch there that is so much brighter; the first one's first."""
    x, y = points_turned(0)[CHEEK, :2]
    rows, columns = np.indices(SHAPE)
    leaves = []
    for number, spot in enumerate(spots):
        seen = np.full((*SHAPE, 3), -1.0 + level * number, np.float32)
        seen[np.hypot(columns - x, rows - y) < 12] += np.float32(spot)
        leaves.append(leaf_seen(face(), seen, table()))
    return [float(light.grey_of(change)[round(y), round(x)]) for change in agreed(leaves)]


def tints(spot: tuple[float, float, float]) -> Floats:
    """(3,) colour of what is added at the cheek when the first of three photos has a patch there of that colour."""
    x, y = np.rint(points_turned(0)[CHEEK, :2]).astype(int)
    seen = np.full((3, *SHAPE, 3), -1.0, np.float32)
    seen[0, y - 12 : y + 12, x - 12 : x + 12] += np.float32(spot)
    change = agreed([leaf_seen(face(), shade, table()) for shade in seen])[0][y, x]
    return np.asarray(change - change.mean(), np.float32)


def test_the_table_knows_its_points_in_another_pose() -> None:
    """The mesh is drawn finely enough on it, small as it is: each point of skin is where a turned photo has it."""
    shown, turned = face(), points_turned(25)[:, :2]
    laid = table_of(TemplateFace(shown.image, Box(0, 0, SHAPE[1], SHAPE[0]), shown, shown.hair, None))
    off = np.linalg.norm(at_points(laid.raster.interpolate(turned), laid.points) - turned, axis=1)
    off = off[light.skin_points() > 0]
    assert off.size > 100
    assert np.median(off) < 0.25
    assert np.percentile(off, 90) < 0.8


def test_photos_alike_change_nothing() -> None:
    assert changes((-0.3, -0.3, -0.3)) == pytest.approx([0, 0, 0], abs=0.02)


def test_a_shadow_that_one_photo_has_goes_and_a_mark_that_all_have_stays() -> None:
    assert changes((-0.6, 0.0, 0.0))[0] == pytest.approx(0.6, abs=0.08)
    assert changes((-0.6, -0.6, 0.0))[0] == pytest.approx(0.0, abs=0.08)


def test_a_tint_is_held_back() -> None:
    assert np.abs(tints((0.0, 0.6, -0.6))).max() < 0.13


def test_exposure_is_no_disagreement_and_ends_as_the_first_one_s() -> None:
    assert changes((0.0, 0.0), level=0.5) == pytest.approx([0.0, -0.5], abs=0.02)


def test_photos_that_have_nothing_in_common_change_little_everywhere() -> None:
    """Also past the rim, where the mesh is carried on, and where every photo is far off every other."""
    noise = np.random.default_rng(3).uniform(-3, 0, (4, *SHAPE, 1)).astype(np.float32).repeat(3, axis=3)
    seen = [leaf_seen(face(yaw), shade, table(25)) for yaw, shade in zip((40, -40, 5, -15), noise, strict=True)]
    assert np.abs(np.stack(agreed(seen))).max() < 3
    assert np.isfinite(changes((8.0, -8.0))).all()


def test_what_is_turned_out_of_sight_is_lent_by_the_photo_that_shows_it() -> None:
    left, right = face(40), face(-40)
    hidden = turned_away(left)
    assert hidden.max() == 1
    assert hidden[NOSE] == 0
    found = best_lender(left, [face(40), right])
    assert found is not None
    best, lent = found
    assert best == 1
    assert lent[hidden > 0.9].mean() > 0.9
    assert best_lender(left, [face(40)]) is None
    assert best_lender(left, []) is None


def test_hair_is_not_lent() -> None:
    hairy = replace(face(-40), hair=np.ones(SHAPE, np.float32))
    assert lent_by(face(40), face(-40)).sum() > WORTH_POINTS
    assert lent_by(face(40), hairy) == pytest.approx(0)


def test_light_seen_in_a_mirror_comes_from_the_other_side() -> None:
    facing = normals(points_turned(0))
    lit = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    seen = light.harmonics(facing * np.float32([-1, 1, 1])) @ light.mirrored(lit)
    assert seen == pytest.approx(light.harmonics(facing) @ lit, abs=1e-4)


def test_in_a_mirror_the_other_cheek_is_turned_away() -> None:
    side = face(40)
    assert turned_away(mirrored(side)) == pytest.approx(turned_away(side)[mean_face().mirror], abs=1e-4)
