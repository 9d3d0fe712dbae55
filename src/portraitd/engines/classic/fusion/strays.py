"""What of a photo's light cannot be taken out: shadows of hair at the temples, the dark side of a face lit from one.

Where temple and cheek stay far from the template's own they look like dirt, and say little of who somebody is. There
the face takes the template's tone; its detail stays, but for glints and tints, which are the photo's light too. So it
does beside what no photo shows: hair throws a shadow, and next to it lies the template's own skin.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.cover import tint_of
from portraitd.engines.classic.face.geometry import Raster, at_points, rim_gap
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.fusion.place import above_brows
from portraitd.engines.classic.fusion.tone import Sheet
from portraitd.engines.classic.template.template_face import ramp
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask

#: How far brightness and colour may lie from the template's before tone is given up, and at which distance all of it
#: is; natural log of light.
BRIGHTNESS = (0.30, 0.55)
COLOUR = (0.12, 0.22)
#: The same beside what no photo shows, and up to how far from there, less and less, face widths.
BRIGHTNESS_BESIDE = (0.10, 0.30)
COLOUR_BESIDE = (0.05, 0.14)
BESIDE = 0.12
#: At which scale they are compared, and how softly one goes over into the other, face widths.
SCALE = 0.04
SOFTNESS = 0.015
#: How deep from the contour inwards tone may be given up, from there on less and less; eye distances.
DEPTH = (0.4, 0.8)
#: What stays there of detail.
CALM = 0.3
#: How far a spot within the blend at the contour may lie from the skin around it, and at which distance it is surely
#: none, natural log of light; and how far around it detail is given up, face widths.
FLECK = (0.15, 0.3)
FLECK_REACH = 0.012


def without_strays(sheet: Sheet, lit: Floats, raster: Raster) -> tuple[Floats, Mask]:
    """(h, w, 3) log linear light of the relit face, in the template's tone on flanks that stay unlike the template's;
    and (h, w) 0 on flecks at the contour, where the template's detail must show, else 1.

    lit: (h, w, 3) the relit face.
    """
    place = sheet.place
    own, wanted = (skin_mean(tone, place.trust, SCALE * sheet.width_px) for tone in (lit, sheet.wanted))
    detail = lit - own
    stray = _strays(sheet, lit, raster)[:, :, None]
    # Of brows, what is darker than skin stays.
    brow = (1 - place.skin[:, :, None]) * np.minimum(light.grey_of(detail)[:, :, None], 0)
    calmed = brow + np.float32(CALM) * (detail - brow)
    return np.asarray(lit + stray * (wanted + calmed - lit), np.float32), 1 - _flecks(detail, sheet, raster)


def _flecks(detail: Floats, sheet: Sheet, raster: Raster) -> Mask:
    """(h, w) 1 on spots within the blend at the contour that stand out from skin: backdrop, collar or hair that the
    mesh took in."""
    below = 1 - raster.interpolate(above_brows(), (detail.shape[1], detail.shape[0]))
    rim = (1 - sheet.place.tone_alpha) * sheet.place.skin * below
    off = _between(FLECK, np.abs(light.grey_of(detail))) * rim
    reach = max(1, round(FLECK_REACH * sheet.width_px))
    grown = cv2.dilate(off, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), max(0.8, SOFTNESS * sheet.width_px)), np.float32)


def _strays(sheet: Sheet, lit: Floats, raster: Raster) -> Mask:
    """(h, w) 1 where the relit face is unlike the template, on its flanks and beside what no photo shows, else 0."""
    place = sheet.place
    gap = skin_mean(lit - sheet.wanted, place.trust, SCALE * sheet.width_px)
    flank, low, beyond_eye = cv2.split(raster.interpolate(_zones(), (gap.shape[1], gap.shape[0])))

    def stray(brightness: tuple[float, float], colour: tuple[float, float]) -> Mask:
        unlike = _unlike(gap, brightness, colour)
        # Below the cheekbones a beard is unlike the template's skin, too, but on both sides.
        across = at_points(unlike, sheet.points)[mean_face().mirror]
        return np.asarray(unlike * (1 - low * raster.interpolate(across, (gap.shape[1], gap.shape[0]))), np.float32)

    # Brows and eyes stay, but for what lies beyond the eyes: there, brows end in the hair.
    zone = flank * np.maximum(place.skin, beyond_eye) * ramp(stray(BRIGHTNESS, COLOUR))
    zone = np.maximum(zone, _beside_hidden(sheet) * stray(BRIGHTNESS_BESIDE, COLOUR_BESIDE))
    return np.asarray(cv2.GaussianBlur(zone, (0, 0), max(0.8, SOFTNESS * sheet.width_px)), np.float32)


def _beside_hidden(sheet: Sheet) -> Mask:
    """(h, w) 1 on skin beside what no photo shows of the face, falling to 0."""
    place = sheet.place
    gone = (place.seen < 0.5) & (place.tone_alpha > 0.05)
    if not gone.any():
        return np.zeros_like(place.seen)
    away = cv2.distanceTransform((~gone).astype(np.uint8), cv2.DIST_L2, 3) / np.float32(sheet.width_px)
    return np.asarray(place.skin * (1 - ramp(away / np.float32(BESIDE))), np.float32)


def _unlike(gap: Floats, brightness: tuple[float, float], colour: tuple[float, float]) -> Mask:
    """(h, w) 0 where the (h, w, 3) gap in log light, face less template, is small, to 1."""
    grey, tint = np.abs(light.grey_of(gap)), tint_of(gap)
    return np.asarray(np.maximum(_between(brightness, grey), _between(colour, tint)), np.float32)


def _between(ends: tuple[float, float], x: Floats) -> Floats:
    return np.asarray(np.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1), np.float32)


@lru_cache(maxsize=1)
def _zones() -> Floats:
    """(468, 3) each 0 to 1: the flanks of the face; what of it lies below the cheekbones; what lies beyond the eyes."""
    x, y = np.abs(mean_face().points[:, 0]), mean_face().points[:, 1]
    near = 1 - _between(DEPTH, rim_gap())
    flank = near * _between((0.35, 0.65), x) * (1 - _between((1.45, 1.75), y))
    return np.asarray(np.column_stack([flank, _between((0.45, 0.75), y), _between((0.74, 0.86), x)]), np.float32)
