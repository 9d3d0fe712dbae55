"""What lies over a face from outside: fringe, strands, hats. Found as what is neither the face's skin nor a feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.geometry import Raster, rasterise, rim_weights
from portraitd.engines.classic.light import grey_of, harmonics, log_light
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

FEATURES = (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_OUTER, regions.LEFT_BROW, regions.RIGHT_BROW)
#: Face width at which hair is looked for, px; its edges are then drawn along the full picture's.
WORK_PX = 128
#: How much darker than lit skin hair begins, and is certain (natural log of linear light).
DARK = (0.32, 0.75)
#: How far from skin's colour something coloured begins, and is certain.
COLOURED = (0.30, 0.60)
#: How much brighter than lit skin the backdrop beside a misplaced contour begins, and is certain.
BRIGHT = (0.3, 0.5)
#: Radius, px of the small picture, in which hair is a function of brightness; and how little contrast counts for none.
EDGE_PX = 4
EDGE_SMOOTHNESS = 1e-3


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


@dataclass(frozen=True)
class AgainstSkin:
    """A small copy of a face's region, held against its skin as the light on it would show it."""

    #: (h, w, 3) natural log of linear light, less that of skin.
    off: Floats
    #: (468, 3) px, the mesh in it, and that mesh drawn.
    at: Points
    raster: Raster

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.off.shape[0], self.off.shape[1]

    @cached_property
    def dark(self) -> Mask:
        """(h, w) how much darker than skin."""
        return -grey_of(self.off)

    @cached_property
    def tint(self) -> Mask:
        """(h, w) how far from skin's colour."""
        return tint_of(self.off)

    @cached_property
    def inside(self) -> Mask:
        """(h, w) 1 inside the mesh, to 0."""
        return self.raster.coverage()


def against_skin(image: Image, points: Points, normals: Floats, light: Floats) -> AgainstSkin:
    """The (H, W, 3) image of a face, WORK_PX to its width at most, against its skin.

    points: (468, 3) the face's mesh in the image. normals: (468, 3) of that mesh. light: (9, 3) from `light.fit_light`.
    """
    shrink = min(1.0, WORK_PX / float(np.ptp(points[:, 0])))
    size = (max(8, round(image.shape[1] * shrink)), max(8, round(image.shape[0] * shrink)))
    at = (points * np.float32(shrink)).astype(np.float32)
    raster = rasterise(at, size[::-1], step=3)
    skin = raster.interpolate(harmonics(normals) @ light)
    return AgainstSkin(np.asarray(log_light(shrunk(image, *size)) - skin, np.float32), at, raster)


def hair_over(seen: AgainstSkin) -> Mask:
    """(h, w) in [0, 1]: what covers the face.

    Only what is not skin as lit by the light, lies where hair (or, at the rim, a bright backdrop) may lie, and reaches
    in from the rim counts, so that brows, moles and shadows stay part of the face.
    """
    spread = seen.raster.interpolate(np.column_stack([cover_zone(), rim_weights()]))
    zone, rim = spread[:, :, 0], spread[:, :, 1]
    dark = seen.dark
    zone = np.clip(zone * (1 - features(seen.at, seen.shape, FEATURES, 0.01)), 0, 1)
    beyond = np.clip((rim - 0.4) / 0.3, 0, 1)
    hair = np.maximum(
        np.maximum(_step(dark, *DARK), _step(seen.tint, *COLOURED)) * zone, _step(-dark, *BRIGHT) * beyond
    )
    hair *= seen.inside
    hair *= _reaches_in(hair > 0.3, (rim > 0.5) & (np.maximum(zone, beyond) > 0.5))
    return np.asarray(hair, np.float32)


def tint_of(off: Floats) -> Floats:
    """(h, w) how far colours are off in hue and saturation, of (h, w, 3) differences of log light."""
    tint = off - grey_of(off)[:, :, None]
    return np.asarray(np.sqrt(3 * grey_of(tint * tint)), np.float32)


def drawn_along(hair: Mask, image: Image) -> Mask:
    """(H, W) the small mask of `hair_over` at the size of its (H, W, 3) image, its edges drawn along the image's.

    Fast guided filter: the small mask as a linear function of brightness, that function then applied at full size (He
    and Sun 2015, arXiv:1505.00996).
    """
    height, width = image.shape[:2]
    guide = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)
    small = cv2.resize(guide, (hair.shape[1], hair.shape[0]), interpolation=cv2.INTER_AREA) / np.float32(255.0)
    size = (2 * EDGE_PX + 1, 2 * EDGE_PX + 1)
    mean_i, mean_p = cv2.blur(small, size), cv2.blur(hair, size)
    slope = cv2.blur(small * hair, size) - mean_i * mean_p
    slope /= cv2.blur(small * small, size) - mean_i * mean_i + EDGE_SMOOTHNESS
    level = mean_p - slope * mean_i
    lines = cv2.resize(cv2.merge([cv2.blur(slope, size), cv2.blur(level, size)]), (width, height))
    return np.asarray(np.clip(lines[:, :, 0] * (guide / np.float32(255.0)) + lines[:, :, 1], 0, 1), np.float32)


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
