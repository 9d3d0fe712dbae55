"""Measure the mean face and its triangles from a folder of portraits; writes faces/data/face_shape.npz.

Run by hand when the landmark network changes:  python tools/make_face_shape.py WEIGHTS_FOLDER PORTRAITS_FOLDER
The result is a table of figures measured by this script: a mean of aligned, mirrored meshes (generalised Procrustes,
Gower 1975) and the Delaunay triangulation of its unrolled surface.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import Delaunay
from skimage import data

from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import fit_similarity
from portraitd.images import decode

OUT = Path(__file__).parents[1] / "src/portraitd/faces/data/face_shape.npz"
MIRROR = np.float64([-1.0, 1.0, 1.0])


def main(weights: Path, portraits: Path) -> None:
    models = FaceModels(weights)
    pictures = [decode(path.read_bytes()) for path in sorted(portraits.rglob("*")) if path.suffix in {".png", ".jpg"}]
    pictures.append(data.astronaut())
    meshes = [
        fit_mesh(models, picture, faces[0]).points.astype(np.float64)
        for picture in pictures
        if (faces := detect_faces(models, picture))
    ]
    mean = _mean_shape(meshes)
    mirror = _mirror_pairs(mean)
    mean = (mean + mean[mirror] * MIRROR) / 2
    np.savez_compressed(
        OUT,
        points=mean.astype(np.float32),
        triangles=_triangles(mean).astype(np.int16),
        mirror=mirror.astype(np.int16),
    )
    print(f"{len(meshes)} faces, {len(_triangles(mean))} triangles -> {OUT}")


def _mean_shape(meshes: list[np.ndarray]) -> np.ndarray:
    """Mean of the meshes, upright, centred on the origin, eyes 1 apart."""
    mean = _level(meshes[0])
    for _ in range(6):
        aligned = [fit_similarity(mesh, mean).apply(mesh) for mesh in meshes]
        # Mirrored copies make the mean symmetric, and with it the meaning of "frontal".
        pairs = _mirror_pairs(np.mean(aligned, axis=0))
        aligned += [(points * MIRROR)[pairs] for points in aligned]
        mean = _level(np.mean(aligned, axis=0))
    pitches = [_pitch(fit_similarity(mean, mesh).rotation) for mesh in meshes]
    # Frontal is how people hold their heads in these pictures, not a vertical line from forehead to chin.
    return mean @ _about_x(np.median(pitches)).T


def _pitch(rotation: np.ndarray) -> float:
    return float(np.arcsin(-rotation[1, 2]))


def _about_x(angle_rad: float) -> np.ndarray:
    """Rotation about the x axis, from y towards z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _level(points: np.ndarray) -> np.ndarray:
    """Eyes on a horizontal line 1 apart, brow-to-chin line upright in depth, centred between the eyes."""
    left = points[list(regions.LEFT_EYE)].mean(axis=0)
    right = points[list(regions.RIGHT_EYE)].mean(axis=0)
    x = (right - left) / np.linalg.norm(right - left)
    down = points[regions.CHIN] - points[regions.FOREHEAD_TOP]
    y = down - x * (down @ x)
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    return (points - (left + right) / 2) @ np.stack([x, y, z], axis=1) / np.linalg.norm(right - left)


def _mirror_pairs(points: np.ndarray) -> np.ndarray:
    """(468,) index of each point's mirror twin."""
    cost = np.linalg.norm((points * MIRROR)[:, None] - points[None], axis=2)
    _, pairs = linear_sum_assignment(cost)
    return pairs


def _triangles(mean: np.ndarray) -> np.ndarray:
    """(M, 3) triangles of the face's surface, eyes and mouth closed by triangles of their own."""
    flat = mean.copy()
    corners = mean[list(regions.MOUTH_CORNERS)]
    half = abs(corners[0, 0] - corners[1, 0]) / 2
    # Opens the mouth between its corners, so that the upper and the lower lip never share an edge.
    opening = 0.25 * np.sqrt(np.clip(1 - (mean[:, 0] / half) ** 2, 0, 1))
    lower = mean[:, 1] > np.interp(mean[:, 0], *_lip_line(mean))
    flat[lower, 1] += opening[lower]
    around = np.arctan2(flat[:, 0], 1.6 - flat[:, 2])
    uv = np.column_stack([around * 1.6, flat[:, 1]])
    lower_ring, upper_ring = _lip_rings()
    # Points in the open mouth keep the triangulation from crossing the inner lips; a strip replaces them.
    fill = np.concatenate([uv[lower_ring] * w + uv[upper_ring] * (1 - w) for w in (0.15, 0.5, 0.85)])
    triangles = Delaunay(np.concatenate([uv, fill])).simplices
    triangles = triangles[(triangles < regions.POINT_COUNT).all(axis=1)]
    ring = set(regions.LIPS_INNER)
    triangles = np.array([t for t in triangles if not set(t.tolist()) <= ring])
    inside = _inside(uv[triangles].mean(axis=1), uv[list(regions.FACE_OVAL)])
    big = np.abs(_area(uv[triangles])) > 1e-5
    triangles = np.concatenate([triangles[inside & big], _strip(lower_ring, upper_ring)])
    # One winding for all, so that normals of the mean face point at the viewer.
    turned = _area(uv[triangles]) > 0
    triangles[turned] = triangles[turned][:, ::-1]
    return triangles


def _strip(a: list[int], b: list[int]) -> np.ndarray:
    """Triangles between two polylines that share both ends."""
    quads = [(a[i], a[i + 1], b[i + 1], b[i]) for i in range(len(a) - 1)]
    both = [t for p, q, r, s in quads for t in ((p, q, r), (p, r, s))]
    return np.array([t for t in both if len(set(t)) == 3])


def _lip_rings() -> tuple[list[int], list[int]]:
    """Lower and upper inner lip, left to right, corners in both."""
    ring = list(regions.LIPS_INNER)
    return ring[:11], [ring[0], *ring[:9:-1]]


def _lip_line(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the line midway between the inner lips, left to right."""
    lower_ring, upper_ring = _lip_rings()
    lower, upper = mean[lower_ring], mean[upper_ring]
    return lower[:, 0], (lower[:, 1] + upper[:, 1]) / 2


def _inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points lie inside the polygon (even-odd rule)."""
    x, y = points[:, 0, None], points[:, 1, None]
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / np.where(b[:, 1] == a[:, 1], 1e-12, b[:, 1] - a[:, 1])
    return (crosses & (x < at)).sum(axis=1) % 2 == 1


def _area(triangles: np.ndarray) -> np.ndarray:
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
