"""Where a face's colours are read in its photo, and how they are brightened."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.fuse import LIFT, _gained, _with_teeth
from portraitd.engines.classic.geometry import rasterise
from portraitd.engines.classic.template import read_template
from portraitd.engines.classic.warp import OFF_THE_EDGE, off_the_edge
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from tests.fakes import heads

MESH = FaceMesh((mean_face().points * 80 + 300).astype(np.float32), 1.0)


def moved(*indices: int) -> np.ndarray:
    """How far the points are read from where they lie, as a share of their way to the nose's tip."""
    at = list(indices)
    way = np.linalg.norm(MESH.xy[at] - MESH.xy[regions.NOSE_TIP], axis=1)
    return np.asarray(np.linalg.norm(off_the_edge(MESH)[at] - MESH.xy[at], axis=1) / way)


def test_the_jaw_is_read_off_its_edge() -> None:
    assert moved(regions.CHIN, 172, 397, 150, 379) == pytest.approx(OFF_THE_EDGE, rel=0.05)
    inward = np.linalg.norm(off_the_edge(MESH) - MESH.xy[regions.NOSE_TIP], axis=1)
    assert inward[regions.CHIN] < np.linalg.norm(MESH.xy[regions.CHIN] - MESH.xy[regions.NOSE_TIP])


def test_features_forehead_and_temples_are_read_where_they_are() -> None:
    rings = (*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LIPS_OUTER, *regions.LEFT_BROW, regions.FOREHEAD_TOP)
    assert moved(*rings, 21, 251, 54, 284).max() < 0.005


def gain(before: float, after: float) -> np.ndarray:
    return np.full((1, 3, 3), (after + LIFT) / (before + LIFT), np.float32)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 40), (20, 4), (120, 180), (255, 90)])
def test_a_gain_makes_what_it_was_worked_out_for(before: int, after: int) -> None:
    image = np.full((1, 3, 3), before, np.uint8)
    assert _gained(image, gain(before, after)) == pytest.approx(after, abs=0.01)


def test_the_noise_of_what_is_nearly_black_does_not_become_specks() -> None:
    noise = np.repeat(np.array([[[0], [1], [2]]], np.uint8), 3, axis=2)
    assert np.ptp(_gained(noise, gain(1, 30))) < 7


def test_teeth_are_laid_between_the_lips() -> None:
    """The face is a part of the region, the mesh is posed in all of it."""
    picture = heads.head()
    heads.fill(picture, regions.LIPS_OUTER, (250, 250, 250))
    template = read_template(picture, heads.MESH)
    posed = template.face.mesh.points.copy()
    posed[list(regions.LIPS_INNER), 1] += np.sign(posed[list(regions.LIPS_INNER), 1] - posed[13, 1] - 0.5) * 6
    left, top, right, bottom = template.ground.part
    raster = rasterise(posed, template.face.image.shape[:2], 2, grow=0.35)
    face = _with_teeth(np.zeros((bottom - top, right - left, 3), np.float32), template, posed, raster, 1.0)
    rows, columns = np.nonzero(face[:, :, 0] > 125)
    middle = posed[list(regions.LIPS_INNER), :2].mean(axis=0) - [left, top]
    assert left > 0
    assert top > 0
    assert [columns.mean(), rows.mean()] == pytest.approx(middle, abs=2)
