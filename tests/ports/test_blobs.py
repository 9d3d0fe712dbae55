"""What portraitd asks of a blob store, on a folder and on a real S3 store."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from portraitd.blobs import BlobMissing, Blobs, Held, StoreAway, open_blobs
from portraitd.errors import SetupError
from tests.fakes.servers import Bucket, free_port, s3_bucket


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3_bucket(tmp_path_factory.mktemp("seaweed")) as bucket:
        yield bucket


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "folder":
        return open_blobs(str(tmp_path / "blobs"))
    for name, value in request.getfixturevalue("bucket").settings.items():
        monkeypatch.setenv(name, value)
    return open_blobs(f"s3://pictures/{uuid4().hex}")


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


@pytest.mark.parametrize("size", [0, 7, 12_000_001])
def test_a_file_is_put_from_its_beginning_as_often_as_asked(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)
    with tempfile.SpooledTemporaryFile(max_size=1000) as file:
        file.write(data)
        for key in ("files/a", "files/b"):
            blobs.put(key, file)
            assert blobs.get(key) == data
    assert {held.size for held in blobs.list("files")} == {size}


def test_a_large_blob_is_read_in_pieces_anywhere(blobs: Blobs) -> None:
    data = os.urandom(3_000_001)
    blobs.put("files/a", data)
    with blobs.open("files/a") as file:
        assert file.read(4) == data[:4]
        assert file.seek(-5, io.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
        file.seek(1_500_000)
        assert file.read(1_200_000) == data[1_500_000:2_700_000]
        file.seek(len(data) + 10)
        assert file.read() == b""
    assert blobs.get("files/a") == data


def test_what_lies_below_is_listed(blobs: Blobs) -> None:
    for key in ("jobs/a/photos/1", "jobs/b/identity", "files/c"):
        blobs.put(key, b"xyz")
    assert set(blobs.list("jobs")) == {Held("jobs/a/photos/1", 3), Held("jobs/b/identity", 3)}
    assert blobs.list("tasks") == ()


def test_a_store_that_is_away_is_told_and_the_patient_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_bucket(tmp_path / "seaweed") as bucket:
        for name, value in bucket.settings.items():
            monkeypatch.setenv(name, value)
        blobs = open_blobs("s3://pictures/some/where")
        blobs.put("tasks/a/1.jpg", b"one")
        bucket.stop()
        with pytest.raises(StoreAway):
            blobs.get("tasks/a/1.jpg")
        with pytest.raises(StoreAway):
            blobs.put("tasks/a/2.jpg", b"two")
        patient = blobs.patient(60)
        waiting = threading.Thread(target=lambda: patient.put("tasks/a/2.jpg", b"two"))
        waiting.start()
        time.sleep(1)
        bucket.start()
        waiting.join(60)
        assert not waiting.is_alive()
        assert [patient.get(f"tasks/a/{n}.jpg") for n in (1, 2)] == [b"one", b"two"]


def test_nobody_listening_is_a_store_away_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreAway):
        open_blobs("s3://pictures").exists("tasks/a/1.jpg")


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
