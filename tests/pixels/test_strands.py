"""Loose hair of a photo does not come along, and short hair hides nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.region import look_nearby, region_box
from portraitd.engines.classic.face.strands import strands_in_region
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask, decode

#: A point of the mesh on the cheekbone and one on the cheek below it, on the side where her hair hangs.
CHEEK = (345, 425)


def photo_of(folder: Path, name: str) -> Image:
    return decode((folder / f"{name}.png").read_bytes())


def mesh_of(models: FaceModels, image: Image) -> FaceMesh:
    return fit_mesh(models, image, detect_faces(models, image)[0])


def strands_of(models: FaceModels, image: Image, mesh: FaceMesh) -> Mask:
    """(H, W) of the face's region."""
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, image.shape))
    found = strands_in_region(look_nearby(models, image, mesh), image, mesh)
    return np.asarray(cv2.resize(found, (x1 - x0, y1 - y0)), np.float32)


@pytest.mark.parametrize("name", ["man_1", "man_2", "man_3", "man_4", "source_man", "woman_1", "woman_4"])
def test_short_or_bound_hair_hides_nothing(face_models: FaceModels, portraits_folder: Path, name: str) -> None:
    image = photo_of(portraits_folder, name)
    assert strands_of(face_models, image, mesh_of(face_models, image)).mean() < 0.02


def test_a_strand_of_her_own_hair_over_her_cheek_is_found(face_models: FaceModels, portraits_folder: Path) -> None:
    image = photo_of(portraits_folder, "woman_2")
    mesh = mesh_of(face_models, image)
    start, end = (mesh.xy[point] for point in CHEEK)
    beside = (start + np.array([0.16 * mesh.box.width, 0])).astype(int)
    hair = image[beside[1] - 6 : beside[1] + 7, beside[0] - 6 : beside[0] + 7]
    strand = np.zeros(image.shape[:2], np.uint8)
    ends = [tuple(int(v) for v in point) for point in (start + np.array([0.1 * mesh.box.width, -20]), end)]
    cv2.line(strand, *ends, 1, max(3, round(0.05 * mesh.box.width)))
    drawn = image.copy()
    drawn[strand > 0] = np.median(hair, axis=(0, 1)) + np.random.default_rng(0).normal(0, 6, (int(strand.sum()), 3))
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, image.shape))
    over = cv2.erode(strand, np.ones((3, 3), np.uint8))[y0:y1, x0:x1] > 0
    found, before = (strands_of(face_models, picture, mesh) for picture in (drawn, image))
    assert found[over].mean() > 0.75
    assert before[over].mean() < 0.4
    assert found[~over].mean() < before[~over].mean() + 0.03
