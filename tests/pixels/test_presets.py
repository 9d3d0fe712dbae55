"""Preset portraits, measured on the finished pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitd.engines.base import Photo, Portrait, PresetJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.person.identity import Identity
from portraitd.engines.classic.person.training import MATTES, train_identity
from portraitd.engines.classic.presets.cutout import cut_out
from portraitd.engines.classic.presets.framing import CHEEK_SIDES, Wish, roll_of
from portraitd.engines.classic.presets.make import crown_is_cut, liveliness, make_preset
from portraitd.engines.classic.presets.recipe import without_outfits
from portraitd.errors import HeadCutOff, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import pose_of
from portraitd.images import Floats, Image, decode
from portraitd.styles.catalog import Mode, load_catalog

STYLES = load_catalog()
PRESETS = sorted(style.id for style in STYLES if style.mode is Mode.PRESET)
BACKDROPS = ((255, 255, 255), (67, 142, 219), (217, 0, 27), (200, 204, 209))


class NoEmbedder:
    """Likeness plays no part in how a preset looks."""

    def embed(self, image: Image, mesh: FaceMesh) -> Floats:
        raise SetupError("not needed here")


def _identity(models: FaceModels, *photos: Photo) -> Identity:
    return train_identity(models, NoEmbedder(), photos)[0]


@pytest.fixture(scope="module")
def astronaut(face_models: FaceModels) -> Identity:
    from skimage import data

    return _identity(face_models, Photo("astronaut", data.astronaut()))


@pytest.fixture(scope="module", params=["man", "woman"])
def several(request: pytest.FixtureRequest, face_models: FaceModels, portraits_folder: Path) -> Identity:
    names = [f"{request.param}_{i}" for i in range(1, 5)]
    return _identity(face_models, *(Photo(n, decode((portraits_folder / f"{n}.png").read_bytes())) for n in names))


def _check_id_photo(models: FaceModels, picture: Image, backdrop: tuple[int, int, int]) -> None:
    """GA 461-2004, scaled from 358 x 441 to 768 x 1024, on what is seen in the picture."""
    assert picture.shape == (1024, 768, 3)
    (face,) = detect_faces(models, picture)
    mesh = fit_mesh(models, picture, face)
    width = mesh.xy[CHEEK_SIDES[1], 0] - mesh.xy[CHEEK_SIDES[0], 0]
    assert 193 <= width * 358 / 768 <= 221
    assert abs(mesh.eye_centres[:, 0].mean() - 383.5) < 12
    assert 1024 - mesh.eye_centres[:, 1].mean() >= 207 * 1024 / 441
    assert abs(roll_of(mesh.xy)) < 1
    flat = np.abs(picture.astype(int) - backdrop).max(axis=2) <= 1
    assert flat[:7].mean() > 0.9
    assert flat[:200, :20].all()
    assert flat[:200, -20:].all()
    person = ~flat[:, 300:470]
    top = int(np.flatnonzero(person.sum(axis=1) > 12)[0])
    assert 7 * 1024 / 441 - 3 <= top <= 21 * 1024 / 441 + 3


def test_id_photos_keep_the_standard(face_models: FaceModels, astronaut: Identity) -> None:
    style = STYLES.get("f_idcard_female")
    for choice, backdrop in enumerate(BACKDROPS):
        _check_id_photo(face_models, make_preset(astronaut, style, seed=8 + choice), backdrop)


def test_id_photos_of_several_photos_keep_the_standard(face_models: FaceModels, several: Identity) -> None:
    _check_id_photo(face_models, make_preset(several, STYLES.get("f_idcard_male"), seed=1), BACKDROPS[1])


def test_an_id_photo_in_a_pack_s_clothes_keeps_the_standard(
    face_models: FaceModels, astronaut: Identity, portraits_folder: Path
) -> None:
    pack = tuple(portraits_folder / "templates" / name for name in ("Working_suit.jpg", "T-shirt.jpg"))
    style = replace(STYLES.get("f_idcard_female"), templates=pack)
    engine = ClassicEngine(face_models)
    made = list(engine.generate(PresetJob(style, astronaut.to_bytes(), count=2, seed=0)))
    bare = make_preset(astronaut, STYLES.get("f_idcard_female"), seed=0)
    plain = list(engine.generate(PresetJob(without_outfits(style), astronaut.to_bytes(), count=2, seed=0)))
    for portrait, same, backdrop in zip(made, plain, BACKDROPS, strict=False):
        assert isinstance(portrait, Portrait)
        assert isinstance(same, Portrait)
        assert np.array_equal(portrait.image, same.image), "no clothes are drawn over the pack's"
        _check_id_photo(face_models, portrait.image, backdrop)
        assert np.abs(portrait.image[-150:].astype(int) - bare[-150:]).mean() > 20, "other clothes"


@pytest.mark.parametrize("style_id", PRESETS)
def test_each_preset_is_a_picture_of_one_face(face_models: FaceModels, astronaut: Identity, style_id: str) -> None:
    picture = make_preset(astronaut, STYLES.get(style_id), seed=2)
    assert picture.shape == (1024, 768, 3)
    assert picture.dtype == np.uint8
    (face,) = detect_faces(face_models, picture, min_score=0.7)
    assert face.box.width > 130
    inside = picture[int(face.box.y0) : int(face.box.y1), int(face.box.x0) : int(face.box.x1)]
    assert 70 < np.median(inside) < 230


def test_a_result_does_not_know_how_many_there_are(face_models: FaceModels, astronaut: Identity) -> None:
    engine, style, person = ClassicEngine(face_models), STYLES.get("m_winterchinese_female"), astronaut.to_bytes()
    three = list(engine.generate(PresetJob(style, person, count=3, seed=40)))
    (alone,) = engine.generate(PresetJob(style, person, count=1, seed=42))
    assert isinstance(three[2], Portrait)
    assert isinstance(alone, Portrait)
    assert three[2].seed == alone.seed
    assert (three[2].image == alone.image).all()


def test_choices_differ_and_seeds_within_a_choice_too(astronaut: Identity) -> None:
    style = STYLES.get("m_springflower_female")
    four = [picture.astype(int) for picture in (make_preset(astronaut, style, seed) for seed in range(4))]
    for a, b in pairwise(four):
        assert np.abs(a - b).mean() > 12
    assert np.abs(four[0] - make_preset(astronaut, style, seed=4)).mean() > 4


def test_several_views_are_used(several: Identity) -> None:
    assert len({view.name for view in several.views if view.alpha is not None}) == 4
    style = STYLES.get("f_business_male")
    first, second = (make_preset(several, style, seed).astype(int) for seed in (0, 1))
    assert np.abs(first - second).mean() > 12


def test_a_black_and_white_photo_stays_so(face_models: FaceModels) -> None:
    from skimage import data

    grey = np.repeat(np.asarray(data.astronaut()).mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    identity = _identity(face_models, Photo("grey", grey))
    scene = make_preset(identity, STYLES.get("m_springflower_female"), seed=0).astype(int)
    assert np.ptp(scene, axis=2).max() <= 1
    photo = make_preset(identity, STYLES.get("f_idcard_female"), seed=1)
    assert photo[5, 5].tolist() == [67, 142, 219]
    assert np.ptp(photo[400:600, 330:430].astype(int), axis=2).mean() < 2


def test_an_underexposed_photo_is_lifted(face_models: FaceModels) -> None:
    from skimage import data

    dark = (np.asarray(data.astronaut()) * 0.35).astype(np.uint8)
    picture = make_preset(_identity(face_models, Photo("dark", dark)), STYLES.get("f_idcard_female"), seed=0)
    assert np.median(picture[430:640, 300:460]) > 95


def test_a_faded_photo_gets_its_blacks_back(face_models: FaceModels) -> None:
    from skimage import data

    clear = np.asarray(data.astronaut())
    faded = (110 + (clear.astype(np.float32) - 110) * 0.4).astype(np.uint8)
    style, darkest = STYLES.get("f_idcard_female"), []
    for name, photo in (("clear", clear), ("faded", faded)):
        picture = make_preset(_identity(face_models, Photo(name, photo)), style, seed=0)
        darkest.append(float(np.percentile(picture[100:900, 200:568], 1)))
    assert darkest[0] < 25
    assert darkest[1] < 60


def test_hair_cut_by_the_photo_is_not_stretched_into_bands(face_models: FaceModels) -> None:
    from skimage import data

    cut = np.ascontiguousarray(data.astronaut()[:, 168:286])
    (view,) = _identity(face_models, Photo("cut", cut)).views
    wish = Wish((290.0, 240.0, 460.0), (384.0, 150.0), (90.0, 40.0, 180.0), straighten=0.25, emergency=2.0)
    beside = cut_out(view, wish, 0.0).alpha[150:450]
    assert beside[:, :8].max() == 0
    assert beside[:, -8:].max() == 0


def _around_the_face(models: FaceModels, room: float) -> Photo:
    """The astronaut, the photo ending so many widths of the face beside it."""
    from skimage import data

    whole = data.astronaut()
    box = fit_mesh(models, whole, detect_faces(models, whole)[0]).box
    beside, above = room * box.width, room * box.height
    x0, x1, y0, y1 = (int(v) for v in (box.x0 - beside, box.x1 + beside, box.y0 - above, box.y1 + above))
    return Photo(f"room {room}", np.ascontiguousarray(whole[y0:y1, x0:x1]))


SOME = ("f_idcard_female", "f_business_female", "m_winterchinese_female")


@pytest.mark.parametrize("style_id", SOME)
@pytest.mark.parametrize("room", [0.15, 0.25, 0.4])
def test_a_close_up_becomes_a_close_up_with_all_of_the_face(
    face_models: FaceModels, style_id: str, room: float
) -> None:
    picture = make_preset(_identity(face_models, _around_the_face(face_models, room)), STYLES.get(style_id), seed=1)
    mesh = fit_mesh(face_models, picture, detect_faces(face_models, picture)[0])
    assert 300 < mesh.box.width <= 768
    assert mesh.box.x0 >= -8
    assert mesh.box.x1 <= 776
    assert mesh.box.y1 <= 1024


@pytest.mark.parametrize("style_id", SOME)
def test_of_a_face_alone_no_preset_is_made_up(face_models: FaceModels, style_id: str) -> None:
    """Neither neck nor crown is there: they would be stretched from a few rows."""
    with pytest.raises(HeadCutOff):
        make_preset(_identity(face_models, _around_the_face(face_models, 0.02)), STYLES.get(style_id), seed=1)


@pytest.mark.parametrize("style_id", SOME)
def test_another_photo_with_room_is_taken_instead(face_models: FaceModels, style_id: str) -> None:
    style, seed = STYLES.get(style_id), 1
    close, wide = (_around_the_face(face_models, room) for room in (0.02, 0.6))
    picture = make_preset(_identity(face_models, close, wide), style, seed)
    assert picture.shape == (1024, 768, 3)
    assert len(detect_faces(face_models, picture)) == 1


def test_id_photos_prefer_a_neutral_face(astronaut: Identity) -> None:
    points = astronaut.views[0].mesh.xy.copy()
    assert liveliness(points) > 0.3  # a broad smile, teeth showing
    points[14] = points[13]
    assert liveliness(points) < 0.1


@pytest.mark.parametrize("name", ["man_2", "man_3", "woman_2"])
def test_a_turned_head_faces_the_camera_in_an_id_photo(
    face_models: FaceModels, portraits_folder: Path, name: str
) -> None:
    """From 22, 17 and 10 degrees; ISO/IEC 39794-5 asks for 5, the benchmark's check for 8."""
    identity = _identity(face_models, Photo(name, decode((portraits_folder / f"{name}.png").read_bytes())))
    picture = make_preset(identity, STYLES.get("f_idcard_male"), 0)
    (face,) = detect_faces(face_models, picture)
    assert abs(pose_of(fit_mesh(face_models, picture, face).points).yaw_deg) < 8
    _check_id_photo(face_models, picture, BACKDROPS[0])


