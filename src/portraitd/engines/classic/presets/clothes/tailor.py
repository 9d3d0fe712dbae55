"""Clothes drawn onto a portrait: a shirt, a tie, and a jacket over them.

Each piece is a form in relief, lit from above; a bent edge, a stitched line and the shadow of what lies over it make
cloth of it. All lengths are face widths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from portraitd.engines.classic.presets.clothes.canvas import Canvas
from portraitd.engines.classic.presets.clothes.cloth import Cloth, dyed, laid, line_at, soft
from portraitd.engines.classic.presets.clothes.fitting import Fitting
from portraitd.engines.classic.presets.clothes.pattern import CLOSES_AT, Pattern, mirrored, pattern_for
from portraitd.engines.classic.presets.scenes.paint import Colour
from portraitd.images import Floats, Mask

#: How far from the middle a shirt is seen, and a tie.
SHIRT_REACH, TIE_REACH = 0.62, 0.2
#: Half of the tie's width by how far below the chin.
TIE = ((0.525, 0.75, 1.15, 3.0), (0.045, 0.085, 0.125, 0.165))
#: Width of the ribs of a tie's silk.
RIB = 0.014
#: Buttons of a shirt worn without one, and their radius.
BUTTONS, BUTTON = (0.47, 0.80, 1.13, 1.46), 0.016
#: How far hair goes on behind a shoulder: its line is not drawn quite where it was measured.
BEHIND = 0.05
#: Over how much of it the photo ends along that line, and between where it ends below the chin: behind what closes.
EDGE, ENDS = 0.02, (CLOSES_AT + 0.05, CLOSES_AT + 0.15)
#: How much of its light a collar takes from the neck.
NECK_SHADE = 0.55


@dataclass(frozen=True)
class Outfit:
    """Formal clothes: linear colours of their cloth."""

    jacket: Colour
    shirt: Colour
    #: None: the collar is buttoned without one.
    tie: Colour | None = None


@dataclass(frozen=True)
class Clothes:
    """Clothes on a portrait, from row `top` on."""

    top: int
    #: (h, w, 3) linear light of the cloth, and (h, w) how much of each pixel it covers.
    light: Floats
    cover: Mask
    #: (h, w) how much of what is not covered shows: head and neck.
    shown: Mask
    #: (h, w) how much of its light the collar leaves the neck.
    shade: Mask

    def softened(self, sigma_px: float) -> Clothes:
        """The same, no sharper than a photo whose edges are so soft."""
        return replace(self, light=soft(self.light, sigma_px), cover=soft(self.cover, sigma_px))


def tailored(fitting: Fitting, outfit: Outfit, canvas: Canvas, rng: np.random.Generator, sideways: float) -> Clothes:
    """Clothes for these measures. sideways: how much more light comes from the right (natural log)."""
    pattern = pattern_for(fitting.neck, fitting.breadth, fitting.lifts)
    cloth = Cloth(canvas, rng, sideways)
    middle = replace(cloth, canvas=canvas.middle(SHIRT_REACH))
    columns = middle.canvas.columns
    body = canvas.mask(pattern.jacket)
    opening = np.zeros_like(body)
    opening[:, columns] = middle.canvas.mask(pattern.front, mirrored(pattern.front)[::-1])
    jacket = _jacket(replace(cloth, canvas=canvas.halved()), pattern)
    even = np.asarray(cv2.resize(jacket, canvas.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    light, worn = dyed(outfit.jacket, even * (1 + 0.07 * cloth.weave()), 0.002 * even), body * (1 - opening)
    leaf, over = middle.canvas.pair(pattern.leaf), np.ascontiguousarray(worn[:, columns])
    inner = _shirt(middle, pattern, fitting.neck, outfit, leaf)
    shadow = middle.shadow(over, 0.0, 0.04, 0.5) * middle.shadow(over, 0.0, 0.008, 0.3)
    inner *= shadow[..., None]
    within = np.minimum(np.maximum(opening[:, columns], leaf), 1 - over)
    light[:, columns] = laid(np.ascontiguousarray(light[:, columns]), inner, within)
    neck = middle.canvas.mask(pattern.neckline, mirrored(pattern.neckline)[::-1]) * (1 - leaf)
    cover, shade = body.copy(), np.ones_like(body)
    cover[:, columns] = np.clip(np.maximum(cover[:, columns], leaf) - neck, 0, 1)
    shade[:, columns] = 1 - np.float32(NECK_SHADE) * middle.soft(leaf, 0.03)
    return Clothes(canvas.top, light, cover, _shown(fitting, canvas), shade)


def _shown(fitting: Fitting, canvas: Canvas) -> Mask:
    """(h, w) 1 above collar and shoulders, and a little below, but for what else the wearer has on.

    Below where the collar closes the photo is not shown at all: what is there is stretched from above.
    """
    line = fitting.shoulder_line(canvas.x[0]) + np.float32(BEHIND)
    line[np.abs(canvas.x[0]) < fitting.neck + 0.03] = np.inf  # the collar covers what is not to be seen
    above = np.clip((line - canvas.y) / np.float32(EDGE), 0, 1)
    above *= np.clip((ENDS[1] - canvas.y) / (ENDS[1] - ENDS[0]), 0, 1)
    return np.asarray(above * (1 - fitting.own_clothes_at(canvas.x, canvas.y)), np.float32)


def _shirt(cloth: Cloth, pattern: Pattern, neck: float, outfit: Outfit, leaf: Mask) -> Floats:
    """(h, w, 3) the shirt with its collar, and a tie under the collar's leaves."""
    light = _front(cloth, buttoned=outfit.tie is None)
    light *= cloth.shadow(leaf, 0.03, 0.025, 0.5) * cloth.shadow(leaf, 0.004, 0.006, 0.35)
    shirt = dyed(outfit.shirt, light)
    if outfit.tie is not None:
        narrow = replace(cloth, canvas=cloth.canvas.middle(TIE_REACH))
        start = narrow.canvas.left - cloth.canvas.left
        columns = slice(start, start + narrow.canvas.width)
        under, edge = (np.ascontiguousarray(part[:, columns]) for part in (shirt, leaf))
        shirt[:, columns] = _with_tie(narrow, pattern, outfit.tie, under, edge)
    return laid(shirt, dyed(outfit.shirt, _collar(cloth, neck, leaf)), leaf)


