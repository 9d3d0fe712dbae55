"""A hand before a template's face stays before the person's; one before the person's own face does not come along."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.base import Photo, Portrait, TrainFreeJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.face import hands
from portraitd.engines.classic.face.hands import hands_in_region
from portraitd.engines.classic.person.training import make_view
from portraitd.errors import SetupError
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import DlibEmbedder
from portraitd.faces.hands import JOINTS, PALMS, find_hands
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Points, decode
from tests.fakes.hands import placed, with_hand

PHOTOS = ["man_1", "man_2", "man_3", "man_4", "woman_2", "woman_3"]


def picture_of(folder: Path, name: str) -> Image:
    return decode(next(folder.rglob(f"{name}.*")).read_bytes())


def mesh_of(models: FaceModels, image: Image) -> FaceMesh:
    return fit_mesh(models, image, detect_faces(models, image)[0])


def at_cheek(mesh: FaceMesh, angle_deg: float = -20.0) -> Points:
    """Joints of a hand whose fingers lie on the right of the face."""
    box = mesh.box
    palm, turn = 0.36 * box.height, np.deg2rad(angle_deg)
    tip = mesh.xy[425] + np.array([0.02, -0.06]) * box.height
    wrist = tip + 1.9 * palm * np.array([-np.sin(turn), np.cos(turn)])
    return placed((float(wrist[0]), float(wrist[1])), palm, angle_deg)


def skin_of(image: Image, mesh: FaceMesh, factor: float = 1.0) -> tuple[int, int, int]:
    x, y = np.rint(mesh.xy[[50, 280, 205, 425]]).astype(int).T
    r, g, b = (int(v) for v in np.clip(np.median(image[y, x], axis=0) * factor, 0, 255))
    return r, g, b


def inside(mesh: FaceMesh, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(mesh.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
    return mask > 0


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("angle", [-20.0, -60.0])
def test_joints_are_found(face_models: FaceModels, portraits_folder: Path, name: str, angle: float) -> None:
    image = picture_of(portraits_folder, name)
    mesh = mesh_of(face_models, image)
    joints = at_cheek(mesh, angle)
    (hand,) = find_hands(face_models, with_hand(image, joints, skin_of(image, mesh))[0], mesh)
    away = np.linalg.norm(hand.joints - joints, axis=1) / mesh.box.width
    assert np.median(away) < 0.06
    assert hand.score > 0.8


@pytest.mark.parametrize(
    "name",
    [
        *PHOTOS,
        "woman_1",
        "woman_4",
        "source_man",
        "Gentleman",
        "Retro_style",
        "Soccer",
        "Fashion_glasses",
        "garden_2",
        "Casual_Lifestyle",
    ],
)
def test_a_face_without_hands_has_none(face_models: FaceModels, portraits_folder: Path, name: str) -> None:
    image = picture_of(portraits_folder, name)
    assert not hands_in_region(face_models, image, mesh_of(face_models, image)).any()


def made_of(engine: ClassicEngine, template: Image, photo: Image) -> Image:
    (portrait,) = engine.generate(TrainFreeJob(template, (Photo("a photo", photo),), False, 1, 3))
    assert isinstance(portrait, Portrait)
    return portrait.image


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no hand is seen."""
    monkeypatch.setattr(hands, "find_hands", lambda *_: ())


@pytest.mark.parametrize(
    ("person", "name"), [("man_1", "Gentleman"), ("woman_3", "Soccer"), ("woman_2", "Hong_Kong_night_style")]
)
def test_a_templates_hand_stays_in_front(
    face_models: FaceModels, portraits_folder: Path, person: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, photo = picture_of(portraits_folder, name), picture_of(portraits_folder, person)
    mesh = mesh_of(face_models, template)
    held, truth = with_hand(template, at_cheek(mesh), skin_of(template, mesh, 0.75))
    seen = made_of(ClassicEngine(face_models), held, photo)
    blind(monkeypatch)
    unseen = made_of(ClassicEngine(face_models), held, photo)
    # Not its edge: the picture gives way to the person's outline.
    hand = cv2.erode((truth & inside(mesh, held.shape)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert hand.sum() > 300
    kept, lost = (np.abs(made.astype(int) - held).mean(axis=2)[hand] for made in (seen, unseen))
    assert np.median(kept) < 0.5 * np.median(lost)
    assert (kept > 20).mean() < 0.6 * (lost > 20).mean()
    away = ~inside(mesh, held.shape) & ~truth
    assert np.median(np.abs(seen.astype(int) - unseen)[away]) <= 1


@pytest.mark.parametrize("name", ["man_1", "man_3", "man_4", "woman_3"])
def test_what_a_photos_hand_covers_is_not_shown(
    face_models: FaceModels, embedder_folder: Path, portraits_folder: Path, name: str
) -> None:
    photo, models = picture_of(portraits_folder, name), FaceModels(embedder_folder)
    mesh = mesh_of(face_models, photo)
    held, truth = with_hand(photo, at_cheek(mesh), skin_of(photo, mesh, 0.75))
    bare, view = (make_view(models, DlibEmbedder(models), Photo(name, picture)) for picture in (photo, held))
    at = np.clip(np.rint(view.mesh.xy).astype(int), 0, np.array(truth.shape[::-1]) - 1)
    off = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, 5)[at[:, 1], at[:, 0]] / mesh.box.width
    assert (off == 0).sum() > 15
    assert view.hidden()[off == 0].mean() > 0.7
    # Far from the hand the photo shows what it did.
    assert np.abs(view.hidden() - bare.hidden())[off > 0.15].mean() < 0.06


def test_a_photos_hand_does_not_come_along(
    face_models: FaceModels, portraits_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, photo = picture_of(portraits_folder, "Gentleman"), picture_of(portraits_folder, "man_4")
    mesh = mesh_of(face_models, photo)
    held, _ = with_hand(photo, at_cheek(mesh), skin_of(photo, mesh, 0.6))
    face = inside(mesh_of(face_models, template), template.shape)
    wanted, seen = (made_of(ClassicEngine(face_models), template, picture).astype(int) for picture in (photo, held))
    blind(monkeypatch)
    unseen = made_of(ClassicEngine(face_models), template, held)
    left, came = (np.abs(made - wanted).mean(axis=2)[face] for made in (seen, unseen))
    assert (left > 20).mean() < 0.75 * (came > 20).mean()


@pytest.mark.parametrize("name", [PALMS, JOINTS, "face_landmark.tflite", "selfie_segmentation.tflite"])
def test_an_engine_that_lacks_a_network_says_so_before_its_first_job(
    face_models: FaceModels, tmp_path: Path, name: str
) -> None:
    for path in face_models.folder.iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(SetupError, match=name):
        ClassicEngine(FaceModels(tmp_path)).warm()
