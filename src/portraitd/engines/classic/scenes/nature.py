"""Spring garden, autumn wood, running track: backdrops under the open sky."""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.scenes.paint import (
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
    spread,
    step_up,
)
from portraitd.images import Floats, Mask


def _foliage(rng: np.random.Generator, codes: tuple[str, ...], holes: float) -> tuple[Floats, Mask]:
    """Masses of leaves in light and shade, and where the sky shines through (share `holes`, more of it higher up)."""
    masses = spread(fractal(rng, 150, 30), 2.0)
    leaves = spread(fractal(rng, 24, 5), 2.2)
    image = ramp(0.6 * masses + 0.4 * leaves, codes)
    light = spread(fractal(rng, 200, 60), 2.0)
    image *= (0.35 + 1.3 * light)[..., None]
    sky = spread(fractal(rng, 110, 40), 1.8) * 0.6 + spread(fractal(rng, 24, 4), 1.8) * 0.4
    gaps = step_up(sky + 0.55 * (0.42 - rows()) + holes, 0.60, 0.68) * step_up(rows(), 0.74, 0.6)
    return image, gaps


def spring_garden(rng: np.random.Generator, choice: int) -> Floats:
    """Blossoming trees behind a lawn, backlit by a soft sun."""
    blossoms = (("#f7c6d4", "#fde6ec", "#ee9db6"), ("#fdeef0", "#f9d9e2", "#ffffff"))[choice % 2]
    image, gaps = _foliage(rng, ("#1b2a16", "#37502a", "#65823f", "#9db36a", "#cfd9a6"), 0.02)
    lawn = ramp(spread(fractal(rng, 60, 4), 1.6), ("#4d6b22", "#7f9c3e", "#b5c768"))
    image = over(image, lawn, step_up(rows() + 0.05 * fractal(rng, 120, 30), 0.68, 0.80))
    image = over(image, np.array(colour("#f4f6e6")) * 1.35, gaps)
    image += sparkle(rng, gaps + 0.012, 60, colour("#fff6d8"), 60)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.55)) for _ in range(16)]
    tree = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 26, 24), (3, 8), blossoms))
    image = tree.over(image)
    beds = np.column_stack([rng.uniform(0, CANVAS.width, 140), CANVAS.height * rng.uniform(0.72, 1.0, 140)])
    image = draw(empty_layer(), scatter(rng, beds, (1.5, 4), (*blossoms, "#f3e3a2", "#c9a3d8"))).over(image)
    image = defocus(image, 13)
    side = (choice // 2 + choice) % 2
    return _branch(rng, side, blossoms).blurred(6).over(image)


def _branch(rng: np.random.Generator, side: int, codes: tuple[str, ...]) -> Layer:
    """A nearer twig of blossoms reaching in from an upper corner."""
    x = np.linspace(-0.05, 0.36, 9)
    y = 0.06 + 0.35 * np.abs(x) ** 1.2 + rng.normal(0, 0.012, 9)
    hearts = [(1 - a if side else a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return draw(empty_layer(), scatter(rng, clusters(rng, hearts, 11, 15), (4, 8), codes))


def autumn_wood(rng: np.random.Generator, choice: int) -> Floats:
    """Gold and copper leaves, dark trunks, litter on the ground, low sun through the gaps."""
    warm = (
        ("#2b1d12", "#6a4522", "#a97b3a", "#d3aa55", "#ecd9a0"),
        ("#2a1a12", "#633a20", "#a05f30", "#c98a4a", "#e3c08a"),
    )[choice % 2]
    image, gaps = _foliage(rng, warm, 0.06)
    image = _trunks(rng, image)
    litter = ramp(spread(fractal(rng, 50, 4), 1.8), ("#5a3a22", "#94683a", "#bd9258", "#d9bd8a"))
    image = over(image, litter, step_up(rows() + 0.06 * fractal(rng, 120, 30), 0.72, 0.84))
    image = over(image, np.array(colour("#f6efdc")) * 1.3, gaps * 0.95)
    image += sparkle(rng, gaps + 0.012, 60, colour("#ffe7b8"), 60)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.5)) for _ in range(12)]
    image = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 22, 30), (3, 7), warm[2:])).over(image)
    image = defocus(image, 14)
    near = [(float(choice % 2), 0.02), (float(choice % 2) * 0.8 + 0.1, 0.0)]
    leaves = draw(empty_layer(), scatter(rng, clusters(rng, near, 16, 30), (6, 13), warm[2:]))
    return leaves.blurred(8).over(image)


