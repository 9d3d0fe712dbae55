"""A bearded template: what of its beard grows below the chin is shaved off.

Within the face a beard gives way to the person's skin, or to their own beard. What hangs on beyond the contour would
stay, as a stranger's goatee: there the neck is pulled up to the chin.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitd.engines.classic.face.geometry import outward
from portraitd.engines.classic.template.outline import pulled
from portraitd.engines.classic.template.template_face import TemplateFace
from portraitd.faces import regions


def shaved(template: TemplateFace, *, person_bearded: bool) -> TemplateFace:
    """The template without what of its beard lies below the face; as it is where it has none.

    Who has a beard brings it along; for who has none, skin is thought where the template's was.
    """
    if not template.bearded:
        return template
    template, mesh = replace(template, shaven=not person_bearded), template.whole_mesh
    if template.beard is None:
        return template
    step = outward(mesh.xy) * (template.beard * mesh.box.width)[:, None]
    edge = mesh.xy[list(regions.FACE_OVAL)] + step
    return pulled(template, np.asarray(edge, np.float32), np.asarray(-step, np.float32), carried=False)
