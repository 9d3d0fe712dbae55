"""The person as if photographed in neutral light and well exposed: what every scene's own light begins with."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face.skin import FIRMNESS, neutral_gains, skin_light
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.grade import LUMA
from portraitd.images import Floats, Mask, to_linear

#: Linear luma that the brightest places of a person (eyes, teeth, collars) have at least in a well exposed photo.
BRIGHTEST_LEAST = 0.38
#: Linear luma that the darkest places of a person have at most in a clear photo, and the most that is taken for haze.
DARKEST_MOST = 0.012
MOST_VEIL = 0.12
#: An underexposed photo is lifted by this much at most: beyond it there is only noise.
MOST_LIFT = 7.0
#: From which linear light on something may be white, how much weaker than its strongest colour its weakest may be, and
#: which share of a person such things are at least to say anything.
WHITE_LEAST, WHITE_TINT, WHITES = 0.3, 0.3, 0.01
#: How much more blue than red white has at most; and how much of the correction is made whatever is white.
WHITE_BLUE, LEAST_SHARE = 1.03, 0.4
#: From which linear light on a photo's red may have been cut off, and from which it was.
RED_CUT_OFF = (0.8, 0.98)
#: How much blue, to its green, white has at least in light that was made neutral.
BLUE_OF_WHITE = 0.88
#: How much darker and brighter a face is made at most.
GAINS = (0.6, 1.6)
#: Beyond this, in what is white in the photo, `exposed` is flat. The curve has its top at 1 / sqrt(gain - 1).
BRIGHTEST = 1.2


def person_light(cutout: Cutout) -> Floats:
    """(H, W, 3) linear light of the cutout as if photographed in neutral light and well exposed."""
    linear = to_linear(cutout.colours)
    veil = np.float32(_veil(linear, cutout.alpha))
    if veil > 0:
        linear = np.maximum(linear - veil, 0) / (1 - veil)
    lift = np.float32(_lift(linear, cutout.alpha))
    if not cutout.is_grey():
        skin = skin_light(linear, cutout.points)
        share = _white_share(linear, cutout.alpha, neutral_gains(skin))
        linear = _balanced(linear, skin, neutral_gains(skin, FIRMNESS * share))
    linear *= lift
    return linear


def _white_share(linear: Floats, alpha: Mask, gains: Floats) -> float:
    """How much, 0 to 1, of (3,) gains is taken so that what is white on the person, collars and grey hair, stays white.

    Skin may be redder than light makes it, and a shirt that is white in the photo says so. But shirts may be pale blue.
    """
    some = linear[::4, ::4][alpha[::4, ::4] > 0.9]
    top = some.max(axis=1, initial=0)
    white = some[(top > WHITE_LEAST) & (some.min(axis=1, initial=np.inf) > (1 - WHITE_TINT) * top)]
    bluer = float(gains[2] / gains[0])
    if not len(white) or len(white) < WHITES * len(some) or bluer <= 1:
        return 1.0
    blue = float(np.median(white[:, 2] / white[:, 0]))
    return float(np.clip(np.log(max(WHITE_BLUE / blue, 1.0)) / np.log(bluer), LEAST_SHARE, 1))


def _balanced(linear: Floats, skin: Floats, gains: Floats) -> Floats:
    """(H, W, 3) linear light times (3,) gains, as neutral light would show it; skin: (3,) that of the face's skin.

    In warm light red is cut off first, and a lit forehead would turn green. Where red was cut off it is told from
    green, by how blue a pixel is: as blue as white, it has as much of both; as skin, as much more red as skin has.
    """
    balanced = np.asarray(cv2.transform(linear, np.diag(gains)), np.float32)
    if gains[0] >= gains[1]:
        return balanced
    y, x = np.nonzero(cv2.extractChannel(linear, 0) > RED_CUT_OFF[0])
    if not y.size:
        return balanced
    red, green, blue = balanced[y, x].T
    own = skin * gains
    yellow = BLUE_OF_WHITE - blue / np.maximum(green, 1e-3)
    like_skin = np.clip(yellow / max(BLUE_OF_WHITE - float(own[2] / own[1]), 0.05), 0, 1)
    told = green * (1 + like_skin * (own[0] / own[1] - 1))
    share = np.clip((linear[y, x, 0] - RED_CUT_OFF[0]) / (RED_CUT_OFF[1] - RED_CUT_OFF[0]), 0, 1)
    balanced[y, x, 0] = red + share * np.maximum(told - red, 0)
    return balanced


def _veil(linear: Floats, alpha: Mask) -> float:
    """Linear light that lies over all of a hazy or faded photo, as its darkest places (pupils, hair) show it."""
    luma = linear[::4, ::4][alpha[::4, ::4] > 0.9] @ LUMA
    if luma.size == 0:
        return 0.0
    return float(np.clip(float(np.percentile(luma, 0.5)) - DARKEST_MOST, 0.0, MOST_VEIL))


def _lift(linear: Floats, alpha: Mask) -> float:
    """Gain that an underexposed person needs. Judged by the brightest places, not the skin: skin may be dark."""
    luma = linear[::4, ::4][alpha[::4, ::4] > 0.9] @ LUMA
    if luma.size == 0:
        return 1.0
    brightest = float(np.percentile(luma, 99.3))
    return float(np.clip(BRIGHTEST_LEAST / max(brightest, 1e-3), 1.0, MOST_LIFT))


def exposure_gain(linear: Floats, cutout: Cutout, wanted: float) -> float:
    """Gain that brings the face towards the wanted luma: all the way within a third of a stop, less beyond.

    A face much darker than wanted in a well exposed photo has dark skin, and keeps it.
    """
    luma = float(skin_light(linear, cutout.points) @ LUMA)
    dark = float(np.clip((0.20 - luma) / 0.12, 0, 1))
    return float(np.clip((wanted / max(luma, 1e-3)) ** (0.7 - 0.35 * dark), *GAINS))


def exposed(linear: Floats, cutout: Cutout, wanted: float) -> Floats:
    """(H, W, 3) the person's linear light, the face brought towards the wanted luma.

    What was white in the photo is no brighter by it: by the gain alone a lit forehead would be cut off, and lose its
    modelling.
    """
    gain = exposure_gain(linear, cutout, wanted)
    if gain <= 1:
        return np.asarray(linear * np.float32(gain), np.float32)
    some = linear[::4, ::4][cutout.alpha[::4, ::4] > 0.5]
    white = np.float32(max(1.0, float(np.percentile(some, 99.9)) if some.size else 1.0))
    bent = np.minimum(linear, np.float32(BRIGHTEST) * white)
    bent /= white
    bend = np.square(bent)
    bend *= np.float32(gain - 1)
    bend += 1
    bent *= np.float32(gain) * white
    bent /= bend
    return bent
