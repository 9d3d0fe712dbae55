"""Which pixels of a picture are bare skin: face, neck, ears, shoulders, hands."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.light import REDDER
from portraitd.faces import regions
from portraitd.faces.guided import Guidance, drawn_along
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import person_probability
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: Face width at which skin is looked for, px.
WORK_PX = 64
#: How far from the face's skin other skin may lie: in brightness, darker and brighter, and in colour (natural log).
SHADE = (1.6, 0.45)
TINT = (0.16, 0.32)
#: How much redder shade may be for each step that it is darker: skin lights skin. Steps of brightness (natural log a
#: pixel of the small picture) over which skin goes on, and surely does not; and how much of what hangs together like
#: that must be skin by its colour alone.
REDDER_IN_SHADE = 0.45
EDGE = (0.10, 0.20)
MOSTLY_SKIN = 0.5
#: How far above the chin other skin than the face's own rim may begin, face widths: a bowed head's shoulders do.
SHOULDERS = 0.12
#: How closely bare skin's edges follow the picture.
EDGES = Guidance(window_px=5, smoothness=2e-3, averaged_px=5)


def bare_skin_in(models: FaceModels, picture: Image, mesh: FaceMesh, skin: Floats) -> Mask:
    """(H, W) how surely a pixel of the (H, W, 3) picture is the face with this mesh, or its bare skin.

    skin: (3,) log linear light of the face's.
    """
    scale = min(1.0, WORK_PX / mesh.box.width)
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    oval = np.asarray((mesh.xy[list(regions.FACE_OVAL)] + 0.5) * scale - 0.5, np.float32)
    person = cv2.resize(person_probability(models, picture), size, interpolation=cv2.INTER_AREA)
    likely = bare_skin(light.log_light(shrunk(picture, *size)), oval, skin, np.asarray(person, np.float32))
    return at_full_size(np.maximum(likely, _face(oval, likely.shape)), picture)


def bare_skin(tone: Floats, oval: Points, skin: Floats, person: Mask) -> Mask:
    """(h, w) how surely a pixel of a picture is bare skin.

    tone: (h, w, 3) its log linear light, small: the face is WORK_PX wide, or as wide as it is if that is less. oval:
    (N, 2) px, the face's contour. skin: (3,) log linear light of the face's. person: (h, w) probability that a pixel is
    a person.
    """
    face, width = _face(oval, tone.shape), float(np.ptp(oval[:, 0]))
    likely = _skin_coloured(tone - skin, skin) * person * _where_skin_shows(face, width)
    return _joined(np.asarray(likely, np.float32), width * width)


def _face(oval: Points, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(h, w) 1 inside the contour of a picture of this (height, width, ...)."""
    face = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(face, [np.rint(oval).astype(np.int32)], 1)
    return face


def _skin_coloured(off: Floats, skin: Floats) -> Mask:
    """(h, w) 1 where what is (h, w, 3) off this skin has its colour, more or less lit; and where such skin goes on
    without an edge into glare or into the chin's shadow, whose colours alone could be cloth's or hair's."""
    grey = light.grey_of(off)
    tint = off - grey[:, :, None]
    # Shade moves skin along the melanin line too, and makes it redder: that is no other colour. White is the other way.
    redder = np.asarray(np.maximum(tint @ REDDER, 0), np.float32)
    half = np.float32(0.5) * redder
    in_shade = np.maximum(half, np.minimum(redder, np.float32(REDDER_IN_SHADE) * np.maximum(-grey, 0)))
    dark = np.clip((grey + SHADE[0]) / 0.4, 0, 1)
    sure = _of_tint(tint - half[:, :, None] * REDDER, skin) * dark * np.clip((SHADE[1] - grey) / 0.2, 0, 1)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))
    smooth = np.clip((EDGE[1] - slope) / (EDGE[1] - EDGE[0]), 0, 1)
    maybe = _of_tint(tint - in_shade[:, :, None] * REDDER, skin) * dark * smooth
    return np.asarray(np.maximum(sure, maybe * _going_on(sure > 0.5, maybe > 0.5)), np.float32)


def _of_tint(tint: Floats, skin: Floats) -> Mask:
    """(h, w) 1 where (h, w, 3) differences in colour are small for this skin, to 0."""
    # White cloth beside pale skin: what counts as another colour shrinks with the skin's own.
    own = max(0.1, float(np.linalg.norm(skin - skin.mean())))
    least, most = min(TINT[0], 0.35 * own), min(TINT[1], 0.7 * own)
    off = np.sqrt(3 * light.grey_of(tint * tint))
    return np.asarray(1 - np.clip((off - least) / (most - least), 0, 1), np.float32)


def _going_on(sure: NDArray[np.bool_], maybe: NDArray[np.bool_]) -> Mask:
    """(h, w) 1 on what hangs together, sure or maybe, and is mostly sure; and on the next pixel."""
    count, labels = cv2.connectedComponents((sure | maybe).astype(np.uint8), connectivity=4)
    size = np.bincount(labels.ravel(), minlength=count)
    known = np.bincount(labels.ravel(), weights=sure.ravel(), minlength=count) > MOSTLY_SKIN * size
    known[0] = False
    return np.asarray(cv2.dilate(known[labels].astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)


def _where_skin_shows(face: NDArray[np.uint8], width_px: float) -> Mask:
    """(h, w) 1 near the face and from about the chin downwards; beside and above the head there is hair."""
    away = cv2.distanceTransform(1 - face, cv2.DIST_L2, 5) / width_px
    chin = np.flatnonzero(face.any(axis=1))[-1:]
    below = (np.arange(len(face)) - (chin[0] if chin.size else 0)) / width_px
    return np.asarray(
        np.clip(np.maximum(1.25 - away / 0.16, 0.5 + (below[:, None] + SHOULDERS) / 0.1), 0, 1), np.float32
    )


def _joined(likely: Mask, face_area: float) -> Mask:
    """The mask without specks: what is smaller than an ear belongs to backdrop and clothes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((likely > 0.4).astype(np.uint8))
    kept = np.array([stats[i, cv2.CC_STAT_AREA] >= 0.02 * face_area for i in range(count)])
    kept[0] = False
    near = cv2.dilate(kept[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(likely * near, np.float32)


def at_full_size(small: Mask, picture: Image) -> Mask:
    """(H, W) the small mask at the size of its (H, W, 3) picture, its edges the picture's own, and firm."""
    return np.asarray(np.clip((drawn_along(small, picture, EDGES) - 0.1) / 0.75, 0, 1), np.float32)
