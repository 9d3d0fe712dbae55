"""Templates read before: an app has a few, and they are asked for again and again, by one customer after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from portraitd.engines.classic.template.template_face import TemplateFace
from portraitd.images import Image, fingerprint

#: How much memory all that is known of templates may take.
MOST_BYTES = 24 * 1024 * 1024

_NOTHING = np.zeros((0, 0, 3), np.uint8)


class Readings:
    """What was found in the templates of the last jobs, their pictures left out. Not thread-safe."""

    def __init__(self, look: Callable[[Image], TemplateFace]) -> None:
        """look: gives all that is known of a picture, or raises."""
        self._look = look
        #: By the picture's fingerprint; least lately used first.
        self._known: OrderedDict[bytes, TemplateFace] = OrderedDict()

    def read(self, picture: Image) -> TemplateFace:
        """The template's face, ready for `fuse`; picture (H, W, 3). Raises what `look` does."""
        whole = np.ascontiguousarray(picture)
        key = fingerprint(whole)
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return _with_picture(known, whole)
        template = self._look(whole)
        if _size(template) > MOST_BYTES:
            return template
        self._known[key] = replace(template, picture=_NOTHING, face=replace(template.face, image=_NOTHING))
        while sum(map(_size, self._known.values())) > MOST_BYTES:
            self._known.popitem(last=False)
        return template


def _with_picture(template: TemplateFace, picture: Image) -> TemplateFace:
    x0, y0, x1, y1 = (int(v) for v in template.box)
    image = np.ascontiguousarray(picture[y0:y1, x0:x1])
    return replace(template, picture=picture, face=replace(template.face, image=image))


def _size(template: TemplateFace) -> int:
    """Bytes, but for what every template takes, which is little."""
    fill = template.fill
    parts = (template.covered, template.face.hair, *(() if fill is None else (fill.bare, fill.lift, fill.cast)))
    return sum(part.nbytes for part in parts)
