"""Palace wall, lanterns and plum blossoms in the snow."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.presets.scenes.lens import glow
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
    spread,
    step_up,
)
from portraitd.images import Floats

#: Where the palace's eaves end, share of the height, by choice.
EAVES = (0.13, 0.13, 0.19, 0.02)
#: Lanterns of each choice: x in shares of the width, and length of the cord below the beam.
LANTERNS = (((0.12, 0.10), (0.90, 0.14)), (), ((0.10, 0.11),), ((0.11, 0.22), (0.90, 0.17)))


def chinese_winter(rng: np.random.Generator, choice: int) -> Floats:
    """A red palace wall under snowy eaves, lanterns, a snow-laden plum branch; or a plum garden in the snow."""
    if choice == 1:
        return _plum_garden(rng)
    night = choice == 2  # blue hour: the lanterns are the light
    image = _palace_wall(rng, choice)
    places = [(x, EAVES[choice] + 0.05 + drop + rng.uniform(-0.015, 0.015)) for x, drop in LANTERNS[choice]]
    if night:
        image = image * np.array((0.20, 0.26, 0.40), np.float32)
    for x, y in places:
        # A lantern lights the wall it hangs before: by night strongly.
        shine = np.array((2.6, 1.15, 0.5) if night else (0.10, 0.04, 0.015), np.float32)
        image = image + image * glow((x, y), (0.30, 0.20), shine) + glow((x, y), (0.10, 0.08), 0.03 * shine)
    image = defocus(np.asarray(image, np.float32), 9)
    image = _lanterns(rng, places, EAVES[choice] + 0.05, 2.2 if night else 0.32).blurred(6).over(image)
    for x, y in places:
        image = image + glow((x, y), (0.13, 0.10), (0.22, 0.08, 0.03) if night else (0.03, 0.01, 0.004))
    branch = _plum(rng, choice % 2).blurred(3.0)
    if night:
        branch = Layer(branch.premultiplied * np.array((0.30, 0.32, 0.44, 1), np.float32))
    return branch.over(np.asarray(image, np.float32))


def _plum_garden(rng: np.random.Generator) -> Floats:
    """Plum trees in bloom one behind another, fading into falling snow."""
    mist = ramp(spread(fractal(rng, 180, 30), 1.5), ("#a3aeb9", "#c0c9d2", "#d9dfe5"))
    image = over(mist, np.array(colour("#e3e8ee")), step_up(rows() + 0.05 * fractal(rng, 80, 20), 0.74, 0.84))
    for count, spots, blur, thin in ((9, (2, 4), 11, 0.55), (6, (2.5, 5), 6, 0.85)):
        layer = empty_layer()
        for side in (0, 1):
            layer = Layer(_plum(rng, side, drop=rng.uniform(0, 190)).over_layer(layer).premultiplied)
        hearts = [(rng.uniform(0, 0.3) + 0.7 * (k % 2), rng.uniform(0.0, 0.6)) for k in range(count)]
        red = scatter(rng, clusters(rng, hearts, 16, 26), spots, ("#b8233a", "#dd4c66", "#ee9aa8"))
        layer = draw(layer, red).blurred(blur)
        image = Layer(layer.premultiplied * np.float32(thin)).over(image)
    return _plum(rng, 1).blurred(3.0).over(image)


def _palace_wall(rng: np.random.Generator, choice: int) -> Floats:
    """Wall, eaves under snow, snow on the ground; sharp still."""
    y, x = rows(), columns()
    stains = 0.7 * spread(fractal(rng, 200, 20), 1.6) + 0.3 * spread(fractal(rng, 30, 4), 1.8)
    plaster = ramp(np.asarray(stains, np.float32), ("#5c211c", "#75291f", "#8a3a2d", "#945043"))
    image = plaster * (0.6 + 0.6 * step_up(x if choice % 2 else 1 - x, 0, 1))[..., None]
    eaves = EAVES[choice]
    tiles = 0.5 + 0.5 * np.cos(x * 2 * np.pi * 11)
    roof = ramp(np.asarray(tiles, np.float32), ("#22322f", "#3d524c", "#5b7068"))
    image = over(image, roof, step_up(y, eaves + 0.004, eaves - 0.004))
    beam = step_up(y, eaves, eaves + 0.01) * step_up(y, eaves + 0.065, eaves + 0.055)
    image = over(image, ramp((np.sin(x * 110) > 0.2).astype(np.float32), ("#1f4a52", "#9a7840")), beam * 0.9)
    image *= (1 - 0.5 * step_up(y, eaves + 0.06, eaves + 0.065) * step_up(y, eaves + 0.22, eaves + 0.07))[..., None]
    drift = eaves - 0.045 + 0.012 * np.cos(x * 2 * np.pi * 11) + 0.02 * (fractal(rng, 80, 20) - 0.5)
    image = over(image, np.array(colour("#d5dee8")) * 0.9, step_up(drift - y, -0.004, 0.006))
    # Snow blown against the wall: a bank with its own shade, and a dusting above it that thins out.
    bank = 0.84 + 0.07 * (fractal(rng, 150, 25) - 0.5)
    dusting = step_up(fractal(rng, 22, 3) + 0.9 * (y - bank), 0.50, 0.62) * step_up(y, 0.70, bank)
    image = over(image, np.array(colour("#c9d3df")) * 0.75, dusting * 0.7)
    snow = ramp(spread(fractal(rng, 60, 8), 1.6), ("#9fb0c4", "#bccad9", "#d3dde7"))
    return over(image, snow * 0.9, step_up(y - bank, 0.0, 0.03))


def _lanterns(rng: np.random.Generator, places: list[tuple[float, float]], beam: float, light: float) -> Layer:
    """Red silk lanterns on cords from the beam, their bulb's light stronger in the middle; shares of the canvas."""
    layer = empty_layer().premultiplied.copy()
    for px, py in places:
        cx, cy = px * CANVAS.width, py * CANVAS.height
        wide, tall = 27 * rng.uniform(0.9, 1.05), 24 * rng.uniform(0.95, 1.1)
        cord = (*colour("#2a1b16"), 1.0)
        cv2.line(layer, (round(cx), round(beam * CANVAS.height)), (round(cx), round(cy)), cord, 2)
        cv2.line(layer, (round(cx), round(cy)), (round(cx), round(cy + 2.3 * tall)), (*colour("#8f2318"), 1.0), 5)
        x0, x1 = max(0, int(cx - wide) - 1), min(CANVAS.width, int(cx + wide) + 2)
        y0, y1 = max(0, int(cy - tall) - 1), min(CANVAS.height, int(cy + tall) + 2)
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        u, v = (x - cx) / wide, (y - cy) / tall
        inside = np.clip((1 - np.hypot(u, v)) * 14, 0, 1)
        ribs = 0.86 + 0.14 * np.cos(14 * np.arcsin(np.clip(u / np.sqrt(np.clip(1 - v * v, 0.05, 1)), -1, 1)))
        bulb = np.exp(-((u / 0.55) ** 2) - ((v - 0.12) / 0.6) ** 2)
        silk = np.array(colour("#cf2a1e")) * (0.7 - 0.3 * v)[..., None]
        lit = np.array((1.0, 0.30, 0.10)) * (light * (0.18 + bulb))[..., None]
        body = np.dstack([(silk + lit) * ribs[..., None], np.ones_like(u)])
        part = layer[y0:y1, x0:x1]
        part += (body - part) * inside[..., None]
        for dy in (-tall, tall):
            corners = (round(cx - 10), round(cy + dy - 3)), (round(cx + 10), round(cy + dy + 3))
            cv2.rectangle(layer, *corners, (*colour("#8f6c2e"), 1.0), -1)
    return Layer(np.asarray(layer, np.float32))


