"""Spring garden and autumn wood: backdrops of leaves, blossoms and the light between them."""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.presets.scenes.lens import Discs, bokeh
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
from portraitd.images import Floats, Mask


def _foliage(rng: np.random.Generator, codes: tuple[str, ...], holes: float) -> tuple[Floats, Mask]:
    """Masses of leaves in light and shade, and where the sky shines through (share `holes`, more of it higher up)."""
    masses = spread(fractal(rng, 150, 30), 2.0)
    leaves = spread(fractal(rng, 24, 5), 2.2)
    image = ramp(0.6 * masses + 0.4 * leaves, codes)
    light = spread(fractal(rng, 200, 60), 2.0)
    image *= (0.35 + 1.3 * light)[..., None]
    sky = spread(fractal(rng, 110, 40), 1.8) * 0.6 + spread(fractal(rng, 24, 4), 1.8) * 0.4
    gaps = step_up(sky + 0.55 * (0.38 - rows()) + holes, 0.58, 0.76) * step_up(rows(), 0.62, 0.36)
    return image, gaps


def spring_garden(rng: np.random.Generator, choice: int) -> Floats:
    """Blossoming trees behind a lawn, backlit by a soft sun."""
    blossoms, ground = _SPRING[choice]
    image, gaps = _foliage(
        rng, ("#1b2a16", "#37502a", "#65823f", "#9db36a", "#cfd9a6"), (0.01, 0.02, 0.06, -0.06)[choice]
    )
    lawn = ramp(spread(fractal(rng, 60, 4), 1.6), ground)
    image = over(image, lawn, step_up(rows() + 0.05 * fractal(rng, 120, 30), 0.68, 0.80))
    image = over(image, np.array(colour(("#e9edd2", "#e4ecdc", "#c3d8e8", "#e8e6da")[choice])) * 0.95, gaps * 0.92)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.55)) for _ in range(16)]
    tree = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 26, 24), (3, 8), blossoms))
    image = tree.over(image)
    beds = np.column_stack([rng.uniform(0, CANVAS.width, 140), CANVAS.height * rng.uniform(0.72, 1.0, 140)])
    image = draw(empty_layer(), scatter(rng, beds, (1.5, 4), (*blossoms, "#f3e3a2", "#c9a3d8"))).over(image)
    image = defocus(image, 13)
    far, near = _SPRING_LIGHT[choice]
    image = bokeh(rng, image, gaps + 0.15 * step_up(rows(), 0.75, 0.3) + 0.02, Discs(30, (9, 19), 0.15, far))
    image = bokeh(rng, image, step_up(rows(), 0.65, 0.9) + 0.02, Discs(8, (6, 11), 0.08, near))
    side = (choice // 2 + choice) % 2
    return _branch(rng, side, blossoms).blurred(6).over(image)


#: Blossoms and ground of each choice: cherry, pear, rape field, wisteria and roses.
_SPRING = (
    (("#f7c6d4", "#fde6ec", "#ee9db6"), ("#4d6b22", "#7f9c3e", "#b5c768")),
    (("#fdeef0", "#f6e9ea", "#ffffff"), ("#50702a", "#86a548", "#c0cf7a")),
    (("#f3d23c", "#f7e27a", "#fff3c0"), ("#8a8a1e", "#d4b92c", "#f3dc62")),
    (("#b79ad6", "#d9c5ea", "#e68fae"), ("#3d5a24", "#6b8a3c", "#a3b865")),
)


#: Highlights among the leaves, and in the grass, of each choice.
_SPRING_LIGHT = (
    (("#f2f0c4", "#dbe8a8", "#f6d5dc"), ("#d9e08c", "#f0dfe0")),
    (("#eef2d4", "#d8e6b0", "#f4ecec"), ("#d6e09a", "#f0f0e6")),
    (("#f8ecb0", "#eef0c8", "#d8e6f0"), ("#f6e070", "#f6eaa8")),
    (("#e8ecc0", "#d8cce8", "#cfe0a0"), ("#c8d890", "#dccbe4")),
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
    image = over(image, np.array(colour(("#f0dfb4", "#efcfb8", "#d3dfe4", "#e2d4c2")[choice])) * 0.92, gaps * 0.9)
    hearts = [(rng.uniform(-0.05, 1.05), rng.uniform(0.0, 0.5)) for _ in range(12)]
    image = draw(empty_layer(), scatter(rng, clusters(rng, hearts, 22, 30), (3, 7), warm[2:])).over(image)
    image = defocus(image, 14)
    lights = _AUTUMN_LIGHT[choice]
    image = bokeh(rng, image, gaps + 0.12 * step_up(rows(), 0.8, 0.35) + 0.02, Discs(34, (9, 19), 0.16, lights))
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


#: Highlights among the leaves of each choice.
_AUTUMN_LIGHT = (
    ("#ffdf94", "#f4c66a", "#f6eecb"),
    ("#ffb98a", "#f58d5a", "#f8dcc0"),
    ("#f6e27a", "#e8eec0", "#f0f2e6"),
    ("#f0cf9c", "#d9ac78", "#f2e6d4"),
)


def _trunks(rng: np.random.Generator, image: Floats) -> Floats:
    for _ in range(4):
        middle, half = rng.uniform(0.02, 0.98), rng.uniform(0.012, 0.035)
        lean = rng.uniform(-0.06, 0.06)
        away = np.abs(columns() - middle - lean * (rows() - 0.5))
        bark = step_up(away, half, half * 0.7) * step_up(rows(), 0.86, 0.78)
        image = over(image, np.array(colour("#2b1c12")) * rng.uniform(0.7, 1.6), bark * 0.85)
    return image
