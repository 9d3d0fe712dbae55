"""ID photos: GA 461-2004's geometry scaled to 768 x 1024, an even backdrop, even light, a light retouch.

GA 461-2004 asks, of 358 x 441 px: face 207 +- 14 px wide, hair 7 to 21 px below the top edge, eyes at least 207 px
above the bottom edge, the face centred. Widths scale with the width, heights with the height.
"""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.presets.compose import body_normals
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.dressing import in_clothes
from portraitd.engines.classic.presets.exposure import exposed, person_light
from portraitd.engines.classic.presets.framing import PORTRAIT, Wish
from portraitd.engines.classic.presets.grade import LUMA, Grade, finish
from portraitd.engines.classic.presets.scenes.paint import Colour
from portraitd.images import Floats, Image

_ACROSS, _DOWN = PORTRAIT.width / 358, PORTRAIT.height / 441
#: Width of the face, px: the lower half of 207 +- 14, which leaves hair and shoulders room.
FACE_PX = (201 * _ACROSS, 195 * _ACROSS, 212 * _ACROSS)
#: Room above the hair, px.
HEADROOM = (14 * _DOWN, 8 * _DOWN, 20 * _DOWN)
#: The eyes' line at most this far down, px.
EYES_AT_MOST = PORTRAIT.height - 210 * _DOWN

#: Farther turned, the cheek that the photo hides would have to be made up.
MOST_TURN_DEG = 20.0

WISH = Wish(
    FACE_PX,
    ((PORTRAIT.width - 1) / 2, 4.0),
    HEADROOM,
    EYES_AT_MOST,
    straighten=1.0,
    most_turn_deg=MOST_TURN_DEG,
    emergency=1.6,
    larger=60.0,
)
#: Luma of the face, linear.
FACE_LUMA = 0.44
GRADE = Grade(contrast=1.04, grain=0.9)


def id_photo(cutout: Cutout, backdrop: Colour, rng: np.random.Generator) -> Image:
    """(1024, 768, 3) uint8: the ID photo of a person cut out by WISH, before a backdrop of one linear colour."""
    person = person_light(cutout)
    person = exposed(person, cutout, FACE_LUMA)
    person, cutout = in_clothes(person, cutout, 1.0)
    person = _evened(person, cutout)
    image = finish(person, GRADE, rng).astype(np.float32)
    # The backdrop is laid in after development: its colour is the standard's, not the grade's.
    flat = _backdrop(backdrop, rng)
    alpha = cutout.alpha[..., None]
    return np.asarray(np.clip(np.rint(flat + (image - flat) * alpha), 0, 255), np.uint8)


def _evened(person: Floats, cutout: Cutout) -> Floats:
    """The person with half of the difference between the lit and the dark side of the face taken out."""
    normal_x = body_normals(cutout)[..., 0]
    small = cv2.resize(person, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    at = (cutout.points[:, :2] + 0.5) / 4 - 0.5
    luma = cv2.remap(small @ LUMA, at[None, :, 0].copy(), at[None, :, 1].copy(), cv2.INTER_LINEAR)[0]
    middle = float(np.median(at[:, 0]))
    left, right = (float(np.median(luma[side])) for side in (at[:, 0] < middle, at[:, 0] >= middle))
    slope = float(np.clip(np.log(max(left, 1e-3) / max(right, 1e-3)), -0.6, 0.6))
    gain = np.exp(0.5 * slope * np.clip(normal_x, -0.8, 0.8))
    return np.asarray(person * cv2.resize(gain, PORTRAIT, interpolation=cv2.INTER_LINEAR)[..., None], np.float32)


def _backdrop(linear: Colour, rng: np.random.Generator) -> Floats:
    """(H, W, 3) sRGB steps of one colour; half a step of noise keeps encoders from banding."""
    value = np.asarray(linear, np.float64)
    code = 255 * np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
    return np.broadcast_to(code.astype(np.float32), (PORTRAIT.height, PORTRAIT.width, 3))
