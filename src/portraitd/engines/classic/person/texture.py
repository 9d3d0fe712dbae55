"""One texture of several photos: what they agree on, and what only another one shows.

Every photo is laid through its own mesh on one small UV map, the mean face: once, at training. Only tone is taken from
there, and tone is smooth. Detail is the chosen photo's own. In tone, what its light left behind (a shadow beside the
nose, glare) gives way to what the photos agree on. What is turned out of its sight, under hair or in a hard shadow, is
another photo's, or that of the photo's own mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face import cover, light
from portraitd.engines.classic.face.geometry import Raster, at_points, rasterise, rim_weights
from portraitd.engines.classic.face.hair import beyond_edge, hair_in_place
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.face.warp import outer_cheeks, warp
from portraitd.faces.regions import LEFT_EYE, RIGHT_EYE
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Mask, Points

#: What the chosen photo's mirror image counts: a face is nearly symmetric, its light seldom is.
MIRRORED_QUALITY = 0.3
#: Width of the face on the UV map and of the room around it, px.
FACE_PX, ROOM_PX = 64, 4
#: Tone is what is left at this scale, in face widths.
SCALE = 0.04
#: How much of the chosen photo's tone gives way to what all agree on: all of it would make the person's photos alike.
SHARE = 0.6
#: How far (natural log of light) a photo may be off the others before it counts for little.
STRAY = 0.3
#: What the middle of all photos counts while they are weighed against it.
LEAST_WEIGHT = 1e-3
#: How far a change of tone may change colour, natural log of light.
MOST_TINT = np.float32(0.12)
#: The same of a photo that lends: one lit by a coloured lamp from the side would leave its colour on the other's cheek.
MOST_LENT_TINT = np.float32(0.6)
#: How much darker (natural log of light, smooth light taken out) than its twin on the other half of the face skin in a
#: hard shadow is, and surely.
SHADOW = (0.5, 0.9)
#: From which weight of a photo on its pixels are compared; how far from an eye's middle the eye with its brow reaches,
#: and where it has surely ended, eye distances; and which share of it must be shaded.
IN_SIGHT = 0.4
EYE = (0.36, 0.5)
WHOLE_EYE = 0.75
#: How much brighter than the middle (natural log of light, smooth light taken out) the brightest skin is, a percentile
#: of it, where there is glare, and surely. In evenly lit photos it is 0.12 to 0.35.
BRIGHTEST = 97
GLARE = (0.4, 0.55)
#: What is looked at for it: how surely skin is bare, and how much the photo counts there.
SURELY_BARE, SURELY_SEEN = 0.3, 0.35
#: How far hair shades the skin beside it, face widths: there, a photo's tone is believed less.
HAIR_SHADE = 0.03
#: How many points of the mesh another photo must show better for its detail to be worth taking.
WORTH_POINTS = 6.0


@dataclass(frozen=True)
class UvMap:
    """The mean face, small: where photos are laid beside each other. Left and right are each other's mirror image."""

    raster: Raster
    #: (468, 2) px, where the points lie on it.
    points: Points
    #: (h, w) how far a pixel is bare skin, never quite 0 on skin.
    trust: Mask
    #: Height of the face on it, px.
    height_px: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.trust.shape[1], self.trust.shape[0]


@lru_cache(maxsize=1)
def uv_map() -> UvMap:
    """The one UV map that there is."""
    mean = mean_face().points
    low, extent = mean.min(axis=0), np.ptp(mean, axis=0)
    scale = np.float32((FACE_PX - 1) / extent[0])
    points = np.asarray((mean - low) * scale + np.array([ROOM_PX, ROOM_PX, 0], np.float32), np.float32)
    shape = (round(float(extent[1] * scale)) + 1 + 2 * ROOM_PX, FACE_PX + 2 * ROOM_PX)
    raster = rasterise(points, shape, grow=0.35)
    skin = 1.0 - cover.features(points, shape, cover.FEATURES, 0.04)
    inner = raster.interpolate(1 - rim_weights() ** 2) * raster.coverage()
    trust = np.asarray(skin * np.clip(inner, 0.02, 1), np.float32)
    return UvMap(raster, np.ascontiguousarray(points[:, :2]), trust, float(extent[1] * scale))


