"""The person in the clothes that are drawn for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.grade import LUMA
from portraitd.images import Floats


def in_clothes(linear: Floats, cutout: Cutout, white: float) -> tuple[Floats, Cutout]:
    """(H, W, 3) the person's linear light with what is drawn onto them, and the cutout with its outline.

    white: linear light of perfectly white cloth. Without clothes to draw, both are returned as they are.
    """
    if (clothes := cutout.clothes) is None:
        return linear, cutout
    worn, rows = linear.copy(), np.s_[clothes.top :]
    light = clothes.light * np.float32(white)
    if cutout.is_grey():
        light = np.repeat((light @ LUMA)[..., None], 3, axis=2)
    own, seen = linear[rows] * clothes.shade[..., None], cutout.alpha[rows] * clothes.shown
    alpha = cutout.alpha.copy()
    alpha[rows] = clothes.cover + seen * (1 - clothes.cover)
    # Along the edge nothing of what is hidden shines through.
    share = clothes.cover / np.maximum(alpha[rows], np.float32(1e-4))
    worn[rows] = own + (light - own) * share[..., None]
    return worn, replace(cutout, alpha=alpha, clothes=None)
