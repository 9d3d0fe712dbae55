"""Making a face belong to its picture: tone at the rim, sharpness, grain."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.images import Floats, Image, Mask

#: Sizes of fine and of broad detail, in face widths.
FINE = (0.004, 0.008)
BROAD = (0.016, 0.032)
#: Amount of an unsharp mask past which edges get halos, and its sigma, in face widths.
MOST_SHARPENING = 1.0
DETAIL = 0.007
#: Side of the sheet of grain that is laid over pictures.
GRAIN_PX = 512
#: How much stronger than the target's fine detail may get by sharpening.
MOST_GRIT = 1.3

Pixels = TypeVar("Pixels", Floats, Image)


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


def bands(luma: Mask, mask: Mask, face_px: float) -> tuple[float, float]:
    """Strength of a face's detail 0.4 to 0.8 % of its width in size, and of that 1.6 to 3.2 % in size.

    luma: (H, W), mask: (H, W) where to look, face_px: the face's width.
    """
    return tuple(_between(luma, mask, *(share * face_px for share in band)) for band in (FINE, BROAD))  # type: ignore[return-value]


def _between(luma: Mask, mask: Mask, fine_px: float, coarse_px: float) -> float:
    """Strength of what lies between two Gaussians of these sigmas, over the mask."""
    fine, coarse = (cv2.GaussianBlur(luma, (0, 0), max(0.3, float(sigma))) for sigma in (fine_px, coarse_px))
    return float((cv2.absdiff(fine, coarse) * mask).sum())


def sharpening_for(luma: Mask, target: Mask, mask: Mask, face_px: float) -> float:
    """How much to sharpen `luma` until it is as sharp as the target. mask: (H, W) where to compare.

    Below 0: minus the sigma, px, of a blur; above: the amount of an unsharp mask. Sharp is who has much fine detail for
    the broad detail there is; but a face of strong features in a soft picture must not get gritty, so fine detail
    alone may not outdo the target's by more than MOST_GRIT.
    """
    (fine, broad), (target_fine, target_broad) = (bands(picture, mask, face_px) for picture in (luma, target))
    wanted = target_fine / max(target_broad, 1e-6) * broad
    if fine <= wanted * 1.05:
        most = _between(_unsharp(luma, MOST_SHARPENING, face_px), mask, FINE[0] * face_px, FINE[1] * face_px)
        gain = min(wanted, max(MOST_GRIT * target_fine, fine)) - fine
        return MOST_SHARPENING * float(np.clip(gain / max(most - fine, 1e-6), 0, 1))
    low, high = 0.0, 4.0
    for _ in range(6):  # blurring only weakens detail: bisect
        sigma = (low + high) / 2
        if _between(luma, mask, np.hypot(FINE[0] * face_px, sigma), np.hypot(FINE[1] * face_px, sigma)) > wanted:
            low = sigma
        else:
            high = sigma
    return -(low + high) / 2


def sharpened(image: Image, by: float, face_px: float) -> Image:
    """The (H, W, 3) image sharpened as `sharpening_for` says."""
    if by < 0:
        return image if by > -0.2 else np.asarray(cv2.GaussianBlur(image, (0, 0), -by), np.uint8)
    return np.asarray(_unsharp(image, by, face_px), np.uint8)


def _unsharp(image: Pixels, amount: float, face_px: float) -> Pixels:
    soft = cv2.GaussianBlur(image, (0, 0), float(np.clip(DETAIL * face_px, 0.6, 2.0)))
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)  # type: ignore[return-value]


def middle(mask: NDArray[np.bool_], side_px: int = 96) -> tuple[slice, slice]:
    """Rows and columns of the square in the middle of the mask: enough to see how sharp a face is."""
    y, x = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    centres = (int(y.mean()), int(x.mean())) if y.size else (mask.shape[0] // 2, mask.shape[1] // 2)
    starts = [max(0, centre - side_px // 2) for centre in centres]
    return slice(starts[0], starts[0] + side_px), slice(starts[1], starts[1] + side_px)


def grain_of(luma: Mask, mask: Mask) -> float:
    """Standard deviation of the noise in the mask, from the median of the finest detail in its flattest half."""
    high = luma - cv2.GaussianBlur(luma, (0, 0), 1.0)
    slope = np.abs(cv2.Laplacian(cv2.GaussianBlur(luma, (0, 0), 2.0), cv2.CV_32F))
    if np.count_nonzero(mask > 0.5) < 64:
        return 0.0
    high, slope, inside = high[::2, ::2], slope[::2, ::2], mask[::2, ::2] > 0.5  # every fourth pixel tells enough
    flat = inside & (slope <= np.median(slope[inside]))
    # 0.83 of white noise's deviation is left by 1 - Gaussian(1 px); 0.6745 turns a median into a deviation.
    return float(np.median(np.abs(high[flat])) / 0.6745 / 0.83)


def add_grain(image: Floats, deviation: float, rng: np.random.Generator) -> Floats:
    """The (H, W, 3) float image with film-like grain: the same in all colours, about a pixel wide."""
    if deviation <= 0:
        return image
    height, width = image.shape[:2]
    y, x = (int(v) for v in rng.integers(0, GRAIN_PX, 2))
    beyond = [(0, max(0, y + height - 2 * GRAIN_PX)), (0, max(0, x + width - 2 * GRAIN_PX))]
    sheet = np.pad(_grain(), beyond, mode="wrap") if np.any(beyond) else _grain()
    laid = sheet[y : y + height, x : x + width]
    return np.asarray(cv2.scaleAdd(cv2.merge([laid] * 3), deviation, image), np.float32)


@lru_cache(maxsize=1)
def _grain() -> Floats:
    """(1024, 1024) grain of deviation 1, twice the same in both directions, without a seam."""
    noise = np.random.default_rng(0).standard_normal((GRAIN_PX, GRAIN_PX)).astype(np.float32)
    soft = cv2.GaussianBlur(np.pad(noise, 4, mode="wrap"), (0, 0), 0.6)[4:-4, 4:-4]
    return np.asarray(np.tile(soft / soft.std(), (2, 2)), np.float32)
