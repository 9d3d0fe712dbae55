"""`portraitd idphoto` with the real engine: what it measures is what is in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from portraitd import cli
from portraitd.cli.idphoto import ADVICE
from portraitd.engines.classic.presets.idchecks import Check, examine
from portraitd.errors import SetupError
from portraitd.faces.models import FaceModels
from portraitd.images import Image, decode
from portraitd.settings import SETTINGS

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face_models: FaceModels) -> Run:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("PORTRAITD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PORTRAITD_WEIGHTS", str(face_models.folder))
    return lambda *args: CliRunner().invoke(cli.app, ["idphoto", *[str(arg) for arg in args]])


def test_every_check_has_advice_that_can_be_told() -> None:
    assert set(ADVICE) == {check.name for check in Check}
    for hint in ADVICE.values():
        assert "{" not in hint.en.format(value=9)
        assert hint.en.isascii()
        assert hint.zh.format(value=9).endswith("。")


@pytest.mark.parametrize(
    ("size", "pixels"),
    [("full", (768, 1024)), ("standard", (358, 441)), ("1-inch", (295, 413)), ("2-inch", (413, 579))],
)
def test_every_size_keeps_the_standard(
    run: Run, portraits_folder: Path, tmp_path: Path, size: str, pixels: tuple[int, int]
) -> None:
    photo = portraits_folder / "woman_1.png"
    done = run(photo, "-o", tmp_path, "--size", size, "--backdrop", "blue", "--backdrop", "#00FF00", "--json")
    assert done.exit_code == 0, done.output
    blue, green = json.loads(done.stdout)
    assert Path(green["file"]) == tmp_path / f"id-00ff00-{size}.jpg"
    for told, colour in ((blue, (67, 142, 219)), (green, (0, 255, 0))):
        picture = decode(Path(told["file"]).read_bytes())
        assert picture.shape[1::-1] == pixels == (told["width"], told["height"])
        assert np.abs(picture[2, 2].astype(int) - colour).max() <= 2
        assert told["passed"] is True
        assert {check["check"] for check in told["checks"]} == {check.name.lower() for check in Check}


def test_a_turned_head_fails_and_is_told_what_to_do(run: Run, portraits_folder: Path, tmp_path: Path) -> None:
    done = run(portraits_folder / "templates" / "Chinese_winter_hanfu.jpg", "-o", tmp_path)
    assert done.exit_code == 1
    assert "The head is turned by" in done.stdout
    assert "take a photo looking straight into the camera" in done.stdout
    assert "请正对镜头重新拍摄" in done.stdout
    assert done.stdout.count("NO") >= 1


def test_clothes_need_template_pictures(run: Run, portraits_folder: Path, tmp_path: Path) -> None:
    photo = portraits_folder / "woman_1.png"
    lacking = run(photo, "-o", tmp_path, "--dressed")
    assert isinstance(lacking.exception, SetupError)
    assert "portraitd styles pull" in lacking.exception.message
    assert isinstance(run(photo, "-o", tmp_path, "--backdrop", "#12345").exception, SetupError)
    assert isinstance(run(photo, "-o", tmp_path, "--backdrop", "#12345é").exception, SetupError)


def test_who_wears_nothing_formal_is_dressed_unless_told_otherwise(
    run: Run, portraits_folder: Path, tmp_path: Path
) -> None:
    def chest(photo: str, *options: str) -> Image:
        done = run(portraits_folder / photo, "-o", tmp_path, "--style", "f_idcard_male", *options)
        assert done.exit_code == 0, done.output
        return decode((tmp_path / "id-ffffff-full.jpg").read_bytes())[-90:].astype(int)

    drawn, own = chest("woman_4.png"), chest("woman_4.png", "--own-clothes")
    assert np.abs(drawn - own).mean() > 40, "bare shoulders"
    assert drawn[:, 60:140].max(axis=2).mean() < 70, "a dark jacket"
    assert np.array_equal(chest("man_2.png"), chest("man_2.png", "--own-clothes")), "a suit of his own"
    both = run(portraits_folder / "man_2.png", "-o", tmp_path, "--own-clothes", "--dressed")
    assert isinstance(both.exception, SetupError)
    assert "--own-clothes" in both.exception.message


@pytest.fixture(scope="module")
def good(face_models: FaceModels, portraits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """An ID photo that passes."""
    folder = tmp_path_factory.mktemp("good")
    CliRunner().invoke(cli.app, ["idphoto", str(portraits_folder / "woman_1.png"), "-o", str(folder)])
    return decode((folder / "id-ffffff-full.jpg").read_bytes())


def failed(models: FaceModels, image: Image) -> set[Check]:
    return {finding.check for finding in examine(models, np.ascontiguousarray(image)) if not finding.passed}


def test_what_is_wrong_with_a_picture_is_found_in_it(face_models: FaceModels, good: Image) -> None:
    assert failed(face_models, good) == set()
    white = (255, 255, 255)

    def moved(matrix: list[list[float]]) -> Image:
        return np.asarray(cv2.warpAffine(good, np.array(matrix, np.float64), (768, 1024), borderValue=white), np.uint8)

    assert failed(face_models, moved([[1, 0, 40], [0, 1, 0]])) >= {Check.CENTRE}
    assert failed(face_models, moved([[1, 0, 0], [0, 1, 60]])) == {Check.HAIR_GAP}
    small = failed(face_models, moved([[0.7, 0, 115], [0, 0.7, 20]]))
    assert small >= {Check.FACE_WIDTH, Check.HEAD_HEIGHT}
    turn = cv2.getRotationMatrix2D((384, 512), 4, 1)
    assert Check.TILT in failed(face_models, moved(turn.tolist()))
    uneven = good.copy()
    uneven[:60, :30] = 240
    assert failed(face_models, uneven) == {Check.BACKDROP}
    assert failed(face_models, np.full_like(good, 255)) == {Check.FACES}
