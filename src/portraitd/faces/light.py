"""How a face is lit: measured on bare skin, in sRGB grey levels and linear light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.faces.look import FaceCrop, skin_patches
from portraitd.images import to_linear


@dataclass(frozen=True)
class Light:
    """What the skin of a face says about the light."""

    #: sRGB luma of the skin, 0 to 255: mean, 5th, 50th and 95th percentile.
    luma_mean: float
    luma_low: float
    luma_middle: float
    luma_high: float
    #: Share of the skin, 0 to 1, that is burnt out (some channel at its end, nearly white) or black.
    burnt_share: float
    black_share: float
    #: Linear light of the brighter half of the face over that of the darker half, at least 1.
    side_ratio: float


def measure_light(crop: FaceCrop) -> Light:
    """The light on the face in the crop."""
    patches = skin_patches(crop)
    left = np.logical_or.reduce([pair[0] for pair in patches.values()])
    right = np.logical_or.reduce([pair[1] for pair in patches.values()])
    luma = np.asarray(cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY), np.uint8)
    skin = luma[left | right].astype(np.float32)
    brightest = crop.image[left | right].max(axis=1)
    linear = to_linear(luma)
    # The median of three patches a side: a fringe or a beard on one of them is no shadow.
    sides = [np.median([np.median(linear[pair[side]]) for pair in patches.values()]) for side in (0, 1)]
    low, middle, high = (float(value) for value in np.percentile(skin, (5, 50, 95)))
    return Light(
        luma_mean=float(skin.mean()),
        luma_low=low,
        luma_middle=middle,
        luma_high=high,
        burnt_share=float(((brightest >= 253) & (skin >= 240)).mean()),
        black_share=float((skin <= 12).mean()),
        side_ratio=float((max(sides) + 1e-3) / (min(sides) + 1e-3)),
    )
