"""A bearded template: what of its beard grows below the chin is shaved off.

Within the face a beard gives way to the person's skin, or to their own beard. What hangs on beyond the contour would
stay, as a stranger's goatee: there the neck is pulled up to the chin, unless the person's beard goes on like that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitd.engines.classic.face.beard import go_together
from portraitd.engines.classic.face.geometry import outward
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.template.outline import pulled
from portraitd.engines.classic.template.template_face import TemplateFace
from portraitd.faces import regions


def shaved(template: TemplateFace, bearded: FaceRegion | None) -> TemplateFace:
    """The template without what of its beard lies below the face; as it is where it has none.

    bearded: the face of a person who has one, too. They bring it along, and where it is like the template's, that goes
    on below it; for who has none, skin is thought where the template's was.
    """
    if not template.bearded:
        return template
    template, mesh = replace(template, shaven=bearded is None), template.whole_mesh
    if template.beard is None or (bearded is not None and go_together(bearded, template.face)):
        return template
    step = outward(mesh.xy) * (template.beard * mesh.box.width)[:, None]
    edge = mesh.xy[list(regions.FACE_OVAL)] + step
    return pulled(template, np.asarray(edge, np.float32), np.asarray(-step, np.float32), carried=False)
