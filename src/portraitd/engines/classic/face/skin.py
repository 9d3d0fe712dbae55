"""Skin: where it is, what is smooth in it, what light it was photographed in, and a light retouch."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face.light import skin_points
from portraitd.faces import regions
from portraitd.images import Floats, Image, Mask, Points

#: Red and blue over green, linear light, of skin under neutral light; the least and the greatest of each.
RED_RANGE = (1.32, 1.84)
BLUE_RANGE = (0.58, 0.86)
#: How much of what lies outside is corrected: some people are as red as that.
FIRMNESS = 0.85
#: What all skin together counts beside what is near.
LEAST_TRUST = np.float32(1e-4)


def skin_mask(image: Image, points: Points) -> Mask:
    """(H, W) how surely a pixel is bare skin of the face, features and hair left out, its rim soft."""
    height, width = image.shape[:2]
    face_px = float(np.ptp(points[:, 0]))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(points[list(regions.FACE_OVAL), :2]).astype(np.int32)], 255)
    for ring in (
        regions.LEFT_EYE,
        regions.RIGHT_EYE,
        regions.LEFT_BROW,
        regions.RIGHT_BROW,
        regions.LIPS_OUTER,
        regions.NOSTRILS,
    ):
        hull = cv2.convexHull(np.rint(points[list(ring), :2]).astype(np.int32))
        cv2.fillPoly(mask, [hull], 0)
        cv2.polylines(mask, [hull], True, 0, max(2, round(0.05 * face_px)))
    inside = mask > 0
    if inside.sum() < 50:
        return np.zeros((height, width), np.float32)
    luma = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.012 * face_px).astype(np.float32)
    middle = float(np.median(luma[inside]))
    lit = np.clip((luma - 0.55 * middle) / (0.15 * middle), 0, 1)  # hair over the forehead is darker than skin
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255.0, (0, 0), 0.02 * face_px)
    return np.asarray(soft * lit, np.float32)


def skin_mean(values: Floats, trust: Mask, sigma_px: float) -> Floats:
    """(h, w, 3) Gaussian mean of the values, weighted by trust (normalised convolution, Knutsson and Westin 1993).

    Where nothing near is trusted, as in a beard, the mean of all that is.
    """
    shrink = max(1, int(sigma_px / 4))
    height, width = values.shape[:2]
    size = (max(4, width // shrink), max(4, height // shrink))
    total = cv2.resize(values * trust[:, :, None], size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(trust, size, interpolation=cv2.INTER_AREA)
    total = cv2.GaussianBlur(total, (0, 0), sigma_px / shrink)
    weight = cv2.GaussianBlur(weight, (0, 0), sigma_px / shrink)
    middle = total.sum(axis=(0, 1)) / max(float(weight.sum()), LEAST_TRUST)
    mean = (total + LEAST_TRUST * middle) / (weight + LEAST_TRUST)[:, :, None]
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def retouch(image: Image, points: Points, strength: float) -> Image:
    """The image with spots and shine taken down on the face's skin; pores and edges stay.

    Frequency separated: the band between pores and the shape of the face is flattened where it is faint (spots,
    blotches, lines are stronger and stay), and highlights are brought back towards the skin around them. strength: 0
    (nothing) to 1.
    """
    x0, y0, x1, y1 = _surroundings(points, image.shape[:2])
    part = image[y0:y1, x0:x1]
    # Everything changed is broader than pores: it is found on a small picture and added to the large one.
    scale = min(1.0, 160.0 / float(np.ptp(points[:, 0])))
    size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    at = (points[:, :2] - np.array([x0, y0], np.float32) + 0.5) * scale - 0.5
    change = cv2.resize(_flattening(small, at) * strength, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB).astype(np.float32) + change
    out = image.copy()
    out[y0:y1, x0:x1] = cv2.cvtColor(np.clip(np.rint(lab), 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return out


def _flattening(image: Image, points: Points) -> Floats:
    """(H, W, 3) change of the 8-bit Lab of a small picture of the face that takes spots and shine down."""
    face_px = float(np.ptp(points[:, 0]))
    mask = skin_mask(image, points)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    weight = mask[..., None] + 1e-3
    fine = cv2.GaussianBlur(lab, (0, 0), 0.007 * face_px)
    share = cv2.GaussianBlur(weight, (0, 0), 0.04 * face_px)[..., None]
    broad = cv2.GaussianBlur(lab * weight, (0, 0), 0.04 * face_px) / share
    band = fine - broad
    change = -0.6 * band * np.exp(-((band[..., :1] / 16.0) ** 2))
    skin = mask > 0.3
    if skin.any():
        bright = float(np.percentile(broad[..., 0][skin], 85))
        change[..., 0] -= 0.35 * np.clip(fine[..., 0] - bright - 4, 0, None)
    return np.asarray(change * mask[..., None], np.float32)


def _surroundings(points: Points, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    margin = 0.15 * float(np.ptp(points[:, 0]))
    low, high = points[:, :2].min(axis=0) - margin, points[:, :2].max(axis=0) + margin
    return (
        int(max(0, low[0])), int(max(0, low[1])), int(min(shape[1], high[0] + 1)), int(min(shape[0], high[1] + 1))
    )  # fmt: skip


def skin_light(linear: Floats, points: Points) -> Floats:
    """(3,) median linear colour of the face's skin in a (H, W, 3) linear image."""
    at = points[skin_points() > 0, :2].astype(np.float32)
    small = cv2.resize(linear, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    at = np.asarray((at + 0.5) / 4 - 0.5, np.float32)
    seen = cv2.remap(
        small, at[None, :, 0].copy(), at[None, :, 1].copy(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(np.median(seen[0], axis=0), np.float32)


def neutral_gains(skin: Floats, firmness: float = FIRMNESS) -> Floats:
    """(3,) gains that bring skin of that linear colour into the range that neutral light gives skin.

    Only what lies outside the range is corrected, by `firmness` of the way; dark skin may be redder.
    """
    skin = np.maximum(skin, np.float32(1e-4))
    red, blue = float(skin[0] / skin[1]), float(skin[2] / skin[1])
    luma = float(skin @ np.array([0.2126, 0.7152, 0.0722]))
    most_red = RED_RANGE[1] + 0.7 * float(np.clip((0.25 - luma) / 0.2, 0, 1))
    gain_red = float(np.clip(red, RED_RANGE[0], most_red)) / red
    # Light is warm or cold as a whole: what takes red away gives blue, or skin turns green.
    gain_blue = float(np.clip(blue * gain_red**-0.6, *BLUE_RANGE)) / blue
    gains = np.array([gain_red, 1.0, gain_blue], np.float32) ** firmness
    kept = gains / ((gains * skin) @ np.array([0.2126, 0.7152, 0.0722]) / luma)  # brightness is exposure's business
    return np.asarray(kept, np.float32)
