"""Where the person's face lies in the template, and how much of each pixel becomes theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import cover
from portraitd.engines.classic.geometry import Raster, normals
from portraitd.engines.classic.template import TemplateFace
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask, Points

#: Width of the blend inside the contour, in face widths: of detail, of tone, and what the forehead adds to tone's.
FEATHER = 0.016
TONE_FEATHER = 0.04
FOREHEAD_FEATHER = 0.12


@dataclass(frozen=True)
class Warped:
    """A photo's face in the template's geometry."""

    #: (h, w, 3) log linear light.
    face: Floats
    #: (h, w) 1 where hair lay over the face in the photo, and where the face was turned out of sight.
    hidden: Mask
    away: Mask
    #: (9, 3) the photo's light, and (468, 3) the normals it fell on.
    light: Floats
    facing: Floats


@dataclass(frozen=True)
class Placement:
    """Where the warped face lies in the template's region; all masks (h, w)."""

    raster: Raster
    #: (468, 3) normals of the posed mesh.
    facing: Floats
    #: How much of each pixel becomes the person's: in detail, and (a wider ramp) in tone.
    alpha: Mask
    tone_alpha: Mask
    #: 1 on bare skin, 0 on brows, eyes and lips.
    skin: Mask
    #: How much of a change of colour a pixel takes: all of it on skin, little on eyes and teeth.
    colour_share: Mask

    @property
    def trust(self) -> Mask:
        """(h, w) how far a pixel shows the person's bare skin, never quite 0 on skin."""
        return self.skin * np.clip(self.alpha, 0.02, 1)

    def resized(self, size: tuple[int, int]) -> Placement:
        """The same with its masks shrunk to (width, height); raster and normals stay those of the full size."""

        def small(mask: Mask) -> Mask:
            return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.float32)

        return replace(
            self,
            alpha=small(self.alpha),
            tone_alpha=small(self.tone_alpha),
            skin=small(self.skin),
            colour_share=small(self.colour_share),
        )


def place_face(template: TemplateFace, posed: Points, raster: Raster, warped: Warped) -> Placement:
    """Where the posed (468, 3) mesh lies, and which of its pixels the photo has."""
    shape = template.image.shape[:2]
    skin = 1.0 - cover.features(posed, shape, cover.FEATURES, 0.04)
    eyes = cover.features(posed, shape, (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_INNER), 0.0)
    lips = cover.features(posed, shape, (regions.LIPS_OUTER,), 0.0)
    share = 1.0 - np.maximum(0.65 * eyes, 0.25 * lips)
    seen = _seen(template, warped, cover.features(posed, shape, cover.FEATURES, 0.0))
    depth = _depth(template)
    brow = raster.interpolate(_above_brows())
    alpha, wide = (_ramp(depth / width) * seen for width in (FEATHER, TONE_FEATHER + FOREHEAD_FEATHER * brow))
    return Placement(raster, normals(posed), alpha, wide.astype(np.float32), skin, share.astype(np.float32))


@lru_cache(maxsize=1)
def _above_brows() -> Floats:
    """(468,) 0 at the brows and below, rising to 1 at the top of the forehead."""
    height = mean_face().points[:, 1]
    brows = height[[*regions.LEFT_BROW, *regions.RIGHT_BROW]].min()
    return np.asarray(np.clip((brows - height) / (brows - height.min()), 0, 1), np.float32)


def _depth(template: TemplateFace) -> Mask:
    """(h, w) how far inside the template's contour a pixel lies, in face widths; 0 outside."""
    oval = np.rint(template.mesh.xy[list(regions.FACE_OVAL)] * 8).astype(np.int32)
    inside = np.zeros(template.image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [oval], 255, shift=3)
    # Not the outermost pixel: there the posed mesh, drawn on a coarse grid, may end.
    depth = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 5) - 1.0, 0)
    return np.asarray(depth / max(1.0, template.mesh.box.width), np.float32)


def _ramp(x: Floats) -> Mask:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _seen(template: TemplateFace, warped: Warped, features: Mask) -> Mask:
    """(h, w) 0 under the template's hair, and where the photo does not show the person.

    Brows, eyes and lips count as shown under stray hair, but not where they are turned out of sight.
    """
    width = template.mesh.box.width
    # Wider and softer than what was found: the template's own skin, already in the right tone, takes over there.
    reach = max(1, round(0.02 * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    sigma = max(0.5, 0.015 * width)
    hair = cv2.GaussianBlur(cv2.dilate(warped.hidden, disc), (0, 0), sigma)
    away = cv2.GaussianBlur(warped.away, (0, 0), sigma)
    return np.asarray((1 - template.covered) * (1 - hair * (1 - features)) * (1 - away), np.float32)
