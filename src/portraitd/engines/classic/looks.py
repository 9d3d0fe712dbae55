"""The choices among the n results of a template: which look a seed stands for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How one of the n results differs from the others."""

    #: Which of the person's views, counted from the one that fits the template best.
    view_rank: int = 0
    #: 0 to 1: spots and shine taken from the skin.
    retouch: float = 0.0
    #: Brightness of the face against the template's, natural log.
    glow: float = 0.0
    #: 0 to 1: how far the mouth follows the template's; 0 is the person's own expression, but for the smile.
    expression: float = 0.9
    #: How much more the mouth smiles than it would, widths of the mouth.
    smile: float = 0.0
    #: Strength of the face's own modelling (light and shade): 1 as it is.
    modelling: float = 1.0


#: Consecutive seeds are different choices: as it is; another photo, freshened, with a smile; polished and
#: bright; the person's own expression in a deeper light. Then what lies between these. Where there is one photo only,
#: and the template's expression is the photo's, some are nearly alike.
LOOKS = (
    Look(),
    Look(view_rank=1, retouch=0.4, glow=0.09, expression=1.0, smile=0.07, modelling=0.85),
    Look(retouch=0.9, glow=0.18, modelling=0.65),
    Look(view_rank=2, expression=0.0, glow=-0.1, modelling=1.3),
    Look(smile=0.06),
    Look(view_rank=1, glow=-0.1, modelling=1.2),
    Look(view_rank=3, retouch=0.6, expression=0.4, glow=0.14, modelling=0.7),
    Look(view_rank=2, retouch=0.9, expression=0.0, modelling=0.8),
    Look(expression=0.4, glow=0.1),
    Look(view_rank=1, retouch=0.6, glow=0.15, smile=0.04, modelling=1.0),
    Look(view_rank=2, glow=0.18, modelling=0.9),
    Look(view_rank=3, expression=0.6, glow=-0.14, smile=0.04, modelling=1.25),
)


def look_of(seed: int) -> Look:
    """The look a result's seed stands for."""
    return LOOKS[seed % len(LOOKS)]
