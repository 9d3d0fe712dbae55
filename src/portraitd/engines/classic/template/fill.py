"""A template in its fill light, as `neck.fill_light` finds it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from portraitd.engines.classic.face.bare import at_full_size
from portraitd.engines.classic.face.region import cut_out
from portraitd.engines.classic.template.neck import FillLight
from portraitd.engines.classic.template.template_face import TemplateFace
from portraitd.faces.detect import Box
from portraitd.images import Floats, Image

#: How far beyond what changes the picture is looked at, px of the small copy: edges are drawn along its own.
ROOM = 4
#: What is less surely bare skin than this keeps its bytes.
FAINT = 0.05


def with_fill(template: TemplateFace) -> TemplateFace:
    """The template with the shade beside and below its face in fill light; as it is where it needs none."""
    fill = template.fill
    if fill is None or template.around is None:
        return template
    picture = _lit(template.picture, fill)
    x0, y0, x1, y1 = (int(v) for v in template.box)
    face = replace(template.face, image=np.ascontiguousarray(picture[y0:y1, x0:x1]))
    return replace(template, picture=picture, face=face, around=template.around + fill.moved)


def _lit(picture: Image, fill: FillLight) -> Image:
    """The (H, W, 3) picture, its light multiplied by exp(lift + cast * tint) on skin."""
    part = _lit_part(fill)
    old = np.ascontiguousarray(picture[int(part.y0) : int(part.y1), int(part.x0) : int(part.x1)])
    skin = at_full_size(cut_out(fill.bare, fill.box, part), old)
    skin = np.asarray(np.clip((skin - FAINT) / (1 - FAINT), 0, 1), np.float32)
    change = np.expm1((fill.lift[:, :, None] + fill.cast[:, :, None] * fill.tint) / np.float32(2.2))
    gain = cv2.resize(cut_out(change, fill.box, part), skin.shape[::-1], interpolation=cv2.INTER_LINEAR)
    cv2.multiply(gain, cv2.merge([skin] * 3), gain)  # in place: of a large picture this is large
    gain += 1
    return brightened(picture, part, np.asarray(gain, np.float32))


def _lit_part(fill: FillLight) -> Box:
    """The whole pixels of the picture in which something changes, and a little room."""
    ends, changed = [], (fill.lift > 0) | (fill.cast > 0)
    for axis, (start, end) in ((0, (fill.box.x0, fill.box.x1)), (1, (fill.box.y0, fill.box.y1))):
        lit, step = np.flatnonzero(changed.any(axis=axis)), (end - start) / changed.shape[1 - axis]
        ends.append((max(start, int(start + (lit[0] - ROOM) * step)), min(end, int(start + (lit[-1] + ROOM) * step))))
    return Box(ends[0][0], ends[1][0], ends[0][1], ends[1][1])


def brightened(picture: Image, box: Box, gain: Floats) -> Image:
    """The (H, W, 3) picture, multiplied by (h, w, 3) within a box of its whole pixels; elsewhere its own bytes.

    On the display's codes, of which a factor of light is nearly one too (sRGB is about the power 1 / 2.2).
    """
    x0, y0, x1, y1 = (int(v) for v in box)
    out = picture.copy()
    out[y0:y1, x0:x1] = cv2.multiply(np.ascontiguousarray(picture[y0:y1, x0:x1]), gain, dtype=cv2.CV_8U)
    return out
