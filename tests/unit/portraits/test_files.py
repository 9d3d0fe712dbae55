"""Files: limits, links, erasure."""

from __future__ import annotations

import base64
import hashlib
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from portraitd.errors import FileMissing, IdempotencyKeyReused, PayloadTooLarge, TooManyFiles
from portraitd.portraits.requests import FileFilter, FileRun, Upload
from portraitd.portraits.results import ResultStore
from tests.fakes.files import sent
from tests.unit.portraits.conftest import Place, picture

MIB = 1024 * 1024


def test_a_file_is_kept_as_it_came(place: Place) -> None:
    (stored,) = place.services.files.upload(place.anne, (sent("ä.jpg", b"hello", "mine", "fine-tune"),)).stored
    assert (stored.name, stored.size, stored.description, stored.purpose) == ("ä.jpg", 5, "mine", "fine-tune")
    assert stored.md5 == base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    assert place.services.files.get(place.anne, stored.id) == stored
    link = place.house.links.split(stored.url)
    assert link is not None
    assert link[1] == int((place.clock() + timedelta(hours=24)).timestamp())
    opened = place.services.results.open(*link)
    assert opened is not None
    assert (opened.content.read(), opened.media_type, opened.name) == (b"hello", "application/octet-stream", "ä.jpg")


def test_pictures_are_offered_as_pictures(place: Place) -> None:
    (stored,) = place.services.files.upload(place.anne, (sent("a.png", picture(format="PNG")),)).stored
    link = place.house.links.split(stored.url)
    opened = place.services.results.open(*link) if link else None
    assert opened is not None
    assert opened.media_type == "image/png"


def test_files_are_numbered_and_listed_newest_first(place: Place) -> None:
    uploads = tuple(sent(f"{number}.jpg", b"x") for number in range(3))
    stored = place.services.files.upload(place.anne, uploads).stored
    assert [file.number for file in stored] == [1, 2, 3]
    page = place.services.files.list(place.anne, 1, 2)
    assert ([file.name for file in page.files], page.total) == (["2.jpg", "1.jpg"], 3)
    assert [file.name for file in place.services.files.list(place.anne, 2, 2).files] == ["0.jpg"]


def test_what_does_not_fit_is_named_and_leaves_nothing(new_place: Callable[..., Place]) -> None:
    place = new_place(PORTRAITD_MAX_FILES="3", PORTRAITD_MAX_FILE_MB="1", PORTRAITD_MAX_STORAGE_MB="2")
    uploads = (
        sent("large", bytes(MIB + 1)),
        sent("one", bytes(MIB)),
        sent("two", bytes(MIB - 10)),
        sent("over", bytes(11)),
        sent("three", bytes(10)),
        sent("four", b""),
    )
    outcome = place.services.files.upload(place.anne, uploads)
    assert [file.name for file in outcome.stored] == ["one", "two", "three"]
    assert [(refused.name, refused.code, refused.message) for refused in outcome.failed] == [
        ("large", "BadRequest.TooLarge", "Payload Too Large."),
        (
            "over",
            "BadRequest.TooLarge",
            f"Out of space, <{2 * MIB - 10}> B of <{2 * MIB}> B storage space has been used.",
        ),
        ("four", "BadRequest.TooMany", "Out of number, <3> of <3> files has been uploaded."),
    ]
    assert len(place.blob_names("files")) == 3
    assert len(place.services.files.upload(place.bert, (sent("mine", b"x"),)).stored) == 1


def test_delete_erases_the_bytes_and_breaks_the_link(place: Place) -> None:
    (stored,) = place.services.files.upload(place.anne, (sent("a", b"x"),)).stored
    for forbidden in (place.services.files.get, place.services.files.delete):
        with pytest.raises(FileMissing):
            forbidden(place.bert, stored.id)
    place.services.files.delete(place.anne, stored.id)
    assert place.blob_names("files") == []
    link = place.house.links.split(stored.url)
    assert link is not None
    assert place.services.results.open(*link) is None
    with pytest.raises(FileMissing):
        place.services.files.get(place.anne, stored.id)


def test_a_large_file_is_never_held_whole_to_be_read(place: Place) -> None:
    (stored,) = place.services.files.upload(place.anne, (sent("a.zip", picture() + bytes(64 * MIB)),)).stored
    link = place.house.links.split(stored.url)
    assert link is not None
    tracemalloc.start()
    try:
        store = ResultStore(place.house.database, place.house.blobs, place.house.links)
        assert len(store.read(stored.url, 1000) or b"") == 1000
        opened = place.services.results.open(*link)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert opened is not None
    with opened.content:
        assert (opened.size, opened.media_type) == (stored.size, "application/octet-stream")


