"""The textbook face swap that portraitd is measured against.

What tutorials do, with portraitd's own detector and mesh so that only the method differs: Delaunay triangles of the
template's points, one affine warp per triangle in a loop, the convex hull as mask, Poisson blending of the warped face
(Perez et al. 2003, "Poisson image editing", OpenCV's `seamlessClone`).
"""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Points


def textbook_swap(photo: Image, face: FaceMesh, template: Image, target: FaceMesh) -> Image:
    """(H, W, 3) the template with the photo's face (mesh `face`) warped onto the mesh `target` and blended in."""
    source, warped = photo.astype(np.float32), template.astype(np.float32)
    for corners in delaunay(target.xy, template.shape):
        _warp_triangle(source, warped, face.xy[corners], target.xy[corners])
    mask = np.zeros(template.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(target.xy).astype(np.int32)), 255)
    mask[[0, -1]] = 0  # seamlessClone must not touch the picture's edge
    mask[:, [0, -1]] = 0
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2, y + height // 2)
    return np.asarray(cv2.seamlessClone(np.uint8(np.rint(warped)), template, mask, centre, cv2.NORMAL_CLONE), np.uint8)


def delaunay(points: Points, shape: tuple[int, ...]) -> list[list[int]]:
    """Corners, as indices of (N, 2) points, of their Delaunay triangles."""
    height, width = shape[:2]
    inside = np.clip(points, 0, [width - 1, height - 1])
    graph = cv2.Subdiv2D((0, 0, width, height))
    graph.insert([(float(x), float(y)) for x, y in inside])
    index = {(float(x), float(y)): i for i, (x, y) in enumerate(inside.astype(np.float32))}
    found = []
    for x0, y0, x1, y1, x2, y2 in graph.getTriangleList():
        corners = [index.get((float(x), float(y))) for x, y in ((x0, y0), (x1, y1), (x2, y2))]
        if None not in corners:  # the others hang on Subdiv2D's own outer corners
            found.append([corner for corner in corners if corner is not None])
    return found


def _warp_triangle(photo: Floats, out: Floats, source: Points, target: Points) -> None:
    """Draw one triangle of the photo into `out`, its edges antialiased."""
    x0, y0, x1, y1 = _bounds(target, out.shape)
    sx0, sy0, sx1, sy1 = _bounds(source, photo.shape)
    if x1 <= x0 or y1 <= y0 or sx1 <= sx0 or sy1 <= sy0:
        return
    local = target - np.array([x0, y0], np.float32)
    matrix = cv2.getAffineTransform(source - np.array([sx0, sy0], np.float32), local)
    patch = cv2.warpAffine(
        photo[sy0:sy1, sx0:sx1], matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    mask = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    cv2.fillConvexPoly(mask, np.rint(local).astype(np.int32), (1.0, 1.0, 1.0), cv2.LINE_AA)
    out[y0:y1, x0:x1] = out[y0:y1, x0:x1] * (1 - mask) + patch * mask


def _bounds(points: Points, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the pixels around the points, inside the picture."""
    x, y, width, height = cv2.boundingRect(points)
    return max(0, x), max(0, y), min(shape[1], x + width), min(shape[0], y + height)
