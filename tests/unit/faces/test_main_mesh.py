"""Which face of a picture is the main one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from portraitd.engines.base import Photo
from portraitd.engines.classic.person import people, training
from portraitd.faces import mesh as meshes
from portraitd.faces import verdict
from portraitd.faces.detect import Box, DetectedFace, detect_faces
from portraitd.faces.embed import DlibEmbedder
from portraitd.faces.mesh import MESH_SCORE, FaceMesh, fit_mesh, main_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image


def on_nothing(x0: float, y0: float, side: float) -> DetectedFace:
    """A detection where there is no face, as a print on a shirt may give one."""
    keypoints = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.5, 0.8], [0, 0.5], [1, 0.5]], np.float32)
    return DetectedFace(Box(x0, y0, x0 + side, y0 + side), keypoints * side + np.array([x0, y0], np.float32), 0.9)


@pytest.fixture(scope="module")
def picture() -> Image:
    """The astronaut, and as much of nothing beside her: (512, 1024, 3)."""
    return np.asarray(cv2.copyMakeBorder(astronaut(), 0, 0, 512, 0, cv2.BORDER_CONSTANT, value=(90, 80, 70)), np.uint8)


def test_what_is_larger_but_no_face_is_not_the_main_one(face_models: FaceModels, picture: Image) -> None:
    (face,) = detect_faces(face_models, picture)
    nothing = on_nothing(100, 100, 300)
    assert fit_mesh(face_models, picture, nothing).score < MESH_SCORE
    mesh = main_mesh(face_models, picture, (nothing, face))
    assert mesh is not None
    assert mesh.score > 0.9
    assert np.array_equal(mesh.points, fit_mesh(face_models, picture, face).points)


def test_the_largest_of_several_faces_is_the_main_one(face_models: FaceModels, picture: Image) -> None:
    two = picture.copy()
    two[:400, :400] = cv2.resize(astronaut(), (400, 400), interpolation=cv2.INTER_AREA)
    detected = detect_faces(face_models, two)
    assert len(detected) == 2
    mesh = main_mesh(face_models, two, detected)
    assert mesh is not None
    assert mesh.box.x0 > 512


def test_a_larger_face_is_it_though_a_smaller_one_is_surer(
    face_models: FaceModels, picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever comes after it is not looked at."""
    looked: list[float] = []

    def fit(_models: FaceModels, _image: Image, face: DetectedFace) -> FaceMesh:
        looked.append(face.score)
        return FaceMesh(np.zeros((468, 3), np.float32), face.score)

    monkeypatch.setattr(meshes, "fit_mesh", fit)
    detected = [replace(on_nothing(0, 0, side), score=score) for side, score in ((300, 0.4), (200, 0.6), (100, 0.9))]
    mesh = main_mesh(face_models, picture, detected)
    assert mesh is not None
    assert mesh.score == 0.6
    assert looked == [0.4, 0.6]


def test_where_none_is_a_face_the_likeliest_is_it(face_models: FaceModels, picture: Image) -> None:
    wall, folds = on_nothing(100, 100, 300), on_nothing(620, 300, 150)
    scores = [fit_mesh(face_models, picture, at).score for at in (wall, folds)]
    assert max(scores) < MESH_SCORE
    for detected in ((wall, folds), (folds, wall)):
        mesh = main_mesh(face_models, picture, detected)
        assert mesh is not None
        assert mesh.score == max(scores)


def test_where_nothing_was_detected_there_is_none(face_models: FaceModels, picture: Image) -> None:
    assert main_mesh(face_models, picture, ()) is None


def test_whoever_was_judged_is_who_is_portrayed(
    face_models: FaceModels, picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    (face,) = detect_faces(face_models, picture)
    for module in (verdict, people, training):
        monkeypatch.setattr(module, "detect_faces", lambda *_: (on_nothing(100, 100, 300), face))
    judged = verdict.judge(face_models, picture, verdict.VerdictLimits.template())
    assert judged.measures is not None
    mesh = people.People(face_models).mesh(picture)
    assert mesh.box.x0 > 512
    assert judged.measures.face_width_px == pytest.approx(mesh.box.width, rel=0.1)
    view = training.make_view(face_models, DlibEmbedder(face_models), Photo("astronaut", picture))
    assert view.mesh.score > 0.9
