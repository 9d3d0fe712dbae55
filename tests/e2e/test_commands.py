"""The verbs that need no server, run as processes with the real engine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from skimage.data import astronaut

from portraitd.images import Image, decode
from portraitd.weights.store import WeightStore
from tests.e2e.conftest import free_port
from tests.e2e.service import environment, run

Gap = Callable[[Image, Image], float]


@pytest.fixture
def own_env(tmp_path: Path, embedder_folder: Path) -> dict[str, str]:
    """A home of its own, beside no service."""
    return environment(tmp_path / "home", embedder_folder, PORTRAITD_PORT=str(free_port()))


def test_a_preset_from_a_photo(own_env: dict[str, str], pictures: Path, tmp_path: Path, gap: Gap) -> None:
    words = ["generate", str(pictures / "me.jpg"), "--style", "f_idcard_female", "-n", "2", "--seed", "4"]
    done = run(own_env, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["portraits/portrait-4.jpg", "portraits/portrait-5.jpg"]
    for name in done.stdout.split():
        image = decode((tmp_path / name).read_bytes())
        assert image.shape == (1024, 768, 3)
        assert gap(image, astronaut()) < 0.45
    first = (tmp_path / "portraits/portrait-4.jpg").read_bytes()
    again = run(own_env, *words[:-3], "1", "--seed", "4", "--out", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again/portrait-4.jpg").read_bytes() == first, "the same seed makes the same bytes"


def test_a_template_from_a_photo(own_env: dict[str, str], pictures: Path, tmp_path: Path, gap: Gap) -> None:
    """No training, the template's own size."""
    out = tmp_path / "out"
    words = ["generate", str(pictures / "me.jpg"), "--template", str(pictures / "template.jpg")]
    done = run(own_env, *words, "-n", "1", "--seed", "0", "--out", str(out))
    assert done.returncode == 0, done.stderr
    image = decode((out / "portrait-0.jpg").read_bytes())
    assert image.shape == decode((pictures / "template.jpg").read_bytes()).shape
    assert gap(image, astronaut()) < 0.45


def test_a_photo_without_a_face_is_told_in_one_sentence(own_env: dict[str, str], pictures: Path) -> None:
    done = run(own_env, "generate", str(pictures / "nobody.jpg"), "-n", "1")
    assert done.returncode == 1
    assert "No human face detected." in done.stderr
    assert "Traceback" not in done.stderr


def test_detect_tells_of_each_picture(own_env: dict[str, str], pictures: Path) -> None:
    good = run(own_env, "detect", str(pictures / "me.jpg"))
    assert good.returncode == 0
    both = run(own_env, "detect", str(pictures / "me.jpg"), str(pictures / "nobody.jpg"))
    assert both.returncode == 1
    lines = {name: line for line in both.stdout.splitlines() for name in ("me.jpg", "nobody.jpg") if name in line}
    assert "yes" in lines["me.jpg"]
    assert "no face detected" in lines["nobody.jpg"]


def test_weights_are_listed_and_verified(own_env: dict[str, str], embedder_folder: Path) -> None:
    listed = run(own_env, "weights", "list")
    assert listed.returncode == 0
    assert "face_landmark" in listed.stdout
    verified = run(own_env, "weights", "verify")
    assert verified.returncode == (1 if WeightStore(embedder_folder).missing() else 0), verified.stdout


def test_missing_and_broken_weights_are_found(own_env: dict[str, str], embedder_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for path in embedder_folder.iterdir():
        (folder / path.name).symlink_to(path)
    broken = folder / "face_landmark.tflite"
    data = bytearray(broken.read_bytes())
    data[1000] ^= 1
    broken.unlink()
    broken.write_bytes(data)
    (folder / "selfie_segmentation.tflite").unlink()
    env = own_env | {"PORTRAITD_WEIGHTS": str(folder)}
    verified = run(env, "weights", "verify")
    assert verified.returncode == 1
    assert "missing or broken: face_landmark, selfie_segmentation;" in verified.stderr
    doctor = run(env, "doctor")
    assert doctor.returncode == 1
    assert "portraitd weights pull" in doctor.stdout


def test_doctor_is_content_with_a_whole_machine_and_names_a_taken_port(
    own_env: dict[str, str], embedder_folder: Path
) -> None:
    if WeightStore(embedder_folder).missing():
        pytest.skip("not all weights are here")
    well = run(own_env, "doctor")
    assert well.returncode == 0, well.stdout
    with socket.create_server(("127.0.0.1", int(own_env["PORTRAITD_PORT"]))):
        taken = run(own_env, "doctor")
    assert taken.returncode == 1
    assert f"port {own_env['PORTRAITD_PORT']}" in taken.stdout
