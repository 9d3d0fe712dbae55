"""The template's brows, where the person's end earlier: nobody has the tail of another's brow beside their own.

Where a photo shows nothing of the person (hair hangs before the temple) the template's skin stays, in the face's tone.
What of its brow lies there would go on beyond the person's.
"""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face import cover
from portraitd.engines.classic.face.finish import spread_inward
from portraitd.engines.classic.template.template_face import Ground
from portraitd.faces import regions
from portraitd.images import Floats, Image, Mask, Points

#: How much of their brow a photo must show before the template's gives way: who has none shown keeps the template's.
SHOWN = 0.5
#: How far around its points a brow reaches, eye distances; how far beyond that skin is looked at, face widths.
AROUND = 0.06
BESIDE = 0.06
#: What is less than this is no tail.
LEAST = 0.1


def without_tails(region: Image, ground: Ground, own: Points, shown: Mask) -> Image:
    """The (H, W, 3) template's region, skin in the place of its brows where the person's brow is shown, but not there.

    own: (468, 2) the person's mesh on the ground's small sheet. shown: (h, w) how much of each of its pixels the photo
    shows.
    """
    size = ground.size[::-1]
    for brow in (regions.LEFT_BROW, regions.RIGHT_BROW):
        inner = cover.features(own, size, (brow,), 0.0)
        if float((inner * shown).sum()) <= SHOWN * float(inner.sum()):
            continue
        theirs = cover.features(ground.points, size, (brow,), AROUND)
        tail = theirs * (1 - shown) * ground.bare
        if float(tail.max()) > LEAST:
            region = _filled(region, ground, tail, theirs)
    return region


def _filled(region: Image, ground: Ground, tail: Mask, brow: Mask) -> Image:
    """The region, the tail (h, w) of the brow (h, w) filled with the skin around that."""
    reach = max(2, round(BESIDE * ground.width_px))
    x, y, width, height = cv2.boundingRect((brow > 0).astype(np.uint8))
    x0, y0 = max(0, x - reach), max(0, y - reach)
    x1, y1 = min(brow.shape[1], x + width + reach), min(brow.shape[0], y + height + reach)
    weight = np.ascontiguousarray((1 - brow) * ground.bare)[y0:y1, x0:x1] + np.float32(1e-4)
    skin = spread_inward(ground.image[y0:y1, x0:x1].astype(np.float32), weight)
    return _laid(region, skin, tail[y0:y1, x0:x1], (x0, y0), ground.shrink)


def _laid(region: Image, skin: Floats, share: Mask, corner: tuple[int, int], shrink: float) -> Image:
    """The (H, W, 3) region with that share, (h, w), of small (h, w, 3) skin over it, whose corner is at (x, y)."""
    (high, wide), (x0, y0) = share.shape, corner
    left, top, right, bottom = (round(v / shrink) for v in (x0, y0, x0 + wide, y0 + high))
    right, bottom = min(right, region.shape[1]), min(bottom, region.shape[0])
    size = (right - left, bottom - top)
    over, much = (
        np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.float32) for part in (skin, share)
    )
    out, part = region.copy(), np.s_[top:bottom, left:right]
    under = np.ascontiguousarray(region[part], np.float32)
    out[part] = np.rint(cv2.blendLinear(over, under, much, 1 - much))
    return out