def test_a_file_that_is_put_is_not_held_in_memory(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(64 * MIB))
    with path.open("rb") as content:
        tracemalloc.start()
        try:
            (stored,) = place.services.files.upload(place.anne, (Upload("large", content),)).stored
            assert tracemalloc.get_traced_memory()[1] < 24 * MIB
        finally:
            tracemalloc.stop()
    assert stored.size == 64 * MIB
    assert place.house.blobs.get(f"files/{stored.id}") == bytes(64 * MIB)


# -- one at a time, and by age ----------------------------------------------------------------------------------------


def test_one_file_that_does_not_fit_is_refused_and_leaves_nothing(new_place: Callable[..., Place]) -> None:
    place = new_place(PORTRAITD_MAX_FILES="2", PORTRAITD_MAX_FILE_MB="1", PORTRAITD_MAX_STORAGE_MB="1")
    files = place.services.files
    with pytest.raises(PayloadTooLarge, match="Payload Too Large"):
        files.keep(place.anne, sent("large", bytes(MIB + 1)))
    kept = files.keep(place.anne, sent("one", bytes(MIB), purpose="batch"))
    assert kept == files.get(place.anne, kept.id)
    with pytest.raises(PayloadTooLarge, match=f"Out of space, <{MIB}> B of <{MIB}> B"):
        files.keep(place.anne, sent("over", b"x"))
    files.keep(place.anne, sent("two", b""))
    with pytest.raises(TooManyFiles, match="Out of number, <2> of <2> files"):
        files.keep(place.anne, sent("three", b""), "a key")
    assert len(place.blob_names("files")) == 2
    files.delete(place.anne, kept.id)
    assert files.keep(place.anne, sent("three", b""), "a key").name == "three", "a refusal leaves its key free"


def test_one_file_sent_twice_under_a_key_is_kept_once(place: Place) -> None:
    files = place.services.files
    first = files.keep(place.anne, sent("a", b"x", purpose="batch"), "a key")
    assert files.keep(place.anne, sent("a", b"x", purpose="batch"), "a key") == first
    assert len(place.blob_names("files")) == 1
    with pytest.raises(IdempotencyKeyReused):
        files.keep(place.anne, sent("a", b"y", purpose="batch"), "a key")
    with pytest.raises(IdempotencyKeyReused):
        files.upload(place.anne, (sent("a", b"x", purpose="batch"),), "a key")
    assert len(place.blob_names("files")) == 1
    files.delete(place.anne, first.id)
    assert files.keep(place.anne, sent("a", b"x", purpose="batch"), "a key").id != first.id


def test_files_are_found_by_age_and_purpose(place: Place) -> None:
    files = place.services.files
    one = files.keep(place.anne, sent("1", b"", purpose="batch"))
    two = files.keep(place.anne, sent("2", b""))
    three = files.keep(place.anne, sent("3", b"", purpose="fine-tune"))
    files.keep(place.bert, sent("4", b""))

    def names(run: FileRun) -> tuple[str, bool]:
        return "".join(file.name for file in run.files), run.more

    assert names(files.find(place.anne, FileFilter(3))) == ("321", False)
    assert names(files.find(place.anne, FileFilter(2))) == ("32", True)
    assert names(files.find(place.anne, FileFilter(2, after=two.id))) == ("1", False)
    assert names(files.find(place.anne, FileFilter(1, after=one.id, oldest_first=True))) == ("2", True)
    assert names(files.find(place.anne, FileFilter(9, purpose="fine-tune"))) == ("32", False)
    assert names(files.find(place.anne, FileFilter(9, since=one.created_at))) == ("321", False)
    assert names(files.find(place.anne, FileFilter(9, before=one.created_at))) == ("", False)
    for foreign in (place.bert, place.anne):
        with pytest.raises(FileMissing):
            files.find(foreign, FileFilter(9, after=three.id if foreign is place.bert else "none"))


def test_a_file_s_bytes(place: Place) -> None:
    files = place.services.files
    kept = files.keep(place.anne, sent("a.jpg", picture()))
    opened = files.open(place.anne, kept.id)
    with opened.content:
        assert (opened.content.read(), opened.size) == (picture(), kept.size)
    assert (opened.media_type, opened.name) == ("application/octet-stream", "a.jpg")
    with pytest.raises(FileMissing):
        files.open(place.bert, kept.id)
    place.house.blobs.delete(f"files/{kept.id}")
    with pytest.raises(FileMissing):
        files.open(place.anne, kept.id)
