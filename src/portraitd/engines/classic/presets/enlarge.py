"""Small photos made large: clean edges without steps, skin and hair with texture of the portrait's own scale.

A photo enlarged four times has no pores and no single hairs left. What is missing is drawn in faintly: grain-fine
texture on skin, and on hair noise smeared along the hair's own direction (line integral convolution: Cabral, Leedom
1993), which also breaks up the outline. The pattern is fixed, not the result's: a person has the same hair in every
picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from portraitd.faces import regions
from portraitd.images import Floats, Image, Mask, Points

#: Enlargement from which a photo's own texture no longer suffices, and that at which all of it is missing.
MISSING = (1.4, 3.4)
#: Relative contrast (deviation) of drawn strands, and of drawn skin texture.
STRAND_CONTRAST, SKIN_CONTRAST = 0.055, 0.010
#: How far drawn strands move the outline of hair, in shares of its soft edge.
STRAND_EDGE = 0.24
#: Single hairs drawn outside the outline.
STRAYS = 60
#: Seed of the drawn texture.
PATTERN = 20


def resampled(image: Image, x: Floats, y: Floats, zoom: float) -> Image:
    """(H, W, 3) the photo sampled at the (H, W) maps; enlarged edges are steepened, their pixel steps smoothed away."""
    image = _denoised(image, 1.0 if zoom > 1.6 else 3.0)
    kernel = cv2.INTER_LANCZOS4 if zoom < 1.6 else cv2.INTER_CUBIC
    colours = np.asarray(cv2.remap(image, x, y, kernel, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
    if zoom < 1.25:
        return colours
    old = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)
    along = along_edges(old, zoom) if zoom > 2 else old
    sharp = along + min(1.0, 0.45 * (zoom - 1)) * (along - cv2.GaussianBlur(along, (0, 0), 0.5 * zoom))
    reach = np.ones((2 * round(0.5 * zoom) + 1,) * 2, np.uint8)
    kept = np.clip(sharp, cv2.erode(along, reach), cv2.dilate(along, reach))
    # Half of the overshoot stays: clipped flat, edges would look painted.
    change = kept + 0.5 * (sharp - kept) - old
    return np.asarray(cv2.add(colours, cv2.merge([change] * 3), dtype=cv2.CV_8U), np.uint8)


def noise_of(image: Image) -> float:
    """Deviation of a photo's noise, sRGB steps (Immerkaer 1996, but the median, which edges do not move)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, -1, kernel)))) / (6 * 0.6745)


def _denoised(image: Image, most: float) -> Image:
    """The photo without noise that enlarging would turn to worms; photos of less noise than `most` stay as they are."""
    noise = noise_of(image)
    if noise < most:
        return image
    for _ in range(1 if noise < 3 else 2):
        image = np.asarray(cv2.bilateralFilter(image, 5, min(24.0, 3.5 * noise), 1.2), np.uint8)
    return image


def along_edges(luma: Floats, zoom: float) -> Floats:
    """(H, W) luma averaged along its edges over about a photo pixel: enlarged pixel steps become lines."""
    u, v, firm = flow(luma, zoom)
    reach = np.float32(0.35 * zoom)
    smooth = 0.6 * _both_ways(luma, reach * u, reach * v) + 0.4 * luma
    return np.asarray(luma + (smooth - luma) * firm, np.float32)


