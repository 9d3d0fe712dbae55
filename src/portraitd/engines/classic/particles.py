"""Petals, leaves and snow in the air: a few near the person, a few close to the lens, none before the eyes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.cutout import Cutout
from portraitd.engines.classic.scenes.paint import CANVAS, Layer, draw, empty_layer, scatter
from portraitd.images import Floats


@dataclass(frozen=True)
class Depth:
    """One distance: how many, how large (canvas px, least and greatest) and how far out of focus."""

    count: int
    radius_px: tuple[float, float]
    blur_px: float


@dataclass(frozen=True)
class Kind:
    """What flies, at which distances, the nearest to the lens last."""

    colours: tuple[str, ...]
    behind: Depth
    before: tuple[Depth, ...]


KINDS = {
    "petals": Kind(
        ("#f6c3d2", "#fde3ea", "#fff4f6"), Depth(16, (2, 4), 3), (Depth(6, (2, 4), 1), Depth(3, (8, 13), 7))
    ),
    "leaves": Kind(
        ("#c8721d", "#e0a13a", "#a8481a"), Depth(14, (3, 6), 4), (Depth(5, (3, 6), 1), Depth(3, (11, 17), 8))
    ),
    "snow": Kind(
        ("#eef3f9", "#ffffff"), Depth(130, (0.8, 2.2), 1.5), (Depth(45, (0.8, 2.0), 1), Depth(10, (3.5, 7), 4.5))
    ),
}


def behind(kind: str, rng: np.random.Generator, backdrop: Floats) -> Floats:
    """The canvas-sized backdrop with what flies behind the person."""
    if kind not in KINDS:
        return backdrop
    what = KINDS[kind]
    return _layer(what.colours, what.behind, rng, None).over(backdrop)


def before(kind: str, rng: np.random.Generator, picture: Floats, cutout: Cutout, light: float) -> Floats:
    """The (H, W, 3) linear picture with what flies before the person, in light of that luma."""
    if kind not in KINDS:
        return picture
    what = KINDS[kind]
    layers = [_layer(what.colours, depth, rng, cutout).premultiplied for depth in what.before]
    merged = layers[0]
    for layer in layers[1:]:
        merged = layer + merged * (1 - layer[..., 3:])
    large = cv2.resize(merged, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture * (1 - large[..., 3:]) + large[..., :3] * np.float32(light), np.float32)


def _layer(colours: tuple[str, ...], depth: Depth, rng: np.random.Generator, cutout: Cutout | None) -> Layer:
    centres = rng.uniform(0, 1, (depth.count, 2)) * (CANVAS.width, CANVAS.height)
    if cutout is not None:
        if depth.blur_px > 4:  # what is nearest the lens stays at the sides: it frames, it does not cover
            side = centres[:, 0] / CANVAS.width
            centres[:, 0] = np.where(side < 0.5, 0.32 * side, 1 - 0.32 * (1 - side)) * CANVAS.width
        centres = centres[_clear_of_face(centres, cutout, 1.5 * depth.radius_px[1] + depth.blur_px)]
    return draw(empty_layer(), scatter(rng, centres, depth.radius_px, colours)).blurred(depth.blur_px)


def _clear_of_face(centres: NDArray[np.float64], cutout: Cutout, reach_px: float) -> NDArray[np.bool_]:
    """(n,) bool: farther than `reach_px` from the face's box."""
    points = (cutout.points[:, :2] + 0.5) / 2 - 0.5
    low, high = points.min(axis=0) - reach_px, points.max(axis=0) + reach_px
    return np.asarray(((centres < low) | (centres > high)).any(axis=1))