def _front(cloth: Cloth, *, buttoned: bool) -> Floats:
    """(h, w) light on the shirt's front; buttoned: with the placket that a tie would hide."""
    x, y = cloth.canvas.x, cloth.canvas.y
    form = 0.5 * np.sqrt(np.clip(1 - (x / 0.9) ** 2, 0.01, 1))
    form = form + 0.006 * cloth.folds(0.05, 0.28) + 0.004 * cloth.folds(0.22, 0.05)
    light = cloth.lit(np.asarray(form, np.float32), 0.5)
    if buttoned:
        light *= 1 - 0.13 * line_at(x, 0.052, 0.005) - 0.05 * line_at(x, -0.045, 0.004)
        for at in BUTTONS:
            away = np.hypot(x - np.float32(0.004), y - np.float32(at))
            light *= 1 - 0.16 * np.clip((BUTTON - away) / 0.004, 0, 1) * (1 - 0.5 * (away < 0.6 * BUTTON))
            light *= 1 - 0.22 * line_at(away, 1.05 * BUTTON, 0.004) * (y > at - 0.004)
    return np.asarray(light, np.float32)


def _with_tie(cloth: Cloth, pattern: Pattern, colour: Colour, under: Floats, leaf: Mask) -> Floats:
    """(h, w, 3) what is under a tie, with it."""
    x, y = cloth.canvas.x, cloth.canvas.y
    knot, blade = cloth.canvas.mask(pattern.knot), cloth.canvas.mask(pattern.blade)
    half = np.interp(y[:, :1], *TIE).astype(np.float32)
    dimple = 0.02 * line_at(x, 0.01, 0.016) * np.clip(1 - (y - 0.55) / 0.3, 0, 1) * (y > 0.5)
    hangs = 0.55 * half * np.sqrt(np.clip(1 - (x / half) ** 2, 0.02, 1)) - dimple
    tied = 0.07 * np.sqrt(np.clip(1 - (x / 0.10) ** 2, 0.02, 1)) + 0.02 * cloth.soft(knot, 0.02)
    grain = cloth.weave()
    below_knot = 1 - 0.65 * np.exp(-np.clip(y - 0.54, 0, None) / 0.05)
    hung = cloth.soft(np.asarray(hangs, np.float32), 0.008)
    hanging = _silk(cloth, colour, hung, x * 0.8 + y, grain=grain, shade=below_knot)
    tucked = (1 - 0.45 * np.clip((y - 0.45) / 0.10, 0, 1)) * cloth.shadow(leaf, 0.012, 0.018, 0.5)
    knotted = _silk(cloth, colour, np.asarray(tied, np.float32), x * 1.6 - y * 0.5, grain=grain, shade=tucked)
    shadow = cloth.shadow(blade, 0.008, 0.02, 0.4) * cloth.shadow(knot, 0.008, 0.015, 0.35)
    return laid(laid(under * shadow[..., None], hanging, blade), knotted, knot)


