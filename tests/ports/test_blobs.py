"""What portraitd asks of a blob store, on a folder and on a remote store's stand-in."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from portraitd.blobs import BlobMissing, Blobs, open_blobs
from portraitd.errors import SetupError


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return open_blobs(str(tmp_path / "blobs")) if request.param == "folder" else Blobs(MemoryStore())


def test_what_is_put_can_be_got_replaced_and_deleted(blobs: Blobs) -> None:
    assert not blobs.exists("tasks/a/1.jpg")
    blobs.put("tasks/a/1.jpg", b"one")
    blobs.put("tasks/a/1.jpg", b"two")
    assert blobs.exists("tasks/a/1.jpg")
    assert blobs.get("tasks/a/1.jpg") == b"two"
    blobs.delete("tasks/a/1.jpg")
    blobs.delete("tasks/a/1.jpg")
    assert not blobs.exists("tasks/a/1.jpg")


def test_missing_keys_are_missing(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing):
        blobs.get("tasks/a/1.jpg")
    with pytest.raises(BlobMissing):
        blobs.open("tasks/a/1.jpg")


def test_a_prefix_is_deleted_with_all_below_and_nothing_beside(blobs: Blobs) -> None:
    for key in ("jobs/a/photos/1", "jobs/a/identity", "jobs/ab/identity", "jobs/b"):
        blobs.put(key, b"x")
    blobs.delete_prefix("jobs/a")
    blobs.delete_prefix("jobs/a")
    assert [blobs.exists(key) for key in ("jobs/a/photos/1", "jobs/a/identity", "jobs/ab/identity", "jobs/b")] == [
        False,
        False,
        True,
        True,
    ]


def test_many_are_deleted_too(blobs: Blobs) -> None:
    for number in range(1100):
        blobs.put(f"tasks/a/{number}", b"")
    blobs.delete_prefix("tasks/a")
    assert not blobs.exists("tasks/a/0")
    assert not blobs.exists("tasks/a/1099")


def test_an_archive_can_be_read_in_place(blobs: Blobs) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "hello")
    blobs.put("files/a", packed.getvalue())
    with zipfile.ZipFile(blobs.open("files/a")) as archive:
        assert archive.read("a.txt") == b"hello"


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "tasks/../x", "tasks//x", "tasks/.x", "tasks/a/", "Tasks/a", "t\n"]
)
def test_keys_that_could_lead_astray_are_refused(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob key"):
        blobs.put(key, b"x")


def test_half_written_remains_of_a_kill_go_with_their_prefix(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    blobs.put("jobs/a/identity", b"x")
    (tmp_path / "jobs" / "a" / "identity#1").write_bytes(b"half")
    blobs.delete_prefix("jobs/a")
    assert not (tmp_path / "jobs" / "a").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="PORTRAITD_STORAGE_URL"):
        open_blobs(str(tmp_path / "file" / "blobs"))
