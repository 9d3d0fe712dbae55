"""A template in its fill light, as `neck.fill_light` finds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitd.engines.classic.bare import at_full_size, brightened
from portraitd.engines.classic.geometry import part_of
from portraitd.engines.classic.neck import FillLight
from portraitd.engines.classic.region import cut_out
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
    if fill is None or template.around is None:
        return template
    picture = _lit(template.picture, fill)
    x0, y0, x1, y1 = (int(v) for v in template.box)
    face = replace(template.face, image=np.ascontiguousarray(picture[y0:y1, x0:x1]))
    return replace(template, picture=picture, face=face, around=template.around + fill.moved)


def _lit(picture: Image, fill: FillLight) -> Image:
    """The (H, W, 3) picture, its light multiplied by exp(lift + cast * tint) on skin."""
    part, (x, y) = _lit_part(fill), (int(fill.box.x0), int(fill.box.y0))
    inner = (int(part.x0) - x, int(part.y0) - y, int(part.x1) - x, int(part.y1) - y)
    old = np.ascontiguousarray(picture[int(part.y0) : int(part.y1), int(part.x0) : int(part.x1)])
    skin = at_full_size(cut_out(fill.bare, fill.box, part), old)
    skin = np.clip((skin - FAINT) / (1 - FAINT), 0, 1)
    change = (fill.lift[:, :, None] + fill.cast[:, :, None] * fill.tint) / np.float32(2.2)
    gain = part_of(np.exp(change), (int(fill.box.width), int(fill.box.height)), inner)
    return brightened(picture, part, np.asarray(1 + skin[:, :, None] * (gain - 1), np.float32))


def _lit_part(fill: FillLight) -> Box:
    """The whole pixels of the picture in which something is brightened, and a little room."""
    ends, changed = [], (fill.lift > 0) | (fill.cast > 0)
    for axis, (start, end) in ((0, (fill.box.x0, fill.box.x1)), (1, (fill.box.y0, fill.box.y1))):
        lit, step = np.flatnonzero(changed.any(axis=axis)), (end - start) / changed.shape[1 - axis]
        ends.append((max(start, int(start + (lit[0] - ROOM) * step)), min(end, int(start + (lit[-1] + ROOM) * step))))
    return Box(ends[0][0], ends[1][0], ends[0][1], ends[1][1])
