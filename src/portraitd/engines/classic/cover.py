"""What lies over a face from outside: fringe, strands, hats. Found as what is neither the face's skin nor a feature."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.geometry import rasterise, rim_weights
from portraitd.engines.classic.light import grey_of, harmonics, log_light
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask, Points

FEATURES = (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_OUTER, regions.LEFT_BROW, regions.RIGHT_BROW)
#: Face width at which hair is looked for, px; its edges are then drawn along the full picture's.
WORK_PX = 128
#: How much darker than lit skin hair begins, and is certain (natural log of linear light).
DARK = (0.32, 0.75)
#: How far from skin's colour something coloured begins, and is certain.
COLOURED = (0.30, 0.60)


@lru_cache(maxsize=1)
def cover_zone() -> Floats:
    """(468,) where hair may lie over a face: forehead, temples and the outer cheeks; 0 on the features and the chin."""
    points = mean_face().points
    brows = points[[*regions.LEFT_BROW, *regions.RIGHT_BROW]]
    above = np.clip((brows[:, 1].min() + 0.05 - points[:, 1]) / 0.15, 0, 1)
    outer = np.clip((np.abs(points[:, 0]) - 0.72) / 0.15, 0, 1)
    high = np.clip((0.75 - points[:, 1]) / 0.3, 0, 1)  # not on the jaw: a beard belongs to the face
    side = outer * high * (rim_weights() > 0.05)
    return np.asarray(np.maximum(above, side), np.float32)


def over_face(image: Image, points: Points, normals: Floats, light: Floats) -> Mask:
    """(H, W) in [0, 1]: what covers the face in the image, seen against its skin as lit by `light`.

    points: (468, 3) the face's mesh in the image. normals: (468, 3) of that mesh. light: (9, 3) from `light.fit_light`.
    Only what reaches in from the rim counts, so that brows, moles and shadows stay part of the face.
    """
    shrink = min(1.0, WORK_PX / float(np.ptp(points[:, 0])))
    size = (max(8, round(image.shape[1] * shrink)), max(8, round(image.shape[0] * shrink)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    hair = _hair(small, (points * np.float32(shrink)).astype(np.float32), normals, light)
    large = np.asarray(cv2.resize(hair, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    return guided(large, guide, radius_px=round(4 / shrink))


def _hair(image: Image, points: Points, normals: Floats, light: Floats) -> Mask:
    """(H, W) 0 to 1: what is not skin as lit by `light`, lies where hair may lie, and reaches in from the rim."""
    raster = rasterise(points, image.shape[:2])
    off = log_light(image) - raster.interpolate(harmonics(normals) @ light)
    dark = -grey_of(off)
    tint = off + dark[:, :, None]
    coloured = np.sqrt(3 * grey_of(tint * tint))
    zone = raster.interpolate(cover_zone()) * (1 - features(points, image.shape[:2], FEATURES, 0.01))
    hair = np.maximum(_step(dark, *DARK), _step(coloured, *COLOURED)) * np.clip(zone, 0, 1) * raster.coverage()
    rim = raster.interpolate(rim_weights())
    hair *= _reaches_in(hair > 0.3, (rim > 0.75) & (zone > 0.5))
    return np.asarray(hair, np.float32)


def features(points: Points, shape: tuple[int, int], rings: tuple[tuple[int, ...], ...], grow: float) -> Mask:
    """(H, W) 1 inside the given rings of a (468, 2+) px mesh, grown by `grow` eye distances, with soft edges."""
    eyes = [points[list(ring), :2].mean(axis=0) for ring in (regions.LEFT_EYE, regions.RIGHT_EYE)]
    eye_gap = float(np.linalg.norm(eyes[0] - eyes[1]))
    mask = np.zeros(shape, np.uint8)
    for ring in rings:
        hull = cv2.convexHull(np.rint(points[list(ring), :2]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 255)
    reach = max(1, round(grow * eye_gap))
    if grow > 0:
        mask = np.asarray(
            cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))), np.uint8
        )
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, reach / 2))
    return np.asarray(soft, np.float32) / np.float32(255.0)


def guided(mask: Mask, guide: Mask, radius_px: int = 4, smooth: float = 1e-3) -> Mask:
    """The mask with its edges drawn along the guide's (He et al. 2010, "Guided image filtering")."""
    size = (2 * radius_px + 1, 2 * radius_px + 1)
    mean_i, mean_p = cv2.blur(guide, size), cv2.blur(mask, size)
    a = (cv2.blur(guide * mask, size) - mean_i * mean_p) / (cv2.blur(guide * guide, size) - mean_i**2 + smooth)
    b = mean_p - a * mean_i
    return np.asarray(np.clip(cv2.blur(a, size) * guide + cv2.blur(b, size), 0, 1), np.float32)


def _reaches_in(hair: np.ndarray, gate: np.ndarray) -> Mask:
    """(H, W) 1 on the connected parts of `hair` that touch `gate`, slightly grown."""
    count, labels = cv2.connectedComponents(hair.astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(labels[gate & hair])] = True
    touching[0] = False
    parts = touching[labels].astype(np.uint8)
    return np.asarray(cv2.dilate(parts, np.ones((3, 3), np.uint8)), np.float32)


def _step(x: Floats, low: float, high: float) -> Floats:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
