"""Colour for the lips of a face from a black and white photo: people's own, for the template's may be painted.

All else takes the template's colours as any skin does.
"""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.face import cover, light
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.fusion.tone import COLOUR_SCALE, Sheet
from portraitd.faces import regions
from portraitd.images import Floats, Mask, Points

#: How lips differ from the skin around them, natural log of linear light: the middle of some twenty people's.
LIPS = np.array([0.14, -0.17, 0.03], np.float32)


def tinted(lit: Floats, sheet: Sheet) -> Floats:
    """(h, w, 3) log linear light of the lit face, its brightness kept, with coloured lips."""
    wanted = sheet.wanted - light.grey_of(sheet.wanted)[:, :, None]
    skin = skin_mean(wanted, sheet.place.trust, COLOUR_SCALE[0] * sheet.width_px)
    lips = _lips(sheet.points, lit.shape[:2])[:, :, None]
    coloured = light.grey_of(lit)[:, :, None] + skin + LIPS
    return np.asarray(lit * (1 - lips) + coloured * lips, np.float32)


def _lips(points: Points, shape: tuple[int, ...]) -> Mask:
    """(h, w) 1 on the lips of a (468, 2) mesh, not between them."""
    size = (shape[0], shape[1])
    outer = cover.features(points, size, (regions.LIPS_OUTER,), 0.0)
    return np.asarray(outer * (1 - cover.features(points, size, (regions.LIPS_INNER,), 0.0)), np.float32)