def test_an_id_photo_is_of_a_photo_that_shows_the_whole_head(face_models: FaceModels, portraits_folder: Path) -> None:
    cut, whole = (decode((portraits_folder / f"{name}.png").read_bytes()) for name in ("woman_1", "woman_2"))
    box = fit_mesh(face_models, cut, detect_faces(face_models, cut)[0]).box
    photo = np.ascontiguousarray(cut[int(box.y0 + box.height / 8) :])
    identity = _identity(face_models, Photo("cut", photo), Photo("whole", whole))
    assert {view.name for view in identity.views if crown_is_cut(view)} == {"cut"}
    _check_id_photo(face_models, make_preset(identity, STYLES.get("f_idcard_female"), seed=0), BACKDROPS[0])


def test_of_many_photos_those_that_show_more_than_the_face_serve_presets(
    face_models: FaceModels, portraits_folder: Path
) -> None:
    """Large faces are the best photos otherwise, and only a few of all get what a preset needs."""
    close, wide = _around_the_face(face_models, 0.02), _around_the_face(face_models, 0.6)
    large = np.asarray(cv2.resize(close.image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC), np.uint8)
    photos = [Photo(f"close {k}", large) for k in range(MATTES)]
    identity = _identity(face_models, *photos, wide)
    assert [view.name for view in identity.views][:MATTES] == [photo.name for photo in photos]
    assert identity.views[MATTES].alpha is not None
    assert sum(view.alpha is not None for view in identity.views) == MATTES
    assert make_preset(identity, STYLES.get("f_business_female"), seed=0).shape == (1024, 768, 3)
