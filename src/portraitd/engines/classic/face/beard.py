"""Whether a face has a beard, and how far it goes on below the face."""

from __future__ import annotations

import numpy as np

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.cover import against_skin, below_nose, features
from portraitd.engines.classic.face.geometry import at_points, normals, outward, smoothed
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: How far below the contour a beard's end is looked for, in which steps, and how much is shaved off at most: a longer
#: one lies on clothes. In face widths.
REACH, STEP, MOST = 0.22, 0.01, 0.16
#: Of a beard whose end is out of sight at more of the chin's points than this share, it is not known.
ENDLESS = 0.65
#: How far inside the contour hair has the beard's colour, face widths.
WITHIN = 0.06
#: From how far below the mouth on the contour is a chin's, and from where on wholly, face widths.
BELOW_MOUTH = (-0.05, 0.1)
#: How much darker than the face's skin a neck is taken to be at most, and where none is seen; natural log of light.
NECK_SHADE = 0.6
#: How far apart, natural log of light, two beards may be for one to go on where the other ends.
TOGETHER = 0.5
#: Width of the face on the picture on which the beard is looked at, px.
WORK_PX = 96
#: Less than this can't be seen, face widths.
LEAST = 0.015
#: How far inside the contour lit skin takes all of its place, face widths.
RIM = 0.03

_OVAL = list(regions.FACE_OVAL)


def is_bearded(face: FaceRegion) -> bool:
    """Whether a face has a beard, dark or white."""
    return bool(face.beard.any())


def go_together(one: FaceRegion, other: FaceRegion) -> bool:
    """Whether two bearded faces' beards are so alike, each beside its own skin, that one may go on where the other
    ends."""
    return bool(np.abs(_tone_of(one) - _tone_of(other)).max() < TOGETHER)


def _tone_of(face: FaceRegion) -> Floats:
    """(3,) log light of a face's beard, less that of its skin; where it is thickest."""
    hairy = face.beard > 0.5 * face.beard.max()
    return np.asarray(np.median(light.colours_at(face.image, face.mesh)[hairy], axis=0) - face.skin, np.float32)


def tone_without_beard(image: Image, face: FaceRegion, points: Points, depth: Mask) -> Floats:
    """(h, w, 3) log linear light of a small (h, w, 3) image of a bearded face, with lit skin where the beard is.

    The face is no wider than `cover.WORK_PX`, so that it is held against its skin at its own size. face: the same,
    large, with its light; points: (468, 2) its mesh on the small one; depth: (h, w) how far inside its contour a pixel
    lies, face widths.
    """
    tone, mesh = light.log_light(image), face.mesh.points
    small = np.column_stack([points, mesh[:, 2] * (float(np.ptp(points[:, 0])) / face.mesh.box.width)])
    seen = against_skin(image, small.astype(np.float32), normals(mesh), face.light)
    # Not up to the contour: there a jaw goes over into its own shade.
    below = seen.raster.interpolate(below_nose()) * np.clip(depth / RIM, 0, 1)
    hair = seen.unlike * below * (1 - features(points, seen.shape, (regions.LIPS_OUTER,), 0.02))
    return np.asarray(tone - seen.off * hair[:, :, None], np.float32)


def beard_below(picture: Image, mesh: FaceMesh, skin: Floats, around: Floats | None) -> Floats | None:
    """(36,) how far a beard goes on below each point of the contour, face widths; None where none does.

    picture: (H, W, 3) of a bearded face with this mesh. skin, around: (3,) log linear light of its skin, and of that
    around it. Where the end of most of it is not seen it is told neither from clothes nor from the dark.
    """
    scale = min(1.0, WORK_PX / mesh.box.width)
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    tone, points = light.log_light(shrunk(picture, *size)), (mesh.xy + 0.5) * scale - 0.5
    ring, away, width = points[_OVAL], outward(points), mesh.box.width * scale
    mouth = points[[*regions.LIPS_OUTER]].mean(axis=0)
    down = points[regions.CHIN] - mouth
    below = (ring - mouth) @ down / max(float(np.linalg.norm(down)), 1e-6) / width
    chin = np.clip((below - BELOW_MOUTH[0]) / (BELOW_MOUTH[1] - BELOW_MOUTH[0]), 0, 1)
    if not (chin >= 1).any():  # a face in profile may have none
        return None
    steps = np.arange(0, REACH, STEP)
    within, beyond = (
        np.stack([at_points(tone, (ring + away * k * width).astype(np.float32)) for k in reaches])
        for reaches in ((-WITHIN,), steps)
    )
    hair = np.median(within[0, chin >= 1], axis=0)
    neck = np.maximum(skin - NECK_SHADE if around is None else around, skin - NECK_SHADE)
    hairy = np.linalg.norm(beyond - hair, axis=2) < np.linalg.norm(beyond - neck, axis=2)
    endless = hairy.all(axis=0)
    if endless[chin >= 1].mean() > ENDLESS:
        return None
    ends = np.where(endless, MOST, np.minimum(np.argmin(hairy, axis=0) * STEP, MOST))
    # The longest hair nearby: what is shaved off too far is neck.
    ends = np.max([np.roll(ends, k) for k in (-2, -1, 0, 1, 2)], axis=0)
    length = smoothed((ends * chin)[:, None])[:, 0]
    return np.asarray(length, np.float32) if length.max() >= LEAST else None
