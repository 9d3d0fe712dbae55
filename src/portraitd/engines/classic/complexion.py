"""Whose skin the picture shows: the template's bare skin takes the person's complexion where the two are far apart.

The face takes its tone from the template's skin; a person much darker or fairer than the model would come out in the
model's colour. So the model's skin, face, neck, ears and hands alike, first moves along the line on which human skin
lies, that of melanin.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic import light
from portraitd.engines.classic.light import MELANIN, REDDER
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.template import TemplateFace
from portraitd.faces import regions
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import person_probability
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask

#: Photos of one person differ this much by their light alone: so much is left to the template's skin. A template whose
#: skin is darker than the person's is more often a dark corner than a darker model.
TOLERATED_DARKER = 0.2
TOLERATED_FAIRER = 1.6
#: Log linear light that something in a well lit room reaches; what a picture lacks of it is the room's darkness.
BRIGHT_ROOM = -0.7
#: How much of what goes beyond is taken over, and how far skin may move.
SHARE = 0.9
MOST_DARKER = 2.5
MOST_FAIRER = 0.8
#: Log linear light that the brighter eye's white reaches in a photo that is exposed for the face, from open eyes
#: (area over the width squared) on; how much of what a dim photo lacks of it is given back to the skin, and the most.
WHITE = -1.4
OPEN = 0.14
WHITE_SHARE = 0.8
MOST_DIM = 0.9
#: How much of the rest of the difference in colour is taken over, from which move along MELANIN on all of that share,
#: and how much of it at most: white balance, too, makes photos redder and yellower. Of blue, skin may lose so much for
#: what it gains of red; yellow alone, or green, is a lamp's.
TINT_SHARE = 0.5
TINT_FROM = 0.5
MOST_TINT = 0.2
YELLOWER = 1.4
#: Skin is redder than blue by more than this, natural log of light, in any photo that has colours.
COLOURLESS = 0.12
#: What is less than this can't be seen.
LEAST = 0.07
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


def complexion_of(face: FaceRegion) -> Floats:
    """(3,) log linear light of the bare skin of a photo's face, were the photo not too dark.

    A face before a window is dark, whoever it is. So are its eyes' whites then, but not those of dark skin.
    """
    grey, whites = light.grey_of(light.log_light(face.image)), []
    for ring in (regions.LEFT_EYE, regions.RIGHT_EYE):
        points = face.mesh.xy[list(ring)]
        if cv2.contourArea(points) < OPEN * float(np.ptp(points[:, 0])) ** 2:
            continue
        eye = np.zeros(grey.shape, np.uint8)
        cv2.fillPoly(eye, [np.rint(points).astype(np.int32)], 1)
        if eye.any():  # one beyond the picture's edge has none
            whites.append(float(np.percentile(grey[eye > 0], 90)))
    lacking = max(0.0, WHITE - max(whites)) if whites else 0.0
    return np.asarray(face.skin + np.float32(min(MOST_DIM, WHITE_SHARE * lacking)), np.float32)


def shift_between(person: Floats, template: TemplateFace) -> float:
    """How far the template's skin moves along MELANIN, 0 where light alone may explain the difference.

    person: (3,) log linear light of bare skin.
    """
    gap = float((person - template.face.skin) @ MELANIN)
    if gap < 0:
        return -min(MOST_DARKER, SHARE * max(0.0, -gap - TOLERATED_DARKER))
    if gap <= TOLERATED_FAIRER:
        return 0.0
    brightest = float(np.percentile(light.grey_of(light.log_light(shrunk(template.picture, 32, 32))), 95))
    dimmed = max(0.0, BRIGHT_ROOM - brightest) * float(MELANIN.sum())
    return min(MOST_FAIRER, SHARE * max(0.0, gap - TOLERATED_FAIRER - dimmed))


def step_between(person: Floats, template: TemplateFace) -> Floats:
    """(3,) how far the template's skin moves, natural log of linear light; person: (3,) that of bare skin.

    Along MELANIN; and the farther it moves there, the more it takes of how red or golden the person's skin is for its
    brightness. Pale, cool skin made as dark as a ruddy face would be grey.
    """
    shift = shift_between(person, template)
    rest = person - template.face.skin - np.float32(shift) * MELANIN
    # A black and white photo says nothing of colour.
    taken = TINT_SHARE * min(1.0, abs(shift) / TINT_FROM) * (float(np.ptp(person)) > COLOURLESS)
    redder = max(0.0, float(rest[0] - rest[1]))
    golden = np.array([redder, 0, np.clip(rest[2] - rest[1], -YELLOWER * redder, 0)], np.float32)
    tint = taken * (golden - golden.mean())
    tint *= min(1.0, MOST_TINT / max(float(np.abs(tint).max()), 1e-6))
    return np.asarray(np.float32(shift) * MELANIN + tint, np.float32)


def with_complexion(models: FaceModels, template: TemplateFace, step: Floats) -> TemplateFace:
    """The template with its bare skin moved by (3,) `step`; as it is for less than can be seen."""
    if float(np.abs(step).max()) < LEAST:
        return template
    if light.is_grey(shrunk(template.picture, 64, 64)):
        step = np.full_like(step, step.mean())
    picture = _moved(template.picture, bare_skin(models, template), step)
    x0, y0, x1, y1 = (int(v) for v in template.box)
    lit = template.face.light.copy()
    lit[0] += step
    face = replace(
        template.face, image=np.ascontiguousarray(picture[y0:y1, x0:x1]), light=lit, skin=template.face.skin + step
    )
    around = None if template.around is None else template.around + step
    return replace(template, picture=picture, face=face, around=around)


def bare_skin(models: FaceModels, template: TemplateFace) -> Mask:
    """(H, W) how surely a pixel of the template's picture is the model's bare skin."""
    picture, mesh = template.picture, template.whole_mesh
    scale = min(1.0, WORK_PX / mesh.box.width)
    size = (max(8, round(picture.shape[1] * scale)), max(8, round(picture.shape[0] * scale)))
    small = shrunk(picture, *size)
    likely = _skin_coloured(small, template.face.skin)
    likely *= cv2.resize(person_probability(models, picture), size, interpolation=cv2.INTER_AREA)
    face, width = np.zeros(small.shape[:2], np.uint8), mesh.box.width * scale
    cv2.fillPoly(face, [np.rint((mesh.xy[list(regions.FACE_OVAL)] + 0.5) * scale - 0.5).astype(np.int32)], 1)
    likely *= _where_skin_shows(face, width)
    likely = np.maximum(_joined(np.asarray(likely, np.float32), width * width), face)
    return _drawn_along(np.asarray(likely, np.float32), picture)


def _skin_coloured(image: Image, skin: Floats) -> Mask:
    """(h, w) 1 where the (h, w, 3) image has the colour of this skin, more or less lit; and where such skin goes on
    without an edge into glare or into the chin's shadow, whose colours alone could be cloth's or hair's."""
    off = light.log_light(image) - skin
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


