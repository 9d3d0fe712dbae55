"""A bearded template: its beard goes, and who has one brings their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.base import Photo, Portrait, TemplateJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.face.beard import is_bearded
from portraitd.engines.classic.face.region import FaceRegion, read_region
from portraitd.engines.classic.template.shave import shaved
from portraitd.engines.classic.template.template_face import TemplateFace, look_at
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, decode, from_linear, to_linear

#: Mesh points around a full beard: up the jaws, over the cheeks, under the nose.
BEARD = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 410, 391, 2, 165, 186)


@pytest.fixture(scope="module")
def models(embedder_folder: Path) -> FaceModels:
    return FaceModels(embedder_folder)


@pytest.fixture(scope="module")
def engine(models: FaceModels) -> ClassicEngine:
    return ClassicEngine(models)


def mesh_of(models: FaceModels, image: Image) -> FaceMesh:
    return fit_mesh(models, image, detect_faces(models, image)[0])


def filled(image: Image, mesh: FaceMesh, ring: tuple[int, ...]) -> NDArray[np.uint8]:
    """(H, W) 1 inside the ring, else 0."""
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(mesh.xy[list(ring)]).astype(np.int32)], 1)
    return mask


def thinly_bearded(image: Image, mesh: FaceMesh) -> Image:
    """The image with a beard through which skin shows: half as bright as that."""
    hair = filled(image, mesh, BEARD) * (1 - filled(image, mesh, regions.LIPS_OUTER))
    soft = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 2)[:, :, None]
    return np.asarray(image * (1 - 0.5 * soft), np.uint8)


def bearded(image: Image, mesh: FaceMesh, below: float = 0.08) -> Image:
    """The image with a black beard that goes on so many face widths below the face."""
    mask = filled(image, mesh, BEARD)
    reach = max(1, round(below * mesh.box.width))
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    grown[: int(mesh.xy[17, 1])] = mask[: int(mesh.xy[17, 1])]
    lips = filled(image, mesh, regions.LIPS_OUTER)
    soft = cv2.GaussianBlur((grown * (1 - lips)).astype(np.float32), (0, 0), 1.5)[:, :, None]
    hair = 38 + np.random.default_rng(0).normal(0, 6, image.shape)
    return np.clip(image * (1 - soft) + hair * soft, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def template(models: FaceModels, portraits_folder: Path) -> Image:
    image = decode((portraits_folder / "templates" / "Men_suit.jpg").read_bytes())
    return bearded(image, mesh_of(models, image))


def put(engine: ClassicEngine, photo: Image, template: Image) -> Image:
    identity = engine.train([Photo("photo", photo)]).identity
    (outcome,) = engine.generate(TemplateJob(template, identity, 1, 0))
    assert isinstance(outcome, Portrait)
    return outcome.image


def brightness(image: Image, mesh: FaceMesh, below: float) -> float:
    """Mean code of a spot so many face widths below the chin."""
    x, y = np.rint(mesh.xy[regions.CHIN] + np.array([0, below * mesh.box.width])).astype(int)
    reach = max(2, round(0.02 * mesh.box.width))
    return float(image[y - reach : y + reach, x - reach : x + reach].mean())


def test_the_templates_beard_goes_and_ones_own_comes_along(
    engine: ClassicEngine, models: FaceModels, template: Image, portraits_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def noted(face: TemplateFace, bearded: FaceRegion | None) -> TemplateFace:
        told.append(bearded is not None)
        return shaved(face, bearded)

    monkeypatch.setattr("portraitd.engines.classic.engine.shaved", noted)
    seen = look_at(models, template, mesh_of(models, template))
    assert seen.bearded
    assert seen.beard is not None
    photo = decode((portraits_folder / "man_4.png").read_bytes())
    with_beard = bearded(photo, mesh_of(models, photo))
    assert not is_bearded(read_region(photo, mesh_of(models, photo)))
    assert is_bearded(read_region(with_beard, mesh_of(models, with_beard)))
    assert brightness(template, seen.whole_mesh, 0.04) < 60
    for somebody, bearded_then in ((photo, False), (with_beard, True)):
        image = put(engine, somebody, template)
        mesh = mesh_of(models, image)
        assert is_bearded(read_region(image, mesh)) == bearded_then
        # Below the chin their own beard, which is like the template's, goes on as that one does.
        assert (brightness(image, mesh, 0.04) > 80) != bearded_then
    assert told == [False, True]


def test_a_thin_beard_comes_along_as_dark_as_it_is(
    engine: ClassicEngine, models: FaceModels, portraits_folder: Path
) -> None:
    """It is no shadow, which the template's light would take out."""
    photo = decode((portraits_folder / "man_2.png").read_bytes())
    template = decode((portraits_folder / "templates" / "Flowers.jpg").read_bytes())
    results = [put(engine, face, template) for face in (photo, thinly_bearded(photo, mesh_of(models, photo)))]

    def codes(point: int) -> list[float]:
        found = []
        for image in results:
            mesh = mesh_of(models, image)
            x, y = np.rint(mesh.xy[point]).astype(int)
            reach = max(2, round(0.02 * mesh.box.width))
            found.append(float(image[y - reach : y + reach, x - reach : x + reach].mean()))
        return found

    bare, hairy = codes(199)
    assert 0.42 < hairy / bare < 0.57
    for cheek in (50, 280):
        bare, hairy = codes(cheek)
        assert hairy == pytest.approx(bare, abs=5)


