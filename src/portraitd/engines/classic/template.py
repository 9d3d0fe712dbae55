"""The template picture: its face, its light, what lies over it; read once for all n results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portraitd.engines.classic import cover, light
from portraitd.engines.classic.geometry import normals
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Mask

#: Room around the template's face that the work is done in, in face sizes.
ROOM = 0.12


@dataclass(frozen=True)
class TemplateFace:
    """All that is known of the template's face before anybody's face goes in."""

    picture: Image
    #: Region worked in, integer px.
    box: Box
    #: The region's pixels, (h, w, 3) uint8.
    image: Image
    #: Mesh in the region's pixels.
    mesh: FaceMesh
    #: (9, 3) light, (468, 3) log colours.
    light: Floats
    #: (h, w): what lies over the face.
    covered: Mask

    @property
    def whole_mesh(self) -> FaceMesh:
        """The mesh in the whole picture's pixels."""
        return FaceMesh(self.mesh.points + np.array([self.box.x0, self.box.y0, 0], np.float32), self.mesh.score)


def read_template(picture: Image, mesh: FaceMesh) -> TemplateFace:
    """The template's face, ready for `fuse`; picture (H, W, 3), mesh in its pixels."""
    height, width = picture.shape[:2]
    box = mesh.box
    reach = ROOM * max(box.width, box.height)
    x0, y0 = max(0, int(box.x0 - reach)), max(0, int(box.y0 - reach))
    x1, y1 = min(width, int(box.x1 + reach) + 1), min(height, int(box.y1 + reach) + 1)
    image = np.ascontiguousarray(picture[y0:y1, x0:x1])
    local = FaceMesh(mesh.points - np.array([x0, y0, 0], np.float32), mesh.score)
    facing = normals(local.points)
    lit = light_of(image, local, facing)
    covered = cover.over_face(image, local.points, facing, lit)
    return TemplateFace(picture, Box(x0, y0, x1, y1), image, local, lit, covered)


def light_of(image: Image, mesh: FaceMesh, facing: Floats) -> Floats:
    """(9, 3) light on the face with this mesh, whose points have the normals `facing`."""
    colours = light.colours_at(image, mesh)
    towards_us = np.clip(-facing[:, 2] * 2, 0, 1)
    weights = light.skin_seen(colours, light.skin_points() * towards_us)
    return light.fit_light(colours, facing, weights)
