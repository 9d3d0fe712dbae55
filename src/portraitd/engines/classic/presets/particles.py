"""Petals, leaves and snow in the air: a few near the person, a few close to the lens, none before the eyes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.grade import LUMA
from portraitd.engines.classic.presets.scenes.lens import streaked
from portraitd.engines.classic.presets.scenes.paint import CANVAS, Layer, draw, empty_layer, scatter
from portraitd.images import Floats


@dataclass(frozen=True)
class Depth:
    """One distance: how many, how large (canvas px, least and greatest), how far out of focus, how streaked."""

    count: int
    radius_px: tuple[float, float]
    blur_px: float
    streak_px: float = 0.0


@dataclass(frozen=True)
class Kind:
    """What flies, at which distances, the nearest to the lens last."""

    colours: tuple[str, ...]
    behind: Depth
    before: tuple[Depth, ...]
    #: Lets light through: it is never darker than what lies behind it. Grey specks before a bright sky look like dirt.
    glows: bool = False


KINDS = {
    "petals": Kind(
        ("#e9b3c3", "#f3d3dc", "#f4e6e8"),
        Depth(12, (2.5, 5), 4, 5),
        (Depth(3, (4, 6), 2.5, 7), Depth(3, (10, 15), 9, 12)),
    ),
    "leaves": Kind(
        ("#b06d28", "#c7953f", "#934a22"),
        Depth(10, (4, 7), 5, 6),
        (Depth(2, (6, 9), 3.5, 9), Depth(3, (14, 21), 11, 16)),
    ),
    "snow": Kind(
        ("#e3e9f0", "#f6f8fa"),
        Depth(120, (0.8, 2.4), 1.5, 3),
        (Depth(26, (1.2, 2.6), 1.5, 5), Depth(9, (4, 8), 6, 9)),
        glows=True,
    ),
}


def behind(kind: str, rng: np.random.Generator, backdrop: Floats) -> Floats:
    """The canvas-sized backdrop with what flies behind the person."""
    if kind not in KINDS:
        return backdrop
    what = KINDS[kind]
    light = float(np.clip(1.6 * np.median(backdrop @ LUMA) + 0.25, 0.3, 1.0))
    layer = _layer(what.colours, what.behind, rng, None).premultiplied * np.array((light, light, light, 1), np.float32)
    flown = Layer(layer).over(backdrop)
    return np.maximum(flown, backdrop) if what.glows else flown


def before(kind: str, rng: np.random.Generator, picture: Floats, cutout: Cutout, light: float) -> Floats:
    """The (H, W, 3) linear picture with what flies before the person, in light of that luma."""
    if kind not in KINDS:
        return picture
    what = KINDS[kind]
    layers = [_layer(what.colours, depth, rng, cutout).premultiplied for depth in what.before]
    merged = layers[0]
    for layer in layers[1:]:
        merged = layer + merged * (1 - layer[..., 3:])
    lit = merged * np.array([light, light, light, 1], np.float32)
    *colours, opaque = cv2.split(cv2.resize(lit, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    beyond = cv2.multiply(picture, cv2.merge([np.float32(1) - opaque] * 3))
    flown = np.asarray(cv2.add(beyond, cv2.merge(colours)), np.float32)
    return np.maximum(flown, picture) if what.glows else flown


def _layer(colours: tuple[str, ...], depth: Depth, rng: np.random.Generator, cutout: Cutout | None) -> Layer:
    centres = rng.uniform(0, 1, (depth.count, 2)) * (CANVAS.width, CANVAS.height)
    falling = float(rng.uniform(60, 85) if rng.random() < 0.5 else rng.uniform(95, 120))
    if cutout is not None:
        if depth.blur_px > 4:  # what is nearest the lens stays at the sides: it frames, it does not cover
            side = centres[:, 0] / CANVAS.width
            centres[:, 0] = np.where(side < 0.5, 0.32 * side, 1 - 0.32 * (1 - side)) * CANVAS.width
        elif depth.radius_px[0] > 3:  # sharp and large on clothes looks like confetti
            centres = centres[_off_the_person(centres, cutout)]
        centres = centres[_clear_of_face(centres, cutout, 1.5 * depth.radius_px[1] + depth.blur_px)]
    flat = scatter(rng, centres, depth.radius_px, colours)
    layer = draw(empty_layer(), flat)
    # Their lower halves are turned from the sky.
    lower = flat.centres + 0.35 * flat.axes[:, 1:] * (0, 1)
    shade = replace(flat, centres=lower, axes=0.72 * flat.axes, colours=0.62 * flat.colours)
    layer = draw(layer, shade)
    if depth.blur_px <= 2:
        return Layer(streaked(layer.premultiplied, depth.streak_px, falling)).blurred(depth.blur_px)
    half = cv2.resize(layer.premultiplied, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    soft = Layer(streaked(np.asarray(half, np.float32), depth.streak_px / 2, falling)).blurred(depth.blur_px / 2)
    return Layer(np.asarray(cv2.resize(soft.premultiplied, CANVAS), np.float32))


def _off_the_person(centres: NDArray[np.float64], cutout: Cutout) -> NDArray[np.bool_]:
    """(n,) bool: not before the person."""
    height, width = cutout.alpha.shape
    at = np.clip(np.rint(2 * centres + 0.5), 0, (width - 1, height - 1)).astype(int)
    return np.asarray(cutout.alpha[at[:, 1], at[:, 0]] < 0.5)


def _clear_of_face(centres: NDArray[np.float64], cutout: Cutout, reach_px: float) -> NDArray[np.bool_]:
    """(n,) bool: farther than `reach_px` from the face's box."""
    points = (cutout.points[:, :2] + 0.5) / 2 - 0.5
    low, high = points.min(axis=0) - reach_px, points.max(axis=0) + reach_px
    return np.asarray(((centres < low) | (centres > high)).any(axis=1))
