"""How much detail a face holds, whatever its size and contrast: the width of its edges.

Re-blurring an edge of unknown blur sigma_0 by a known sigma_1 lowers its gradient by
R = sqrt(1 + (sigma_1 / sigma_0)^2), so sigma_0 = sigma_1 / sqrt(R^2 - 1)
(Zhuo and Sim 2011, "Defocus map estimation from a single image").
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.look import FaceCrop
from portraitd.images import Floats

#: Blur added before the first gradient, so that noise is no edge; taken off again in the end. Crop pixels.
CALM_PX = 1.0
#: The known second blur.
REBLUR_PX = 2.0
#: Directions of edges that are told apart, and the share of each one's pixels that are taken for edges.
DIRECTIONS = 4
EDGE_SHARE = 0.04


def blur_share(crop: FaceCrop) -> float:
    """Sigma of the face's blur as a share of its height, hairline to chin: 0.003 crisp, 0.008 soft, 0.03 blurred.

    Edges are parted by direction, and the direction that is blurred most decides: a shaken picture is sharp along the
    shake.
    """
    grey = crop.image[..., 1].astype(np.float32)
    calm = np.asarray(cv2.GaussianBlur(grey, (0, 0), CALM_PX), np.float32)
    soft = np.asarray(cv2.GaussianBlur(calm, (0, 0), REBLUR_PX), np.float32)
    inside = _inner_face(crop)
    x, y = (part[inside] for part in _gradient(calm))
    after = np.hypot(*(part[inside] for part in _gradient(soft)))
    before = np.hypot(x, y)
    direction = np.floor((np.rad2deg(np.arctan2(y, x)) + 180 / DIRECTIONS / 2) % 180 / (180 / DIRECTIONS))
    ratios = []
    for index in range(DIRECTIONS):
        along = direction == index
        if along.sum() < 50:
            continue
        edges = along & (before >= np.quantile(before[along], 1 - EDGE_SHARE))
        # Many edges of a sharp face are soft (shadows, wrinkles): its sharpest quarter tells.
        ratios.append(float(np.quantile(before[edges] / np.maximum(after[edges], 1e-3), 0.75)))
    sharp = max(min(ratios, default=1.0), 1.0001)
    sigma = np.sqrt(max(REBLUR_PX**2 / (sharp**2 - 1) - CALM_PX**2, 0.04))
    return float(sigma / crop.face_px)


def _inner_face(crop: FaceCrop) -> NDArray[np.bool_]:
    """(H, W) the face without its rim, which has another depth and may end in hair."""
    centre = crop.points.mean(axis=0)
    inner = (crop.points[list(regions.FACE_OVAL)] - centre) * 0.85 + centre
    mask = np.zeros(crop.image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(inner).astype(np.int32)], 1)
    return mask > 0


def _gradient(grey: Floats) -> tuple[Floats, Floats]:
    """(H, W) gradient along x and along y, grey levels per pixel."""
    x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)
