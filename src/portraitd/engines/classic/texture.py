"""One texture of several photos: what they agree on, and what only another one shows.

Every photo comes to the same place through its own mesh, as on a UV map, but straight in the template's geometry: its
pixels are sampled once. Detail is the chosen photo's own. In tone, what its light left behind (a shadow beside the
nose, glare) gives way to what the photos agree on. A cheek that is turned out of its sight is another photo's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from portraitd.engines.classic import light
from portraitd.engines.classic.geometry import Raster, at_points
from portraitd.engines.classic.identity import Identity, View
from portraitd.engines.classic.place import Placement, hair_in_place
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.tone import skin_mean
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Mask

#: Photos of the person besides the chosen one that are looked at.
MOST_OTHERS = 3
#: What the chosen photo's mirror image counts: a face is nearly symmetric, its light seldom is.
MIRRORED_QUALITY = 0.3
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
#: How many points of the mesh another photo must show better for its detail to be worth taking.
WORTH_POINTS = 6.0


@dataclass(frozen=True)
class Companion:
    """Another photo of the person beside the chosen one."""

    face: FaceRegion
    #: More than 0; the chosen photo has 1.
    quality: float
    #: Whether it is only the chosen one as a mirror shows it. Then it lends nothing: what light did to one cheek would
    #: come along to the other.
    mirrored: bool = False


@dataclass(frozen=True)
class Glimpse:
    """One photo of the person in the template's geometry, small."""

    face: FaceRegion
    #: (h, w, 3) log linear light.
    seen: Floats
    #: How much it counts beside the others.
    quality: float


def companions(identity: Identity, view: View) -> list[Companion]:
    """The person's best photos besides this one, in colour if it is and in black and white if it is; and its mirror
    image."""
    grey = _is_grey(view.face())
    others = [other for other in identity.views if other is not view][:MOST_OTHERS]
    found = [Companion(other.face(), max(0.05, other.quality / max(view.quality, 0.05))) for other in others]
    alike = [other for other in found if _is_grey(other.face) == grey]
    return [*alike, Companion(_mirrored(view.face()), MIRRORED_QUALITY, mirrored=True)]


def _is_grey(face: FaceRegion) -> bool:
    return light.is_grey(shrunk(face.image, 64, 64))


def _mirrored(face: FaceRegion) -> FaceRegion:
    """The face as a mirror shows it."""
    points = face.mesh.points[mean_face().mirror].copy()
    points[:, 0] = face.image.shape[1] - 1 - points[:, 0]
    image = np.ascontiguousarray(face.image[:, ::-1])
    hair = np.ascontiguousarray(face.hair[:, ::-1])
    return FaceRegion(image, FaceMesh(points, face.mesh.score), light.mirrored(face.light), face.skin, hair)


def turned_away(face: FaceRegion) -> Floats:
    """(468,) 0 to 1: how far each point is turned out of the photo's sight.

    Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    """
    outer = np.clip((np.abs(mean_face().points[:, 0]) - 0.55) / 0.2, 0, 1)
    return np.asarray(np.clip((0.30 + face.facing[:, 2]) / 0.2, 0, 1) * outer, np.float32)


def lender_first(face: FaceRegion, others: Sequence[Companion]) -> tuple[list[Companion], Floats]:
    """The others, the one first that shows most of what this photo does not; and (468,) 0 to 1, how much it lends.

    Nothing is lent where none shows enough.
    """
    lent = [lent_by(face, other.face) * np.float32(not other.mirrored) for other in others]
    order = sorted(range(len(others)), key=lambda i: -float(lent[i].sum()))
    best = lent[order[0]]
    return [others[i] for i in order], best if best.sum() >= WORTH_POINTS else np.zeros_like(best)


def lent_by(face: FaceRegion, other: FaceRegion) -> Floats:
    """(468,) 0 to 1: how much of each point of the mesh the other photo shows and this one does not."""
    shrink = np.float32(other.hair.shape[1] / other.image.shape[1])
    hair = at_points(other.hair, (other.mesh.xy + 0.5) * shrink - 0.5)
    return np.asarray(turned_away(face) * (1 - turned_away(other)) * (1 - hair), np.float32)


def agreed(glimpses: Sequence[Glimpse], raster: Raster, place: Placement, width_px: float) -> list[Floats]:
    """For each photo, (h, w, 3) to add to its log light: its tone becomes what all agree on, in the first one's light.

    width_px: width of the face on the small picture.
    """
    size = (place.skin.shape[1], place.skin.shape[0])
    solid = place.trust > 0.5
    lights, tones, levels, weights = [], [], [], []
    for glimpse in glimpses:
        lit = raster.interpolate(light.harmonics(glimpse.face.facing) @ glimpse.face.light, size)
        tone = skin_mean(glimpse.seen - lit, place.trust, SCALE * width_px)
        # Photos differ in exposure and white balance: only where one is darker than elsewhere in it says something.
        levels.append(np.median(tone[solid], axis=0) if solid.any() else np.zeros(3, np.float32))
        lights.append(lit)
        tones.append(np.asarray(tone - levels[-1], np.float32))
        facing = raster.interpolate(glimpse.face.facing[:, 2], size)
        # Clipped last: beyond the rim the mesh is carried on, and a weight must stay one.
        in_sight = np.clip(-1.6 * facing - 0.2, 0.02, 1)
        bare = np.clip(1 - hair_in_place(glimpse.face, raster, size, width_px), 0.02, 1)
        weights.append(np.asarray(glimpse.quality * bare * in_sight, np.float32))
    wanted = _common(tones, weights) + levels[0] + lights[0]
    skin = place.skin[:, :, None]
    return [
        _limited(np.asarray(wanted - tone - level - lit, np.float32)) * skin
        for tone, level, lit in zip(tones, levels, lights, strict=True)
    ]


def _limited(change: Floats) -> Floats:
    """(h, w, 3) the change of log light, its colour held back: in deep shadow and under hair it is mostly noise."""
    grey = light.grey_of(change)[:, :, None]
    return np.asarray(grey + MOST_TINT * np.tanh((change - grey) / MOST_TINT), np.float32)


def _common(tones: Sequence[Floats], weights: Sequence[Mask]) -> Floats:
    """(h, w, 3) weighted mean in which what is far off counts for little (iterated Welsch weights)."""
    middle = np.median(np.stack(tones), axis=0) if len(tones) > 2 else _mean(tones, weights)
    for _ in range(2):
        grey = light.grey_of(np.asarray(middle, np.float32))
        kept = [w * np.exp(-(((light.grey_of(t) - grey) / STRAY) ** 2)) for t, w in zip(tones, weights, strict=True)]
        # Where all are far off each other, none is believed.
        middle = _mean([*tones, middle], [*kept, np.full_like(grey, LEAST_WEIGHT)])
    return np.asarray(middle, np.float32)


def _mean(tones: Sequence[Floats], weights: Sequence[Mask]) -> Floats:
    """(h, w, 3) weighted mean of the tones; each weight (h, w), more than 0 somewhere at every pixel."""
    stack = np.stack(weights)[:, :, :, None]
    return np.asarray((np.stack(tones) * stack).sum(axis=0) / stack.sum(axis=0), np.float32)
