"""A person keeps their complexion: the model's bare skin follows them, and nothing else in the picture does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest

from portraitd.engines.base import Photo, Portrait, TemplateJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.face.bare import bare_skin_in
from portraitd.engines.classic.face.light import MELANIN
from portraitd.engines.classic.template.recolour import shift_between, step_between, with_complexion
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask, decode, from_linear, to_linear

Read: TypeAlias = Callable[[str], TemplateFace]
CHEEKS = (50, 280)


@pytest.fixture(scope="module")
def models(embedder_folder: Path) -> FaceModels:
    return FaceModels(embedder_folder)


@pytest.fixture(scope="module")
def read(models: FaceModels, portraits_folder: Path) -> Read:
    return lambda name: face_in(models, decode(next(portraits_folder.rglob(f"{name}.*")).read_bytes()))


def face_in(models: FaceModels, picture: Image) -> TemplateFace:
    return read_template(picture, fit_mesh(models, picture, detect_faces(models, picture)[0]))


def bare_skin(models: FaceModels, face: TemplateFace) -> Mask:
    return bare_skin_in(models, face.picture, face.whole_mesh, face.face.skin)


def below_chin(face: TemplateFace) -> tuple[slice, slice]:
    """A patch of the neck, where the collar leaves it bare."""
    mesh = face.whole_mesh
    x, y = mesh.xy[152]
    reach = mesh.box.width * 0.08
    return slice(int(y + reach), int(y + 2.5 * reach)), slice(int(x - reach), int(x + reach))


@pytest.mark.parametrize("name", ["Working_suit", "Gentleman", "T-shirt", "Flowers", "Hong_Kong_night_style"])
def test_bare_skin_is_face_and_neck_and_neither_cloth_nor_hair_nor_wall(
    models: FaceModels, read: Read, name: str
) -> None:
    face = read(name)
    mask = bare_skin(models, face)
    mesh = face.whole_mesh
    assert mask.shape == face.picture.shape[:2]
    assert 0 <= mask.min() <= mask.max() <= 1
    for point in CHEEKS:
        x, y = np.rint(mesh.xy[point]).astype(int)
        assert mask[y, x] > 0.9
    assert mask[below_chin(face)].mean() > 0.6
    top = max(1, int(mesh.box.y0 - 0.45 * mesh.box.height))
    assert mask[:top].max() == 0, "hair and wall above the head"
    assert mask[:, :8].mean() < 0.05
    assert mask[:, -8:].mean() < 0.05


def test_glare_and_the_chins_shadow_are_skin_and_a_pale_strap_is_not(models: FaceModels, read: Read) -> None:
    """Or a dark person has pale patches on neck and shoulders."""
    face = read("Casual_Lifestyle")
    mask = bare_skin(models, face)
    for x, y, what in ((122, 355, "glare on the shoulder"), (240, 395, "shade"), (262, 400, "deep shade")):
        assert mask[y - 4 : y + 5, x - 4 : x + 5].min() > 0.7, what
    assert mask[390:410, 46:66].mean() < 0.1, "strap"


@pytest.mark.parametrize("name", ["Gentleman", "Working_suit"])
def test_a_white_collar_stays_white(models: FaceModels, read: Read, name: str) -> None:
    """On a pale neck, too, which is as bright as cloth."""
    face = read(name)
    worn = with_complexion(models, face, -1.2 * MELANIN).picture
    bright = (face.picture.min(axis=2) > 200) & (np.ptp(face.picture.astype(int), axis=2) < 20)
    bright[: int(face.whole_mesh.box.y1)] = False
    assert bright.sum() > 500
    assert np.abs(worn[bright].astype(int) - face.picture[bright]).mean() < 1


def test_skin_moves_along_the_line_of_human_skin(models: FaceModels, read: Read) -> None:
    face = read("T-shirt")
    worn = with_complexion(models, face, -1.0 * MELANIN)
    x, y = np.rint(face.whole_mesh.xy[50]).astype(int)
    spot = np.s_[y - 4 : y + 5, x - 4 : x + 5]
    moved = np.log(to_linear(worn.picture[spot]).mean(axis=(0, 1)) / to_linear(face.picture[spot]).mean(axis=(0, 1)))
    assert moved == pytest.approx(-MELANIN, abs=0.12)
    assert worn.face.skin == pytest.approx(face.face.skin - MELANIN, abs=1e-5)
    untouched = bare_skin(models, face) == 0
    assert (worn.picture[untouched] == face.picture[untouched]).all()


def test_what_light_may_explain_moves_nothing(models: FaceModels, read: Read) -> None:
    face = read("Flowers")
    for other in ("man_1", "man_3", "woman_1", "woman_4"):
        assert abs(shift_between(read(other).face.skin, face)) < 0.1
    assert with_complexion(models, face, 0.05 * MELANIN) is face


def test_a_ruddy_person_is_not_grey_in_a_pale_models_place(read: Read) -> None:
    """What darkens the model's skin brings the person's colour along, part of the way; what does not, brings none."""
    face = read("Working_suit")
    red = np.array([0.3, -0.1, -0.2], np.float32)
    person = face.face.skin - MELANIN + red
    rest = step_between(person, face) - np.float32(shift_between(person, face)) * MELANIN
    assert rest == pytest.approx(0.5 * red, abs=0.08)
    same = face.face.skin - 0.1 * MELANIN + 0.3 * red
    assert shift_between(same, face) == 0
    assert step_between(same, face) == pytest.approx(0)
    far = step_between(face.face.skin - MELANIN + 5 * red, face)
    assert np.abs(far - np.float32(shift_between(face.face.skin - MELANIN + 5 * red, face)) * MELANIN).max() < 0.21


def test_a_black_and_white_photo_takes_no_colour_from_the_model(read: Read) -> None:
    face = read("Working_suit")
    grey = np.full(3, face.face.skin.mean() - 1, np.float32)
    assert shift_between(grey, face) < -0.5
    assert step_between(grey, face) == pytest.approx(np.float32(shift_between(grey, face)) * MELANIN)


def test_a_dark_room_is_not_taken_for_a_dark_model(models: FaceModels, read: Read) -> None:
    bright = read("Gentleman")
    dark = face_in(models, from_linear(to_linear(bright.picture) * np.float32(0.05)))
    assert shift_between(read("woman_4").face.skin, dark) == 0


def test_a_black_and_white_template_gets_no_colour(models: FaceModels, read: Read) -> None:
    grey = cv2.cvtColor(read("Working_suit").picture, cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2)
    worn = with_complexion(models, face_in(models, grey), -1.0 * MELANIN).picture
    assert (worn != grey).any()
    assert np.ptp(worn.astype(int), axis=2).max() <= 1


def test_a_dark_person_stays_dark_in_a_fair_models_place(models: FaceModels, read: Read) -> None:
    """Made from a photo at hand by darkening all bare skin in it."""
    dark = with_complexion(models, read("man_4"), -1.6 * MELANIN).picture
    engine = ClassicEngine(models)
    template = read("Working_suit")
    identity = engine.train([Photo("dark", dark)]).identity
    (made,) = engine.generate(TemplateJob(template.picture, identity, 1, 0))
    assert isinstance(made, Portrait)
    neck = below_chin(template)
    before, after = (float(np.median(to_linear(x[neck]))) for x in (template.picture, made.image))
    assert after < 0.5 * before
    x, y = np.rint(template.whole_mesh.xy[50]).astype(int)
    cheek = float(np.median(to_linear(made.image[y - 6 : y + 7, x - 6 : x + 7])))
    assert 0.7 < cheek / after < 2.5, "one tone over face and neck"
