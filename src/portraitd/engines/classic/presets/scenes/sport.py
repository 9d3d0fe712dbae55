"""Running track and playing field of a stadium: by day, at evening, under floodlights."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.presets.scenes.lens import glare, glow
from portraitd.engines.classic.presets.scenes.paint import (
    CANVAS,
    colour,
    columns,
    defocus,
    fractal,
    over,
    ramp,
    rows,
    spread,
    step_up,
)
from portraitd.images import Floats

#: Zenith to horizon: noon, evening, noon, night.
_SKIES = (
    ("#6f9cc9", "#a3c0dc", "#dbe5ec"),
    ("#7d93ad", "#cdb9a4", "#f6d3a2"),
    ("#7ea5c9", "#b4cbdf", "#e4eaee"),
    ("#05080f", "#0b111c", "#182231"),
)
#: What people wear, and seats.
_CROWD = ("#8f4a42", "#c9c6c0", "#b9a15a", "#4a618c", "#2b2d33", "#6d7a86", "#d8d2c8", "#3c4550")


def running_track(rng: np.random.Generator, choice: int) -> Floats:
    """A stadium: sky, stands with people, trees, turf, a red track with its lanes; choice 2 is the field's middle."""
    y = rows()
    horizon = 0.46 + 0.02 * (choice % 3)
    sky = ramp(step_up(y, 0.0, horizon + 0.05), _SKIES[choice])
    clouds = step_up(fractal(rng, 170, 12) + 0.15 * y, 0.50, 0.85) * (0.55, 0.4, 0.6, 0.0)[choice]
    image = over(sky, colour(("#f2f4f5", "#f7dcc0", "#f2f4f5", "#000000")[choice]), clouds)
    image = _trees(rng, image, horizon)
    image = _stands(rng, image, horizon, choice)
    image = over(image, _turf(rng, horizon), step_up(y, horizon, horizon + 0.008))
    if choice != 2:
        image = _lanes(rng, image, horizon + 0.085, choice)
    if choice == 1:  # the sun stands low behind the stands
        image = image * np.array((1.08, 0.92, 0.74), np.float32)
        image += glow((0.86, horizon - 0.10), (0.42, 0.24), (0.55, 0.34, 0.14))
        image += glow((0.9, horizon - 0.10), (0.12, 0.09), (0.9, 0.65, 0.35))
    if choice == 3:
        return _floodlit(rng, image, horizon)
    return defocus(image, 10 + choice % 2)


def _trees(rng: np.random.Generator, image: Floats, horizon: float) -> Floats:
    leaves = ramp(spread(fractal(rng, 40, 5), 2), ("#2a3a27", "#4a5f3f", "#74875a"))
    edge = horizon - 0.07 - 0.07 * fractal(rng, 70, 12)
    return over(image, leaves, step_up(rows() - edge, 0.0, 0.01))


