"""Whatever is killed, each accepted task ends in exactly one terminal state and is billed once."""

from __future__ import annotations

import os
import signal
import threading
import time

from portraitd.images import decode
from tests.crash.books import assert_books_balance
from tests.crash.conftest import StartService
from tests.crash.service import is_alive, until
from tests.fakes import engines


def test_everything_is_killed_in_the_middle(new_service: StartService, database_settings: dict[str, str]) -> None:
    service = new_service(FAKE_ENGINE_SLOW_S="0.5", **database_settings)
    service.start()
    service.until_working()
    tasks = [service.submit(engines.SLOW, 2) for _ in range(4)]
    until(lambda: service.task(tasks[0])["task_metrics"]["SUCCEEDED"] == 1 or service.state(tasks[0]) != "PENDING")
    service.kill()
    service.start()
    tasks += [service.submit() for _ in range(2)]
    service.kill()
    service.start()
    states = service.until_ended(tasks)
    assert set(states.values()) == {"SUCCEEDED"}
    assert_books_balance(service, states)
    again = [row for row in service.rows(tasks).values() if row.attempt > 1]
    assert again, "no task was interrupted: the test tested nothing"
    for row in again:
        assert [result.seed for result in service.results(row.id)] == [row.seed, row.seed + 1]
        picture = decode((service.home / "blobs" / "tasks" / row.id / "1.jpg").read_bytes())
        assert abs(int(picture[0, 0, 0]) - row.seed % 256) <= 2


def test_workers_are_killed_again_and_again(new_service: StartService, database_settings: dict[str, str]) -> None:
    service = new_service(FAKE_ENGINE_SLOW_S="0.2", PORTRAITD_WORKERS="2", **database_settings)
    service.start()
    service.until_working()
    tasks = [service.submit(engines.SLOW, 2) for _ in range(8)]
    for _ in range(2):
        time.sleep(1.0)
        service.kill_workers()
        until(lambda: len(service.workers()) == 2)
    states = service.until_ended(tasks)
    assert set(states.values()) <= {"SUCCEEDED", "FAILED"}
    assert_books_balance(service, states)


def test_the_api_is_killed_while_clients_submit(new_service: StartService, database_settings: dict[str, str]) -> None:
    service = new_service(**database_settings)
    service.start()
    accepted: list[str] = []
    done = threading.Event()

    def client() -> None:
        while not done.is_set():
            service.healthy_submit(accepted)
            time.sleep(0.05)

    thread = threading.Thread(target=client)
    thread.start()
    for _ in range(2):
        time.sleep(0.7)
        service.kill()
        service.start()
    done.set()
    thread.join()
    states = service.until_ended(accepted)
    assert len(accepted) > 10
    assert set(states.values()) == {"SUCCEEDED"}
    assert len(service.rows(accepted)) == len(accepted)


def test_a_task_that_kills_its_worker_fails_alone(new_service: StartService, database_settings: dict[str, str]) -> None:
    service = new_service(**database_settings)
    service.start()
    before = service.submit()
    killer = service.submit(engines.KILLS_ITS_PROCESS)
    after = service.submit()
    assert service.until_ended([before, killer, after]) == {before: "SUCCEEDED", killer: "FAILED", after: "SUCCEEDED"}
    assert service.task(killer)["code"] == "InternalError.Algo"
    assert service.rows([killer])[killer].attempt == 3
    assert service.stop() == 0


def test_broken_engines_fail_their_task_alone(new_service: StartService, database_settings: dict[str, str]) -> None:
    service = new_service(**database_settings)
    service.start()
    raises, half, broke = (
        service.submit(style, 4) for style in (engines.RAISES, engines.FAILS_EVERY_SECOND, engines.BREAKS_AFTER_ONE)
    )
    states = service.until_ended([raises, half, broke])
    assert states == {raises: "FAILED", half: "SUCCEEDED", broke: "SUCCEEDED"}
    assert service.task(raises)["code"] == "InternalError.Algo"
    assert service.task(half)["task_metrics"] == {"TOTAL": 4, "SUCCEEDED": 2, "FAILED": 2}
    assert [result.get("code", "") for result in service.task(half)["results"]] == ["", "InvalidImageFormat"] * 2
    assert service.task(broke)["task_metrics"] == {"TOTAL": 4, "SUCCEEDED": 1, "FAILED": 3}
    assert_books_balance(service, states)


def test_a_task_that_hangs_times_out_and_its_worker_is_replaced(
    new_service: StartService, database_settings: dict[str, str]
) -> None:
    service = new_service(**database_settings, PORTRAITD_TASK_LIMIT_S="2")
    service.start()
    service.until_working()
    first_worker = service.workers()[0]
    hanging = service.submit(engines.HANGS)
    assert service.until_ended([hanging])[hanging] == "FAILED"
    assert service.task(hanging)["code"] == "InternalError.Timeout"
    after = service.submit()
    assert service.until_ended([after]) == {after: "SUCCEEDED"}
    assert not is_alive(first_worker)


def test_a_worker_that_sleeps_past_its_lease_has_lost_its_task(
    new_service: StartService, database_settings: dict[str, str]
) -> None:
    """What a frozen virtual machine does: its tasks are done by others, and when it wakes up nothing it does counts."""
    service = new_service(**database_settings, FAKE_ENGINE_SLOW_S="1", PORTRAITD_WORKERS="2")
    service.start()
    until(lambda: len(service.workers()) == 2)
    service.until_working()
    task = service.submit(engines.SLOW, 3)
    until(service.runs.exists)
    asleep = int(service.runs.read_text())
    service.freeze(asleep)
    states = service.until_ended([task])
    os.kill(asleep, signal.SIGCONT)
    assert states == {task: "SUCCEEDED"}
    assert service.rows([task])[task].attempt == 2
    until(lambda: not is_alive(asleep))
    assert_books_balance(service, states)
    after = service.submit()
    assert service.until_ended([after]) == {after: "SUCCEEDED"}


def test_workers_die_with_their_parent(new_service: StartService) -> None:
    service = new_service(PORTRAITD_WORKERS="2")
    service.start()
    service.until_working()
    until(lambda: len(service.workers()) == 2)
    service.kill_parent()
    until(lambda: not service.left_over(), 20)


def test_two_workers_train_the_built_in_identity_once(new_service: StartService) -> None:
    service = new_service(PORTRAITD_WORKERS="2")
    service.start()
    tasks = [service.submit() for _ in range(6)]
    assert set(service.until_ended(tasks).values()) == {"SUCCEEDED"}
    assert len(service.trainings.read_text().splitlines()) == 1
