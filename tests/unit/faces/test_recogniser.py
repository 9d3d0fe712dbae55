"""dlib's recogniser run by our own matrix products: the same numbers, and no other file in its place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from portraitd.errors import SetupError
from portraitd.faces import blas
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import ALIGNER, RECOGNISER, DlibEmbedder, _detector_box
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.recogniser import CHIP_PX, BadRecogniser, Recogniser, load_recogniser, read_recogniser
from portraitd.images import Image, decode

Chips = NDArray[np.uint8]


@pytest.fixture(scope="module")
def file(embedder_folder: Path) -> Path:
    return embedder_folder / RECOGNISER


@pytest.fixture(scope="module")
def recogniser(file: Path) -> Recogniser:
    return load_recogniser(file)


@pytest.fixture(scope="module")
def portraits(portraits_folder: Path) -> list[Image]:
    return [decode(path.read_bytes()) for path in sorted(portraits_folder.glob("*.png"))]


def squares(images: list[Image], count: int) -> Chips:
    """(count, 150, 150, 3): squares of any size from anywhere in the pictures."""
    rng = np.random.default_rng(5)
    chips = []
    for at in range(count):
        image = images[at % len(images)]
        side = int(rng.integers(CHIP_PX, min(image.shape[:2])))
        y, x = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
        square = np.ascontiguousarray(image[y : y + side, x : x + side])
        chips.append(cv2.resize(square, (CHIP_PX, CHIP_PX), interpolation=cv2.INTER_AREA))
    return np.asarray(np.stack(chips), np.uint8)


def noise(count: int) -> Chips:
    return np.random.default_rng(1).integers(0, 256, (count, CHIP_PX, CHIP_PX, 3)).astype(np.uint8)


def test_the_numbers_are_dlibs(file: Path, recogniser: Recogniser, portraits: list[Image]) -> None:
    dlib = pytest.importorskip("dlib")
    chips = squares(portraits, 25)
    expected = np.array(dlib.face_recognition_model_v1(str(file)).compute_face_descriptor(list(chips)))
    assert np.abs(recogniser.describe(chips) - expected).max() < 1e-4


def test_flat_and_noisy_chips_are_dlibs_too(file: Path, recogniser: Recogniser) -> None:
    dlib = pytest.importorskip("dlib")
    chips = np.concatenate([noise(1), np.zeros_like(noise(1)), np.full_like(noise(1), 255)])
    expected = np.array(dlib.face_recognition_model_v1(str(file)).compute_face_descriptor(list(chips)))
    assert np.abs(recogniser.describe(chips) - expected).max() < 1e-4


def test_the_embedder_gives_what_dlib_alone_gave(embedder_folder: Path, portraits: list[Image]) -> None:
    dlib = pytest.importorskip("dlib")
    models = FaceModels(embedder_folder)
    image = portraits[0]
    mesh = fit_mesh(models, image, detect_faces(models, image)[0])
    embedding = DlibEmbedder(models).embed(image, mesh)
    aligner = dlib.shape_predictor(str(models.path(ALIGNER)))
    chip = dlib.get_face_chip(image, aligner(image, dlib.rectangle(*_detector_box(mesh))), CHIP_PX, 0.25)
    network = dlib.face_recognition_model_v1(str(models.path(RECOGNISER)))
    both = network.compute_face_descriptor([chip, np.ascontiguousarray(chip[:, ::-1])])
    assert np.abs(embedding - np.mean(both, axis=0)).max() < 1e-4


def test_part_of_a_picture_needs_no_copy(embedder_folder: Path, portraits: list[Image]) -> None:
    """dlib itself takes no view of a larger array."""
    models = FaceModels(embedder_folder)
    part = portraits[0][4:-4, 4:-4]
    mesh = fit_mesh(models, part, detect_faces(models, part)[0])
    embedder = DlibEmbedder(models)
    assert np.array_equal(embedder.embed(part, mesh), embedder.embed(part.copy(), mesh))


def test_a_batch_is_its_chips_one_by_one(recogniser: Recogniser) -> None:
    chips = noise(3)
    single = np.concatenate([recogniser.describe(chip[None]) for chip in chips])
    assert np.allclose(recogniser.describe(chips), single, atol=1e-5)
    assert recogniser.describe(chips[:0]).shape == (0, 128)


def test_a_mirrored_view_needs_no_copy(recogniser: Recogniser) -> None:
    mirrored = noise(1)[:, :, ::-1]
    assert np.array_equal(recogniser.describe(mirrored), recogniser.describe(mirrored.copy()))


def test_threads_do_not_disturb_each_other(recogniser: Recogniser) -> None:
    chips = noise(4)
    expected = [recogniser.describe(chip[None]) for chip in chips]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda at: recogniser.describe(chips[at % 4][None]), range(16)))
    assert all(np.array_equal(expected[at % 4], one) for at, one in enumerate(found))


def test_chips_of_another_size_are_refused(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match="150"):
        recogniser.describe(np.zeros((1, 112, 112, 3), np.uint8))


def test_a_corrupt_file_is_refused_by_name(file: Path, tmp_path: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1  # one bit of one weight
    broken = tmp_path / RECOGNISER
    broken.write_bytes(data)
    with pytest.raises(SetupError, match="portraitd weights verify") as caught:
        load_recogniser(broken)
    assert str(broken) in caught.value.message


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / RECOGNISER
    other.write_bytes(b"")
    with pytest.raises(SetupError, match="portraitd weights verify") as caught:
        load_recogniser(other)
    assert str(other) in caught.value.message


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.01, 0.3, 0.9, 0.9939, 0.9999, 0.99999])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    data = file.read_bytes()
    with pytest.raises(BadRecogniser):
        read_recogniser(data[: int(share * len(data))])


def test_a_network_of_other_layers_is_refused(file: Path) -> None:
    data = file.read_bytes()
    at = data.index(b"\x01\x05con_4", 400)
    with pytest.raises(BadRecogniser, match="layer con_4"):
        read_recogniser(data.replace(b"con_4", b"con_5"))
    with pytest.raises(BadRecogniser, match="tensor at byte"):
        read_recogniser(data[: at + 9] + b"\x08" + b"\xff" * 8 + data[at + 12 :])


@given(st.binary(max_size=600), st.sampled_from([b"", b"\x01\x05con_4", b"\x01\x05con_4\x01\x02"]), st.binary())
def test_random_bytes_are_refused(before: bytes, name: bytes, after: bytes) -> None:
    with pytest.raises(BadRecogniser):
        read_recogniser(before + name + after)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4))
def test_claimed_sizes_allocate_nothing(sizes: list[int]) -> None:
    claims = b"".join(b"\x08" + size.to_bytes(8, "little") for size in sizes)
    with pytest.raises(BadRecogniser):
        read_recogniser(b"\x01\x05con_4\x01\x02" + claims)


def test_the_number_of_threads_comes_back() -> None:
    found = blas._openblas()
    if found is None:
        pytest.skip("this numpy does not use OpenBLAS")
    read, _ = found
    before = read()
    with blas.one_thread():
        with blas.one_thread():
            assert read() == 1
        assert read() == 1
    assert read() == before
