"""The mean face, anywhere and of any size."""

from __future__ import annotations

import numpy as np

from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face


def mesh_at(x: float, y: float, *, width: float | None = None, height: float | None = None) -> FaceMesh:
    """The mean face, its points' middle at x, y, so many px wide or high."""
    points = mean_face().points
    size, axis = (width, 0) if width is not None else (height, 1)
    assert size is not None
    placed = points * (size / float(np.ptp(points[:, axis])))
    return FaceMesh((placed + np.array([x, y, 0]) - np.append(placed[:, :2].mean(axis=0), 0)).astype(np.float32), 1.0)
