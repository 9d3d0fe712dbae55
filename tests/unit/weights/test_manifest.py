"""The manifest is data, checked like code."""

from __future__ import annotations

from pathlib import Path

import pytest

import portraitd
from portraitd.errors import SetupError
from portraitd.weights.manifest import read_manifest

#: Licences that allow commercial use and redistribution.
FREE = {"Apache-2.0", "CC0-1.0", "MIT"}


def test_the_built_in_manifest_is_sound() -> None:
    manifest = read_manifest()
    assert manifest.sets == ("classic", "embedder")
    assert {weight.licence for weight in manifest.weights} <= FREE
    assert {weight.filename for weight in manifest.select(("classic",))} >= {
        "face_detection_full_range_sparse.tflite",
        "face_landmark.tflite",
        "selfie_segmentation.tflite",
    }
    assert len(manifest.select(("embedder", "face_landmark"))) == 3


def test_every_weight_is_read_by_somebody() -> None:
    modules = [path.read_text("utf-8") for path in Path(portraitd.__file__).parent.rglob("*.py")]
    for weight in read_manifest().weights:
        assert any(f'"{weight.filename}"' in module for module in modules), weight.filename


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('licence = "CC0-1.0"\n', "", "missing keys \\['licence'\\]"),
        ('vendor = "us"', 'vendor = "us"\ncolour = "red"', "unknown keys \\['colour'\\]"),
        ("year = 2026", 'year = "2026"', "year must be a int"),
        ('archive = "faces"', 'archive = "noses"', "no archive 'noses'"),
        ('licence = "CC0-1.0"', 'licence = ""', "licence must be a str that is not empty"),
    ],
)
def test_bad_data_is_refused_with_file_and_line(manifest_path: Path, old: str, new: str, complaint: str) -> None:
    text = manifest_path.read_text("utf-8")
    line = text[: text.index("[weights.face]")].count("\n") + 1
    manifest_path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(SetupError, match=rf"manifest\.toml:{line}: .*{complaint}"):
        read_manifest(manifest_path)


def test_a_sha256_must_look_like_one(manifest_path: Path) -> None:
    text = manifest_path.read_text("utf-8")
    manifest_path.write_text(text.replace('sha256 = "', 'sha256 = "x', 1), "utf-8")
    with pytest.raises(SetupError, match=r"manifest\.toml:1: .*64 lower-case"):
        read_manifest(manifest_path)


@pytest.mark.parametrize("text", ["[archives", "[archives]\n[weights]\n[extra]\n"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SetupError, match=r"manifest\.toml"):
        read_manifest(path)
