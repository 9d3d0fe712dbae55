"""Colour for the lips of a face from a black and white photo: a softer one than the template's, which may be painted.

All else takes the template's colours as any skin does.
"""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.face import cover, light
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.fusion.tone import COLOUR_SCALE, Sheet
from portraitd.faces import regions
from portraitd.images import Floats, Mask, Points

#: How far lips go from the skin's colour to that of the template's lips.
LIPS_SHARE = 0.7


def tinted(lit: Floats, sheet: Sheet, template: Points) -> Floats:
    """(h, w, 3) log linear light of the lit face, its brightness kept, with coloured lips.

    template: (468, 2) the template's own mesh on the sheet.
    """
    shape = lit.shape[:2]
    wanted = sheet.wanted - light.grey_of(sheet.wanted)[:, :, None]
    skin = skin_mean(wanted, sheet.place.trust, COLOUR_SCALE * sheet.width_px)
    theirs, own = (_lips(points, shape)[:, :, None] for points in (template, sheet.points))
    redder = ((wanted - skin) * theirs).sum(axis=(0, 1)) / max(float(theirs.sum()), 1.0)
    coloured = light.grey_of(lit)[:, :, None] + skin + np.float32(LIPS_SHARE) * redder
    return np.asarray(lit * (1 - own) + coloured * own, np.float32)


def _lips(points: Points, shape: tuple[int, ...]) -> Mask:
    """(h, w) 1 on the lips of a (468, 2) mesh, not between them."""
    size = (shape[0], shape[1])
    outer = cover.features(points, size, (regions.LIPS_OUTER,), 0.0)
    return np.asarray(outer * (1 - cover.features(points, size, (regions.LIPS_INNER,), 0.0)), np.float32)