def flow(luma: Floats, zoom: float) -> tuple[Floats, Floats, Floats]:
    """(H, W) unit direction (x, y) along edges and strands, and how clear it is, 0 to 1 (structure tensor)."""
    height, width = luma.shape
    small = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.2 * zoom))
    gx, gy = cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=0.25)
    tensor = cv2.GaussianBlur(cv2.merge([gx * gx - gy * gy, 2 * gx * gy, gx * gx + gy * gy]), (0, 0), 0.6 * zoom)
    c, s, energy = cv2.split(tensor)
    length, twice = cv2.cartToPolar(c, s)
    firm = np.clip(length / (energy + 0.5), 0, 1)
    angle = 0.5 * twice + np.float32(np.pi / 2)
    u, v = cv2.polarToCart(np.ones_like(angle), angle)
    # Where the direction turns over from one end of the line to the other, the enlarged one is 0: nothing is smeared.
    u, v, firm = cv2.split(cv2.resize(cv2.merge([u, v, firm]), (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(u, np.float32), np.asarray(v, np.float32), np.asarray(firm, np.float32)


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """(height, width) row and column of each pixel."""
    rows, columns = np.indices((height, width), dtype=np.float32)
    return np.asarray(rows, np.float32), np.asarray(columns, np.float32)


def _both_ways(values: Floats, dx: Floats, dy: Floats) -> Floats:
    """(H, W) mean of the values (dx, dy) px ahead of each pixel and behind it."""
    rows, columns = _grid(*values.shape)
    ahead = cv2.remap(values, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    back = cv2.remap(values, columns - dx, rows - dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(0.5 * (ahead + back), np.float32)


def strand_noise(rng: np.random.Generator, u: Floats, v: Floats, doublings: int = 4) -> Floats:
    """(H, W) noise of mean 0 and deviation about 1, drawn out along (u, v) over 2^doublings px to both sides."""
    shape = (u.shape[0], u.shape[1])
    noise = np.asarray(cv2.GaussianBlur(rng.standard_normal(shape, dtype=np.float32), (0, 0), 0.7), np.float32)
    for k in range(doublings):
        reach = np.float32(1.2 * 2**k)
        noise = _both_ways(noise, reach * u, reach * v)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


@dataclass(frozen=True)
class Texture:
    """The person with the texture that enlarging lost."""

    #: (H, W, 3) and (H, W).
    colours: Image
    alpha: Mask


def textured(colours: Image, alpha: Mask, points: Points, zoom: float) -> Texture:
    """Colours and matte of an enlarged person with skin texture, strands, and an outline as soft as the enlargement."""
    missing = float(np.clip((zoom - MISSING[0]) / (MISSING[1] - MISSING[0]), 0, 1))
    if missing == 0:
        return Texture(colours, _firmed(alpha, zoom))
    rng = np.random.default_rng(PATTERN)
    hair = hair_mask(colours, alpha, points)
    luma = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gain = _pores(alpha.shape[0], alpha.shape[1]) * np.float32(SKIN_CONTRAST * missing)
    gain *= 1 - hair
    outline = np.zeros_like(alpha)
    y, x = np.nonzero(hair[::4, ::4] > 0.05)
    if y.size:
        part = (slice(4 * int(y.min()), 4 * int(y.max()) + 4), slice(4 * int(x.min()), 4 * int(x.max()) + 4))
        u, v, firm = flow(np.ascontiguousarray(luma[part]), 3.0 * zoom)
        strand = strand_noise(rng, u, v) * hair[part] * (0.3 + 0.7 * firm)
        gain[part] += strand * np.float32(STRAND_CONTRAST * missing)
        outline[part] = strand * np.float32(STRAND_EDGE * missing)
    change = luma * gain
    lit = cv2.add(colours, cv2.merge([change] * 3), dtype=cv2.CV_8U)
    edge = _firmed(alpha, zoom, outline, hair)
    return Texture(np.asarray(lit, np.uint8), np.maximum(edge, _stray_hairs(rng, edge, hair, points)))


@lru_cache(maxsize=2)
def _pores(height: int, width: int) -> Floats:
    """(height, width) fine even noise of deviation about 1, without anything broader than a few pixels."""
    noise = np.random.default_rng(PATTERN).standard_normal((height, width), dtype=np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), 0.9)
    return np.asarray((fine - cv2.GaussianBlur(fine, (0, 0), 2.5)) / 0.28, np.float32)


def hair_mask(colours: Image, alpha: Mask, points: Points) -> Mask:
    """(H, W) how surely a pixel is hair: of the colour found above the forehead, and where hair can be.

    0 everywhere where that colour is the skin's: a bald head, or a photo cut at the forehead.
    """
    height, width = alpha.shape
    quarter = (width // 4, height // 4)
    lab = cv2.cvtColor(cv2.resize(colours, quarter, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB).astype(np.float32)
    solid = cv2.resize(alpha, quarter, interpolation=cv2.INTER_AREA)
    at = (points[:, :2] + 0.5) / 4 - 0.5
    face_px = float(np.ptp(at[:, 0]))
    oval = np.zeros(solid.shape, np.uint8)
    cv2.fillPoly(oval, [np.rint(at[list(regions.FACE_OVAL)]).astype(np.int32)], 255)
    rows, columns = np.indices(solid.shape, dtype=np.float32)
    brow = float(at[list(regions.LEFT_BROW + regions.RIGHT_BROW), 1].min())
    top = at[regions.FOREHEAD_TOP]
    crown = (solid > 0.95) & (oval == 0) & (rows < brow) & (np.abs(columns - top[0]) < 0.6 * face_px)
    face = (oval > 0) & (rows > brow)
    if crown.sum() < 20 or face.sum() < 20:
        return np.zeros_like(alpha)
    hair, skin = np.median(lab[crown], axis=0), np.median(lab[face], axis=0)
    weights = np.array([0.35, 1.0, 1.0], np.float32)
    if float(np.linalg.norm((hair - skin) * weights)) < 12:
        return np.zeros_like(alpha)
    to_hair = np.linalg.norm((lab - hair) * weights, axis=2)
    to_skin = np.linalg.norm((lab - skin) * weights, axis=2)
    nearer = to_skin / (to_skin + to_hair + 1e-3)
    own = np.clip((nearer - 0.5) / 0.12, 0, 1) * np.clip(2 - to_hair / 18, 0, 1)
    below = float(at[regions.CHIN, 1])
    place = np.clip((below + 1.3 * face_px - rows) / (0.5 * face_px), 0, 1)
    place *= np.clip((1.3 * face_px - np.abs(columns - top[0])) / (0.3 * face_px), 0, 1)
    inner = cv2.GaussianBlur(oval.astype(np.float32) / 255, (0, 0), 0.02 * face_px + 0.5)
    place *= 1 - inner * np.clip((rows - brow + 0.12 * face_px) / (0.06 * face_px), 0, 1)
    throat = np.clip((0.58 * face_px - np.abs(columns - at[regions.CHIN, 0])) / (0.08 * face_px), 0, 1)
    place *= 1 - throat * np.clip((rows - below + 0.25 * face_px) / (0.1 * face_px), 0, 1)  # skin in shade is no hair
    above = (1 - inner) * np.clip((brow - rows) / (0.1 * face_px), 0, 1)  # beside and over the forehead all is hair
    above *= np.clip((nearer - 0.4) / 0.12, 0, 1)  # but not a forehead higher than the mesh
    mask = np.maximum(own, 0.9 * above).astype(np.float32) * place
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))  # shine is hair too
    mask = np.asarray(mask * cv2.dilate((solid > 0.05).astype(np.float32), np.ones((3, 3), np.uint8)), np.float32)
    # A dark suit has the colour of dark hair; it begins below the neck, where no hair leads.
    _, labels = cv2.connectedComponents((mask > 0.3).astype(np.uint8))
    mask *= np.isin(labels, np.setdiff1d(np.unique(labels[crown]), [0]))
    mask = cv2.GaussianBlur(mask, (0, 0), 1.2)
    return np.asarray(
        np.clip(1.4 * cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1), np.float32
    )


def _firmed(alpha: Mask, zoom: float, outline: Mask | None = None, hair: Mask | None = None) -> Mask:
    """The matte with its ramp about as narrow as in a photo of this size, its outline free of the photo's pixel steps.

    outline: (H, W) what strands add to the ramp where it is neither 0 nor 1. hair: (H, W) where it stays softer.
    """
    if zoom < 1.25:
        return alpha
    steeper: Mask | float = min(1.1, 0.4 * (zoom - 1))
    smooth = cv2.GaussianBlur(alpha, (0, 0), 0.42 * zoom)
    if outline is not None and hair is not None:
        smooth = smooth + outline * np.sqrt(np.clip(4 * smooth * (1 - smooth), 0, 1))
        steeper = steeper * (1 - 0.6 * hair)
    return np.asarray(np.clip((smooth - 0.5) * (1 + steeper) + 0.5, 0, 1), np.float32)


def _stray_hairs(rng: np.random.Generator, alpha: Mask, hair: Mask, points: Points) -> Mask:
    """(H, W) a few single hairs that leave the outline of the head at a low angle, finer and fainter to their tips."""
    face_px = float(np.ptp(points[:, 0]))
    rim = (np.abs(alpha - 0.5) < 0.3) & (hair > 0.6)
    rim[max(0, int(points[regions.NOSE_TIP, 1])) :] = False
    y, x = np.nonzero(rim)
    layer = np.zeros(alpha.shape, np.float32)
    if y.size < 50:
        return layer
    quarter = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(quarter, (0, 0), 0.0075 * face_px)
    out_x, out_y = -cv2.Sobel(soft, cv2.CV_32F, 1, 0), -cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    for k in rng.integers(0, y.size, STRAYS):
        at = np.array((x[k], y[k]), np.float64)
        place = min(y[k] // 4, soft.shape[0] - 1), min(x[k] // 4, soft.shape[1] - 1)
        outward = np.arctan2(out_y[place], out_x[place])
        side = 1 if rng.random() < 0.5 else -1
        angle = outward + side * np.deg2rad(rng.uniform(64, 88))
        at -= 0.015 * face_px * np.array((np.cos(outward), np.sin(outward)))
        steps = int(rng.uniform(7, 16))
        bend = side * rng.normal(0.02, 0.035)
        strength = rng.uniform(0.2, 0.5)
        for step in range(steps):
            to = at + 0.009 * face_px * np.array((np.cos(angle), np.sin(angle)))
            a, b = ((round(16 * float(p[0])), round(16 * float(p[1]))) for p in (at, to))
            cv2.line(layer, a, b, strength * (1 - step / steps), 1, cv2.LINE_8, 4)
            at, angle = to, angle + bend
    return np.asarray(0.8 * cv2.GaussianBlur(layer, (0, 0), 0.6), np.float32)
