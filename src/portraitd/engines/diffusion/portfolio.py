"""Which of a person's photos a model is shown: a few good ones from different sides.

Every reference is tokens in each picture's attention, so that a photo more costs as much as a third of a portrait; of
photos taken from one side the second tells little that the first did not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portraitd.engines.classic.person.identity import View
from portraitd.faces.shape import Pose

#: Reference photos that a model is shown at most.
MOST_REFERENCES = 3
#: Turned so much away from all photos taken already, degrees, a photo shows another side of the person.
OTHER_SIDE_DEG = 25.0
#: What it may then be worse by: it counts twice its quality.
OTHER_SIDE_COUNTS = 1.0


def best_views(views: Sequence[View], most: int = MOST_REFERENCES) -> tuple[View, ...]:
    """At most so many of the views: the best one, then those that are good and show another side, in that order."""
    left, taken = list(views), list[View]()
    while left and len(taken) < most:
        best = max(left, key=lambda view: view.quality * (1 + OTHER_SIDE_COUNTS * _otherness(view, taken)))
        left.remove(best)
        taken.append(best)
    return tuple(taken)


def _otherness(view: View, taken: Sequence[View]) -> float:
    """0 to 1: how far the head is turned from where it is in the nearest of the views taken; 0 where there are none."""
    nearest = min((_apart_deg(view.pose, other.pose) for other in taken), default=0.0)
    return min(1.0, nearest / OTHER_SIDE_DEG)


def _apart_deg(one: Pose, other: Pose) -> float:
    """Degrees between two ways of looking; how a head is tilted shows nothing else of it."""
    return float(np.hypot(one.yaw_deg - other.yaw_deg, one.pitch_deg - other.pitch_deg))