def _trunks(rng: np.random.Generator, image: Floats) -> Floats:
    for _ in range(4):
        middle, half = rng.uniform(0.02, 0.98), rng.uniform(0.012, 0.035)
        lean = rng.uniform(-0.06, 0.06)
        away = np.abs(columns() - middle - lean * (rows() - 0.5))
        bark = step_up(away, half, half * 0.7) * step_up(rows(), 0.86, 0.78)
        image = over(image, np.array(colour("#2b1c12")) * rng.uniform(0.7, 1.6), bark * 0.85)
    return image


def running_track(rng: np.random.Generator, choice: int) -> Floats:
    """A stadium on a clear day: sky, stands, trees, turf, red track with its lanes."""
    y, x = rows(), columns()
    sky = ramp(step_up(y, 0.0, 0.5), ("#4f93d2", "#86b9e4", "#cfe3f2"))
    clouds = step_up(fractal(rng, 140, 12) + 0.15 * y, 0.55, 0.8) * 0.7
    image = over(sky * 1.15, (1.25, 1.25, 1.25), clouds)
    horizon = 0.47 + 0.02 * (choice % 3)
    trees = ramp(spread(fractal(rng, 40, 5), 2), ("#1c3317", "#37592a", "#6c8f45"))
    edge = horizon - 0.06 - 0.07 * fractal(rng, 70, 12)
    image = over(image, trees, step_up(y - edge, 0.0, 0.01))
    stand = ramp(fractal(rng, 30, 3), ("#6d7d8c", "#a8b4bd", "#d7dde0"))
    seats = step_up(y, horizon - 0.075, horizon - 0.07) * step_up(y, horizon + 0.01, horizon)
    image = over(image, stand, seats * step_up(x if choice % 2 else 1 - x, 0.15, 0.3))
    turf = ramp(0.5 * spread(fractal(rng, 80, 4), 1.5) + 0.5 * (np.sin(y * 90) > 0), ("#3f7d2b", "#5c9a3a", "#86b858"))
    image = over(image, turf, step_up(y, horizon, horizon + 0.012))
    image = _lanes(image, horizon + 0.09, choice)
    crowd = np.column_stack(
        [rng.uniform(0, CANVAS.width, 160), CANVAS.height * rng.uniform(horizon - 0.07, horizon, 160)]
    )
    people = scatter(rng, crowd, (1.2, 2.5), ("#c8473a", "#f0f0ee", "#e8c341", "#3b62a8", "#2b2b2e"))
    image = draw(empty_layer(), people).over(image)
    return defocus(image, 9 + choice % 2 * 2)


def _lanes(image: Floats, top: float, choice: int) -> Floats:
    """The red track below `top` (share of the height), its white lines running to a vanishing point."""
    y, x = rows(), columns()
    vanish = 0.15 if choice % 2 else 0.85
    depth = np.clip(y - top + 0.05, 1e-3, None)
    track = ramp(np.clip(depth * 1.6, 0, 1), ("#c4694f", "#b5482f", "#a33d27"))
    image = over(image, track, step_up(y, top, top + 0.01))
    lane = (x - vanish) / depth * 0.55
    lines = step_up(np.abs(lane - np.rint(lane)), 0.05, 0.03) * step_up(y, top, top + 0.02)
    return over(image, (0.9, 0.88, 0.86), lines)
