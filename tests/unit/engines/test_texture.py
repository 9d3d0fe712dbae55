"""What several photos of a person say of their skin together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic import light
from portraitd.engines.classic.geometry import normals, rasterise
from portraitd.engines.classic.place import Placement
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.texture import (
    WORTH_POINTS,
    Companion,
    Glimpse,
    agreed,
    lender_first,
    lent_by,
    turned_away,
)
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


def changes(spots: tuple[float, ...], level: float = 0.0) -> list[float]:
    """What is added at the cheek when each photo has a patch there that is so much brighter; the first one's first."""
    ones = np.ones(SHAPE, np.float32)
    raster = rasterise(points_turned(0), SHAPE, grow=0.35)
    x, y = points_turned(0)[CHEEK, :2]
    rows, columns = np.indices(SHAPE)
    glimpses = []
    for number, spot in enumerate(spots):
        seen = np.full((*SHAPE, 3), -1.0 + level * number, np.float32)
        seen[np.hypot(columns - x, rows - y) < 12] += np.float32(spot)
        glimpses.append(Glimpse(face(), seen, 1.0))
    found = agreed(glimpses, raster, Placement(ones, ones, ones, ones, ones, ones), 90.0)
    return [float(light.grey_of(change)[round(y), round(x)]) for change in found]


def tints(spot: tuple[float, float, float]) -> Floats:
    """(3,) colour of what is added at the cheek when the first of three photos has a patch there of that colour."""
    x, y = np.rint(points_turned(0)[CHEEK, :2]).astype(int)
    seen = np.full((3, *SHAPE, 3), -1.0, np.float32)
    seen[0, y - 12 : y + 12, x - 12 : x + 12] += np.float32(spot)
    ones = np.ones(SHAPE, np.float32)
    glimpses = [Glimpse(face(), shade, 1.0) for shade in seen]
    raster = rasterise(points_turned(0), SHAPE, grow=0.35)
    change = agreed(glimpses, raster, Placement(ones, ones, ones, ones, ones, ones), 90.0)[0][y, x]
    return np.asarray(change - change.mean(), np.float32)


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
    ones = np.ones(SHAPE, np.float32)
    raster = rasterise(points_turned(25), SHAPE, grow=0.35)
    noise = np.random.default_rng(3).uniform(-3, 0, (4, *SHAPE, 1)).astype(np.float32).repeat(3, axis=3)
    seen = [Glimpse(face(yaw), shade, 1.0) for yaw, shade in zip((40, -40, 5, -15), noise, strict=True)]
    found = agreed(seen, raster, Placement(ones, ones, ones, ones, ones, ones), 90.0)
    assert np.abs(np.stack(found)).max() < 3
    assert np.isfinite(changes((8.0, -8.0))).all()


def test_what_is_turned_out_of_sight_is_lent_by_the_photo_that_shows_it() -> None:
    left, right = face(40), face(-40)
    hidden = turned_away(left)
    assert hidden.max() == 1
    assert hidden[NOSE] == 0
    others = [Companion(face(40), 1.0), Companion(right, 1.0)]
    ordered, lent = lender_first(left, others)
    assert not lender_first(left, [Companion(right, 1.0, mirrored=True)])[1].any()
    assert ordered == [others[1], others[0]]
    assert lent[hidden > 0.9].mean() > 0.9
    assert not lender_first(left, others[:1])[1].any()


def test_hair_is_not_lent() -> None:
    hairy = replace(face(-40), hair=np.ones(SHAPE, np.float32))
    assert lent_by(face(40), face(-40)).sum() > WORTH_POINTS
    assert lent_by(face(40), hairy) == pytest.approx(0)


def test_light_seen_in_a_mirror_comes_from_the_other_side() -> None:
    facing = normals(points_turned(0))
    lit = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    seen = light.harmonics(facing * np.float32([-1, 1, 1])) @ light.mirrored(lit)
    assert seen == pytest.approx(light.harmonics(facing) @ lit, abs=1e-4)