def _stands(rng: np.random.Generator, image: Floats, horizon: float, choice: int) -> Floats:
    """Tiers full of people under a roof that rises towards one side, in perspective."""
    x, y = columns(), rows()
    near = x if choice % 2 else 1 - x
    height = 0.05 + 0.14 * near**1.3
    table = np.array([colour(code) for code in _CROWD], np.float32)
    cells = rng.integers(0, len(table), (CANVAS.height // 3 + 1, CANVAS.width // 3 + 1))
    people = cv2.resize(table[cells], (CANVAS.width, CANVAS.height), interpolation=cv2.INTER_NEAREST)
    up = (horizon - y) / height  # 0 at the foot, 1 under the roof
    tiers = 0.75 + 0.25 * np.sign(np.sin(up * 30))
    shade = step_up(up, 1.0, 0.35) * 0.75 + 0.25
    seats = step_up(up, 0.0, 0.03) * step_up(up, 1.02, 1.0) * step_up(near, 0.12, 0.2)
    image = over(image, people * (0.9 * tiers * shade)[..., None].astype(np.float32), seats)
    roof = step_up(up, 0.98, 1.0) * step_up(up, 1.22, 1.2) * step_up(near, 0.12, 0.2)
    return over(image, ramp(np.clip((up - 1) * 5, 0, 1), ("#3a4048", "#aab2b8", "#d5dade")), roof)


def _turf(rng: np.random.Generator, horizon: float) -> Floats:
    """Mown grass: stripes across the view that grow wider towards us, patchy, its blades out of focus."""
    depth = np.clip(rows() - horizon, 0, None) + 0.03
    stripes = 0.5 + 0.5 * np.tanh(2.5 * np.sin(1.5 / depth))
    patches = spread(fractal(rng, 90, 4), 1.6)
    return ramp(np.asarray(0.65 * patches + 0.35 * stripes, np.float32), ("#3f5a2e", "#5d7a42", "#86a062"))


def _lanes(rng: np.random.Generator, image: Floats, top: float, choice: int) -> Floats:
    """The red track below `top` (share of the height), its white lines running to a vanishing point."""
    y, x = rows(), columns()
    vanish = 0.15 if choice % 2 else 0.85
    depth = np.clip(y - top + 0.05, 1e-3, None)
    worn = 0.25 * (spread(fractal(rng, 60, 6), 1.5) - 0.5)
    track = ramp(np.clip(depth * 1.6 + worn, 0, 1), ("#b57c68", "#a05b48", "#8c4534"))
    image = over(image, track, step_up(y, top, top + 0.01))
    lane = (x - vanish) / depth * 0.5
    lines = step_up(np.abs(lane - np.rint(lane)), 0.045, 0.03) * step_up(y, top, top + 0.02)
    return over(image, (0.68, 0.66, 0.63), lines * 0.9)


def _floodlit(rng: np.random.Generator, image: Floats, horizon: float) -> Floats:
    """The stadium at night: stands, turf and track under banks of floodlights that outshine the film."""
    y = rows()
    lit = step_up(y, horizon - 0.16, horizon + 0.03)
    image = np.asarray(image * (0.05 + 0.40 * lit * (1.15 - 0.6 * y))[..., None], np.float32)
    image *= np.array((0.93, 1.0, 1.06), np.float32)
    lamps = np.zeros_like(image)
    masts = np.zeros_like(y)
    for place, top, size in ((0.10, 0.13, 0.62), (0.92, 0.17, 0.50), (0.70, 0.265, 0.26), (0.33, 0.275, 0.22)):
        at = place + rng.normal(0, 0.015)
        _bank(rng, lamps, (at * CANVAS.width, top * CANVAS.height), size)
        foot = (round(at * CANVAS.width), round((horizon - 0.03) * CANVAS.height))
        cv2.line(masts, (foot[0], round(top * CANVAS.height)), foot, 1.0, max(1, round(5 * size)))
    image = over(image, (0.012, 0.015, 0.02), masts)
    blurred = defocus(np.asarray(image + lamps, np.float32), 7)
    haze = glow((0.5, horizon - 0.08), (0.9, 0.22), (0.035, 0.042, 0.052))
    return np.asarray(blurred + haze + 0.8 * glare(lamps, 0.006), np.float32)


def _bank(rng: np.random.Generator, lamps: Floats, at: tuple[float, float], size: float) -> None:
    """Rows of lamps on one mast, turned a little away: (x, y) px of the middle."""
    slant = 0.10 if at[0] < CANVAS.width / 2 else -0.10
    for row in range(4):
        for column in range(6):
            dx = (column - 2.5) * 11.5 * size
            x, y = at[0] + 0.82 * dx, at[1] + (row - 1.5) * 10.5 * size + slant * dx
            light = float(np.exp(rng.normal(0, 0.25))) * 16
            centre = (round(x * 8), round(y * 8))
            cv2.circle(lamps, centre, max(6, round(18 * size)), (light, 1.04 * light, 1.08 * light), -1, cv2.LINE_8, 3)
