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
    blossoms, ground = _SPRING[choice]
    image, gaps = _foliage(
        rng, ("#1b2a16", "#37502a", "#65823f", "#9db36a", "#cfd9a6"), (0.01, 0.02, 0.06, -0.06)[choice]
    )
    lawn = ramp(spread(fractal(rng, 60, 4), 1.6), ground)
    image = over(image, lawn, step_up(rows() + 0.05 * fractal(rng, 120, 30), 0.68, 0.80))
    image = over(image, np.array(colour(("#f4f6e6", "#f2f6f2", "#c9dff0", "#f4f2ea")[choice])) * 1.15, gaps)
    image += sparkle(rng, gaps + 0.012, 60, colour("#fff6d8"), 60)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.55)) for _ in range(16)]
    tree = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 26, 24), (3, 8), blossoms))
    image = tree.over(image)
    beds = np.column_stack([rng.uniform(0, CANVAS.width, 140), CANVAS.height * rng.uniform(0.72, 1.0, 140)])
    image = draw(empty_layer(), scatter(rng, beds, (1.5, 4), (*blossoms, "#f3e3a2", "#c9a3d8"))).over(image)
    image = defocus(image, 13)
    side = (choice // 2 + choice) % 2
    return _branch(rng, side, blossoms).blurred(6).over(image)


#: Blossoms and ground of each choice: cherry, pear, rape field, wisteria and roses.
_SPRING = (
    (("#f7c6d4", "#fde6ec", "#ee9db6"), ("#4d6b22", "#7f9c3e", "#b5c768")),
    (("#fdeef0", "#f6e9ea", "#ffffff"), ("#50702a", "#86a548", "#c0cf7a")),
    (("#f3d23c", "#f7e27a", "#fff3c0"), ("#8a8a1e", "#d4b92c", "#f3dc62")),
    (("#b79ad6", "#d9c5ea", "#e68fae"), ("#3d5a24", "#6b8a3c", "#a3b865")),
)


def _branch(rng: np.random.Generator, side: int, codes: tuple[str, ...]) -> Layer:
    """A nearer twig of blossoms reaching in from an upper corner."""
    x = np.linspace(-0.05, 0.36, 9)
    y = 0.06 + 0.35 * np.abs(x) ** 1.2 + rng.normal(0, 0.012, 9)
    hearts = [(1 - a if side else a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    return draw(empty_layer(), scatter(rng, clusters(rng, hearts, 11, 15), (4, 8), codes))


def autumn_wood(rng: np.random.Generator, choice: int) -> Floats:
    """Gold and copper leaves, dark trunks, litter on the ground, low sun through the gaps."""
    warm = _AUTUMN[choice]
    image, gaps = _foliage(rng, warm, (0.03, -0.03, 0.05, 0.01)[choice])
    image = _trunks(rng, image)
    litter = ramp(spread(fractal(rng, 50, 4), 1.8), ("#5a3a22", "#94683a", "#bd9258", "#d9bd8a"))
    image = over(image, litter, step_up(rows() + 0.06 * fractal(rng, 120, 30), 0.72, 0.84))
    image = over(image, np.array(colour(("#f6efdc", "#f5ece4", "#dbe8f0", "#eee9e2")[choice])) * 1.1, gaps * 0.95)
    image += sparkle(rng, gaps + 0.012, 60, colour("#ffe7b8"), 60)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.5)) for _ in range(12)]
    image = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 22, 30), (3, 7), warm[2:])).over(image)
    image = defocus(image, 14)
    near = [(float(choice % 2), 0.02), (float(choice % 2) * 0.8 + 0.1, 0.0)]
    leaves = draw(empty_layer(), scatter(rng, clusters(rng, near, 16, 30), (6, 13), warm[2:]))
    return leaves.blurred(8).over(image)


