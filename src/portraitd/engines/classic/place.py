"""Where the person's face lies in the template, and how much of each pixel becomes theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import cover
from portraitd.engines.classic.geometry import Raster
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.template import TemplateFace
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask, Points

#: Width of the blend inside the contour, in face widths: of detail, of tone, and what the forehead adds to tone's.
FEATHER = 0.008
TONE_FEATHER = 0.055
FOREHEAD_FEATHER = 0.06


@dataclass(frozen=True)
class Placement:
    """Where the warped face lies in the template's region: `alpha` at full size, all else at the size of the work."""

    #: (H, W) how much of each pixel becomes the person's in detail.
    alpha: Mask
    #: (h, w) the same; and, a wider ramp, in tone.
    small_alpha: Mask
    tone_alpha: Mask
    #: (h, w) 1 on bare skin, 0 on brows, eyes and lips.
    skin: Mask
    #: (h, w) how much of a change of colour a pixel takes: all of it on skin, little on eyes and teeth.
    colour_share: Mask

    @cached_property
    def trust(self) -> Mask:
        """(h, w) how far a pixel shows the person's bare skin, never quite 0 on skin."""
        return np.asarray(self.skin * np.clip(self.small_alpha, 0.02, 1), np.float32)


def place_face(
    template: TemplateFace, face: FaceRegion, posed: Points, raster: Raster, size: tuple[int, int]
) -> Placement:
    """Where the posed (468, 3) mesh lies, and which of its pixels the photo of `face` has; work at `size` (w, h)."""
    region = template.face.image
    shrink = np.float32(size[0] / region.shape[1])
    small = np.asarray((posed[:, :2] + 0.5) * shrink - 0.5, np.float32)
    shape = size[::-1]
    skin = 1.0 - cover.features(small, shape, cover.FEATURES, 0.04)
    eyes = cover.features(small, shape, (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_INNER), 0.0)
    lips = cover.features(small, shape, (regions.LIPS_OUTER,), 0.0)
    share = 1.0 - np.maximum(0.65 * eyes, 0.25 * lips)
    width = template.face.mesh.box.width * float(shrink)
    seen = _seen(face, raster, cover.features(small, shape, cover.FEATURES, 0.0), width)
    full = (region.shape[1], region.shape[0])
    depth, bare = _depth(template), 1 - template.covered
    alpha = _ramp(depth / FEATHER) * bare * cv2.resize(seen, full, interpolation=cv2.INTER_LINEAR)
    shallow = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
    feather = TONE_FEATHER + FOREHEAD_FEATHER * raster.interpolate(_above_brows(), size)
    wide = _ramp(shallow / feather) * cv2.resize(bare, size, interpolation=cv2.INTER_AREA) * seen
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return Placement(*(np.asarray(mask, np.float32) for mask in (alpha, small_alpha, wide, skin, share)))


@lru_cache(maxsize=1)
def _above_brows() -> Floats:
    """(468,) 0 at the brows and below, rising to 1 at the top of the forehead."""
    height = mean_face().points[:, 1]
    brows = height[[*regions.LEFT_BROW, *regions.RIGHT_BROW]].min()
    return np.asarray(np.clip((brows - height) / (brows - height.min()), 0, 1), np.float32)


def _depth(template: TemplateFace) -> Mask:
    """(H, W) how far inside the template's contour a pixel lies, in face widths; 0 outside."""
    mesh = template.face.mesh
    oval = np.rint(mesh.xy[list(regions.FACE_OVAL)] * 8).astype(np.int32)
    inside = np.zeros(template.face.image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [oval], 255, shift=3)
    # Not the outermost pixel: there the posed mesh, drawn on a coarse grid, may end.
    depth = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - 1.0, 0)
    return np.asarray(depth / max(1.0, mesh.box.width), np.float32)


def _ramp(x: Floats) -> Mask:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _seen(face: FaceRegion, raster: Raster, features: Mask, width_px: float) -> Mask:
    """(h, w) 0 where the photo does not show the person: under hair, or turned out of sight.

    Brows, eyes and lips count as shown under stray hair, but not where they are turned out of sight.
    """
    size = (features.shape[1], features.shape[0])
    # Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    outer = np.clip((np.abs(mean_face().points[:, 0]) - 0.55) / 0.2, 0, 1)
    away = np.clip((0.30 + face.facing[:, 2]) / 0.2, 0, 1) * outer
    spread = raster.interpolate(np.column_stack([face.mesh.xy, away]).astype(np.float32), size)
    shrink = np.float32(face.hair.shape[1] / face.image.shape[1])
    at = (spread[:, :, :2] + 0.5) * shrink - 0.5
    hair = cv2.remap(face.hair, at[:, :, 0], at[:, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Wider and softer than what was found: the template's own skin, already in the right tone, takes over there.
    reach = max(1, round(0.02 * width_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sigma = max(0.5, 0.015 * width_px)
    hair = cv2.GaussianBlur(cv2.dilate(hair, disc), (0, 0), sigma)
    gone = cv2.GaussianBlur(np.ascontiguousarray(spread[:, :, 2]), (0, 0), sigma)
    return np.asarray((1 - hair * (1 - features)) * (1 - gone), np.float32)
