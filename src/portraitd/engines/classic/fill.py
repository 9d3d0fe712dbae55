"""A template in its fill light, as `neck.fill_light` finds it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from portraitd.engines.classic.bare import drawn_along
from portraitd.engines.classic.neck import FillLight
from portraitd.engines.classic.region import cut_out, enlarged
from portraitd.engines.classic.template import TemplateFace
from portraitd.faces.detect import Box
from portraitd.images import Image

#: How far beyond what is brightened the picture is looked at, px of the small copy: edges are drawn along its own.
ROOM = 4
#: What is less surely bare skin than this keeps its bytes.
FAINT = 0.05


def with_fill(template: TemplateFace) -> TemplateFace:
    """The template with the shade beside and below its face brightened; as it is where it needs no fill light."""
    fill = template.fill
    if fill is None or template.around is None or not fill.lift.any():
        return template
    picture = _brightened(template.picture, fill)
    x0, y0, x1, y1 = (int(v) for v in template.box)
    face = replace(template.face, image=np.ascontiguousarray(picture[y0:y1, x0:x1]))
    return replace(template, picture=picture, face=face, around=template.around + fill.brighter)


def _brightened(picture: Image, fill: FillLight) -> Image:
    """The (H, W, 3) picture, its light multiplied by exp(lift) on skin; elsewhere its own bytes.

    Done on the display's codes, of which a factor of light is nearly one too (sRGB is about the power 1 / 2.2).
    """
    part = _part_of(fill)
    x0, y0, x1, y1 = (int(v) for v in part)
    old = np.ascontiguousarray(picture[y0:y1, x0:x1])
    skin = np.clip((drawn_along(cut_out(fill.bare, fill.box, part), old) - FAINT) / (1 - FAINT), 0, 1)
    gain = 1 + skin * (enlarged(np.exp(fill.lift / np.float32(2.2)), fill.box, part) - 1)
    out = picture.copy()
    out[y0:y1, x0:x1] = cv2.multiply(old, cv2.merge([gain, gain, gain]), dtype=cv2.CV_8U)
    return out


def _part_of(fill: FillLight) -> Box:
    """The whole pixels of the picture in which something is brightened, and a little room."""
    step, ends = fill.box.width / fill.lift.shape[1], []
    for axis, (start, end) in ((0, (fill.box.x0, fill.box.x1)), (1, (fill.box.y0, fill.box.y1))):
        lit = np.flatnonzero(fill.lift.any(axis=axis))
        ends.append((max(start, int(start + (lit[0] - ROOM) * step)), min(end, int(start + (lit[-1] + ROOM) * step))))
    return Box(ends[0][0], ends[1][0], ends[0][1], ends[1][1])
