"""The template picture: its face, and what lies over it; read once for all n results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitd.engines.classic import cover
from portraitd.engines.classic.neck import skin_around
from portraitd.engines.classic.region import FaceRegion, read_region, region_box
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Mask


@dataclass(frozen=True)
class TemplateFace:
    """All that is known of the template's face before anybody's face goes in."""

    picture: Image
    #: Where the face's region lies in the picture, whole px.
    box: Box
    face: FaceRegion
    #: (h, w) of the region: what lies over the face.
    covered: Mask
    #: (3,) log linear light of the bare skin around the face; None where none shows.
    around: Floats | None

    @property
    def whole_mesh(self) -> FaceMesh:
        """The mesh in the whole picture's pixels."""
        corner = np.array([self.box.x0, self.box.y0, 0], np.float32)
        return FaceMesh(self.face.mesh.points + corner, self.face.mesh.score)


def read_template(picture: Image, mesh: FaceMesh) -> TemplateFace:
    """The template's face, ready for `fuse`; picture (H, W, 3), mesh in its pixels."""
    face = read_region(picture, mesh)
    covered = cover.drawn_along(face.hair, face.image)
    return TemplateFace(picture, region_box(mesh, picture.shape), face, covered, skin_around(picture, mesh, face.skin))
