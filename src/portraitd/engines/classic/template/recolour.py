"""Whose skin the picture shows: the template's bare skin takes the person's complexion where the two are far apart.

The face takes its tone from the template's skin; a person much darker or fairer than the model would come out in the
model's colour. So the model's skin, face, neck, ears and hands alike, first moves along the line on which human skin
lies, that of melanin.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.bare import bare_skin_in
from portraitd.engines.classic.face.light import MELANIN
from portraitd.engines.classic.template.fill import brightened
from portraitd.engines.classic.template.template_face import TemplateFace
from portraitd.faces.detect import Box
from portraitd.faces.models import FaceModels
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
    picture = _moved(
        template.picture, bare_skin_in(models, template.picture, template.whole_mesh, template.face.skin), step
    )
    x0, y0, x1, y1 = (int(v) for v in template.box)
    lit = template.face.light.copy()
    lit[0] += step
    face = replace(
        template.face, image=np.ascontiguousarray(picture[y0:y1, x0:x1]), light=lit, skin=template.face.skin + step
    )
    around = None if template.around is None else template.around + step
    return replace(template, picture=picture, face=face, around=around)


def _moved(picture: Image, skin: Mask, step: Floats) -> Image:
    """The (H, W, 3) picture, its light multiplied by exp(step) on skin."""
    rows, columns = (np.flatnonzero(skin.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return picture
    box = Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    part = skin[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    gain = cv2.merge([1 + part * np.float32(factor - 1) for factor in np.exp(step / 2.2)])
    return brightened(picture, box, np.asarray(gain, np.float32))