def _plum(rng: np.random.Generator, side: int, drop: float = 0.0) -> Layer:
    """A dark branch from an upper corner, `drop` px below it, snow along its top, red blossoms."""
    canvas = empty_layer().premultiplied.copy()
    start = np.array([-10.0 if not side else CANVAS.width + 10.0, 40.0 + drop + rng.uniform(0, 30)])
    hearts: list[tuple[float, float]] = []
    _grow(rng, canvas, hearts, (start, 1.0 if not side else -1.0, 7.0, rng.uniform(0.0, 0.4)), 3)
    places = np.array(hearts)[rng.random(len(hearts)) < 0.45]
    blossoms = scatter(
        rng,
        np.repeat(places, 2, axis=0) + rng.normal(0, 4, (2 * len(places), 2)),
        (2.5, 5.5),
        ("#b3243a", "#d2485f", "#e6939f"),
    )
    return draw(Layer(canvas), blossoms)


def _grow(
    rng: np.random.Generator,
    canvas: Floats,
    hearts: list[tuple[float, float]],
    stem: tuple[NDArray[np.float64], float, float, float],
    depth: int,
) -> None:
    """Draws a twig that bends as it grows, then its own twigs: (start, growth in x, thickness px, angle rad)."""
    at, way, thick, angle = stem
    bend = rng.normal(0, 0.03)
    steps = int(rng.uniform(16, 24)) if depth == 3 else int(rng.uniform(7, 15))
    last_thick = 0.35 * thick
    snow = rng.random() < 0.8
    for step in range(steps):
        bend = 0.8 * bend + rng.normal(0, 0.045) - 0.015 * (angle - 0.2)
        angle += bend
        to = at + 6.5 * np.array([way * np.cos(angle), np.sin(angle)])
        width = thick + (last_thick - thick) * step / steps
        a, b = ((round(float(p[0]) * 8), round(float(p[1]) * 8)) for p in (at, to))
        cv2.line(canvas, a, b, (*colour("#2b1a17"), 1.0), max(1, round(width)), cv2.LINE_8, 3)
        if rng.random() < 0.08:
            snow = not snow
        if snow and abs(np.cos(angle)) > 0.5:  # lies where a twig is level enough
            up = round(8 * 0.6 * width)
            white = (*(0.75 * v for v in colour("#e6edf5")), 1.0)
            cv2.line(canvas, (a[0], a[1] - up), (b[0], b[1] - up), white, max(1, round(0.75 * width)), cv2.LINE_8, 3)
        if step % 2:
            hearts.append((float(to[0]), float(to[1])))
        if depth > 1 and step > 2 and rng.random() < 0.24:
            turn = angle + (1 if rng.random() < 0.6 else -1) * rng.uniform(0.4, 0.9)
            _grow(rng, canvas, hearts, (to, way, max(1.5, 0.6 * width), turn), depth - 1)
        at = to
