"""Making a face belong to its picture: tone at the rim, sharpness, grain."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Image, Mask


def spread_inward(values: Floats, weight: Mask) -> Floats:
    """(H, W, C) values where weight is high, carried smoothly to everywhere else (push-pull, Gortler et al. 1996).

    The result is exact where the weight is 1 and an ever wider weighted mean the farther one is from such places.
    """
    levels = [(values * weight[:, :, None], weight)]
    while min(levels[-1][1].shape) > 2:
        total, w = levels[-1]
        size = (max(1, (w.shape[1] + 1) // 2), max(1, (w.shape[0] + 1) // 2))
        levels.append((_shrink(total, size), _shrink(w, size)))
    total, w = levels[-1]
    filled = total / np.maximum(w, 1e-6)[:, :, None]
    for total, w in reversed(levels[:-1]):
        up = cv2.resize(filled, (w.shape[1], w.shape[0]), interpolation=cv2.INTER_LINEAR).reshape(total.shape)
        trust = np.clip(w, 0, 1)[:, :, None]
        filled = total / np.maximum(w, 1e-6)[:, :, None] * trust + up * (1 - trust)
    return np.asarray(filled, np.float32)


def _shrink(array: Floats, size: tuple[int, int]) -> Floats:
    # Blurred first: an area mean alone leaves blocks behind in the pull phase.
    small = cv2.resize(cv2.GaussianBlur(array, (3, 3), 0.8), size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(
        size[1], size[0], *array.shape[2:]
    )  # cv2 drops a single channel's axis


def band_energy(luma: Mask, mask: Mask, sigma_px: float = 1.0) -> float:
    """Root mean square of what a Gaussian of `sigma_px` takes out, over the mask: how sharp the picture is there."""
    band = luma - cv2.GaussianBlur(luma, (0, 0), sigma_px)
    total = float(mask.sum())
    return float(np.sqrt((band * band * mask).sum() / max(total, 1e-6)))


def sharpening_for(luma: Mask, target: Mask, mask: Mask) -> float:
    """How much to sharpen `luma` until its finest detail is as strong as the target's: below 0, minus the sigma, px, of
    a blur; above, the amount of an unsharp mask. mask: where to compare. Sharpening stops at what looks natural."""
    wanted, have = band_energy(target, mask), band_energy(luma, mask)
    if have <= wanted * 1.05:
        return min(0.5, wanted / max(have, 1e-6) - 1.0)
    low, high = 0.0, 4.0
    for _ in range(6):  # blurring only weakens detail: bisect
        sigma = (low + high) / 2
        if band_energy(np.asarray(cv2.GaussianBlur(luma, (0, 0), max(sigma, 0.1)), np.float32), mask) > wanted:
            low = sigma
        else:
            high = sigma
    return -(low + high) / 2


def sharpened(image: Image, by: float) -> Image:
    """The (H, W, 3) image sharpened as `sharpening_for` says."""
    if by < 0:
        return image if by > -0.2 else np.asarray(cv2.GaussianBlur(image, (0, 0), -by), np.uint8)
    return np.asarray(cv2.addWeighted(image, 1 + by, cv2.GaussianBlur(image, (0, 0), 1.2), -by, 0), np.uint8)


def middle(mask: NDArray[np.bool_], side_px: int = 112) -> tuple[slice, slice]:
    """Rows and columns of the square in the middle of the mask: enough to see how sharp a face is."""
    y, x = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    centres = (int(y.mean()), int(x.mean())) if y.size else (mask.shape[0] // 2, mask.shape[1] // 2)
    starts = [max(0, centre - side_px // 2) for centre in centres]
    return slice(starts[0], starts[0] + side_px), slice(starts[1], starts[1] + side_px)


def grain_of(luma: Mask, mask: Mask) -> float:
    """Standard deviation of the noise in the mask, from the median of the finest detail in its flattest half."""
    high = luma - cv2.GaussianBlur(luma, (0, 0), 1.0)
    slope = np.abs(cv2.Laplacian(cv2.GaussianBlur(luma, (0, 0), 2.0), cv2.CV_32F))
    inside = mask > 0.5
    if inside.sum() < 64:
        return 0.0
    flat = inside & (slope <= np.median(slope[inside]))
    # 0.83 of white noise's deviation is left by 1 - Gaussian(1 px); 0.6745 turns a median into a deviation.
    return float(np.median(np.abs(high[flat])) / 0.6745 / 0.83)


def add_grain(image: Floats, deviation: float, rng: np.random.Generator) -> Floats:
    """The (H, W, 3) float image with film-like grain: the same in all colours, about a pixel wide."""
    if deviation <= 0:
        return image
    height, width = image.shape[:2]
    sheet = _grain()
    y, x = (int(v) for v in rng.integers(0, len(sheet), 2))
    laid = np.take(
        np.take(sheet, np.arange(y, y + height), axis=0, mode="wrap"), np.arange(x, x + width), axis=1, mode="wrap"
    )
    return np.asarray(image + np.float32(deviation) * laid[:, :, None], np.float32)


@lru_cache(maxsize=1)
def _grain() -> Floats:
    """(512, 512) grain of deviation 1 that can be laid side by side without a seam."""
    noise = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    soft = cv2.GaussianBlur(np.pad(noise, 4, mode="wrap"), (0, 0), 0.6)[4:-4, 4:-4]
    return np.asarray(soft / soft.std(), np.float32)
