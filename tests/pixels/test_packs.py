"""Pictures of style packs: looked at once for as long as their files stay the same."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitd.engines.base import Photo, Portrait, PresetJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.face import hands
from portraitd.engines.classic.person.identity import Identity
from portraitd.engines.classic.presets.make import make_preset
from portraitd.engines.classic.template.packs import MOST_READ, SIZE, Packs
from portraitd.errors import AlgorithmFailed
from portraitd.faces.detect import detect_faces
from portraitd.faces.matte import person_matte
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import decode
from portraitd.styles.catalog import load_catalog
from tests.fakes.hands import placed, with_hand


@pytest.fixture
def packs(face_models: FaceModels) -> Packs:
    return Packs(face_models)


@pytest.fixture(scope="module")
def engine(face_models: FaceModels) -> ClassicEngine:
    return ClassicEngine(face_models)


@pytest.fixture(scope="module")
def woman(engine: ClassicEngine, portraits_folder: Path) -> bytes:
    return engine.train([Photo("woman_1", decode((portraits_folder / "woman_1.png").read_bytes()))]).identity


@pytest.fixture
def folder(tmp_path: Path, portraits_folder: Path) -> Path:
    """Six templates, a picture of nobody, and one of two people."""
    for name in ("Working_suit", "T-shirt", "Men_suit", "Gentleman", "garden_1", "Soccer"):
        shutil.copy(portraits_folder / "templates" / f"{name}.jpg", tmp_path / f"{name}.jpg")
    one = cv2.imread(str(tmp_path / "Working_suit.jpg"))
    cv2.imwrite(str(tmp_path / "nobody.png"), np.full_like(one, 128))
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack([one, one]))
    return tmp_path


def files(folder: Path, *names: str) -> tuple[Path, ...]:
    return tuple(folder / name for name in names)


def test_only_pictures_of_one_person_count(packs: Packs, folder: Path, woman: bytes) -> None:
    identity = Identity.from_bytes(woman)
    pack = packs.of(files(folder, "nobody.png", "two.png", "T-shirt.jpg"))
    pictures = {id(pack.pick(identity, seed)) for seed in range(5)}
    assert len(pictures) == 1
    assert pack.pick(identity, 0).template.picture.shape == (SIZE.height, SIZE.width, 3)
    assert not packs.of(files(folder, "nobody.png", "two.png"))
    assert not packs.of(())


def test_a_picture_is_read_once_and_again_when_its_file_is_another(packs: Packs, folder: Path, woman: bytes) -> None:
    identity, path = Identity.from_bytes(woman), folder / "T-shirt.jpg"
    first = packs.of([path]).pick(identity, 0)
    assert packs.of([path]).pick(identity, 0) is first
    os.utime(path, ns=(1, 1))
    assert packs.of([path]).pick(identity, 0) is not first, "written since"
    shutil.copy(folder / "nobody.png", path)
    assert not packs.of([path])


def test_what_is_gone_or_broken_is_left_out(packs: Packs, folder: Path, woman: bytes) -> None:
    identity = Identity.from_bytes(woman)
    (folder / "broken.jpg").write_bytes(b"no picture")
    names = ("gone.jpg", "broken.jpg", "T-shirt.jpg")
    assert packs.of(files(folder, *names)).pick(identity, 0) is packs.of(files(folder, "T-shirt.jpg")).pick(identity, 0)
    (folder / "T-shirt.jpg").unlink()
    assert not packs.of(files(folder, *names))


def test_as_many_are_kept_as_there_is_room_for(packs: Packs, folder: Path, woman: bytes) -> None:
    identity = Identity.from_bytes(woman)
    names = ["Working_suit.jpg", "T-shirt.jpg", "Men_suit.jpg", "Gentleman.jpg", "Soccer.jpg"]
    assert len(names) == MOST_READ + 1
    first, *others = [packs.of(files(folder, name)).pick(identity, 0) for name in names]
    assert packs.of(files(folder, names[0])).pick(identity, 0) is not first
    assert packs.of(files(folder, names[-1])).pick(identity, 0) is others[-1]


def test_id_photos_of_one_picture_are_one_person_before_other_backdrops(
    engine: ClassicEngine, folder: Path, woman: bytes
) -> None:
    """Their clothes, hair and face are made once."""
    style = replace(load_catalog().get("f_idcard_female"), templates=files(folder, "Working_suit.jpg", "T-shirt.jpg"))
    made = [one for one in engine.generate(PresetJob(style, woman, 5, 0)) if isinstance(one, Portrait)]
    person = np.s_[350:900, 300:460]
    first, *same, other = (one.image[person].astype(int) for one in made)
    assert all(np.abs(first - one).mean() < 4 for one in same)
    assert np.abs(first - other).mean() > 8
    (alone,) = engine.generate(PresetJob(style, woman, 1, 2))
    assert isinstance(alone, Portrait)
    assert np.array_equal(alone.image, made[2].image), "a result depends on its seed alone"


@pytest.mark.parametrize("name", ["Men_suit.jpg", "Gentleman.jpg"])
def test_the_matte_of_a_pack_s_picture_follows_the_persons_jaw(
    engine: ClassicEngine, face_models: FaceModels, folder: Path, portraits_folder: Path, name: str
) -> None:
    photo = Photo("man_1", decode((portraits_folder / "man_1.png").read_bytes()))
    identity = Identity.from_bytes(engine.train([photo]).identity)
    picture = Packs(face_models).of(files(folder, name)).pick(identity, 0)
    (view,) = engine._dressed(picture, identity, 0).views
    assert view.alpha is not None
    found, fresh = view.alpha(), person_matte(face_models, view.image(), view.mesh)
    assert np.abs(found - fresh).mean() < 0.01
    box = view.mesh.box
    beside = np.s_[int((box.y0 + box.y1) / 2) : int(box.y1)]
    off, before = (np.abs(one - fresh)[beside].mean() for one in (found, picture.matte.astype(np.float32) / 255))
    assert off < 0.6 * before, "nearer than the pack's own picture's"


def chin_cut(folder: Path, models: FaceModels) -> Path:
    """A picture that ends at the chin."""
    whole = decode((folder / "T-shirt.jpg").read_bytes())
    box = fit_mesh(models, whole, detect_faces(models, whole)[0]).box
    path = folder / "chin.png"
    cv2.imwrite(str(path), cv2.cvtColor(whole[: int(box.y1 - 0.05 * box.height)], cv2.COLOR_RGB2BGR))
    return path


@pytest.mark.parametrize("others", [(), ("Men_suit.jpg",)])
def test_a_pack_s_picture_without_shoulders_gives_way(
    engine: ClassicEngine, face_models: FaceModels, folder: Path, woman: bytes, others: tuple[str, ...]
) -> None:
    """To another, or to the person's own clothes: the customer's photos have all that is needed."""
    pack = (chin_cut(folder, face_models), *files(folder, *others))
    style = replace(load_catalog().get("f_idcard_female"), templates=pack)
    made = [one for one in engine.generate(PresetJob(style, woman, 5, 0)) if isinstance(one, Portrait)]
    assert len(made) == 5
    identity, bare = Identity.from_bytes(woman), load_catalog().get("f_idcard_female")
    for number, one in enumerate(made):
        own = make_preset(identity, bare, number)[-150:].astype(int)
        other_clothes = np.abs(one.image[-150:] - own).mean() > 20
        assert other_clothes == bool(others)


def test_files_that_change_while_a_job_runs_end_as_nobody_elses_face(
    engine: ClassicEngine, face_models: FaceModels, folder: Path, woman: bytes
) -> None:
    names = ("Working_suit.jpg", "T-shirt.jpg", "Men_suit.jpg")
    style = replace(load_catalog().get("f_business_female"), templates=files(folder, *names))
    outcomes = engine.generate(PresetJob(style, woman, 4, 0))
    first = next(outcomes)
    assert isinstance(first, Portrait)
    for name in names:
        shutil.copy(folder / "nobody.png", folder / name)
    for outcome in outcomes:  # of what had been read before, or none
        assert isinstance(outcome, Portrait) or isinstance(outcome.error, AlgorithmFailed)
    shutil.copy(folder / "garden_1.jpg", folder / "T-shirt.jpg")
    identity = Identity.from_bytes(woman)
    packs = Packs(face_models)
    pack = packs.of(files(folder, "T-shirt.jpg"))
    shutil.copy(folder / "Soccer.jpg", folder / "T-shirt.jpg")
    with pytest.raises(AlgorithmFailed):
        pack.pick(identity, 0)


def test_a_hand_before_a_pack_s_face_is_seen(
    face_models: FaceModels, folder: Path, woman: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a customer's own template shows is looked for in a pack's, too."""
    whole = decode((folder / "Gentleman.jpg").read_bytes())
    mesh = fit_mesh(face_models, whole, detect_faces(face_models, whole)[0])
    palm, turn = 0.36 * mesh.box.height, np.deg2rad(-20.0)
    x, y = mesh.xy[425] + 1.9 * palm * np.array([-np.sin(turn), np.cos(turn)])
    held, _ = with_hand(whole, placed((float(x), float(y)), palm, -20.0), (160, 120, 105))
    cv2.imwrite(str(folder / "held.png"), cv2.cvtColor(held, cv2.COLOR_RGB2BGR))

    def covered() -> float:
        picture = Packs(face_models).of(files(folder, "held.png")).pick(Identity.from_bytes(woman), 0)
        return float(picture.template.covered.mean())

    seen = covered()
    monkeypatch.setattr(hands, "find_hands", lambda *_: ())
    assert seen > covered() + 0.03
