"""Trainings from request to identity to erasure, without processes."""

from __future__ import annotations

import contextlib
import io
import re
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.blobs import Blobs
from portraitd.engines.base import Photo, Progress, Training
from portraitd.errors import (
    FileMissing,
    InvalidImageFormat,
    InvalidImageResolution,
    InvalidParameter,
    JobBusy,
    MissingTrainingFiles,
    NoHumanFace,
    NotFound,
    ResourceAccessDenied,
    TooManyJobs,
    UnsupportedOperation,
)
from portraitd.portraits.requests import Finetune, JobState
from portraitd.portraits.training_set import MAX_UNPACKED_BYTES, BadArchive, unzip
from tests.fakes.files import sent
from tests.unit.portraits.conftest import Place, picture

PHOTO = "https://pictures.example/photo.jpg"


def submit(place: Place, *sources: str) -> str:
    return place.services.finetunes.submit(place.anne, Finetune("r", sources)).id


def state(place: Place, job_id: str) -> tuple[JobState, str | None]:
    job = place.services.finetunes.get(place.anne, job_id)
    return job.state, job.code


def upload(place: Place, data: bytes, name: str = "a.jpg") -> str:
    return place.services.files.upload(place.anne, (sent(name, data),)).stored[0].id


def pack(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_urls_files_and_archives_together(place: Place, copied: list[str]) -> None:
    place.web.pages[PHOTO] = picture()
    archive = upload(place, pack({"b/two.png": picture(format="PNG"), "a/one.jpg": picture()}), "photos.zip")
    job_id = submit(place, PHOTO, upload(place, picture()), archive)
    assert re.fullmatch(r"ft-202601021104-[0-9a-f]{4}", job_id), "Beijing time"
    assert state(place, job_id) == (JobState.PENDING, None)
    place.work(job_id)
    job = place.services.finetunes.get(place.anne, job_id)
    assert (job.state, job.identity_id) == (JobState.SUCCEEDED, f"facechain-finetune-{job_id}")
    assert copied == ["1", "2", "3", "4", "complete"]


def test_what_is_refused_at_once(place: Place) -> None:
    with pytest.raises(MissingTrainingFiles):
        submit(place)
    with pytest.raises(InvalidParameter):
        submit(place, *[f"{PHOTO}?{n}" for n in range(11)])
    with pytest.raises(FileMissing):
        submit(place, "nobody")
    file_id = upload(place, picture())
    with pytest.raises(FileMissing):
        place.services.finetunes.submit(place.bert, Finetune("r", (file_id,)))


def test_unusable_photos_are_left_out_while_one_is_usable(place: Place) -> None:
    good, small, faceless, text = picture(), picture(100, 100), picture(grey=0), b"hello"
    files = [upload(place, data) for data in (text, small, faceless, good)]
    job_id = submit(place, *files)
    place.work(job_id)
    job = place.services.finetunes.get(place.anne, job_id)
    assert job.state is JobState.SUCCEEDED
    assert [note.partition(" was not used: ")[2] for note in job.notes] == [
        InvalidImageFormat().message,
        InvalidImageResolution().message,
        NoHumanFace().message,
    ]
    assert [note.partition(" was not used: ")[0] for note in job.notes] == ["photo 1", "photo 2", "photo 3"]


def test_of_photos_that_were_all_used_nothing_is_said(place: Place) -> None:
    job_id = submit(place, upload(place, picture()))
    place.work(job_id)
    assert place.services.finetunes.get(place.anne, job_id).notes == ()


@pytest.mark.parametrize(
    ("photos", "code"),
    [
        ([picture(grey=0), picture(grey=0)], "InvalidImage.NoHumanFace"),
        ([picture(255, 600), b"hello"], "InvalidImageResolution"),
        ([b"hello"], "InvalidImageFormat"),
        ([picture() + bytes(5 * 1024 * 1024)], "InvalidFile.Size"),
        ([picture(format="BMP", width=300, height=300)], "InvalidImageFormat"),
    ],
)
def test_without_a_usable_photo_the_first_one_s_error_is_told(place: Place, photos: list[bytes], code: str) -> None:
    job_id = submit(place, *[upload(place, data) for data in photos])
    place.work(job_id)
    assert state(place, job_id) == (JobState.FAILED, code)


def test_a_url_that_cannot_be_fetched_fails_the_job(place: Place) -> None:
    job_id = submit(place, PHOTO, upload(place, picture()))
    place.work(job_id)
    assert state(place, job_id) == (JobState.FAILED, "InvalidURL")


def test_a_file_deleted_meanwhile_fails_the_job(place: Place) -> None:
    file_id = upload(place, picture())
    job_id = submit(place, file_id)
    place.services.files.delete(place.anne, file_id)
    place.work(job_id)
    assert state(place, job_id) == (JobState.FAILED, "InvalidParameter")


def test_what_was_trained_from_goes_with_the_training_s_end(place: Place) -> None:
    file_id = upload(place, picture())
    job_id = submit(place, file_id)
    place.work(job_id)
    assert state(place, job_id)[0] is JobState.SUCCEEDED
    assert place.blob_names(f"jobs/{job_id}") == ["identity"]
    place.services.files.delete(place.anne, file_id)
    assert place.blob_names("files") == []


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was put of photos to train from."""
    found: list[str] = []
    put = Blobs.put

    def watched(blobs: Blobs, key: str, data: bytes | BinaryIO) -> None:
        if "/photos/" in key:
            found.append(key.rpartition("/")[2])
        put(blobs, key, data)

    monkeypatch.setattr(Blobs, "put", watched)
    return found


def test_a_re_run_trains_from_the_copies(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    job_id = submit(place, PHOTO)
    run = place.house.life.begin(job_id)
    assert run is not None
    trainer = place.bench._handlers[run.task.kind]
    trainer.run(run.task, lambda _made, _failed: None)
    place.web.pages.clear()
    place.work(job_id)
    assert state(place, job_id)[0] is JobState.SUCCEEDED
    assert place.web.asked == [PHOTO]


def test_archives_that_are_passed_over_in_part(place: Place, copied: list[str]) -> None:
    entries = {
        "__MACOSX/._one.jpg": picture(),
        ".hidden/two.jpg": picture(),
        "photos/.DS_Store": b"x",
        "photos/": b"",
        "../../etc/three.jpg": picture(),
        "readme.txt": b"these are my photos",
    }
    job_id = submit(place, upload(place, pack(entries)))
    place.work(job_id)
    assert state(place, job_id)[0] is JobState.SUCCEEDED
    assert copied == ["1", "complete"]


def _with_eleven() -> bytes:
    return pack({f"{n}.jpg": picture(300, 300) for n in range(11)})


def _nested() -> bytes:
    return pack({"one.jpg": picture(), "more.zip": pack({"two.jpg": picture()})})


def _bomb() -> bytes:
    return pack({f"{n}.bmp": bytes(30 * 1024 * 1024) for n in range(4)})


def _lying_bomb() -> bytes:
    """Says in its directory that 100 MB are 10 bytes."""
    data = bytearray(pack({"one.jpg": bytes(101 * 1024 * 1024)}))
    size = (101 * 1024 * 1024).to_bytes(4, "little")
    return bytes(data.replace(size, (10).to_bytes(4, "little")))


def _many_entries() -> bytes:
    return pack({f"{n}.txt": b"" for n in range(1001)})


def _encrypted() -> bytes:
    data = bytearray(pack({"one.jpg": picture()}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _corrupt() -> bytes:
    data = bytearray(_nested())
    for place in range(100, 300):
        data[place] ^= 0xFF
    return bytes(data)


def _cut() -> bytes:
    return _nested()[:-30]


def _oddly_packed(method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("one.jpg", bytes(64 * 1024 * 1024))
    return out.getvalue()


def _bzip2() -> bytes:
    return _oddly_packed(zipfile.ZIP_BZIP2)


def _lzma() -> bytes:
    return _oddly_packed(zipfile.ZIP_LZMA)


def _all_directory() -> bytes:
    """Three megabytes of directory: entries that cost the reader ten times the memory they take here."""
    return pack({f"{n:080}": b"" for n in range(25_000)})


def _odd_version() -> bytes:
    """Says that only a zip reader of the future can read it."""
    data = bytearray(pack({"one.jpg": picture()}))
    data[data.index(b"PK\x01\x02") + 6] = 255
    return bytes(data)


REFUSED = [_with_eleven, _nested, _bomb, _lying_bomb, _many_entries, _encrypted, _corrupt, _cut]
REFUSED += [_bzip2, _lzma, _all_directory, _odd_version]


@pytest.mark.parametrize("make", REFUSED)
def test_archives_that_are_refused(place: Place, make: Callable[[], bytes]) -> None:
    job_id = submit(place, upload(place, make()))
    place.work(job_id)
    assert state(place, job_id) == (JobState.FAILED, "InvalidParameter")


@pytest.mark.parametrize("make", [_bomb, _lying_bomb, _bzip2, _lzma, _all_directory])
def test_no_archive_takes_much_more_memory_than_its_limit(make: Callable[[], bytes]) -> None:
    stream = io.BytesIO(make())
    tracemalloc.start()
    try:
        with pytest.raises(InvalidParameter):
            list(unzip(stream))
        assert tracemalloc.get_traced_memory()[1] < 3.2 * MAX_UNPACKED_BYTES
        if make in {_bzip2, _lzma, _all_directory}:  # refused before anything is unpacked
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gbk", "big5", "shift_jis", "utf-8"])
def test_names_in_the_encodings_of_the_client_s_system(encoding: str) -> None:
    """Without the flag for UTF-8, as old Windows programs write them. 許 and 表 have a backslash as second byte."""
    names = {"gbk": "证件照.jpg", "big5": "許.jpg", "shift_jis": "表.jpg", "utf-8": "照片.jpg"}
    name = names[encoding].encode(encoding)
    stand_in = "x" * (len(name) - 4) + ".jpg"
    data = pack({stand_in: picture()}).replace(stand_in.encode(), name)
    assert list(unzip(io.BytesIO(data))) == [picture()]


@given(data=st.binary(max_size=300), at=st.integers(0, 400), cut=st.integers(0, 400))
def test_any_archive_is_read_or_refused(data: bytes, at: int, cut: int) -> None:
    whole = bytearray(SMALL_ARCHIVE)
    whole[at : at + cut] = data
    with contextlib.suppress(BadArchive):
        list(unzip(io.BytesIO(bytes(whole))))


SMALL_ARCHIVE = pack({"a.png": picture(8, 8, format="PNG"), "b/": b"", "b/c.txt": b"text"})


def test_an_empty_archive_has_no_training_files(place: Place) -> None:
    job_id = submit(place, upload(place, pack({})))
    place.work(job_id)
    job = place.services.finetunes.get(place.anne, job_id)
    assert (job.state, job.message) == (JobState.FAILED, "Missing training files.")


def test_waiting_behind_another_job_is_called_queuing(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    first, second = submit(place, PHOTO), submit(place, PHOTO)
    assert place.house.life.begin(first) is not None
    assert state(place, first)[0] is JobState.RUNNING
    assert state(place, second)[0] is JobState.QUEUING
    jobs = place.services.finetunes.list(place.anne, 1, 10)
    assert {job.id: job.state for job in jobs.jobs} == {first: JobState.RUNNING, second: JobState.QUEUING}
    assert place.services.finetunes.list(place.bert, 1, 10).total == 0


def test_a_running_job_tells_how_much_is_done(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = submit(place, PHOTO)
    seen: list[float] = []

    def look() -> None:
        job = place.services.finetunes.get(place.anne, job_id)
        assert job.state is JobState.RUNNING
        seen.append(round(job.done, 2))

    fetch, train, put = place.web.fetch, place.engine.train, type(place.house.blobs).put

    def watched_put(blobs: Blobs, key: str, data: bytes) -> None:
        look()
        put(blobs, key, data)

    def in_steps(photos: Sequence[Photo]) -> Training:
        for done in (0.25, 0.5, 1.0):
            look()
            yield Progress(done)
        look()
        yield train(photos)

    place.web.pages[PHOTO] = picture()
    monkeypatch.setattr(place.web, "fetch", lambda *asked: (look(), fetch(*asked))[1])
    monkeypatch.setattr(place.engine, "training", in_steps)
    monkeypatch.setattr(type(place.house.blobs), "put", watched_put)
    place.work(job_id)
    keeping_copies, training, keeping_the_identity = [0.0, 0.0], [0.02, 0.26, 0.5, 0.99], [1.0]
    assert seen == [0.0, *keeping_copies, *training, *keeping_the_identity]


def test_a_job_is_canceled_between_two_steps_of_its_training(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.web.pages[PHOTO] = picture()
    job_id = submit(place, PHOTO)
    course: list[str] = []

    def in_steps(_photos: Sequence[Photo]) -> Training:
        try:
            yield Progress(0.1)
            place.services.finetunes.cancel(place.anne, job_id)
            yield Progress(0.2)
            course.append("went on")
        finally:
            course.append("ended")

    monkeypatch.setattr(place.engine, "training", in_steps)
    place.work(job_id)
    assert state(place, job_id)[0] is JobState.CANCELED
    assert course == ["ended"]
    assert place.blob_names("jobs") == []


def test_steps_that_take_a_moment_are_not_each_written_down(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_steps(photos: Sequence[Photo]) -> Training:
        yield from (Progress(step / 5000) for step in range(5000))
        yield place.engine.train(photos)

    place.web.pages[PHOTO] = picture()
    run = place.house.life.begin(submit(place, PHOTO))
    assert run is not None
    monkeypatch.setattr(place.engine, "training", in_steps)
    reports: list[int] = []
    place.bench._handlers[run.task.kind].run(run.task, lambda done, _failed: reports.append(done))
    assert reports == sorted(reports)
    assert len(set(reports)) > 90
    assert len(reports) < 150


def test_a_waiting_job_tells_its_place(place: Place) -> None:
    first = submit(place, PHOTO)
    place.clock.pass_(seconds=1)
    second = submit(place, PHOTO)
    jobs = place.services.finetunes
    assert (jobs.get(place.anne, first).ahead, jobs.get(place.anne, second).ahead) == (0, 1)
    assert {job.ahead for job in jobs.list(place.anne, 1, 10).jobs} == {None}
    place.house.life.begin(first)
    assert (jobs.get(place.anne, first).ahead, jobs.get(place.anne, second).ahead) == (None, 0)


def test_cancel(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    waiting, running = submit(place, PHOTO), submit(place, PHOTO)
    with pytest.raises(NotFound):
        place.services.finetunes.cancel(place.bert, waiting)
    place.services.finetunes.cancel(place.anne, waiting)
    assert state(place, waiting)[0] is JobState.CANCELED
    with pytest.raises(UnsupportedOperation):
        place.services.finetunes.cancel(place.anne, waiting)
    place.house.life.begin(running)
    place.services.finetunes.cancel(place.anne, running)
    place.services.finetunes.cancel(place.anne, running)
    assert state(place, running)[0] is JobState.CANCELING
    place.work(running)
    assert state(place, running)[0] is JobState.CANCELED


def test_delete_erases_identity_copies_and_row(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    job_id = submit(place, PHOTO)
    with pytest.raises(JobBusy):
        place.services.finetunes.delete(place.anne, job_id)
    place.work(job_id)
    with pytest.raises(NotFound):
        place.services.finetunes.delete(place.bert, job_id)
    place.services.finetunes.delete(place.anne, job_id)
    with pytest.raises(NotFound):
        place.services.finetunes.get(place.anne, job_id)
    with pytest.raises(ResourceAccessDenied):
        place.generate(identity_id=f"facechain-finetune-{job_id}")
    assert place.blob_names("jobs") == []
    assert place.count_rows(job_id) == 0
    dump = "\n".join(place.house.database.engine.raw_connection().driver_connection.iterdump())  # type: ignore[union-attr]
    assert PHOTO not in dump


def test_a_run_that_ends_after_the_erasure_leaves_nothing(place: Place) -> None:
    """Its worker slept through everything: another one did the job, its owner deleted it."""
    place.web.pages[PHOTO] = picture()
    job_id = submit(place, PHOTO)
    late = place.bench
    sleeping = place.house.life.begin(job_id)
    assert sleeping is not None
    place.work(job_id)
    place.services.finetunes.delete(place.anne, job_id)
    place.house.blobs.put(f"jobs/{job_id}/identity", b"written by the late run")
    late._attempt(sleeping)
    assert place.blob_names("jobs") == []


def test_the_cap_counts_what_is_unfinished_or_succeeded(new_place: Callable[..., Place]) -> None:
    place = new_place(PORTRAITD_MAX_JOBS="2")
    failing, waiting = submit(place, PHOTO), submit(place, PHOTO)
    with pytest.raises(TooManyJobs, match="Only 2 fine-tune job"):
        submit(place, PHOTO)
    place.work(failing)
    place.web.pages[PHOTO] = picture()
    place.work(waiting)
    third = submit(place, PHOTO)
    with pytest.raises(TooManyJobs):
        submit(place, PHOTO)
    place.work(third)
    place.services.finetunes.delete(place.anne, third)
    assert submit(place, PHOTO)