def _drawn_along(small: Mask, picture: Image) -> Mask:
    """(H, W) the small mask at full size, its edges the picture's own (fast guided filter, arXiv:1505.00996)."""
    height, width = picture.shape[:2]
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    guide = np.asarray(cv2.resize(grey, small.shape[::-1], interpolation=cv2.INTER_AREA), np.float32) / 255
    box = (5, 5)
    mean_i, mean_p = cv2.blur(guide, box), cv2.blur(small, box)
    slope = (cv2.blur(guide * small, box) - mean_i * mean_p) / (cv2.blur(guide * guide, box) - mean_i * mean_i + 2e-3)
    lines = cv2.merge([cv2.blur(slope, box) / 255, cv2.blur(mean_p - slope * mean_i, box)])
    large = cv2.resize(np.asarray(lines, np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    drawn = cv2.multiply(large[:, :, 0], grey, dtype=cv2.CV_32F) + large[:, :, 1]
    return np.asarray(np.clip((drawn - 0.1) / 0.75, 0, 1), np.float32)


def _moved(picture: Image, skin: Mask, step: Floats) -> Image:
    """The (H, W, 3) picture, its light multiplied by exp(step) on skin; elsewhere its own bytes.

    Done on the display's codes, of which a factor of light is nearly one too (sRGB is about the power 1 / 2.2).
    """
    out = picture.copy()
    rows, columns = (np.flatnonzero(skin.any(axis=axis)) for axis in (1, 0))
    if rows.size:
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        gain = cv2.merge([1 + skin[part] * np.float32(factor - 1) for factor in np.exp(step / 2.2)])
        out[part] = cv2.multiply(np.ascontiguousarray(picture[part]), gain, dtype=cv2.CV_8U)
    return out
