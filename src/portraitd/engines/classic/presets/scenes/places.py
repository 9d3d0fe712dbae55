"""Hong Kong at night, a bright room: backdrops that people built."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.presets.scenes.paint import (
    CANVAS,
    Layer,
    clusters,
    colour,
    columns,
    defocus,
    draw,
    empty_layer,
    fractal,
    over,
    ramp,
    rows,
    scatter,
    sparkle,
    step_up,
)
from portraitd.images import Floats

#: The street's air from above the roofs to the ground, by choice: teal, plum, amber, blue.
_NIGHT_AIR = (
    ("#0a1a20", "#16303a", "#2b3a3a"),
    ("#1c1020", "#3a1f36", "#4a2a33"),
    ("#1a130c", "#3a2a18", "#4d3a22"),
    ("#080f24", "#142348", "#24345a"),
)


def hong_kong_night(rng: np.random.Generator, choice: int) -> Floats:
    """A street of shop signs at night, lamps and cars far away, haze, a wet road that mirrors them."""
    y, x = rows(), columns()
    air = ramp(step_up(y, 0.0, 0.8), _NIGHT_AIR[choice])
    image = air * (0.5 + 0.9 * fractal(rng, 200, 40))[..., None]
    image = _facades(rng, image)
    far = _signs(rng, 14, (0.12, 0.42), 0.55).blurred(7)
    image = far.over(defocus(image, 9))
    street = step_up(np.abs(y - 0.68), 0.13, 0.0) * step_up(np.abs(x - 0.5), 0.5, 0.1)
    lamps = np.array([colour(c) for c in ("#ffb257", "#ffd9a0", "#ffe9c8", "#ff6a4a", "#8fd6cc", "#ff7fb0")])
    image += defocus(
        sparkle(rng, street + 0.01, 60, lamps[rng.integers(0, len(lamps), 60)], 70), (11, 9, 13, 10)[choice]
    )
    image = _signs(rng, (5, 3, 7, 4)[choice], (0.0, 0.16), (1.0, 1.4, 0.9, 1.2)[choice]).blurred(12).over(image)
    # Haze: lit air over the street, stronger far away.
    tiny = cv2.resize(image, (48, 64), interpolation=cv2.INTER_AREA)
    haze = cv2.resize(cv2.GaussianBlur(tiny, (0, 0), 7), CANVAS, interpolation=cv2.INTER_CUBIC)
    image = image * 0.9 + haze * 0.28
    return _wet_floor(image, 0.76)


def _facades(rng: np.random.Generator, image: Floats) -> Floats:
    """House fronts to both sides, some windows lit."""
    y, x = rows(), columns()
    for front in (x, 1 - x):
        wall = step_up(front, 0.40 - 0.12 * y, 0.37 - 0.12 * y)
        image = over(image, np.array(colour("#151a1c")) * 1.3, wall * 0.6)
        cells = ((np.sin(y * 105 + 1) > 0.35) & (np.sin(front * 95) > 0.1)).astype(np.float32)
        lit = step_up(fractal(rng, 18, 9), 0.60, 0.64) * step_up(y, 0.7, 0.55)
        image = over(image, np.array(colour("#f0c98a")) * 0.9, wall * cells * lit)
    return image


def _signs(rng: np.random.Generator, count: int, across: tuple[float, float], size: float) -> Layer:
    """Signs along both sides of the street: dim lit boxes framed and written on in bright tubes."""
    tubes = ("#ff4a4a", "#ff4a4a", "#ff9d3c", "#ffd27a", "#5fd8c8", "#ff6fa8", "#fff0d8", "#6f9dff")
    canvas = empty_layer().premultiplied.copy()
    for i in range(count):
        cx = rng.uniform(*across) * CANVAS.width
        cx = cx if i % 2 == 0 else CANVAS.width - cx
        cy = rng.uniform(0.04, 0.60) * CANVAS.height
        tall = rng.random() < 0.65
        w, h = (rng.uniform(14, 22), rng.uniform(46, 84)) if tall else (rng.uniform(34, 56), rng.uniform(14, 20))
        w, h = w * size, h * size
        tint = np.array(colour(tubes[int(rng.integers(0, len(tubes)))]))
        box = (round(cx - w), round(cy - h)), (round(cx + w), round(cy + h))
        lit_box = rng.random() < 0.35
        ground = tint * rng.uniform(0.35, 0.7) if lit_box else tint * 0.04 + 0.006
        cv2.rectangle(canvas, *box, (*ground.tolist(), 1.0), -1)
        tube = (*(np.array((1.0, 0.95, 0.85)) * 1.2 if lit_box else tint * rng.uniform(2.0, 4.0)).tolist(), 1.0)
        if not lit_box and rng.random() < 0.5:
            cv2.rectangle(canvas, *box, tube, 1)
        _write(rng, canvas, (cx, cy, w, h), tube)
    return Layer(canvas)


def _write(
    rng: np.random.Generator, canvas: Floats, box: tuple[float, float, float, float], tube: tuple[float, ...]
) -> None:
    """Strokes that stand for a column or row of characters: at this blur only their rhythm is seen."""
    cx, cy, w, h = box
    cell = 2.1 * min(w, h)
    count = max(1, int(2 * max(w, h) / cell))
    for k in range(count):
        away = (k - (count - 1) / 2) * cell
        gx, gy = (cx, cy + away) if h > w else (cx + away, cy)
        reach = 0.33 * cell
        for _ in range(5):
            u, v = rng.uniform(-reach, reach, 2)
            length = rng.uniform(-reach, reach)
            end = (gx + length, gy + v) if rng.random() < 0.55 else (gx + u, gy + length)
            cv2.line(
                canvas, (round(gx + u), round(gy + v)), (round(end[0]), round(end[1])), tube, 2 if cell > 26 else 1
            )


def _wet_floor(image: Floats, top: float) -> Floats:
    """The picture with a wet road below `top`: what is above, mirrored, smeared downwards, dimmer."""
    start = round(top * CANVAS.height)
    height = CANVAS.height - start
    mirror = cv2.GaussianBlur(image[start - 2 * height : start][::-1], (0, 0), 4, sigmaY=30)
    floor = image.copy()
    floor[start:] = cv2.resize(mirror, (CANVAS.width, height)) * 0.6
    return over(image, floor, step_up(rows(), top, top + 0.07))


def bright_room(rng: np.random.Generator, choice: int) -> Floats:
    """A pale wall beside a curtained window: soft daylight, the shadow of panes and leaves."""
    y, x = rows(), columns()
    walls = (
        ("#cfc6bb", "#e6ddd2", "#f4ede4"),
        ("#c9cfd3", "#dfe5e8", "#f1f5f6"),
        ("#d3c3bb", "#e9d8cf", "#f6ebe4"),
        ("#c3c9be", "#dbe0d5", "#eff2ea"),
    )
    from_left = choice % 2 == 0
    near = 1 - x if from_left else x
    image = ramp(np.clip(0.15 + 0.85 * near * (1 - 0.35 * y), 0, 1), walls[choice]) * 0.9
    slant = (x if from_left else 1 - x) * 0.9 + y * 0.55
    panes = step_up(np.abs(np.mod(slant * 2.6, 1.0) - 0.5), 0.12, 0.2) * step_up(
        np.abs(np.mod((y - 0.25 * slant) * 2.4, 1.0) - 0.5), 0.05, 0.1
    )
    patch = panes * step_up(near, 0.2, 0.6) * step_up(y, 0.85, 0.5)
    image = image * (1 + 0.22 * patch)[..., None]
    folds = 0.75 + 0.25 * np.sin(near * 75 + 3 * fractal(rng, 120, 60))
    curtain = step_up(near, 0.80, 0.86)
    image = over(image, np.array(colour("#fffaf2")) * 1.25 * folds[..., None].astype(np.float32), curtain * 0.9)
    hearts = [((0.97 if from_left else 0.03) + rng.normal(0, 0.03), rng.uniform(0.45, 0.8)) for _ in range(7)]
    plant = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 5, 18), (8, 17), ("#5f7d55", "#87a277", "#a9bd97")))
    image = plant.blurred(9).over(image) if choice in (1, 2) else image
    return defocus(image, 12)
