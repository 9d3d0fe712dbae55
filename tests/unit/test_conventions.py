"""docs/conventions.md, one test per rule."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage.data import astronaut

import portraitd
from portraitd import images
from portraitd.faces.detect import Box, detect_faces
from portraitd.faces.mesh import FaceMesh, crop_square, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.regions import CHIN, LEFT_EYE, NOSE_TIP, RIGHT_EYE
from portraitd.faces.segment import person_probability
from portraitd.faces.shape import mean_face, pose_of, pose_of_rotation
from portraitd.images import Size

SOURCE = Path(portraitd.__file__).parent
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mesh(face_models: FaceModels) -> FaceMesh:
    """The mesh of the astronaut's face."""
    image = astronaut()
    return fit_mesh(face_models, image, detect_faces(face_models, image)[0])


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, by its path in it."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text("utf-8"))


def names_given(tree: ast.Module) -> Iterator[str]:
    """Parameters, fields and annotated variables of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_every_rule_of_the_page_has_a_test_here() -> None:
    page = (ROOT / "docs" / "conventions.md").read_text("utf-8")
    rules = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")][1:]
    tested = {name.removeprefix("test_convention_") for name in globals() if name.startswith("test_convention_")}
    assert {re.sub(r"\W+", "_", rule.replace('"', "")) for rule in rules} == tested


def test_convention_image() -> None:
    out = io.BytesIO()
    Pillow.new("RGB", (3, 2), (250, 10, 20)).save(out, "PNG")
    image = images.decode(out.getvalue())
    assert (image.dtype, image.shape, tuple(image[0, 0])) == (np.uint8, (2, 3, 3), (250, 10, 20))
    forbidden = re.compile(
        r"\bim(read|write|decode|encode)\b|COLOR_(RGB2BGR|BGR2RGB|BGR2\w+|\w+2BGR)|\[\.\.\., ::-1\]|import PIL|from PIL"
    )
    elsewhere = [
        path.name
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name != "images.py" and forbidden.search(path.read_text("utf-8"))
    ]
    assert elsewhere == []


def test_convention_linear_light() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    linear = images.to_linear(ramp)
    assert (linear.dtype, float(linear.min()), float(linear.max())) == (np.float32, 0.0, 1.0)
    assert linear[11, 12, 0] == pytest.approx(0.5029, abs=1e-3)  # code 188 is half the light
    assert (images.from_linear(linear) == ramp).all()
    assert images.from_linear(np.array([[[-1.0, 2.0, 0.5]]], np.float32)).tolist() == [[[0, 255, 188]]]


def test_convention_mask_matte(face_models: FaceModels) -> None:
    mask = person_probability(face_models, astronaut()[:, :400])
    assert (mask.dtype, mask.shape) == (np.float32, (512, 400))
    assert 0.0 <= float(mask.min()) < 0.1
    assert 0.9 < float(mask.max()) <= 1.0


def test_convention_points(face_models: FaceModels) -> None:
    image = astronaut()
    # Centres at integers: a crop of as many pixels as its side, around its own middle, is the picture itself.
    crop = crop_square(image, (255.5, 255.5), 512, 0.0, 512)
    assert (crop.image == image).all()
    points = detect_faces(face_models, image)[0].keypoints
    assert (points.dtype, points.shape) == (np.float32, (6, 2))
    # A picture n times as large has its pixel centres at n * x + (n - 1) / 2.
    shrunk = crop_square(image, (255.5, 255.5), 512, 0.0, 128)
    assert shrunk.to_picture(np.array([[0, 0], [127, 127]], np.float32)) == pytest.approx(
        np.array([[1.5, 1.5], [509.5, 509.5]]), abs=1e-2
    )


def test_convention_mesh(mesh: FaceMesh) -> None:
    assert (mesh.points.dtype, mesh.points.shape) == (np.float32, (468, 3))
    x, y, z = mesh.points.T
    assert 150 < x.min() < x.max() < 300
    assert 40 < y.min() < y.max() < 200
    assert z[NOSE_TIP] < z[[234, 454]].min()  # the nose is nearer than the ears
    assert 0.3 < np.ptp(z) / np.ptp(x) < 1.5  # z in pixels too


def test_convention_box(mesh: FaceMesh) -> None:
    box = Box(2.0, 3.0, 5.0, 9.0)
    assert (box.width, box.height, box.area) == (3.0, 6.0, 18.0)
    image = np.zeros((20, 20, 3), np.uint8)
    assert image[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)].shape[:2] == (6, 3)
    assert mesh.box == Box(*(float(v) for v in (*mesh.xy.min(axis=0), *mesh.xy.max(axis=0))))


def test_convention_sizes() -> None:
    data = images.encode_png(np.zeros((20, 30, 3), np.uint8))
    assert images.probe(data).size == Size(width=30, height=20)
    assert images.decode(data).shape[:2] == (20, 30)


def rotation(axis: int, angle_deg: float) -> np.ndarray:
    """(3, 3) right-handed rotation around x, y or z (x right, y down, z away from us)."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    turn = np.eye(3)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    turn[first, first], turn[first, second], turn[second, first], turn[second, second] = c, -s, s, c
    return turn