def coloured_beard(image: Image, mesh: FaceMesh, colour: tuple[int, int, int]) -> Image:
    """The image with a full beard of this colour."""
    hair = filled(image, mesh, BEARD) * (1 - filled(image, mesh, regions.LIPS_OUTER))
    soft = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), 2)[:, :, None]
    grain = np.random.default_rng(0).normal(0, 6, image.shape[:2])[:, :, None]
    return np.clip(image * (1 - soft) + (np.array(colour) + grain) * soft, 0, 255).astype(np.uint8)


def log_colour(image: Image, mesh: FaceMesh, point: int) -> np.ndarray:
    """(3,) log linear light around a point of the mesh."""
    x, y = np.rint(mesh.xy[point]).astype(int)
    reach = max(2, round(0.02 * mesh.box.width))
    spot = to_linear(image)[y - reach : y + reach, x - reach : x + reach]
    return np.log(spot.reshape(-1, 3).mean(axis=0) + 1e-3)


@pytest.mark.parametrize("colour", [(130, 62, 22), (75, 45, 30)])
def test_a_beard_keeps_its_colour_on_the_chin_where_no_skin_is_near(
    engine: ClassicEngine, models: FaceModels, portraits_folder: Path, colour: tuple[int, int, int]
) -> None:
    photo = decode((portraits_folder / "man_2.png").read_bytes())
    template = decode((portraits_folder / "templates" / "Gentleman.jpg").read_bytes())
    photo = coloured_beard(photo, mesh_of(models, photo), colour)
    warmth = []
    for image in (photo, put(engine, photo, template)):
        red, _, blue = log_colour(image, mesh_of(models, image), 199)
        warmth.append(red - blue)
    assert warmth[1] > 0.8 * warmth[0]


@pytest.mark.parametrize("seed", [2, 3])
def test_a_look_s_modelling_leaves_no_patch_on_a_bearded_chin(
    engine: ClassicEngine, models: FaceModels, portraits_folder: Path, seed: int
) -> None:
    photo = decode((portraits_folder / "man_2.png").read_bytes())
    template = decode((portraits_folder / "templates" / "Gentleman.jpg").read_bytes())
    identity = engine.train([Photo("photo", coloured_beard(photo, mesh_of(models, photo), (70, 55, 48)))]).identity
    steps = []
    for number in (0, seed):
        (outcome,) = engine.generate(TemplateJob(template, identity, 1, number))
        assert isinstance(outcome, Portrait)
        mesh = mesh_of(models, outcome.image)
        chin, beside = (float(log_colour(outcome.image, mesh, point).mean()) for point in (199, 434))
        steps.append(chin - beside)
    # Looks differ in brightness and shade, but not by a step within the beard.
    assert abs(steps[1] - steps[0]) < 0.45


@pytest.mark.parametrize("name", ["man_2", "man_3", "woman_3"])
def test_a_face_whose_lower_half_lies_in_the_shade_has_no_beard(
    models: FaceModels, portraits_folder: Path, name: str
) -> None:
    photo = decode((portraits_folder / f"{name}.png").read_bytes())
    mesh = mesh_of(models, photo)
    below = np.clip((np.arange(len(photo)) - mesh.xy[2, 1]) / (0.15 * mesh.box.height) + 0.5, 0, 1)
    shaded = from_linear((to_linear(photo) * (1 - 0.7 * below)[:, None, None]).astype(np.float32))
    assert not is_bearded(read_region(shaded, mesh))


def test_skin_is_thought_where_the_beard_is(models: FaceModels, template: Image) -> None:
    face = look_at(models, template, mesh_of(models, template))
    bare = replace(face, shaven=True)
    chin = np.rint(face.ground.points[199]).astype(int)
    with_hair, without = (ground.light[chin[1], chin[0]].mean() for ground in (face.ground, bare.ground))
    assert without > with_hair + 0.8
    brow = np.rint(face.ground.points[9]).astype(int)
    assert np.array_equal(face.ground.light[brow[1], brow[0]], bare.ground.light[brow[1], brow[0]])
    lips = np.rint(face.ground.points[17]).astype(int)
    assert bare.ground.light[lips[1] - 1, lips[0]] == pytest.approx(face.ground.light[lips[1] - 1, lips[0]], abs=0.35)
