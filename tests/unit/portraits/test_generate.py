"""Generations from request to pictures, without processes."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
import sqlalchemy as sa

from portraitd import images
from portraitd.db import tasks as rows
from portraitd.db.tasks import ResultRow
from portraitd.errors import CancelRefused, InvalidParameter, InvalidStyle, ResourceAccessDenied
from portraitd.images import Size
from portraitd.portraits.generate import ranked
from portraitd.portraits.requests import Account, Finetune, Generate, TaskFilter, TaskState
from portraitd.portraits.retention import Retention, Sweeper
from tests.fakes import engines
from tests.unit.portraits.conftest import Place, picture

TEMPLATE = "https://pictures.example/template.jpg"
PHOTO = "https://pictures.example/photo.jpg"


def ended(place: Place, task_id: str) -> tuple[TaskState, str | None]:
    place.work(task_id)
    task = place.services.tasks.get(place.anne, task_id)
    assert task is not None
    return task.state, task.code


def failure(place: Place, task_id: str) -> str | None:
    """Why the task FAILED."""
    state, code = ended(place, task_id)
    assert state is TaskState.FAILED
    return code


def test_a_preset_of_the_built_in_identity(place: Place) -> None:
    task_id = place.generate(count=4)
    assert ended(place, task_id) == (TaskState.SUCCEEDED, None)
    task = place.services.tasks.get(place.anne, task_id)
    assert task is not None
    assert (task.succeeded, task.failed, task.total) == (4, 0, 4)
    assert place.blob_names(f"tasks/{task_id}") == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    for result in task.results:
        link = place.house.links.split(result.url or "")
        assert link is not None
        assert link[1] == int((task.ended_at + timedelta(hours=24)).timestamp()) if task.ended_at else False
        opened = place.services.results.open(*link)
        assert opened is not None
        assert images.probe(opened.content.read()).size == Size(768, 1024)
    assert len({result.seed for result in task.results}) == 4


def test_the_seed_is_chosen_at_submit_and_kept(place: Place) -> None:
    chosen, given = place.generate(), place.generate(seed=41)
    for task_id in (chosen, given):
        place.work(task_id)
    task = place.services.tasks.get(place.anne, given)
    assert task is not None
    assert [result.seed for result in task.results] == [41, 42]
    other = place.services.tasks.get(place.anne, chosen)
    assert other is not None
    assert other.results[0].seed not in {None, 41}


def test_the_built_in_identity_is_trained_once(place: Place) -> None:
    for _ in range(3):
        place.work(place.generate())
    assert place.engine._trainings is not None
    assert len(place.engine._trainings.read_text().splitlines()) == 1


def test_an_identity_serves_its_owner_only_and_once_trained(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    job = place.services.finetunes.submit(place.anne, Finetune("r", (PHOTO,)))
    with pytest.raises(ResourceAccessDenied):
        place.generate(identity_id=job.identity_id)
    place.work(job.id)
    assert ended(place, place.generate(identity_id=job.identity_id))[0] is TaskState.SUCCEEDED
    with pytest.raises(ResourceAccessDenied):
        place.services.tasks.submit(place.bert, Generate("r", "f_idcard_female", 1, job.identity_id))
    with pytest.raises(ResourceAccessDenied):
        place.generate(identity_id="nobody")


def test_an_identity_erased_while_its_task_waits_fails_the_task(place: Place) -> None:
    place.web.pages[PHOTO] = picture()
    job = place.services.finetunes.submit(place.anne, Finetune("r", (PHOTO,)))
    place.work(job.id)
    task_id = place.generate(identity_id=job.identity_id)
    place.services.finetunes.delete(place.anne, job.id)
    assert failure(place, task_id) == "Resource.AccessDenied"


def test_what_cannot_be_asked_for(place: Place) -> None:
    with pytest.raises(InvalidStyle):
        place.generate(style_id="f_nothing")
    with pytest.raises(InvalidParameter):
        place.generate(identity_id=None)


def test_template_mode_with_an_identity(place: Place) -> None:
    place.web.pages[TEMPLATE] = picture(800, 1000)
    task_id = place.generate(style_id="portrait_url_template", template_url=TEMPLATE)
    assert ended(place, task_id) == (TaskState.SUCCEEDED, None)


def test_train_free_mode_needs_no_identity(place: Place) -> None:
    place.web.pages |= {TEMPLATE: picture(800, 1000), PHOTO: picture()}
    task_id = place.generate(
        style_id="train_free_portrait_url_template", identity_id=None, template_url=TEMPLATE, photo_urls=(PHOTO,)
    )
    assert ended(place, task_id) == (TaskState.SUCCEEDED, None)
    assert place.web.asked == [TEMPLATE, PHOTO]


@pytest.mark.parametrize(
    ("template", "photo", "code"),
    [
        (picture(511, 800), picture(), "InvalidImageResolution"),
        (picture(1300, 1300), picture(), "InvalidImageResolution"),
        (picture(1000, 1681), picture(), "InvalidImageResolution"),
        (picture(800, 800, format="WEBP"), picture(), "InvalidImageFormat"),
        (b"no picture at all", picture(), "InvalidImageFormat"),
        (picture(800, 800)[:-2000], picture(), "InvalidImageFormat"),
        (picture(800, 800, grey=0), picture(), "InvalidImage.NoHumanFace"),
        (picture(800, 800) + bytes(5 * 1024 * 1024), picture(), "InvalidFile.Size"),
        (None, picture(), "InvalidURL"),
        (picture(1680, 1260), picture(255, 800), "InvalidImageResolution"),
        (picture(1260, 1680), picture(2049, 2048), "InvalidImageResolution"),
        (picture(512, 512), picture(grey=0), "InvalidImage.NoHumanFace"),
        (picture(512, 512), picture() + bytes(3 * 1024 * 1024), "InvalidFile.Size"),
        (picture(512, 512), None, "InvalidURL"),
    ],
)
def test_pictures_outside_the_contract_fail_the_task(
    place: Place, template: bytes | None, photo: bytes | None, code: str
) -> None:
    place.web.pages |= {url: data for url, data in ((TEMPLATE, template), (PHOTO, photo)) if data is not None}
    task_id = place.generate(
        style_id="train_free_portrait_url_template", identity_id=None, template_url=TEMPLATE, photo_urls=(PHOTO,)
    )
    assert failure(place, task_id) == code
    assert place.blob_names(f"tasks/{task_id}") == []


def test_the_most_alike_comes_first_and_failures_keep_their_places() -> None:
    def made(seed: int, similarity: float | None) -> ResultRow:
        return ResultRow(f"tasks/t/{seed}.jpg", seed, similarity)

    failed = ResultRow(code="InternalError.Algo", message="no")
    found = ranked([made(1, 0.71), failed, made(3, 0.93), made(4, 0.7101), made(5, 0.945)])
    assert [result.seed for result in found] == [5, None, 3, 1, 4]
    unscored = [made(seed, None) for seed in (4, 2, 3)]
    assert ranked(unscored) == tuple(unscored)


def test_some_pictures_fail_and_the_task_succeeds(place: Place) -> None:
    task_id = place.generate(style_id=engines.FAILS_EVERY_SECOND, count=3)
    assert ended(place, task_id)[0] is TaskState.SUCCEEDED
    task = place.services.tasks.get(place.anne, task_id)
    assert task is not None
    assert [(bool(result.url), result.code) for result in task.results] == [
        (True, None),
        (False, "InvalidImageFormat"),
        (True, None),
    ]
    assert (task.succeeded, task.failed) == (2, 1)


def test_an_engine_that_breaks_down_keeps_what_it_made(place: Place) -> None:
    task_id = place.generate(style_id=engines.BREAKS_AFTER_ONE, count=3)
    assert ended(place, task_id)[0] is TaskState.SUCCEEDED
    task = place.services.tasks.get(place.anne, task_id)
    assert task is not None
    assert [result.code for result in task.results] == [None, "InternalError.Algo", "InternalError.Algo"]
    for style in (engines.RAISES, engines.EXITS):
        assert failure(place, place.generate(style_id=style)) == "InternalError.Algo"


def test_cancel_takes_back_what_has_not_begun(place: Place) -> None:
    task_id = place.generate()
    with pytest.raises(CancelRefused):
        place.services.tasks.cancel(place.bert, task_id)
    place.services.tasks.cancel(place.anne, task_id)
    assert ended(place, task_id) == (TaskState.CANCELED, None)
    for gone in (task_id, "nobody"):
        with pytest.raises(CancelRefused):
            place.services.tasks.cancel(place.anne, gone)


def test_a_waiting_task_tells_its_place_and_a_running_one_its_progress(place: Place) -> None:
    theirs = place.generate(account=place.bert)
    first = place.generate()
    place.clock.pass_(seconds=1)
    second = place.generate(count=4)

    def ahead(task_id: str, account: Account = place.anne) -> int | None:
        task = place.services.tasks.get(account, task_id)
        assert task is not None
        return task.ahead

    assert (ahead(theirs, place.bert), ahead(first), ahead(second)) == (1, 1, 2)
    day = TaskFilter(place.clock() - timedelta(hours=1), place.clock() + timedelta(hours=1))
    assert {task.ahead for task in place.services.tasks.list(place.anne, day).tasks} == {None}
    place.work(first)
    assert (ahead(first), ahead(second)) == (None, 1)
    run = place.house.life.begin(second)
    assert run is not None
    place.house.life.report(run, 1, 1)
    task = place.services.tasks.get(place.anne, second)
    assert task is not None
    assert (task.ahead, task.succeeded, task.failed, task.total) == (None, 1, 1, 4)


def test_accounts_see_their_own_tasks_only(place: Place) -> None:
    task_id = place.generate()
    now = place.clock()
    day = TaskFilter(now - timedelta(hours=1), now + timedelta(hours=1))
    assert place.services.tasks.get(place.bert, task_id) is None
    assert place.services.tasks.list(place.bert, day).total == 0
    assert [task.id for task in place.services.tasks.list(place.anne, day).tasks] == [task_id]


def test_lists_are_filtered_and_paged_newest_first(place: Place) -> None:
    tasks = []
    for _ in range(5):
        tasks.append(place.generate())
        place.clock.pass_(minutes=1)
    place.work(tasks[0])
    now = place.clock()
    day = TaskFilter(now - timedelta(hours=1), now)

    def found(**fields: object) -> list[str]:
        wanted = TaskFilter(**(vars(day) | fields))
        return [task.id for task in place.services.tasks.list(place.anne, wanted).tasks]

    assert found() == tasks[::-1]
    assert found(page=2, page_size=2) == [tasks[2], tasks[1]]
    assert found(state=TaskState.SUCCEEDED) == [tasks[0]]
    assert found(task_id=tasks[3]) == [tasks[3]]
    assert found(model="another") == []
    assert found(start=now - timedelta(minutes=2)) == [tasks[4], tasks[3]]
    assert place.services.tasks.list(place.anne, TaskFilter(now, now)).total == 0


def test_old_tasks_are_forgotten_with_their_pictures(place: Place) -> None:
    sweeper = Sweeper(place.house.eraser, Retention(timedelta(hours=24)), place.clock)
    old = place.generate()
    place.work(old)
    task = place.services.tasks.get(place.anne, old)
    assert task is not None
    url = task.results[0].url or ""
    place.clock.pass_(hours=23, minutes=59)
    waiting = place.generate()
    assert sweeper.sweep() == 0
    place.clock.pass_(minutes=2)
    link = place.house.links.split(url)
    assert link is not None
    assert place.services.results.open(*link) is None
    assert sweeper.sweep() == 1
    assert place.services.tasks.get(place.anne, old) is None
    assert place.blob_names(f"tasks/{old}") == []
    assert place.services.tasks.get(place.anne, waiting) is not None


def test_a_long_list_is_counted_so_far_and_no_further(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "COUNTED", 3)
    tasks = [place.generate() for _ in range(5)]
    day = TaskFilter(place.clock() - timedelta(hours=1), place.clock() + timedelta(hours=1), page_size=2)
    first = place.services.tasks.list(place.anne, day)
    last = place.services.tasks.list(place.anne, dataclasses.replace(day, page=3))
    assert (first.total, last.total) == (3, 3)
    assert {task.id for task in (*first.tasks, *last.tasks)} <= set(tasks)
    assert (len(first.tasks), len(last.tasks)) == (2, 1)


def test_a_list_too_long_to_be_counted_is_not_counted_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "COUNTED", 3)
    for _ in range(4):
        place.generate()
    day = TaskFilter(place.clock() - timedelta(hours=1), place.clock() + timedelta(hours=1), page_size=2)
    statements: list[str] = []
    sa.event.listen(place.house.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    totals = [place.services.tasks.list(place.anne, dataclasses.replace(day, page=page)).total for page in (1, 2, 1)]
    assert totals == [3, 3, 3]
    assert sum("count(" in statement for statement in statements) == 1
    other = dataclasses.replace(day, model="another")
    assert place.services.tasks.list(place.anne, other).total == 0
    assert sum("count(" in statement for statement in statements) == 2


def test_a_task_is_canceled_between_two_steps_of_a_picture(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also after another picture: an engine that was told to stop did not break down."""
    task_id, begun = place.generate(count=4), list[int]()

    def cancel_in_the_second(_style: str, number: int) -> None:
        begun.append(number)
        if number == 1:
            assert place.house.life.ask_to_cancel(task_id)

    monkeypatch.setattr(engines, "_misbehave", cancel_in_the_second)
    assert ended(place, task_id)[0] is TaskState.CANCELED
    assert begun == [0, 1]
    assert "broke down" not in caplog.text
    assert place.blob_names(f"tasks/{task_id}") == []
