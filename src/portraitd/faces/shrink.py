"""Shrinking a photo without aliasing, however large it is."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.images import Image


def shrunk(image: Image, width: int, height: int) -> Image:
    """The (H, W, 3) image averaged down to (height, width, 3); one that is smaller is enlarged instead.

    Halving is what OpenCV averages tens of times faster than any other ratio: it halves first, and leaves a last step
    of 2 to 4, which averages evenly.
    """
    while image.shape[1] >= 4 * width and image.shape[0] >= 4 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(
            cv2.resize(image[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_AREA), np.uint8
        )
    if image.shape[:2] == (height, width):
        return image
    smaller = width <= image.shape[1] or height <= image.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)
