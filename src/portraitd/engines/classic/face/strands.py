"""Hair that hangs beside a photo's face and over its cheek or temple, whatever its colour.

`cover` finds what is much darker than skin. Brown and blond hair is not: it is found by being like the hair beside that
cheek and unlike that face's skin, with the light taken out of both.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face import cover
from portraitd.engines.classic.face.cover import AgainstSkin
from portraitd.engines.classic.face.geometry import at_points
from portraitd.engines.classic.face.grabcut import Flags, foreground, window_around
from portraitd.engines.classic.face.region import ROOM, Nearby, cut_out, region_box, region_seen
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Mask

#: Room around the face in which its hair is looked at, face sizes.
AROUND = 0.3
#: How much darker or brighter than skin, or how far from its colour, hair beside the face is (natural log of linear
#: light); and at least one of these that a strand over the face is, skin showing through.
DARKER, BRIGHTER, COLOURED = 0.3, 0.4, 0.3
ODD = 0.15
#: How surely hair must be a person's.
PERSON = 0.7
#: How far beyond the contour hair is looked for beside a cheek, from the eyes down to the mouth, face widths; and what
#: share of that is hair where it hangs down.
BESIDE = (0.03, 0.15)
HANGS = 0.5
#: From where on a point lies aside, eye distances from the middle of the face.
ASIDE = (0.40, 0.55)
#: How far around its features skin may be hidden, eye distances; nearer it is not surely skin, nor surely hair.
FEATURES = (0.03, 0.10)
#: Codes for each natural log of light: what a face shows fits into 8 bits.
CODES = 70.0
#: How far around where hair may be over the face it and skin are compared, face widths.
COMPARED = 0.15
#: Fewer pixels than this say nothing.
LEAST_PX = 60


def strands_in_region(near: Nearby, picture: Image, mesh: FaceMesh) -> Mask:
    """(h, w) 1 on strands of hair over the face, on a small picture of its region in the (H, W, 3) picture."""
    wide, own = (region_box(mesh, picture.shape, room) for room in (AROUND, ROOM))
    if not _anybody_beside(near, mesh):  # most men: nothing need be looked at more closely
        return np.zeros((8, 8), np.float32)
    _, seen = region_seen(picture, mesh, AROUND)
    hair = strands(seen, near.within(wide, seen.shape[::-1]) > PERSON).astype(np.float32)
    hair = np.maximum(hair, cover.over_brows(hair, seen))
    return cut_out(np.asarray(cv2.dilate(hair, np.ones((3, 3), np.uint8)), np.float32), wide, own)


def _anybody_beside(near: Nearby, mesh: FaceMesh) -> bool:
    """Whether a person is to be seen beside a cheek, where hair might hang."""
    oval, nose, width = mesh.xy[list(regions.FACE_OVAL)], mesh.xy[regions.NOSE_TIP, 0], mesh.box.width
    mouth = mesh.xy[list(regions.LIPS_OUTER), 1].mean()
    cheeks = oval[(oval[:, 1] > mesh.eye_centres[:, 1].min()) & (oval[:, 1] < mouth)]
    for side in (-1, 1):
        beside = cheeks[side * (cheeks[:, 0] - nose) > 0] + np.array([side * float(np.mean(BESIDE)) * width, 0])
        there = beside @ near.matrix[:, :2].T + near.matrix[:, 2]
        if len(there) and (at_points(near.probability, there.astype(np.float32)) > PERSON).mean() > HANGS / 2:
            return True
    return False


def strands(seen: AgainstSkin, person: Flags) -> Flags:
    """(h, w) where hair hangs over the face; person: (h, w) where anybody is.

    GrabCut between the skin in the middle of the face and the hair beside it.
    """
    inside, clear = seen.inside > 0.5, ~_features(seen, FEATURES[1])
    beyond = ~(cv2.dilate(seen.inside, np.ones((5, 5), np.uint8)) > 0.5)
    below = np.indices(seen.shape)[0] > seen.at[regions.CHIN, 1]
    odd = (seen.dark > DARKER) | (seen.dark < -BRIGHTER) | (seen.tint > COLOURED)
    hair = beyond & person & odd & ~below
    maybe = inside & _beside_hair(seen, hair) & (seen.raster.interpolate(_zone(seen.bearded)) > 0.3)
    maybe &= ~_features(seen, FEATURES[0])
    skin = inside & ~maybe & clear
    if not maybe.any():
        return np.zeros(seen.shape, np.bool_)
    window = window_around(maybe, round(COMPARED * float(np.ptp(seen.at[:, 0]))))
    if min(hair[window].sum(), skin[window].sum()) < LEAST_PX:  # GrabCut fails where one of the two is missing
        return np.zeros(seen.shape, np.bool_)
    known = np.full(seen.shape, cv2.GC_PR_FGD, np.uint8)
    known[hair], known[skin] = cv2.GC_BGD, cv2.GC_FGD
    codes = np.clip(128 + CODES * seen.off, 0, 255).astype(np.uint8)
    # Backdrop and clothes are neither: they count as even skin, which says nothing new of it.
    nothing = below | (beyond & ~hair & ~person)
    codes[nothing], known[nothing] = 128, cv2.GC_FGD
    like_hair = hair.copy()
    like_hair[window] = ~foreground(codes, known, window)
    found = like_hair & maybe & ((np.abs(seen.dark) > ODD) | (seen.tint > ODD))
    return np.asarray(found & _hanging_from(hair, like_hair & (found | ~inside)), np.bool_)


def _features(seen: AgainstSkin, around: float) -> Flags:
    return cover.features(seen.at, seen.shape, cover.FEATURES, around) > 0.3


def _beside_hair(seen: AgainstSkin, hair: Flags) -> Flags:
    """(h, w) all of the half of the face, left or right, beside whose cheek hair hangs."""
    row, column = np.indices(seen.shape)
    eyes = seen.at[[*regions.LEFT_EYE, *regions.RIGHT_EYE], 1].mean()
    mouth = seen.at[[*regions.LIPS_OUTER], 1].mean()
    away = cv2.distanceTransform((seen.inside <= 0.5).astype(np.uint8), cv2.DIST_L2, 5) / np.ptp(seen.at[:, 0])
    cheeks = (away > BESIDE[0]) & (away < BESIDE[1]) & (row > eyes) & (row < mouth)
    found = np.zeros(seen.shape, np.bool_)
    left = column < seen.at[regions.NOSE_TIP, 0]
    for half in (left, ~left):
        strip = cheeks & half
        if strip.any() and hair[strip].mean() > HANGS:
            found |= half
    return found


def _hanging_from(hair: Flags, found: Flags) -> Flags:
    """(h, w) what of `found` hangs together with the hair."""
    _, parts = cv2.connectedComponents((hair | found).astype(np.uint8))
    return np.isin(parts, np.unique(parts[hair]))


def _zone(bearded: float) -> Floats:
    """(468,) 0 to 1: where hair may hang over a face, less low on a cheek that may be bearded."""
    low = cover.hanging_zone()[:, 0] * np.float32(1 - bearded)
    return np.asarray(np.maximum(cover.cover_zone(), low) * _aside(), np.float32)


@lru_cache(maxsize=1)
def _aside() -> Floats:
    """(468,) 1 away from the middle of the face, to 0: there, shine and wrinkles of a forehead are no hair."""
    x = np.abs(mean_face().points[:, 0])
    return np.asarray(np.clip((x - ASIDE[0]) / (ASIDE[1] - ASIDE[0]), 0, 1), np.float32)