def _silk(cloth: Cloth, colour: Colour, form: Floats, ribs: Floats, *, grain: Floats, shade: Floats) -> Floats:
    """(h, w, 3) ribbed silk of this form in this shade; it shines. All else (h, w)."""
    light = cloth.lit(form, 0.35)
    rib = 1 + 0.09 * np.sin(ribs * np.float32(2 * np.pi / RIB))
    return dyed(colour, light * rib * (1 + 0.05 * grain) * shade, 0.006 * light**2 * shade)


def _collar(cloth: Cloth, neck: float, leaf: Mask) -> Floats:
    """(h, w) light on the shirt's collar: bent around the neck, in the chin's shade, stitched along its edge."""
    x, y = cloth.canvas.x, cloth.canvas.y
    around = neck + 0.13
    form = 0.5 * around * np.sqrt(np.clip(1 - (x / around) ** 2, 0.04, 1)) + 0.012 * cloth.soft(leaf, 0.010)
    form = form + 0.0030 * cloth.folds(0.10, 0.10) + 0.0015 * cloth.folds(0.03, 0.12)
    chin = line_at(x, 0.0, CLOSES_AT) * np.clip(1 - (y - 0.05) / 0.5, 0, 1)
    light = cloth.lit(np.asarray(form, np.float32), 0.5)
    light *= (1 - 0.30 * chin) * (1 - 0.16 * np.clip((y - 0.25) / 0.4, 0, 1))
    light *= 1 - 0.05 * line_at(cloth.depth(leaf), 0.026, 0.004)
    return np.asarray(light, np.float32)


def _jacket(cloth: Cloth, pattern: Pattern) -> Floats:
    """(h, w) light on the jacket. All of it but the weave is smooth: it is worked out on a canvas half as fine."""
    canvas = cloth.canvas
    collar, lapels = canvas.pair(pattern.upper_collar), canvas.pair(pattern.lapel)
    raised, sleeve = np.maximum(collar, lapels), _from_armhole(cloth, pattern)
    form = _form(cloth, pattern) - 0.03 * line_at(sleeve, 0.0, 0.05) + 0.010 * cloth.soft(raised, 0.008)
    light = cloth.lit(np.asarray(form, np.float32), 0.42)
    # Lapels roll over: bright along the fold, dark at the very edge.
    roll = cloth.depth(1 - canvas.mask(pattern.front, mirrored(pattern.front)[::-1]))
    light *= 1 + raised * (0.25 * line_at(roll, 0.0, 0.05) - 0.30 * line_at(roll, 0.0, 0.010))
    light *= cloth.shadow(lapels, 0.012, 0.020, 0.5) * cloth.shadow(collar, 0.008, 0.012, 0.35)
    light *= 1 - 0.10 * line_at(cloth.depth(lapels), 0.020, 0.004)
    light *= 1 - 0.35 * line_at(sleeve, 0.0, 0.012) * (canvas.y > 0.42)
    return np.maximum(light, np.float32(0.05))


def _form(cloth: Cloth, pattern: Pattern) -> Floats:
    """(h, w) a chest and shoulders in relief, with the folds of heavy cloth."""
    # It goes on beyond the picture: to the sides as it is cut, and downwards.
    canvas, room = cloth.canvas, round(cloth.canvas.px(0.6))
    wide = replace(canvas, left=canvas.left - room, width=canvas.width + 2 * room).mask(pattern.jacket)
    deep = cv2.copyMakeBorder(wide, 0, room, 0, 0, cv2.BORDER_REPLICATE)
    inward = cloth.depth(np.asarray(deep, np.float32))[: canvas.shape[0], room : room + canvas.width]
    off = 1 - np.clip(inward / 0.5, 0, 1)
    round_off = cloth.soft(np.asarray(0.4 * np.sqrt(np.clip(1 - off**2, 0, 1)), np.float32), 0.04)
    return np.asarray(round_off + 0.0030 * cloth.folds(0.10, 0.22) + 0.0028 * cloth.folds(0.35, 0.06), np.float32)


def _from_armhole(cloth: Cloth, pattern: Pattern) -> Floats:
    """(h, w) how far away the nearer armhole is."""
    beyond = np.array([[9.0, 3.0], [9.0, 0.0]], np.float32)
    arms = cloth.canvas.pair(pattern.armhole, beyond)
    return np.asarray(np.minimum(cloth.depth(arms) + cloth.depth(1 - arms), 1), np.float32)
