"""How a jacket, a shirt and a tie are cut: outlines in face widths, right of the neck's middle and below the chin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitd.images import Floats, Points

#: Where a buttoned collar closes below the chin.
CLOSES_AT = 0.335
#: How far below the chin clothes go on.
LOW = 3.0
#: From where on a shoulder follows the wearer's own, and from where on all of the way, beyond the neck.
FOLLOWS = (0.06, 0.40)


@dataclass(frozen=True)
class Pattern:
    """The pieces. Those of the right side are (N, 2) points; the left ones are their mirror images."""

    #: The collar's upper edge, from the side of the neck to where it closes; and all of a collar leaf.
    neckline: Points
    leaf: Points
    #: The jacket from the left hem over both shoulders to the right hem.
    jacket: Points
    #: The jacket's front edge, from the collar down to where it is buttoned.
    front: Points
    #: Upper collar of the jacket, and the lapel below it.
    upper_collar: Points
    lapel: Points
    #: From the shoulder down: beyond it is the sleeve.
    armhole: Points
    #: The tie's knot, and what hangs from it.
    knot: Points
    blade: Points


def pattern_for(neck: float, breadth: float, lifts: tuple[float, float]) -> Pattern:
    """The pieces for half of a neck's width, for shoulders so broad (1 is usual), and for how far the left and the
    right one lie above the usual."""
    side, jacket_side = (neck + 0.012, -0.035), (neck + 0.030, 0.0)
    tip = (0.25, 0.66)
    leaf = [
        neckline(neck),
        curve((0.012, CLOSES_AT), (0.07, 0.42), (0.155, 0.545), tip),
        curve(tip, (0.37, 0.47), (neck + 0.055, 0.22), (neck + 0.042, 0.03), side),
    ]
    left, right = (shoulder(neck, breadth, lift) for lift in lifts)
    front = curve(jacket_side, (neck + 0.045, 0.10), (0.415, 0.42), (0.365, 0.75), (0.20, 1.45), (0.0, 2.15))
    notch, corner = (0.605, 0.545), (0.81, 0.50)
    upper = curve(jacket_side, (neck + 0.125, 0.10), (neck + 0.215, 0.30), (0.655, 0.505))
    inner = curve((0.40, 0.56), (0.415, 0.42), (neck + 0.045, 0.10), jacket_side)
    lapel = [
        np.array([(0.395, 0.56), notch, corner], np.float32),
        curve(corner, (0.79, 0.60), (0.66, 1.05), (0.40, 1.6), (0.02, 2.2)),
        curve((0.02, 2.2), (0.20, 1.45), (0.365, 0.75), (0.395, 0.56)),
    ]
    hang = curve((0.045, 0.525), (0.085, 0.75), (0.125, 1.15), (0.165, LOW))
    flank = curve((0.085, 0.352), (0.075, 0.44), (0.052, 0.535))
    return Pattern(
        neckline=neckline(neck),
        leaf=np.concatenate(leaf),
        jacket=np.concatenate([mirrored(left)[::-1], right]),
        front=front,
        upper_collar=np.concatenate([upper, inner]),
        lapel=np.concatenate(lapel),
        armhole=curve(*((x * breadth, y) for x, y in ((1.22, 0.40), (1.07, 0.80), (1.06, 1.2), (1.13, LOW)))),
        knot=np.concatenate([flank, mirrored(flank)[::-1]]),
        blade=np.concatenate([hang, mirrored(hang)[::-1]]),
    )


def neckline(neck: float) -> Points:
    """(N, 2) a collar's upper edge, from the right side of the neck to where it closes."""
    return curve((neck + 0.012, -0.035), (neck - 0.035, 0.075), (0.53 * neck, 0.215), (0.012, CLOSES_AT))


def shoulder(neck: float, breadth: float, lift: float = 0.0) -> Points:
    """(N, 2) the jacket's right outline, from the collar down to the hem."""
    arm = ((0.78, 0.21), (1.08, 0.345), (1.29, 0.51), (1.42, 0.85), (1.49, 1.5), (1.53, LOW))
    usual = curve((neck + 0.030, 0.0), (neck + 0.11, 0.065), *((x * breadth, y) for x, y in arm))
    lifted = usual.copy()
    lifted[:, 1] -= lift * share_of_lift(usual[:, 0], neck)
    return lifted


def share_of_lift(x: Floats, neck: float) -> Floats:
    """(...) 0 to 1: how far the shoulder follows the wearer's own, so many face widths beside the neck's middle."""
    start, end = (neck + beyond for beyond in FOLLOWS)
    return np.asarray(np.clip((np.abs(x) - start) / (end - start), 0, 1), np.float32)


def curve(*knots: tuple[float, float], steps: int = 12) -> Points:
    """(N, 2) points of a smooth curve through the knots (Catmull and Rom 1974)."""
    at = np.asarray(knots, np.float64)
    at = np.concatenate([2 * at[:1] - at[1:2], at, 2 * at[-1:] - at[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(at, at[1:], at[2:], at[3:], strict=False)
    ]
    return np.concatenate([*pieces, at[-2:-1]]).astype(np.float32)


def mirrored(points: Points) -> Points:
    """(N, 2) points on the other side, in the same order."""
    return np.asarray(points * np.array([-1, 1], np.float32), np.float32)
