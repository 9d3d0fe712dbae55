"""The composition root: what is opened is what the settings say, and stays the same from start to start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from portraitd import wiring
from portraitd.errors import SetupError
from portraitd.faces.models import FaceModels
from portraitd.faces.verdict import Verdict, VerdictLimits
from portraitd.images import Image
from portraitd.portraits.identities import BUILT_IN, astronaut
from portraitd.portraits.photos import Purpose
from portraitd.settings import Settings, load_settings
from portraitd.tasks.executors import Presence
from tests.api.client import ASYNC, GENERATE, ask
from tests.fakes.stores import FakeClock


def settings_in(folder: Path, **environ: str) -> Settings:
    return load_settings({"PORTRAITD_HOME": str(folder / "home"), **environ})


def test_a_link_made_before_a_restart_holds_after_it(tmp_path: Path) -> None:
    clock = FakeClock()
    before = wiring.open_house(settings_in(tmp_path), clock)
    link = before.links.split(before.links.make("files/x", clock() + timedelta(hours=1)))
    before.close()
    after = wiring.open_house(settings_in(tmp_path), clock)
    assert link is not None
    assert after.links.holds(*link)
    after.close()
    other = wiring.open_house(settings_in(tmp_path / "other"), clock)
    assert not other.links.holds(*link)
    other.close()


def test_ready_means_that_a_worker_lives(tmp_path: Path) -> None:
    house = wiring.open_house(settings_in(tmp_path))
    app = wiring.build_web(house)
    assert not app.state.ready()
    presence = Presence(house.database, tmp_path / "run")
    presence.enter()
    assert app.state.ready()
    presence.leave()
    assert not app.state.ready()
    house.close()
    house.database.engine.dispose()


@pytest.mark.parametrize(
    ("max_file_mb", "max_form_mb"), [("1024", 1024), ("300", 1024), ("5", 50), ("2048", 2048)], ids=str
)
def test_a_form_holds_a_training_s_photos_or_one_large_file(tmp_path: Path, max_file_mb: str, max_form_mb: int) -> None:
    house = wiring.open_house(settings_in(tmp_path, PORTRAITD_MAX_FILE_MB=max_file_mb))
    assert wiring.build_web(house).state.config.max_upload_bytes == max_form_mb * 1024 * 1024
    house.close()
    house.database.engine.dispose()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(SetupError, match="PORTRAITD_HOME"):
        wiring.open_house(settings_in(tmp_path))


def test_the_real_judge_tells_a_face_from_none(face_models: FaceModels) -> None:
    judge = wiring.judge_of(load_settings({"PORTRAITD_WEIGHTS": str(face_models.folder)}))
    for purpose in Purpose:
        assert judge(astronaut(), purpose).reason == ""
        assert judge(astronaut(), purpose).error is None
    nobody = np.full((512, 512, 3), 128, np.uint8)
    assert judge(nobody, Purpose.DETECT).reason == "no face detected"
    error = judge(nobody, Purpose.TEMPLATE).error
    assert error is not None
    assert error.code == "InvalidImage.NoHumanFace"


def test_the_real_judge_looks_once_at_a_picture_that_can_be_used(
    face_models: FaceModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[VerdictLimits] = []

    def usable(models: FaceModels, image: Image, limits: VerdictLimits) -> Verdict:
        asked.append(limits)
        return Verdict("", None, None)

    monkeypatch.setattr("portraitd.faces.verdict.judge", usable)
    judge = wiring.judge_of(load_settings({"PORTRAITD_WEIGHTS": str(face_models.folder)}))
    picture = np.zeros((9, 9, 3), np.uint8)
    assert all(judge(picture, Purpose.TEMPLATE).error is None for _ in range(3))
    assert asked == [VerdictLimits.template()]
    judge(picture, Purpose.PHOTO)
    assert asked == [VerdictLimits.template(), VerdictLimits.photo()]


def test_the_built_in_identities_have_their_photos() -> None:
    for photo in BUILT_IN.values():
        picture = photo()
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert min(picture.shape[:2]) >= 512


def test_an_operator_may_leave_people_in_their_own_clothes(tmp_path: Path) -> None:
    home = {"PORTRAITD_HOME": str(tmp_path)}
    formal, own = (
        wiring.styles_of(load_settings({**home, "PORTRAITD_CLOTHES": choice})) for choice in ("formal", "own")
    )
    assert [style.id for style in own] == [style.id for style in formal]
    assert sum("outfits" in style.classic for style in formal) == 4
    assert not any("outfits" in style.classic for style in own)
    assert all(style.classic.keys() - {"outfits"} == own.get(style.id).classic.keys() for style in formal)


def test_what_the_vendor_s_pages_disagree_on_is_a_setting(tmp_path: Path) -> None:
    wish = {"PORTRAITD_UNKNOWN_MODEL": "404", "PORTRAITD_BARE_KEYS": "yes", "PORTRAITD_WORKSPACES": "llm-1, llm-2"}
    expected = ([400, 401, 200, 200], [404, 200, 403, 200])
    for number, environ in enumerate(({}, wish)):
        with wiring.open_house(settings_in(tmp_path / str(number), **environ)) as house:
            app, key = wiring.build_web(house), house.keys.create("test")
            strict = ask(app, "POST", GENERATE, key=key, headers=ASYNC, json={"model": "other"})
            bare = ask(app, "GET", "/api/v1/tasks", key=None, headers={"Authorization": key})
            foreign = ask(app, "GET", "/api/v1/tasks", key=key, headers={"X-DashScope-WorkSpace": "llm-3"})
            own = ask(app, "GET", "/api/v1/tasks", key=key, headers={"X-DashScope-WorkSpace": "llm-2"})
        statuses = [reply.status_code for reply in (strict, bare, foreign, own)]
        assert statuses == expected[number]
