"""What a mesh takes in of the backdrop is not the face's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitd.engines.base import Photo
from portraitd.engines.classic.face.region import backdrop_in_region, covered_by, look_nearby, read_region, region_box
from portraitd.engines.classic.person.identity import view_of
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.matte import person_matte
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask, decode

NAMES = ["man_1", "man_2", "man_4", "woman_1", "woman_3"]


def photo_of(folder: Path, name: str) -> Image:
    return Photo(name, decode((folder / f"{name}.png").read_bytes())).image


def mesh_of(models: FaceModels, image: Image) -> FaceMesh:
    return fit_mesh(models, image, detect_faces(models, image)[0])


def backdrop_of(models: FaceModels, image: Image, mesh: FaceMesh) -> Mask:
    return backdrop_in_region(look_nearby(models, image, mesh), image.shape, mesh)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_backdrop_is_found_where_the_matte_says_so(
    face_models: FaceModels, portraits_folder: Path, name: str, scale: float
) -> None:
    image = photo_of(portraits_folder, name)
    image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    mesh = mesh_of(face_models, image)
    # Room enough that there is a backdrop.
    wide = FaceMesh(((mesh.points - mesh.points.mean(axis=0)) * 1.3 + mesh.points.mean(axis=0)), mesh.score)
    found = backdrop_of(face_models, image, wide)
    x0, y0, x1, y1 = (int(v) for v in region_box(wide, image.shape))
    alpha = person_matte(face_models, image, mesh)[y0:y1, x0:x1]
    found = np.asarray(cv2.resize(found, (x1 - x0, y1 - y0)), np.float32)
    nobody = cv2.erode((alpha < 0.02).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    somebody = cv2.erode((alpha > 0.98).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert found[somebody].mean() < 0.01
    if nobody.sum() > 200:
        assert found[nobody].mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_of_a_face_nothing_is_backdrop(face_models: FaceModels, portraits_folder: Path, name: str) -> None:
    image = photo_of(portraits_folder, name)
    mesh = mesh_of(face_models, image)
    face = read_region(image, mesh)
    covered = covered_by(face, [backdrop_of(face_models, image, mesh)])
    assert covered.hair.shape == face.hair.shape
    assert (covered.hair >= face.hair).all()
    oval = face.mesh.xy[list(regions.FACE_OVAL)]
    inner = np.zeros(face.image.shape[:2], np.uint8)
    cv2.fillPoly(inner, [np.rint(oval.mean(axis=0) + 0.85 * (oval - oval.mean(axis=0))).astype(np.int32)], 1)
    more = np.asarray(cv2.resize(covered.hair - face.hair, inner.shape[::-1]), np.float32)
    assert more[inner > 0].max() < 0.05


def test_a_strip_of_wall_beside_a_cheek_is_not_shown(face_models: FaceModels, portraits_folder: Path) -> None:
    """The mesh of a turned head is drawn too wide, on purpose."""
    image = photo_of(portraits_folder, "man_2")
    mesh = mesh_of(face_models, image)
    middle = mesh.xy[regions.NOSE_TIP, 0]
    points, oval = mesh.points.copy(), list(regions.FACE_OVAL)
    points[oval, 0] = middle + (points[oval, 0] - middle) * 1.4
    wide = FaceMesh(points, mesh.score)
    alpha = person_matte(face_models, image, mesh)
    at = np.clip(np.rint(points[oval, :2]).astype(int), 0, np.array(image.shape[1::-1]) - 1)
    on_wall = [point for point, (x, y) in zip(oval, at, strict=True) if alpha[y - 4 : y + 5, x - 4 : x + 5].max() == 0]
    assert len(on_wall) >= 3
    known = view_of("wide", image, wide, 1.0, [backdrop_of(face_models, image, wide)]).hidden()
    assert known[on_wall].min() > 0.7
    assert known[[regions.NOSE_TIP, *regions.LEFT_EYE]].max() < 0.1
