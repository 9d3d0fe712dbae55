"""Where a face's colours are read in its photo."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.fuse import OFF_THE_EDGE, _off_the_edge
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face

MESH = FaceMesh((mean_face().points * 80 + 300).astype(np.float32), 1.0)


def moved(*indices: int) -> np.ndarray:
    """How far the points are read from where they lie, as a share of their way to the nose's tip."""
    at = list(indices)
    way = np.linalg.norm(MESH.xy[at] - MESH.xy[regions.NOSE_TIP], axis=1)
    return np.asarray(np.linalg.norm(_off_the_edge(MESH)[at] - MESH.xy[at], axis=1) / way)


def test_the_jaw_is_read_off_its_edge() -> None:
    assert moved(regions.CHIN, 172, 397, 150, 379) == pytest.approx(OFF_THE_EDGE, rel=0.05)
    inward = np.linalg.norm(_off_the_edge(MESH) - MESH.xy[regions.NOSE_TIP], axis=1)
    assert inward[regions.CHIN] < np.linalg.norm(MESH.xy[regions.CHIN] - MESH.xy[regions.NOSE_TIP])


def test_features_forehead_and_temples_are_read_where_they_are() -> None:
    rings = (*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LIPS_OUTER, *regions.LEFT_BROW, regions.FOREHEAD_TOP)
    assert moved(*rings, 21, 251, 54, 284).max() < 0.005