@dataclass(frozen=True)
class Leaf:
    """What one photo says of the person's skin, laid on the UV map."""

    #: (h, w, 3) log of the light on the face in the photo.
    lit: Floats
    #: (h, w, 3) log linear light of the skin without it, and without the level.
    tone: Floats
    #: (3,) the middle of it: exposure and white balance.
    level: Floats
    #: (h, w) how much it counts beside other photos, pixel by pixel.
    weight: Mask
    #: Whether the photo is black and white.
    grey: bool

    def counted(self, quality: float) -> Leaf:
        """The photo, counting so much."""
        return replace(self, weight=self.weight * np.float32(quality))

    def mirrored(self) -> Leaf:
        """The photo as a mirror shows it."""
        lit, tone, weight = (np.ascontiguousarray(part[:, ::-1]) for part in (self.lit, self.tone, self.weight))
        return replace(self, lit=lit, tone=tone, weight=weight)


def leaf_of(face: FaceRegion) -> Leaf:
    """The photo's face, laid on the UV map."""
    on = uv_map()
    return leaf_seen(face, light.log_light(warp(face, on.raster, on.height_px, on.size)))


def leaf_seen(face: FaceRegion, seen: Floats) -> Leaf:
    """The leaf of a face of which (h, w, 3) `seen` is the log linear light on the UV map."""
    on, lit = uv_map(), light_on_map(face.facing, face.light)
    tone = skin_mean(seen - lit, on.trust, SCALE * FACE_PX)
    # Photos differ in exposure and white balance: only where one is darker than elsewhere in it says something.
    level = np.median(tone[on.trust > 0.5], axis=0)
    # Clipped last: beyond the rim the mesh is carried on, and a weight must stay one.
    in_sight = np.clip(-1.6 * on.raster.interpolate(face.facing[:, 2]) - 0.2, 0.02, 1)
    hair = spread(hair_in_place(face, on.raster, on.size, FACE_PX), HAIR_SHADE * FACE_PX)
    bare = np.clip(1 - hair, 0.02, 1)
    weight = np.asarray(bare * in_sight, np.float32)
    return Leaf(lit, np.asarray(tone - level, np.float32), level, weight, light.is_grey(shrunk(face.image, 64, 64)))


def spread(mask: Mask, reach_px: float) -> Mask:
    """(h, w) the mask in [0, 1] grown by this much, its edges as soft."""
    side = 2 * max(1, round(reach_px)) + 1
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), max(0.8, reach_px / 2)), np.float32)


def light_on_map(facing: Floats, lit: Floats) -> Floats:
    """(h, w, 3) log of the light on a face with these (468, 3) normals under this (9, 3) light, on the UV map."""
    return uv_map().raster.interpolate(light.harmonics(facing) @ lit)


def agreed(leaves: Sequence[Leaf]) -> list[Floats]:
    """For each photo, (h, w, 3) to add to its log light: its tone becomes what all agree on, in the first one's
    light."""
    first = leaves[0]
    wanted = _common([leaf.tone for leaf in leaves], [leaf.weight for leaf in leaves]) + first.level + first.lit
    changes = (wanted - leaf.tone - leaf.level - leaf.lit for leaf in leaves)
    return [_limited(change, MOST_LENT_TINT if i else MOST_TINT) for i, change in enumerate(changes)]


def _limited(change: Floats, most: np.float32) -> Floats:
    """(h, w, 3) the change of log light, its colour held back: in deep shadow and under hair it is mostly noise."""
    grey = light.grey_of(change)[:, :, None]
    return np.asarray(grey + most * np.tanh((change - grey) / most), np.float32)


def _common(tones: Sequence[Floats], weights: Sequence[Mask]) -> Floats:
    """(h, w, 3) weighted mean in which what is far off counts for little (iterated Welsch weights)."""
    middle = _median(tones) if len(tones) > 2 else _mean(tones, weights)
    greys = [light.grey_of(tone) for tone in tones]
    for _ in range(2):
        grey = light.grey_of(middle)
        kept = [w * cv2.exp(-(((own - grey) / np.float32(STRAY)) ** 2)) for own, w in zip(greys, weights, strict=True)]
        # Where all are far off each other, none is believed.
        middle = _mean([*tones, middle], [*kept, np.full_like(grey, LEAST_WEIGHT)])
    return middle


def _median(tones: Sequence[Floats]) -> Floats:
    """(h, w, 3) median of a few tones; ten times faster than numpy's over the first axis."""
    ordered = list(tones)
    for last in range(len(ordered) - 1, 0, -1):
        for i in range(last):
            one, other = ordered[i], ordered[i + 1]
            ordered[i], ordered[i + 1] = np.minimum(one, other), np.maximum(one, other)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else np.asarray((ordered[half - 1] + ordered[half]) / 2, np.float32)


def _mean(tones: Sequence[Floats], weights: Sequence[Mask]) -> Floats:
    """(h, w, 3) weighted mean of the tones; each weight (h, w), more than 0 somewhere at every pixel."""
    total, weight = np.zeros_like(tones[0]), np.zeros_like(weights[0])
    for tone, share in zip(tones, weights, strict=True):
        total += tone * share[:, :, None]
        weight += share
    return np.asarray(total / weight[:, :, None], np.float32)


