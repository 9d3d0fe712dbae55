"""What of a photo's light cannot be taken out: shadows of hair at the temples, the dark side of a face lit from one.

Where temple and cheek stay far from the template's own they look like dirt, and say little of who somebody is. There
the template's skin shows instead.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import light
from portraitd.engines.classic.geometry import Raster, at_points, rim_gap
from portraitd.engines.classic.tone import Sheet, skin_mean
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask

#: How far brightness and colour may lie from the template's before skin is given up, and at which distance all of it
#: is; natural log of light.
BRIGHTNESS = (0.30, 0.55)
COLOUR = (0.12, 0.22)
#: At which scale they are compared, and how softly one goes over into the other, face widths.
SCALE = 0.04
SOFTNESS = 0.015
#: How deep from the contour inwards skin may be given up, from there on less and less; eye distances.
DEPTH = (0.4, 0.8)


def without_strays(sheet: Sheet, lit: Floats, raster: Raster) -> Mask:
    """(h, w) 1 where the picture shows the person's skin, to 0 where it shows the template's.

    The template's shows where the photo does not show the person, and on flanks that stay unlike the template's.

    lit: (h, w, 3) log linear light of the relit face.
    """
    place, wanted = sheet.place, sheet.wanted
    size = (wanted.shape[1], wanted.shape[0])
    flank, low, beyond_eye = cv2.split(raster.interpolate(_zones(), size))
    unlike = _unlike(lit, sheet)
    # Below the cheekbones a beard is darker than the template's skin, too, but on both sides.
    across = at_points(unlike, sheet.points)[mean_face().mirror]
    stray = unlike * (1 - low * raster.interpolate(across, size))
    # Brows and eyes stay, but for what lies beyond the eyes: there, brows end in the hair.
    given_up = flank * np.maximum(place.skin, beyond_eye) * stray * stray * (3 - 2 * stray)
    kept = cv2.GaussianBlur(np.asarray(1 - given_up, np.float32), (0, 0), max(0.8, SOFTNESS * sheet.width_px))
    return np.asarray(kept * place.seen, np.float32)


def _unlike(lit: Floats, sheet: Sheet) -> Mask:
    """(h, w) 0 where the lit face is like the template, to 1."""
    gap = skin_mean(lit - sheet.wanted, sheet.place.trust, SCALE * sheet.width_px)
    grey = light.grey_of(gap)
    tint = np.sqrt(3 * light.grey_of((gap - grey[:, :, None]) ** 2))
    return np.asarray(np.maximum(_between(BRIGHTNESS, np.abs(grey)), _between(COLOUR, tint)), np.float32)


def _between(ends: tuple[float, float], x: Floats) -> Floats:
    return np.asarray(np.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1), np.float32)


@lru_cache(maxsize=1)
def _zones() -> Floats:
    """(468, 3) each 0 to 1: the flanks of the face; what of it lies below the cheekbones; what lies beyond the eyes."""
    x, y = np.abs(mean_face().points[:, 0]), mean_face().points[:, 1]
    near = 1 - _between(DEPTH, rim_gap())
    flank = near * _between((0.35, 0.65), x) * (1 - _between((1.45, 1.75), y))
    return np.asarray(np.column_stack([flank, _between((0.45, 0.75), y), _between((0.74, 0.86), x)]), np.float32)
