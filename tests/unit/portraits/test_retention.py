"""What is kept and what goes, by age and because nobody's row names it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portraitd.db import identities
from portraitd.db.identities import IdentityRow
from portraitd.errors import FileMissing, NotFound
from portraitd.portraits.erase import IMPORTED
from portraitd.portraits.requests import Finetune, TaskState
from portraitd.portraits.retention import Retention, Sweeper, UnhurriedClock
from tests.fakes.engines import RAISES
from tests.fakes.files import sent
from tests.fakes.stores import FakeClock
from tests.unit.portraits.conftest import Place, picture

DAY = timedelta(hours=24)


def sweeper(place: Place, **keep: timedelta) -> Sweeper:
    return Sweeper(place.house.eraser, Retention(DAY, **keep), place.clock)


def kept_file(place: Place) -> str:
    return place.services.files.upload(place.anne, (sent("me.jpg", picture()),)).stored[0].id


def trained(place: Place) -> str:
    job = place.services.finetunes.submit(place.anne, Finetune(request_id="r", sources=(kept_file(place),)))
    place.work(job.id)
    return job.id


def test_files_and_identities_stay_until_they_are_deleted(place: Place) -> None:
    job, file = trained(place), kept_file(place)
    place.clock.pass_(days=1000)
    assert sweeper(place).sweep() == 0
    assert place.services.finetunes.get(place.anne, job).state.value == "SUCCEEDED"
    assert place.services.files.get(place.anne, file).size > 0


def test_files_and_identities_go_after_their_time_where_one_is_set(place: Place) -> None:
    job = trained(place)
    place.clock.pass_(hours=30)
    file = kept_file(place)
    due = sweeper(place, identities=timedelta(hours=20), files=timedelta(hours=10))
    assert due.sweep() == 2, "the training, and the file that it was made from"
    with pytest.raises(NotFound):
        place.services.finetunes.get(place.anne, job)
    assert place.services.files.get(place.anne, file).size > 0
    place.clock.pass_(hours=11)
    assert due.sweep() == 1
    with pytest.raises(FileMissing):
        place.services.files.get(place.anne, file)
    assert place.blob_names("files") + place.blob_names("jobs") == []


def test_a_failed_or_canceled_task_leaves_no_picture(place: Place) -> None:
    failed = place.generate(style_id=RAISES)
    place.work(failed)
    stopped = place.generate()
    place.house.life.begin(stopped)
    place.house.blobs.put(f"tasks/{stopped}/1.jpg", b"made by a worker that died")
    place.house.life.ask_to_cancel(stopped)
    place.work(stopped)
    states = [place.services.tasks.get(place.anne, task_id).state for task_id in (failed, stopped)]  # type: ignore[union-attr]
    assert states == [TaskState.FAILED, TaskState.CANCELED]
    assert place.blob_names("tasks") == []


def test_identities_that_an_operator_brought_in_age_like_others(place: Place) -> None:
    with place.house.database.write() as conn:
        for name in ("old", "new"):
            key = f"{IMPORTED}/{name}"
            place.house.blobs.put(key, b"a face")
            identities.add(conn, IdentityRow(name, place.anne.id, "instant", key, place.clock()))
            place.clock.pass_(days=2)
    assert sweeper(place, identities=3 * DAY).sweep() == 1
    assert place.blob_names(IMPORTED) == ["new"]
    with place.house.database.read() as conn:
        assert identities.get(conn, "old") is None
        assert identities.get(conn, "new") is not None


def test_what_no_row_names_goes_at_the_second_sight(place: Place) -> None:
    done, waiting, job, file = place.generate(), place.generate(), trained(place), kept_file(place)
    place.work(done)
    named = {*place.blob_names("tasks"), *place.blob_names("jobs"), *place.blob_names("files")}
    put = place.house.blobs.put
    put(f"tasks/{waiting}/1.jpg", b"its worker is at it")
    orphans = (f"tasks/{done}/7.jpg", "tasks/gone/1.jpg", "jobs/gone/identity", "jobs/gone/photos/1", "files/gone")
    for key in orphans:
        put(key, b"left by a process that died")
    broom = sweeper(place)
    assert broom.sweep_orphans() == 0
    put("files/late", b"put away a moment ago, its row comes next")
    assert broom.sweep_orphans() == len(orphans)
    assert not any(place.house.blobs.exists(key) for key in orphans)
    left = {*place.blob_names("tasks"), *place.blob_names("jobs"), *place.blob_names("files")}
    assert left == named | {"late"}
    assert place.house.blobs.exists(f"tasks/{waiting}/1.jpg")
    assert place.house.blobs.exists(f"jobs/{job}/identity")
    assert place.house.blobs.exists(f"files/{file}")
    assert broom.sweep_orphans() == 1


class Seconds:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def test_a_clock_that_jumps_ahead_hurries_nothing() -> None:
    clock, seconds = FakeClock(), Seconds()
    began = clock()
    unhurried = UnhurriedClock(clock, seconds)
    clock.pass_(days=3)
    seconds.now += 60
    assert unhurried() == began + timedelta(seconds=60)
    clock.pass_(days=-4)
    assert unhurried() == clock(), "behind: things are kept longer"
    clock.pass_(days=1, seconds=60)
    assert unhurried() == clock() == began + timedelta(seconds=60)
