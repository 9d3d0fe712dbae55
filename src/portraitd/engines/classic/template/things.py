"""What is held or worn before the lower half of a template's face: a microphone, a cup, a scarf. It stays in front.

Found as what is not skin there and goes on, in the same colours, below the chin. A beard ends there, or not far below.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face.cover import AgainstSkin, features
from portraitd.engines.classic.face.geometry import at_points
from portraitd.engines.classic.face.light import grey_of
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Mask, Points

#: How much darker or brighter than lit skin, and how far from its colour, a thing is (natural log of linear light).
#: Shadows darken less, and lips are darker than skin.
DARK, BRIGHT, COLOURED = 0.9, 0.5, 0.6
DARK_ON_LIPS = 1.2
#: How far beyond the contour a thing is followed, and how much of it must be seen there and before the face, in face
#: widths and their squares.
FOLLOWED = 0.10
LEAST_AREA = 0.006
#: The point of the mesh between the eyes.
NOSE_BRIDGE = 168
#: What counts as the same colour on both sides of the contour.
SAME = 0.5
#: How far below the chin and how far to its sides a thing goes on (face widths), and how much of it is seen there
#: (their squares). Light that burns a cheek out or colours it goes on beside the face, and a beard ends sooner.
BELOW, ASIDE = 0.06, 0.25
LEAST_BELOW = 0.0045
#: What is darker than skin and lies alike on both sides of the mouth, or is larger than this (squares of the face's
#: width), may be a beard all the same. From this width on (the face's), so much of its own area must lie below.
SYMMETRIC, LARGE = 0.5, 0.08
WIDE, BELOW_CHIN = 0.55, 0.3


def things_over(seen: AgainstSkin) -> Mask:
    """(h, w) in [0, 1]: what covers the lower half of the face."""
    off, at, width = seen.off, seen.at, float(np.ptp(seen.at[:, 0]))
    found = np.zeros(seen.shape, np.uint8)
    strange, inside = _strange(seen), seen.inside > 0.5
    before = strange & inside & (seen.raster.interpolate(_below_cheekbones()) > 0.5)
    if before.sum() < LEAST_AREA * width**2:
        return found.astype(np.float32)
    count, parts = cv2.connectedComponents(before.astype(np.uint8))
    for number in range(1, count):
        part = parts == number
        if part.sum() >= LEAST_AREA * width**2:
            beyond = _goes_on(part, off, strange & ~inside, width)
            if _is_thing(part, beyond, off, at, width):
                found |= (part | beyond).astype(np.uint8)
    if not found.any():
        return found.astype(np.float32)
    reach = 2 * round(0.02 * width) + 1
    whole = cv2.morphologyEx(found, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(whole, np.float32)


def _strange(seen: AgainstSkin) -> NDArray[np.bool_]:
    """(h, w) what is neither skin, as lit, nor lips."""
    lips = features(seen.at, seen.shape, (regions.LIPS_OUTER,), 0.03) > 0.2
    odd = (seen.dark > DARK) | (seen.dark < -BRIGHT) | (seen.tint > COLOURED)
    return np.asarray(np.where(lips, seen.dark > DARK_ON_LIPS, odd), np.bool_)


def _goes_on(part: NDArray[np.bool_], off: Floats, beyond: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    """(h, w) where the part of a thing goes on in what is strange beyond the contour."""
    near = cv2.distanceTransform((~part).astype(np.uint8), cv2.DIST_L2, 3) <= FOLLOWED * width
    middle = np.median(off[part], axis=0)
    return np.asarray(near & beyond & (np.abs(off - middle).max(axis=2) < SAME))


def _is_thing(part: NDArray[np.bool_], beyond: NDArray[np.bool_], off: Floats, at: Points, width: float) -> bool:
    """Whether the part before the face is one of a thing, and no beard or hair of the head's own."""
    down, aside = _from_chin(beyond, at)
    if ((down > BELOW * width) & (aside < ASIDE * width)).sum() < LEAST_BELOW * width**2:
        return False
    seen = at_points(part.astype(np.float32), at[:, :2])
    twin = seen[mean_face().mirror]
    alike = float(np.minimum(seen, twin).sum() / max(float(np.maximum(seen, twin).sum()), 1.0))
    darker = float(np.median(grey_of(off)[part])) < 0
    large = part.sum() >= LARGE * width**2
    if not darker or (alike < SYMMETRIC and not large):
        return True
    below = (down > 0) & (aside < 0.2 * width)
    wide = large or np.ptp(np.flatnonzero(part.any(axis=0))) > WIDE * width
    return bool(below.sum() >= max(LEAST_AREA * width**2, BELOW_CHIN * part.sum() * wide))


def _from_chin(beyond: NDArray[np.bool_], at: Points) -> tuple[Floats, Floats]:
    """(N,) each, px: how far below the chin and how far beside it each pixel of the thing lies, as the head leans."""
    head = at[regions.CHIN, :2] - at[NOSE_BRIDGE, :2]
    down = head / max(float(np.linalg.norm(head)), 1e-6)
    off = np.argwhere(beyond)[:, ::-1] - at[regions.CHIN, :2]
    return off @ down, np.abs(off @ np.array([-down[1], down[0]]))


@lru_cache(maxsize=1)
def _below_cheekbones() -> Floats:
    """(468,) 1 below the cheekbones, to 0."""
    return np.asarray(np.clip((mean_face().points[:, 1] - 0.35) / 0.2, 0, 1), np.float32)
