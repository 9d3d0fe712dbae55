"""What lies over a photo's face and must not come along: a wall where its mesh is too wide, hands, strands of hair."""

from __future__ import annotations

from portraitd.engines.classic.face.hands import hands_and_shadow
from portraitd.engines.classic.face.region import backdrop_in_region, look_nearby
from portraitd.engines.classic.face.strands import strands_in_region
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask


def over_face(models: FaceModels, picture: Image, mesh: FaceMesh) -> tuple[Mask, ...]:
    """Each (h, w) 1 on what lies over the face, on a small picture of its region in the (H, W, 3) picture."""
    near = look_nearby(models, picture, mesh)
    return (
        backdrop_in_region(near, picture.shape, mesh),
        hands_and_shadow(models, picture, mesh),
        strands_in_region(near, picture, mesh),
    )
