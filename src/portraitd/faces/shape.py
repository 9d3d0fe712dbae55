"""The mean face, its triangles, and how a mesh lies to it: pose by similarity alignment.

Alignment: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.images import Points

_DATA = Path(__file__).parent / "data" / "face_shape.npz"


@dataclass(frozen=True)
class FaceShape:
    """What every face's mesh has in common."""

    #: (468, 3) mean face, upright, frontal, symmetric, centred between the eyes, eye centres 1 apart.
    points: Points
    #: (M, 3) int triangles over the whole face, eyes and mouth included.
    triangles: NDArray[np.int64]
    #: (468,) index of each point's mirror twin.
    mirror: NDArray[np.int64]


@lru_cache(maxsize=1)
def mean_face() -> FaceShape:
    """The mean face, read from the package's data."""
    with np.load(_DATA) as data:
        return FaceShape(
            data["points"].astype(np.float32), data["triangles"].astype(np.int64), data["mirror"].astype(np.int64)
        )


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift, in 3D."""

    scale: float
    #: (3, 3) proper rotation.
    rotation: NDArray[np.float64]
    #: (3,)
    shift: NDArray[np.float64]

    def apply(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """(N, 3) points, moved."""
        return np.asarray(points @ self.rotation.T * self.scale + self.shift, np.float64)

    def inverse(self) -> Similarity:
        """The transform that undoes this one."""
        back = self.rotation.T
        return Similarity(1 / self.scale, back, -(back @ self.shift) / self.scale)


def fit_similarity(source: NDArray[Any], target: NDArray[Any], weights: NDArray[Any] | None = None) -> Similarity:
    """The similarity that brings (N, 3) source nearest to (N, 3) target, weighted least squares (Umeyama 1991)."""
    w = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    source64, target64 = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_s, mean_t = w @ source64, w @ target64
    s, t = source64 - mean_s, target64 - mean_t
    u, d, vt = np.linalg.svd((t * w[:, None]).T @ s)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = float((d @ np.diag(sign)) / (w @ (s**2).sum(axis=1)))
    return Similarity(scale, rotation, mean_t - scale * rotation @ mean_s)


@dataclass(frozen=True)
class Pose:
    """Where a head is turned, degrees (signs as in docs/conventions.md)."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@lru_cache(maxsize=1)
def rigid_weights() -> NDArray[np.float64]:
    """(468,) weights of the points that expressions move little: lips, chin, brows and lids count for less."""
    weights = np.ones(regions.POINT_COUNT)
    loose = (regions.LIPS_OUTER, regions.LIPS_INNER, regions.LEFT_BROW, regions.RIGHT_BROW)
    for ring in (*loose, regions.LEFT_EYE, regions.RIGHT_EYE):
        weights[list(ring)] = 0.25
    below_lips = mean_face().points[:, 1] > mean_face().points[list(regions.LIPS_INNER), 1].mean()
    weights[below_lips] = np.minimum(weights[below_lips], 0.3)
    return weights


def align_to_mean(points: Points) -> Similarity:
    """The similarity that brings the mean face onto a (468, 3) mesh."""
    return fit_similarity(mean_face().points, points, rigid_weights())


def pose_of(points: Points) -> Pose:
    """Pose of a (468, 3) mesh."""
    return pose_of_rotation(align_to_mean(points).rotation)


def pose_of_rotation(rotation: NDArray[np.float64]) -> Pose:
    """Pose of a (3, 3) rotation of the mean face into the picture."""
    forward = rotation @ np.array([0.0, 0.0, -1.0])
    across = rotation @ np.array([1.0, 0.0, 0.0])
    yaw = np.rad2deg(np.arctan2(forward[0], -forward[2]))
    pitch = np.rad2deg(np.arcsin(np.clip(forward[1], -1, 1)))
    roll = np.rad2deg(np.arctan2(across[1], across[0]))
    return Pose(float(yaw), float(pitch), float(roll))
