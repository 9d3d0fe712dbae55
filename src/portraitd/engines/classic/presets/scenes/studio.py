"""A painter's canvas or paper roll in a studio, lit by one lamp."""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.presets.scenes.paint import CANVAS, Colour, columns, fractal, rows
from portraitd.images import Floats


def paper(rng: np.random.Generator, glow: Colour, edge: Colour, at: tuple[float, float]) -> Floats:
    """(h, w, 3) linear: `glow` where a round lamp shines, `edge` where its light has fallen off, faintly mottled."""
    aspect = CANVAS.height / CANVAS.width
    distance2 = ((columns() - at[0]) / 0.62) ** 2 + ((rows() - at[1]) * aspect / 0.72) ** 2
    light = 1 / (1 + distance2) ** 1.6
    light = light + 0.05 * (fractal(rng, 170, 20) - 0.5) * (0.4 + light)
    share = np.clip(light, 0, 1)[..., None]
    return np.asarray(np.array(edge) + (np.array(glow) - np.array(edge)) * share, np.float32)