def test_convention_angles(mesh: FaceMesh) -> None:
    nose = np.array([0.0, 0.0, -1.0])  # towards us
    for angle in (-25.0, 25.0):
        yawed, pitched, rolled = (rotation(axis, sign * angle) for axis, sign in ((1, -1), (0, 1), (2, 1)))
        assert np.sign((yawed @ nose)[0]) == np.sign(angle)  # yaw > 0: towards larger x
        assert pose_of_rotation(yawed).yaw_deg == pytest.approx(angle)
        assert np.sign((pitched @ nose)[1]) == np.sign(angle)  # pitch > 0: down, where y is larger
        assert pose_of_rotation(pitched).pitch_deg == pytest.approx(angle)
        assert np.sign((rolled @ [1.0, 0, 0])[1]) == np.sign(angle)  # roll > 0: clockwise, our right end goes down
        assert pose_of_rotation(rolled).roll_deg == pytest.approx(angle)
    mirrored = mesh.points[mean_face().mirror] * np.array([-1, 1, 1], np.float32)
    pose, twin = pose_of(mesh.points), pose_of(mirrored)
    assert (twin.yaw_deg, twin.pitch_deg, twin.roll_deg) == pytest.approx(
        (-pose.yaw_deg, pose.pitch_deg, -pose.roll_deg), abs=0.5
    )


def test_convention_left_right(mesh: FaceMesh) -> None:
    left, right = (mesh.xy[list(ring)].mean(axis=0) for ring in (LEFT_EYE, RIGHT_EYE))
    assert left[0] < mesh.xy[CHIN, 0] < right[0]
    assert mesh.eye_centres[0] == pytest.approx(left, abs=1e-3)


def offenders(unitless: str, *spared: str) -> list[str]:
    """`module: name` of every parameter or field whose name ends in one of these words and so lacks its unit."""
    pattern = re.compile(rf"(^|_)({unitless})$")
    return [
        f"{module}: {name}"
        for module, tree in modules()
        if not module.startswith(spared)
        for name in names_given(tree)
        if pattern.search(name)
    ]


def test_convention_durations() -> None:
    # The wire's words are the vendor's; pinned.py fills in a protocol of httpcore, which names the parameters.
    assert offenders("timeout|delay|interval|duration|ttl|seconds|wait", "api/wire", "portraits/pinned.py") == []


def test_convention_lengths() -> None:
    assert offenders("radius|thickness|stroke|feather", "api/wire") == []


def test_convention_times() -> None:
    beijing = re.compile(r"Asia/Shanghai|hours=8\b")
    naive = re.compile(r"\butcnow\(|\butcfromtimestamp\(|datetime\.now\(\)|date\.today\(")
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        assert not naive.search(text), path
        # A fine-tune job's id carries the minute of its making in the vendor's local time.
        if not path.relative_to(SOURCE).as_posix().startswith(("api/wire", "portraits/finetune.py")):
            assert not beijing.search(text), path


def test_convention_randomness() -> None:
    allowed = {"Generator", "default_rng", "SeedSequence", "PCG64", "BitGenerator"}
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert "random" not in {alias.name for alias in node.names}, module
            if isinstance(node, ast.ImportFrom):
                assert node.module != "random", module
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"np.random", "numpy.random"}:
                assert node.attr in allowed, f"{module}:{node.lineno}"
