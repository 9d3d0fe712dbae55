"""A pack's file is checked like code."""

from __future__ import annotations

from pathlib import Path

import pytest

from portraitd.errors import SetupError
from portraitd.styles.catalog import Mode, load_catalog
from portraitd.styles.pinned import pack_names, read_pinned

GOOD = """
licence = "CC0-1.0"
origin = "https://pictures.example"
commit = "abc"
url = "https://pictures.example/raw"

[[pictures]]
path = "a/one.jpg"
bytes = 3
sha256 = "{sha}"
styles = ["f_business_female"]
""".format(sha="0" * 64)


def test_every_built_in_pack_serves_presets_alone() -> None:
    presets = {style.id for style in load_catalog() if style.mode is Mode.PRESET}
    assert "facechain" in pack_names()
    for name in pack_names():
        for picture in read_pinned(name).pictures:
            assert set(picture.styles) <= presets


def test_the_built_in_pack_is_fetched_at_its_commit() -> None:
    pack = read_pinned("facechain")
    assert pack.licence == "Apache-2.0"
    assert pack.commit in pack.url
    assert pack.url.startswith("https://")


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD, "utf-8")
    pack = read_pinned("mine", tmp_path)
    assert (pack.name, pack.licence, pack.pictures[0].styles) == ("mine", "CC0-1.0", ("f_business_female",))
    assert pack.filename(pack.pictures[0]) == "mine-one.jpg"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('licence = "CC0-1.0"', "", "missing keys"),
        ('licence = "CC0-1.0"', 'licence = ""', "licence must be"),
        ("bytes = 3", "bytes = 3\nsize = 3", "unknown keys"),
        ("bytes = 3", 'bytes = "3"', "bytes must be a int"),
        ("bytes = 3", "bytes = 99999999", "bytes must be 1 to"),
        ("bytes = 3", "bytes = -3", "bytes must be 1 to"),
        ("0" * 64, "0" * 63, "sha256 must be"),
        ("a/one.jpg", "../one.jpg", "plain path"),
        ("a/one.jpg", "/one.jpg", "plain path"),
        ('["f_business_female"]', "[]", "styles must be"),
        ('["f_business_female"]', "[1]", "ids of styles"),
        ("[[pictures]]", "[pictures", "mine.toml"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    (tmp_path / "mine.toml").write_text(GOOD.replace(old, new), "utf-8")
    with pytest.raises(SetupError, match=told):
        read_pinned("mine", tmp_path)


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[[pictures]]") :].replace("a/one.jpg", "b/one.jpg")
    (tmp_path / "mine.toml").write_text(GOOD + second, "utf-8")
    with pytest.raises(SetupError, match="share a file name"):
        read_pinned("mine", tmp_path)


def test_an_unknown_pack_is_named_with_the_known_ones() -> None:
    with pytest.raises(SetupError, match=r"nothing.*facechain"):
        read_pinned("nothing")
    with pytest.raises(SetupError):
        read_pinned("../styles/facechain")
