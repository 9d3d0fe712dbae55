"""Contract section 9, the official clients, line by line: where each line is tried, and the lines tried here.

A line that another module tries is in `ELSEWHERE` with the names of its tests; the last test sees that they exist.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from portraitd import wiring
from portraitd.errors import RateExceeded
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import JobState, TaskState
from portraitd.settings import load_settings
from tests.api.fakes import FACE_URL, World
from tests.api.live import serving
from tests.fakes.files import told
from tests.sdk.conftest import Live, pointing_at

dashscope = pytest.importorskip("dashscope")

from dashscope import FineTunes  # noqa: E402  (the import above decides whether there is anything to test)
from dashscope.client.base_api import BaseApi, BaseAsyncApi  # noqa: E402
from dashscope.common.error import InputDataRequired  # noqa: E402
from dashscope.v2.errors import APIStatusError, DashScopeError  # noqa: E402
from dashscope.v2.resources._jobs import Jobs  # noqa: E402

GEN = {"model": "facechain-generation", "task_group": "aigc", "task": "album", "function": "gen_potrait"}
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]
PRESET = {"resources": LORA, "style": "f_idcard_female", "n": 1}
V2_PRESET: dict[str, Any] = {
    "model": "facechain-generation",
    "input": {},
    "parameters": {"style": "f_idcard_female", "n": 1},
    "resources": LORA,
}

#: Line of section 9 -> the tests of it in other modules of this folder.
ELSEWHERE = {
    "9.1 dashscope.base_http_api_url": "test_calls::test_async_call_fetch_and_wait",
    "9.1 OpenAI shape": "test_openai::test_create_retrieve_content_delete",
    "9.2 workspace=": "test_dashscope::test_workspace_is_accepted",
    "9.2 errors are read from JSON": "test_dashscope::test_refusals_arrive_as_code_and_message",
    "9.2 a failed task is no exception": "test_calls::test_a_task_that_fails_is_no_exception",
    "9.3 Files.upload": "test_calls::test_files_upload",
    "9.3 Files.list": "test_calls::test_files_list",
    "9.3 Files.get": "test_calls::test_files_get",
    "9.3 Files.delete": "test_calls::test_files_delete",
    "9.3 FineTunes.call": "test_calls::test_finetunes_call",
    "9.3 FineTunes.list": "test_calls::test_finetunes_list_and_get",
    "9.3 FineTunes.get": "test_calls::test_finetunes_list_and_get",
    "9.3 FineTunes.cancel": "test_calls::test_finetunes_cancel",
    "9.3 FineTunes.delete": "test_calls::test_finetunes_delete",
    "9.3 FineTunes.logs": "test_calls::test_finetunes_logs",
    "9.3 FineTunes.stream_events": "test_calls::test_finetunes_stream_events",
    "9.3 FineTunes.wait": "test_calls::test_finetunes_wait",
    "9.3 BaseAsyncApi.async_call": "test_calls::test_async_call_fetch_and_wait",
    "9.3 BaseAsyncApi.fetch": "test_calls::test_fetch_of_an_unknown_task_is_a_200",
    "9.3 BaseAsyncApi.wait": "test_calls::test_async_call_fetch_and_wait",
    "9.3 BaseAsyncApi.wait with a timeout": "test_calls::test_wait_gives_up_when_told_to",
    "9.3 BaseAsyncApi.cancel": "test_calls::test_cancel",
    "9.3 BaseAsyncApi.list": "test_calls::test_list_is_flat",
    "9.3 BaseAsyncApi.list of a time": "test_calls::test_list_of_a_time",
    "9.3 BaseApi.call": "test_calls::test_detect",
    "9.3 OssUtils.upload": "test_calls::test_temporary_upload",
    "9.3 the default purpose": "test_calls::test_files_upload_by_default_never_leaves_the_client",
    "9.3 the command, files": "test_client_cli::test_files",
    "9.3 the command, trainings": "test_client_cli::test_trainings",
    "9.3 the command, temporary uploads": "test_client_cli::test_temporary_upload",
    "9.4 headers= are added": "test_calls::test_temporary_upload",
    "9.5 the snippets": "test_calls::test_the_snippets",
    "9.6 jobs, the code": "test_dashscope::test_v2_jobs",
    "9.6 detect, the code": "test_dashscope::test_v2_detect",
    "9.6 files, the code": "test_dashscope::test_v2_files",
    "9.6 fine_tunes, the code": "test_dashscope::test_v2_training",
    "9.6 no second submit after a 500": "test_dashscope::test_v2_refusals_are_not_retried",
    "9.7 1.26.2, all calls": "test_older_client::test_with_the_older_client",
    "9.8 any 2xx, wait": "test_java::test_submit_and_wait",
    "9.8 code and message are no null": "test_java::test_refusals_have_a_code_and_a_message",
    "9.8 never 503 or 504": "test_java::test_wait_is_never_told_503_or_504",
    "9.8 cancel": "test_java::test_cancel_declares_json_and_sends_nothing",
    "9.8 list": "test_java::test_list_has_data_and_total_page",
    "9.8 detect": "test_java::test_detect_is_one_synchronous_call",
    "9.8 temporary upload": "test_java::test_the_way_of_a_local_file",
}


@pytest.fixture(autouse=True)
def _pointed_here(live: Live) -> Iterator[None]:
    with pointing_at(live):
        yield


@pytest.fixture
def client(live: Live) -> Iterator[Any]:
    with dashscope.Client(api_key=live.key, base_url=live.api) as client:
        yield client


def jobs_of(client: Any) -> Any:
    return Jobs(client, "aigc/album/gen_potrait")


# -- 9.1 pointing the client at another server ------------------------------------------------------------------------

FETCH = "from dashscope.client.base_api import BaseAsyncApi as api; r = api.fetch('1111')"
V2_FETCH = "import dashscope; c = dashscope.Client(); r = c.transport.request('GET', '/tasks/1111')"


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"DASHSCOPE_HTTP_BASE_URL": "URL", "DASHSCOPE_API_KEY": "KEY"}, FETCH),
        ({"DASHSCOPE_HTTP_BASE_URL": "URL", "DASHSCOPE_API_KEY_FILE_PATH": "FILE"}, FETCH),
        ({"DASHSCOPE_BASE_URL": "URL", "DASHSCOPE_API_KEY": "KEY"}, V2_FETCH),
        ({"DASHSCOPE_HTTP_BASE_URL": "URL", "DASHSCOPE_API_KEY": "KEY"}, V2_FETCH),
    ],
)
def test_9_1_the_environment(live: Live, tmp_path: Path, environ: dict[str, str], code: str) -> None:
    (tmp_path / "key").write_text(live.key)
    meant = {"URL": live.api, "KEY": live.key, "FILE": str(tmp_path / "key")}
    given = {name: value for name, value in os.environ.items() if not name.startswith("DASHSCOPE_")}
    given |= {"HOME": str(tmp_path)} | {name: meant[value] for name, value in environ.items()}
    command = [sys.executable, "-c", f"{code}; print('status', r.status_code)"]
    done = subprocess.run(command, check=True, env=given, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "status 200"


def test_9_1_an_address_and_a_key_for_one_call(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashscope, "base_http_api_url", "http://127.0.0.1:9/api/v1")
    monkeypatch.setattr(dashscope, "api_key", "sk-none")
    found = BaseAsyncApi.fetch("1111", base_address=live.api, api_key=live.key)
    assert found.output["task_status"] == "UNKNOWN"


def test_9_1_a_client_with_a_workspace(live: Live) -> None:
    with dashscope.Client(api_key=live.key, base_url=live.api, workspace="llm-1") as client:
        assert jobs_of(client).create(**V2_PRESET).task_id


# -- 9.2 what all calls of the first version do -----------------------------------------------------------------------


def test_9_2_service_calls_are_answered_with_200_and_output_and_management_calls_with_either(live: Live) -> None:
    assert BaseAsyncApi.async_call(**GEN, input={}, **PRESET).output["task_id"]
    detect = {"model": "facechain-facedetect", "task_group": "vision", "task": "facedetection", "function": "detect"}
    assert BaseApi.call(**detect, input={"images": [FACE_URL]}).output["is_face"] == [True]
    with httpx.Client(base_url=live.api, headers={"Authorization": f"Bearer {live.key}"}, trust_env=False) as plain:
        bodies = {path: set(plain.get(path).json()) for path in ("/files", "/fine-tunes", "/tasks/1111", "/tasks")}
    assert bodies["/files"] == {"request_id", "data"}
    assert bodies["/fine-tunes"] == bodies["/tasks/1111"] == {"request_id", "output"}
    assert "output" not in bodies["/tasks"]


def test_9_2_a_submit_that_arrives_twice_is_two_tasks(world: World) -> None:
    before = len(world.tasks.kept)
    first, second = (BaseAsyncApi.async_call(**GEN, input={}, **PRESET).output["task_id"] for _ in range(2))
    assert first != second
    assert len(world.tasks.kept) == before + 2


def test_9_2_a_failure_is_not_retried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tasks.attempts
    monkeypatch.setattr(world.tasks, "broken", RuntimeError("boom"))
    failed = BaseAsyncApi.async_call(**GEN, input={}, **PRESET)
    assert (failed.status_code, failed.code) == (500, "InternalError")
    assert world.tasks.attempts == before + 1


def test_9_2_a_429_arrives_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.limits, "refused", {Meter.GENERATE})
    refused = BaseAsyncApi.async_call(**GEN, input={}, **PRESET)
    assert (refused.status_code, refused.code) == (429, "Throttling.RateQuota")
    assert refused.message == "Requests rate limit exceeded, please try again later."


# -- 9.4 an arbitrary service -----------------------------------------------------------------------------------------


def test_9_4_other_words_become_parameters_and_resources_go_to_the_top(world: World) -> None:
    BaseAsyncApi.async_call(**GEN, input={}, **PRESET, skin_retouch=False, seed=7)
    wanted = world.tasks.submitted[-1]
    assert (wanted.style_id, wanted.count, wanted.retouch, wanted.seed) == ("f_idcard_female", 1, False, 7)
    assert wanted.identity_id == "women_model"


def test_9_4_no_input_is_refused_by_the_client_itself() -> None:
    with pytest.raises(InputDataRequired):
        BaseAsyncApi.async_call(**GEN, input=None, **PRESET)


# -- 9.6 the second version -------------------------------------------------------------------------------------------


def test_9_6_a_read_that_fails_is_retried_and_then_an_error(
    client: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def broken(*_: object) -> None:
        asked.append(1)
        raise RuntimeError("boom")

    monkeypatch.setattr(world.tasks, "get", broken)
    with pytest.raises(APIStatusError) as caught:
        jobs_of(client).fetch("1111")
    assert caught.value.status_code == 500
    assert len(asked) == 3


def test_9_6_a_429_is_sent_again_when_it_says_so(client: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[float] = []

    def refuse_once(*_: object) -> None:
        came.append(time.monotonic())
        if len(came) == 1:
            raise RateExceeded(0.75)

    monkeypatch.setattr(world.limits, "take", refuse_once)
    assert jobs_of(client).create(**V2_PRESET).task_id
    assert len(came) == 2
    assert came[1] - came[0] >= 0.75, "the default would be half a second"


def test_9_6_a_rate_is_waited_out_and_every_task_is_made_once(tmp_path: Path) -> None:
    environ = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_RATES": "generate=1/2s"}
    with wiring.open_house(load_settings(environ)) as house, serving(wiring.build_services(house)) as url:
        key = house.keys.create("app", "anne")
        began = time.monotonic()
        with dashscope.Client(api_key=key, base_url=f"{url}/api/v1") as client:
            made = {jobs_of(client).create(**V2_PRESET).task_id for _ in range(3)}
        assert time.monotonic() - began >= 4
        with house.database.read() as conn:
            assert set(conn.exec_driver_sql("SELECT id FROM tasks").scalars()) == made
        assert len(made) == 3


def test_9_6_no_success_looks_like_an_error(client: Any) -> None:
    """A 200 with a code would be raised."""
    created = jobs_of(client).create(**V2_PRESET)
    assert jobs_of(client).wait(created, _sleep=lambda _: None).succeeded
    assert client.fine_tunes.list().jobs is not None
    assert client.files.list().files is not None


def test_9_6_a_task_that_failed_is_raised(client: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    created = jobs_of(client).create(**V2_PRESET)
    monkeypatch.setattr(world.tasks, "moving", False)
    ended = {"state": TaskState.FAILED, "code": "InvalidImage.NoHumanFace", "message": "No human face detected."}
    world.tasks.put(replace(world.tasks.kept[created.task_id], **ended))
    with pytest.raises(DashScopeError, match="No human face detected"):
        jobs_of(client).wait(created)


def test_9_6_a_job_that_failed_is_raised(client: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = client.fine_tunes.create(model="facechain-finetune", training_file_ids=["a"])
    monkeypatch.setattr(world.finetunes, "moving", False)
    ended = {"state": JobState.FAILED, "code": "InvalidFile.NoHuman", "message": "No photo."}
    world.finetunes.put(replace(world.finetunes.kept[job.job_id], **ended))
    with pytest.raises(DashScopeError, match="No photo"):
        client.fine_tunes.wait(job.job_id)


@pytest.mark.parametrize("state", list(JobState))
def test_9_6_a_job_in_every_state_can_be_read(
    client: Any, world: World, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    """No null where a list or an object is expected; code and times are strings."""
    job_id = client.fine_tunes.create(model="facechain-finetune", training_file_ids=["a"]).job_id
    monkeypatch.setattr(world.finetunes, "moving", False)
    kept = world.finetunes.kept[job_id]
    why = {"code": "x", "message": "y"} if state is JobState.FAILED else {}
    ended_at = kept.created_at if state.is_terminal else None
    world.finetunes.put(replace(kept, state=state, ended_at=ended_at, **why))
    found = next(job for job in client.fine_tunes.list().jobs if job.job_id == job_id)
    assert found.status == state.value
    assert found.training_file_ids == ["a"]


@pytest.mark.parametrize("state", list(TaskState))
def test_9_6_a_task_in_every_state_can_be_read(
    live: Live, world: World, monkeypatch: pytest.MonkeyPatch, state: TaskState
) -> None:
    with dashscope.Client(api_key=live.key, base_url=live.api, raise_on_error=False) as client:
        created = jobs_of(client).create(**V2_PRESET)
        monkeypatch.setattr(world.tasks, "moving", False)
        kept = world.tasks.kept[created.task_id]
        why = {"code": "x", "message": "y"} if state is TaskState.FAILED else {}
        ended_at = kept.submitted_at if state.is_terminal else None
        world.tasks.put(replace(kept, state=state, ended_at=ended_at, **why))
        assert jobs_of(client).fetch(created.task_id).status == state.value


def test_9_6_unknown_ends_the_wait_for_a_task(client: Any) -> None:
    assert jobs_of(client).wait("1111").status == "UNKNOWN"


def test_9_6_create_may_send_a_name_for_the_model(client: Any) -> None:
    job = client.fine_tunes.create(model="facechain-finetune", training_file_ids=["a"], finetuned_model="me")
    assert job.status == "PENDING"
    assert FineTunes.call(model="facechain-finetune", training_file_ids=["a"], finetuned_output="me").status_code == 200


def test_9_6_its_list_of_tasks_is_empty_on_the_true_shape(client: Any) -> None:
    created = jobs_of(client).create(**V2_PRESET)
    assert jobs_of(client).list().tasks == []
    assert created.task_id in {task["task_id"] for task in BaseAsyncApi.list().output["data"]}


def test_9_6_an_upload_whose_part_has_a_type_is_taken(client: Any, world: World, photo: Path) -> None:
    client.files.upload(file_path=str(photo), purpose="inference")
    assert told(world.files.uploaded[-1])[1] == photo.read_bytes()


def test_9_6_cancels(client: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.tasks, "moving", False)
    created = jobs_of(client).create(**V2_PRESET)
    jobs_of(client).cancel(created.task_id)
    with pytest.raises(DashScopeError, match="canceled"):
        jobs_of(client).wait(created.task_id)
    job = client.fine_tunes.create(model="facechain-finetune", training_file_ids=["a"])
    client.fine_tunes.cancel(job.job_id)
    assert client.fine_tunes.get(job.job_id).status == "CANCELED"


# -- the list is whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "test"), ELSEWHERE.items())
def test_a_line_tried_elsewhere_is_tried(line: str, test: str) -> None:
    module, _, name = test.partition("::")
    assert re.search(rf"^def {name}\(", (Path(__file__).parent / f"{module}.py").read_text("utf-8"), re.MULTILINE), line


def test_every_part_of_section_9_has_its_tests() -> None:
    here = {name.split("_")[2] for name in vars(sys.modules[__name__]) if name.startswith("test_9_")}
    elsewhere = {line.split()[0].partition(".")[2] for line in ELSEWHERE}
    assert here | elsewhere == set("12345678")
