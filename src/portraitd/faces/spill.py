"""The old backdrop's colour on the person's outline: light it threw there, and what lenses and compression smear.

Where a backdrop has a colour of its own (a blue wall, a lawn) hair and skin beside it are tinged, in the photo itself:
not a matter of how much of a pixel is the person. Before another backdrop that tinge is a halo. It is looked for along
the line from the colour deeper inside the person to the backdrop's, and taken out; brightness stays.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Image, Mask

Integers: TypeAlias = NDArray[np.signedinteger[Any]]

#: Weights of red, green and blue in brightness (Rec. 601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
#: Depth of the outline, in shorter sides of the picture, and the reach within which colours are compared.
DEPTH = 1 / 130
REACH = 1 / 30
#: How far apart the two colours must lie, codes, before anything is taken out, and at how much more all of it is.
APART = (25.0, 25.0)
#: How much of the way is the person's own variety.
SLACK = 0.06
#: Colours are compared on a picture this many times smaller.
SHRINK = 4


def without_spill(person: Image, photo: Image, alpha: Mask) -> Image:
    """The (H, W, 3) person's colours without the backdrop's on the outline.

    photo: (H, W, 3) the picture the person is from; alpha: (H, W) the matte.
    """
    side = min(alpha.shape)
    depth = max(2, round(DEPTH * side))
    solid = (alpha > 0.99).astype(np.uint8)
    inner = np.asarray(cv2.erode(solid, np.ones((2 * depth + 1, 2 * depth + 1), np.uint8)), np.float32)
    # Half as deep again, and softly: 0 at the outline, 1 inside.
    inside = np.asarray(cv2.blur(inner, (depth | 1, depth | 1)), np.float32)
    rows, columns = np.nonzero((inside < 0.99) & (alpha > 0))
    if not rows.size:
        return person
    within, towards, share = _apart(person, photo, inner, alpha, max(3.0, REACH * side))
    if not share.any():
        return person
    at = (rows, columns)
    within, towards, share = (_at(values, *at, alpha.shape) for values in (within, towards, share))
    own = person[at].astype(np.float32)
    tinge = ((_hue(own) - within) * towards).sum(axis=1) / np.maximum((towards * towards).sum(axis=1), 1)
    taken = np.clip(tinge - SLACK, 0, 1) * share * (1 - inside[at])
    out = person.copy()
    out[at] = np.clip(np.rint(own - taken[:, None] * towards), 0, 255)
    return out


def _apart(person: Image, photo: Image, inner: Mask, alpha: Mask, reach_px: float) -> tuple[Floats, Floats, Floats]:
    """Small (h, w, 3) colour inside the person nearby, and the way from it to the backdrop's; (h, w) how much to take
    out. Colour without brightness."""
    size = (max(1, alpha.shape[1] // SHRINK), max(1, alpha.shape[0] // SHRINK))
    inside, within = _mean_hue(person, inner, size, reach_px)
    outside, backdrop = _mean_hue(photo, (alpha < 0.01).astype(np.float32), size, reach_px)
    towards = backdrop - within
    share = np.clip((np.linalg.norm(towards, axis=2) - APART[0]) / APART[1], 0, 1) * inside * outside
    return within, np.asarray(towards, np.float32), np.asarray(share, np.float32)


def _mean_hue(image: Image, known: Mask, size: tuple[int, int], reach_px: float) -> tuple[Mask, Floats]:
    """At this width and height: (h, w) whether any known pixel is near, (h, w, 3) mean colour of those."""
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    share = np.asarray(cv2.resize(known, size, interpolation=cv2.INTER_AREA), np.float32)
    sigma = reach_px / SHRINK
    total = cv2.GaussianBlur(_hue(small) * share[..., None], (0, 0), sigma)
    weight = cv2.GaussianBlur(share, (0, 0), sigma)
    return np.clip(weight * 50, 0, 1), np.asarray(total / (weight[..., None] + 1e-4), np.float32)


def _hue(colours: Floats) -> Floats:
    """(..., 3) the colours without their brightness."""
    return np.asarray(colours - (colours @ LUMA)[..., None], np.float32)


def _at(small: Floats, rows: Integers, columns: Integers, shape: tuple[int, ...]) -> Floats:
    """(N,) or (N, 3) of a small picture at pixels of the (height, width) large one."""
    height, width = small.shape[:2]
    row = np.minimum(rows * height // shape[0], height - 1)
    column = np.minimum(columns * width // shape[1], width - 1)
    return np.asarray(small[row, column], np.float32)
