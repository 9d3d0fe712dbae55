"""How open eyes and mouth are, and how much a mouth smiles, whatever the pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitd.faces import regions
from portraitd.faces.shape import align_to_mean
from portraitd.images import Points


@dataclass(frozen=True)
class Expression:
    """Shares, read in the mean face's frame."""

    #: Gap of the lids over the width of the eye, mean of both.
    eyes: float
    #: Gap of the inner lips over the width of the mouth.
    mouth: float
    #: How far the corners of the mouth lie above its middle, over its width.
    smile: float


def expression_of(points: Points) -> Expression:
    """The expression of a (468, 3) mesh."""
    p = align_to_mean(points).inverse().apply(points)

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(p[a] - p[b]))

    width = apart(*regions.MOUTH_CORNERS)
    corners = (p[regions.MOUTH_CORNERS[0], 1] + p[regions.MOUTH_CORNERS[1], 1]) / 2
    return Expression(
        eyes=(apart(159, 145) / apart(33, 133) + apart(386, 374) / apart(263, 362)) / 2,
        mouth=apart(13, 14) / width,
        smile=float((p[13, 1] + p[14, 1]) / 2 - corners) / width,
    )
