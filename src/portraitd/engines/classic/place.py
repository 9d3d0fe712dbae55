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

    #: (H, W) how much of each pixel becomes the person's in detail, if the photo shows it.
    alpha: Mask
    #: (h, w) a wider ramp: the same of tone.
    tone_alpha: Mask
    #: (h, w) 0 where the photo does not show the person: there the template's skin stays, in the face's tone.
    seen: Mask
    #: (h, w) the alpha where the photo shows the person.
    small_alpha: Mask
    #: (h, w) 1 on bare skin, 0 on brows, eyes and lips.
    skin: Mask
    #: (h, w) how much of a change of colour a pixel takes: all of it on skin, little on eyes and teeth.
    colour_share: Mask

    @cached_property
    def trust(self) -> Mask:
        """(h, w) how far a pixel shows the person's bare skin, never quite 0 on skin."""
        return np.asarray(self.skin * np.clip(self.small_alpha, 0.02, 1), np.float32)


def place_face(  # noqa: PLR0917
    template: TemplateFace, face: FaceRegion, away: Mask, posed: Points, raster: Raster, size: tuple[int, int]
) -> Placement:
    """Where the posed (468, 3) mesh lies, and which of its pixels the photo of `face` has; work at `size` (w, h).

    away: (h, w) 0 to 1, what is turned out of the photo's sight.
    """
    region = template.face.image
    shrink = np.float32(size[0] / region.shape[1])
    small = np.asarray((posed[:, :2] + 0.5) * shrink - 0.5, np.float32)
    shape = size[::-1]
    skin = 1.0 - cover.features(small, shape, cover.FEATURES, 0.04)
    eyes = cover.features(small, shape, (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_INNER), 0.0)
    lips = cover.features(small, shape, (regions.LIPS_OUTER,), 0.0)
    share = 1.0 - np.maximum(0.65 * eyes, 0.25 * lips)
    width = template.face.mesh.box.width * float(shrink)
    seen = _seen(face, away, raster, cover.features(small, shape, cover.FEATURES, 0.0), width)
    depth, bare = _depth(template), 1 - template.covered
    alpha = _ramp(depth / FEATHER) * bare
    shallow = cv2.resize(depth, size, interpolation=cv2.INTER_AREA)
    feather = TONE_FEATHER + FOREHEAD_FEATHER * raster.interpolate(above_brows(), size)
    wide = _ramp(shallow / feather) * cv2.resize(bare, size, interpolation=cv2.INTER_AREA)
    small_alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) * seen
    return Placement(*(np.asarray(mask, np.float32) for mask in (alpha, wide, seen, small_alpha, skin, share)))


@lru_cache(maxsize=1)
def above_brows() -> Floats:
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


def _seen(face: FaceRegion, away: Mask, raster: Raster, features: Mask, width_px: float) -> Mask:
    """(h, w) 0 where the photo does not show the person: under hair, or turned out of sight.

    Brows, eyes and lips count as shown under stray hair, but not where they are turned out of sight.
    """
    size = (features.shape[1], features.shape[0])
    hair = hair_in_place(face, raster, size, width_px)
    gone = cv2.GaussianBlur(away, (0, 0), _softness(width_px))
    return np.asarray((1 - hair * (1 - features)) * (1 - gone), np.float32)


def hair_in_place(face: FaceRegion, raster: Raster, size: tuple[int, int], width_px: float) -> Mask:
    """(h, w) what lies over the photo's face, in the template's geometry at `size` (w, h), where a face is that wide.

    Wider and softer than what was found: another's skin, already in the right tone, takes over there.
    """
    shrink = np.float32(face.hair.shape[1] / face.image.shape[1])
    x, y = cv2.split((raster.interpolate(face.mesh.xy.astype(np.float32), size) + np.float32(0.5)) * shrink)
    half = np.float32(0.5)
    hair = cv2.remap(face.hair, x - half, y - half, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    reach = max(1, round(0.02 * width_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.GaussianBlur(cv2.dilate(hair, disc), (0, 0), _softness(width_px)), np.float32)


def _softness(width_px: float) -> float:
    return max(0.5, 0.015 * width_px)
