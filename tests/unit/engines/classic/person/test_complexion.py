"""What colour somebody's skin is: a photo's eyes say whether the skin is dark, or the photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.region import FaceRegion, read_region
from portraitd.engines.classic.person.complexion import MOST_DIM, complexion_of
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from tests.fakes import heads

EYES = (regions.LEFT_EYE, regions.RIGHT_EYE)


def face(whites: int, dim: float = 1.0, *, shut: bool = False) -> FaceRegion:
    """A head whose eyes are this white, in a picture that is so much darker in linear light."""
    picture, mesh = heads.head(), heads.MESH
    for ring in EYES:
        heads.fill(picture, ring, (whites, whites, whites))
    picture = np.asarray(np.rint(picture * dim ** (1 / 2.2)), np.uint8)
    region = read_region(picture, mesh)
    if shut:
        for ring in EYES:
            middle = region.mesh.points[list(ring), 1].mean()
            region.mesh.points[list(ring), 1] = middle + 0.2 * (region.mesh.points[list(ring), 1] - middle)
    return region


def lifted(region: FaceRegion) -> float:
    """By how much the complexion is brighter than the skin in the photo, natural log."""
    return float((complexion_of(region) - region.skin).mean())


def test_dark_skin_in_good_light_is_dark() -> None:
    """The whites are bright: so is the light."""
    region = face(230)
    dark = FaceRegion(region.image, region.mesh, region.light, region.skin - np.float32(1.5), region.hair)
    assert lifted(dark) == 0


def test_an_eye_beyond_the_edge_says_nothing() -> None:
    picture, mesh = heads.head(), heads.MESH
    middle = int(mesh.xy[:, 0].mean())
    half = read_region(np.ascontiguousarray(picture[:, :middle]), mesh)
    assert half.mesh.xy[list(regions.RIGHT_EYE), 0].min() > half.image.shape[1]
    assert np.isfinite(complexion_of(half)).all()


@pytest.mark.parametrize("dim", [0.2, 0.1])
def test_a_dim_photo_does_not_make_skin_dark(dim: float) -> None:
    assert lifted(face(230, dim)) > 0.3
    assert lifted(face(230, dim)) <= MOST_DIM
    assert lifted(face(230, 0.1)) > lifted(face(230, 0.25))


def test_the_brighter_eye_counts() -> None:
    region = face(230, 0.15)
    x, y, width, height = cv2.boundingRect(np.rint(region.mesh.xy[list(regions.LEFT_EYE)]).astype(np.int32))
    region.image[y : y + height, x : x + width] = 235
    assert lifted(region) == 0


def test_shut_eyes_say_nothing() -> None:
    assert lifted(face(230, 0.15, shut=True)) == 0


def test_a_person_s_complexion_is_kept_and_not_what_a_dim_photo_shows() -> None:
    region = face(230, 0.15)
    view = view_of("dim", region.image, region.mesh, 0.5)
    assert view.skin().mean() > view.face().skin.mean() + 0.3
    kept = Identity.from_bytes(Identity((view,), mean_face().points, None).to_bytes())
    assert kept.skin == pytest.approx(view.skin(), abs=1e-5)
