"""GrabCut (Rother et al. 2004, "GrabCut": interactive foreground extraction using iterated graph cuts), repeatable."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Image

#: How often colours are learnt anew from what was found; four find the same hands.
ROUNDS = 2

Flags = NDArray[np.bool_]
#: Rows and columns of a picture.
Window = tuple[slice, slice]


def window_around(flags: Flags, reach: int = 0) -> Window:
    """The least window around what is set of (h, w) flags, of which some are, and `reach` px more on all sides."""
    rows, columns = (np.flatnonzero(flags.any(axis=axis)) for axis in (1, 0))
    top, left = (max(0, int(found[0]) - reach) for found in (rows, columns))
    return np.s_[top : int(rows[-1]) + 1 + reach, left : int(columns[-1]) + 1 + reach]


def foreground(image: Image, known: NDArray[np.uint8], window: Window) -> Flags:
    """What of the window of an (h, w, 3) image is foreground, of the window's size.

    known: (h, w) OpenCV's GC_BGD, GC_FGD, GC_PR_BGD or GC_PR_FGD, what is sure and what is likely; the window must show
    some of either ground.
    """
    labels, models = np.ascontiguousarray(known[window]), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)  # its clusters are drawn at random: the same picture must give the same answer
    part = np.ascontiguousarray(image[window])
    cv2.grabCut(part, labels, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