def turned_away(face: FaceRegion) -> Floats:
    """(468,) 0 to 1: how far each point is turned out of the photo's sight.

    Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    """
    return np.asarray(np.clip((0.30 + face.facing[:, 2]) / 0.2, 0, 1) * outer_cheeks(0.55), np.float32)


def shaded(leaf: Leaf) -> Floats:
    """(468,) 0 to 1: how far each point lies in a hard shadow that its twin on the other half of the face does not.

    What is smooth in a photo's light is gone from the leaf's tone: what is left is the shadow that a nose throws, or a
    brow in hard sun. Exchanging light can't take it out, and it hides the skin as hair does. An eye, with its brow, is
    shaded as a whole or not at all: half of one eye laid over half of the other is neither.
    """
    grey = light.grey_of(leaf.tone)
    deep = np.clip((grey[:, ::-1] - grey - SHADOW[0]) / (SHADOW[1] - SHADOW[0]), 0, 1)
    # A twin out of sight, or under hair, says nothing.
    deep *= np.clip(np.minimum(leaf.weight, leaf.weight[:, ::-1]) / IN_SIGHT, 0, 1)
    grown = cv2.GaussianBlur(cv2.dilate(deep, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
    shade = at_points(np.asarray(grown, np.float32), uv_map().points)
    for at_eye in _eyes():
        whole = float((shade * at_eye).sum() / at_eye.sum()) > WHOLE_EYE
        shade = shade * (1 - at_eye) + np.float32(whole) * at_eye
    return np.asarray(shade, np.float32)


@lru_cache(maxsize=1)
def _eyes() -> tuple[Floats, Floats]:
    """(468,) each: 1 at the left eye and its brow, falling to 0 around them; the same of the right eye."""
    points = mean_face().points[:, :2]
    gaps = (np.linalg.norm(points - points[list(ring)].mean(axis=0), axis=1) for ring in (LEFT_EYE, RIGHT_EYE))
    left, right = (np.asarray(np.clip((EYE[1] - gap) / (EYE[1] - EYE[0]), 0, 1), np.float32) for gap in gaps)
    return left, right


def glare(face: FaceRegion, leaf: Leaf) -> float:
    """0 to 1: how surely hard light falls on parts of the face: how much brighter than most the brightest skin is.

    What is smooth in a photo's light is gone from the leaf's tone; a shine on nose and forehead is as little as an even
    photo's.
    """
    on = uv_map()
    bare = on.trust * (1 - on.raster.interpolate(face.beard))
    skin = (bare > SURELY_BARE) & (leaf.weight > SURELY_SEEN)
    if not skin.any():
        return 0.0
    middle, bright = np.percentile(light.grey_of(leaf.tone)[skin], [50, BRIGHTEST])
    return float(np.clip((bright - middle - GLARE[0]) / (GLARE[1] - GLARE[0]), 0, 1))


def hidden(face: FaceRegion, leaf: Leaf) -> Floats:
    """(468,) 0 to 1: how much of each point the photo does not show: turned out of its sight, under hair, beyond its
    edge or in a hard shadow."""
    shrink = np.float32(face.hair.shape[1] / face.image.shape[1])
    at = (face.mesh.xy + 0.5) * shrink - 0.5
    hair = np.maximum(at_points(face.hair, at), beyond_edge(at, face.hair.shape))
    shade = shaded(leaf) * (1 - face.beard)  # a beard is darker where it is thicker
    return np.asarray(1 - (1 - turned_away(face)) * (1 - hair) * (1 - shade), np.float32)


def best_lender(own: Floats, others: Iterable[Floats]) -> tuple[int, Floats] | None:
    """Which of the others shows most of what a photo does not; and (468,) 0 to 1, how much it lends.

    own, and each of the others: (468,) what a photo hides. None where none shows enough; where nothing is hidden, the
    others are not looked at.
    """
    if own.sum() < WORTH_POINTS:
        return None
    lent = [lent_by(own, other) for other in others]
    worth = [float(share.sum()) for share in lent]
    best = int(np.argmax(worth)) if worth else 0
    return (best, lent[best]) if worth and worth[best] >= WORTH_POINTS else None


def lent_by(own: Floats, other: Floats) -> Floats:
    """(468,) 0 to 1: how much of each point of the mesh the other photo shows and this one does not, by what each
    hides."""
    return np.asarray(own * (1 - other), np.float32)


def lent_by_mirror(own: Floats) -> Floats:
    """(468,) the same of the photo's own mirror image."""
    return lent_by(own, own[mean_face().mirror])
