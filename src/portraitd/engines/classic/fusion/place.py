"""Where the person's face lies in the template, and how much of each pixel becomes theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face import cover
from portraitd.engines.classic.face.geometry import Raster
from portraitd.engines.classic.face.hair import hair_at, softness_px, widened
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.template.template_face import Ground, ramp
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask, Points

#: Width of tone's blend inside the contour, in face widths, and what the forehead adds to it.
TONE_FEATHER = 0.055
FOREHEAD_FEATHER = 0.06


@dataclass(frozen=True)
class Placement:
    """Where the warped face lies in the template's region, at the size of the work."""

    #: (h, w) a wider ramp: the same of tone.
    tone_alpha: Mask
    #: (h, w) 0 where the photo does not show the person: there the template's skin stays, in the face's tone.
    seen: Mask
    #: (h, w) the alpha where the photo shows the person.
    small_alpha: Mask
    #: (h, w) 1 on bare skin, 0 on brows, eyes, lips and beard.
    skin: Mask
    #: (h, w) how much of a change of colour a pixel takes: all of it on skin, little on eyes and teeth.
    colour_share: Mask

    @cached_property
    def trust(self) -> Mask:
        """(h, w) how far a pixel shows the person's bare skin, never quite 0 on skin."""
        return np.asarray(self.skin * np.clip(self.small_alpha, 0.02, 1), np.float32)


@dataclass(frozen=True)
class Hidden:
    """What a photo does not show."""

    #: (h, w) 0 to 1, what is turned out of its sight.
    away: Mask
    #: (h, w) 0 to 1, what another photo shows instead, if there is one.
    lent: Mask | None


def place_face(ground: Ground, face: FaceRegion, hidden: Hidden, posed: Points, raster: Raster) -> Placement:
    """Where the posed (468, 3) mesh lies, and which of its pixels the photo of `face`, or what lends to it, has."""
    size, shape = ground.size, ground.size[::-1]
    points = np.asarray((posed[:, :2] + 0.5) * np.float32(size[0] / raster.shape[1]) - 0.5, np.float32)
    # Light and tone are told from skin alone: a beard would be brightened like a shadow.
    skin = (1.0 - cover.features(points, shape, cover.FEATURES, 0.04)) * (1 - raster.interpolate(face.beard, size))
    eyes = cover.features(points, shape, (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_INNER), 0.0)
    lips = cover.features(points, shape, (regions.LIPS_OUTER,), 0.0)
    share = 1.0 - np.maximum(0.65 * eyes, 0.25 * lips)
    seen = _seen(face, hidden, raster, cover.features(points, shape, cover.FEATURES, 0.0), ground.width_px)
    feather = TONE_FEATHER + FOREHEAD_FEATHER * raster.interpolate(above_brows(), size)
    wide = ramp(ground.depth / feather) * ground.bare
    small = (wide, seen, ground.small_alpha * seen, skin, share)
    return Placement(*(np.asarray(mask, np.float32) for mask in small))


@lru_cache(maxsize=1)
def above_brows() -> Floats:
    """(468,) 0 at the brows and below, rising to 1 at the top of the forehead."""
    height = mean_face().points[:, 1]
    brows = height[[*regions.LEFT_BROW, *regions.RIGHT_BROW]].min()
    return np.asarray(np.clip((brows - height) / (brows - height.min()), 0, 1), np.float32)


def _seen(face: FaceRegion, hidden: Hidden, raster: Raster, features: Mask, width_px: float) -> Mask:
    """(h, w) 0 where no photo shows the person: under hair, or turned out of sight.

    Beside hair, brows, eyes and lips count as shown, but not under it, and not where they are turned out of sight.
    """
    size = (features.shape[1], features.shape[0])
    found = hair_at(face, raster, size)
    over = widened(found, width_px)
    hair = over * (1 - features) + np.minimum(found, over) * features
    gone = hidden.away
    if hidden.lent is not None:
        gone, hair = np.maximum(gone - hidden.lent, 0), hair * (1 - hidden.lent)
    return np.asarray((1 - hair) * (1 - cv2.GaussianBlur(gone, (0, 0), softness_px(width_px))), np.float32)