#: Leaves of each choice, dark to light: gold, maple red, ginkgo yellow beside green, late brown.
_AUTUMN = (
    ("#2b1d12", "#6a4522", "#a97b3a", "#d3aa55", "#ecd9a0"),
    ("#2a100c", "#6b2115", "#a83a1e", "#cf6a35", "#e8a878"),
    ("#26301a", "#5c6428", "#b09a2e", "#e0c345", "#f3e6a0"),
    ("#231a16", "#4a3629", "#7d5a3c", "#a98459", "#cdb592"),
)


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
    sky = ramp(step_up(y, 0.0, 0.5), _SKIES[choice])
    clouds = step_up(fractal(rng, 140, 12) + 0.15 * y, 0.55, 0.8) * (0.7, 0.45, 0.8, 0.1)[choice]
    image = over(sky * 1.15, colour(("#ffffff", "#ffe3c4", "#ffffff", "#5a6480")[choice]), clouds)
    horizon = 0.47 + 0.02 * (choice % 3)
    trees = ramp(spread(fractal(rng, 40, 5), 2), ("#1c3317", "#37592a", "#6c8f45"))
    edge = horizon - 0.06 - 0.07 * fractal(rng, 70, 12)
    image = over(image, trees, step_up(y - edge, 0.0, 0.01))
    stand = ramp(fractal(rng, 30, 3), ("#6d7d8c", "#a8b4bd", "#d7dde0"))
    seats = step_up(y, horizon - 0.075, horizon - 0.07) * step_up(y, horizon + 0.01, horizon)
    image = over(image, stand, seats * step_up(x if choice % 2 else 1 - x, 0.15, 0.3))
    turf = ramp(0.5 * spread(fractal(rng, 80, 4), 1.5) + 0.5 * (np.sin(y * 90) > 0), ("#3f7d2b", "#5c9a3a", "#86b858"))
    image = over(image, turf, step_up(y, horizon, horizon + 0.012))
    if choice != 2:
        image = _lanes(image, horizon + 0.09, choice)
    crowd = np.column_stack(
        [rng.uniform(0, CANVAS.width, 160), CANVAS.height * rng.uniform(horizon - 0.07, horizon, 160)]
    )
    people = scatter(rng, crowd, (1.2, 2.5), ("#c8473a", "#f0f0ee", "#e8c341", "#3b62a8", "#2b2b2e"))
    image = draw(empty_layer(), people).over(image)
    if choice == 1:
        image *= np.array((1.15, 0.95, 0.72), np.float32)  # the sun stands low
    if choice == 3:
        image = _floodlit(rng, image, horizon)
    return defocus(image, 9 + choice % 2 * 2)


#: Zenith to horizon: noon, evening, noon, night.
_SKIES = (
    ("#4f93d2", "#86b9e4", "#cfe3f2"),
    ("#6f93bd", "#d9c2a8", "#ffd9a0"),
    ("#3f8bd0", "#7db6e6", "#d4e8f5"),
    ("#0b1424", "#16243c", "#2c3f5c"),
)


def _floodlit(rng: np.random.Generator, image: Floats, horizon: float) -> Floats:
    """The stadium at night: dim stands, turf and track under rows of floodlights."""
    y = rows()
    lit = step_up(y, horizon - 0.01, horizon + 0.05)
    image = np.asarray(image * (0.10 + 0.42 * lit * (1.1 - 0.6 * y))[..., None], np.float32)
    for tower in (0.1, 0.86):
        for lamp in range(8):  # two rows of four, seen at a slant
            x = tower + 0.075 * (lamp % 4 - 1.5) + rng.normal(0, 0.003)
            at = round((0.12 + 0.055 * (lamp // 4) - 0.25 * (x - tower)) * CANVAS.height), round(x * CANVAS.width)
            if 0 <= at[1] < CANVAS.width:
                image[at] += np.array((0.95, 1.0, 1.05), np.float32) * rng.uniform(90, 200)
    haze = np.exp(-(((y - 0.15) / 0.16) ** 2)) * 0.05
    return np.asarray(image + haze[..., None] * np.array((0.8, 0.95, 1.2), np.float32), np.float32)


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
