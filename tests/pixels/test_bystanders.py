"""People cut out of photos that somebody else reaches into."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitd.engines.base import Photo
from portraitd.engines.classic.person import training
from portraitd.engines.classic.person.training import train_identity
from portraitd.faces.detect import detect_faces
from portraitd.faces.matte import matte_of, person_matte
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels, Network
from portraitd.faces.segment import POSE_NETWORK
from portraitd.images import Image, Mask, decode
from tests.pixels.test_presets import NoEmbedder


def seen(models: FaceModels, folder: Path, name: str) -> tuple[Image, FaceMesh]:
    image = decode((folder / f"{name}.png").read_bytes())
    return image, fit_mesh(models, image, detect_faces(models, image)[0])


def beside(models: FaceModels, folder: Path, name: str, other: str, aside: float) -> tuple[Image, Mask]:
    """The photo with somebody behind the person, so many face widths away, and what shows of them."""
    image, mesh = seen(models, folder, name)
    theirs, their_mesh = seen(models, folder, other)
    scale = mesh.box.width / their_mesh.box.width
    shift = mesh.xy.mean(axis=0) + mesh.box.width * np.array([aside, 0.15]) - scale * their_mesh.xy.mean(axis=0)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size = image.shape[1::-1]
    share = cv2.warpAffine(person_matte(models, theirs, their_mesh), matrix, size)
    shows = (cv2.GaussianBlur(share, (0, 0), 0.7) * (1 - person_matte(models, image, mesh))).astype(np.float32)
    picture = cv2.warpAffine(theirs, matrix, size) * shows[..., None] + image * (1 - shows[..., None])
    return picture.astype(np.uint8), shows


CASES = [("woman_2", "source_man", -1.9), ("woman_3", "man_2", 1.5), ("woman_1", "man_4", -1.9)]


@pytest.mark.parametrize(("name", "other", "aside"), CASES)
def test_somebody_behind_is_not_cut_out_with_the_person(
    face_models: FaceModels, portraits_folder: Path, name: str, other: str, aside: float
) -> None:
    image, mesh = seen(face_models, portraits_folder, name)
    truth = person_matte(face_models, image, mesh)
    picture, shows = beside(face_models, portraits_folder, name, other, aside)
    found = matte_of(face_models, picture, mesh)
    assert shows.sum() > 0.1 * truth.sum()
    assert (found.alpha * shows).sum() < 0.05 * shows.sum()
    assert np.clip(truth - found.alpha, 0, 1).sum() < 0.02 * truth.sum()
    assert not found.alone


def test_somebody_who_does_not_touch_the_person_leaves_them_whole(
    face_models: FaceModels, portraits_folder: Path
) -> None:
    _, mesh = seen(face_models, portraits_folder, "woman_3")
    picture, shows = beside(face_models, portraits_folder, "woman_3", "man_4", 2.3)
    found = matte_of(face_models, picture, mesh)
    assert (found.alpha * shows).sum() < 0.05 * shows.sum()
    assert found.alone


def test_who_is_alone_keeps_all_of_themself(face_models: FaceModels, portraits_folder: Path) -> None:
    """Their elbows and coats reach to the sides of these photos."""
    for file in sorted(portraits_folder.glob("*.png")):
        assert matte_of(face_models, *seen(face_models, portraits_folder, file.stem)).alone, file.stem


def test_a_training_knows_which_photos_have_bystanders(face_models: FaceModels, portraits_folder: Path) -> None:
    crowd, _ = beside(face_models, portraits_folder, *CASES[0])
    photos = [Photo("crowd", crowd), Photo("alone", seen(face_models, portraits_folder, "woman_4")[0])]
    identity, _ = train_identity(face_models, NoEmbedder(), photos)
    assert {view.name: view.alone for view in identity.views} == {"crowd": False, "alone": True}


def test_a_training_keeps_where_a_neighbour_stood_before_the_person(
    face_models: FaceModels, portraits_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = np.array([(7, 300), (8, 320)], np.float32)
    monkeypatch.setattr(training, "matte_of", lambda *whom: matte_of(*whom)._replace(severed=edge))
    photo = Photo("one", seen(face_models, portraits_folder, "woman_4")[0])
    identity, _ = train_identity(face_models, NoEmbedder(), [photo])
    assert np.array_equal(identity.views[0].severed, edge)


def test_a_training_keeps_no_network_that_portraits_do_not_need(
    face_models: FaceModels, portraits_folder: Path
) -> None:
    asked: list[str] = []

    class Watched(FaceModels):
        def network(self, name: str) -> Network:
            asked.append(name)
            return super().network(name)

    models = Watched(face_models.folder)
    crowd, _ = beside(models, portraits_folder, *CASES[0])
    asked.clear()
    train_identity(models, NoEmbedder(), [Photo("crowd", crowd)])
    assert POSE_NETWORK in asked
    assert POSE_NETWORK not in models._networks
    again = models.network(POSE_NETWORK)
    assert models.network(POSE_NETWORK) is again
