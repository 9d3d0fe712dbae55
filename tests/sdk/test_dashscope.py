"""The official `dashscope` client and refusals, what it makes of them, and its second version: contract section 9.6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

dashscope = pytest.importorskip("dashscope")

from dashscope import Files, FineTunes  # noqa: E402  (the import above decides whether there is anything to test)
from dashscope.client.base_api import BaseAsyncApi  # noqa: E402
from dashscope.v2.errors import APIStatusError, NotFoundError  # noqa: E402
from dashscope.v2.resources._jobs import Jobs  # noqa: E402

from portraitd.portraits.requests import TaskState  # noqa: E402
from tests.api.fakes import BERT, FACE_URL, World  # noqa: E402
from tests.sdk.conftest import Live, pointing_at  # noqa: E402

GENERATION = {
    "model": "facechain-generation",
    "task_group": "aigc",
    "task": "album",
    "function": "gen_potrait",
}
DETECTION = {
    "model": "facechain-facedetect",
    "task_group": "vision",
    "task": "facedetection",
    "function": "detect",
}
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]
TEMPLATE_URL = "https://pictures.example/template.jpg"


@pytest.fixture(autouse=True)
def _pointed_here(live: Live) -> Iterator[None]:
    with pointing_at(live):
        yield


def submit(**options: Any) -> Any:
    given = {"input": {}, "resources": LORA, "style": "f_idcard_female", "size": "768*1024", "n": 2, **options}
    return BaseAsyncApi.async_call(**GENERATION, **given)


# -- generation, tasks ------------------------------------------------------------------------------------------------


@pytest.fixture
def unfinished(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The ids of a task that waits and of one that runs; both stay as they are."""
    monkeypatch.setattr(world.tasks, "moving", False)
    waiting, running = (world.tasks.kept[submit().output["task_id"]] for _ in range(2))
    world.tasks.put(replace(waiting, ahead=3))
    world.tasks.put(replace(running, state=TaskState.RUNNING, started_at=running.submitted_at, succeeded=1))
    return waiting.id, running.id


def test_what_stands_beside_the_contract_is_passed_on(unfinished: tuple[str, str]) -> None:
    waiting, running = (BaseAsyncApi.fetch(task_id).output for task_id in unfinished)
    assert (waiting["task_status"], waiting["portraitd"]) == ("PENDING", {"queue_position": 3})
    assert (running["task_status"], running["portraitd"]) == ("RUNNING", {"progress": 0.5})


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"style": "nonsense"}, 400, "InvalidParameter"),
        ({"n": 5}, 400, "InvalidParameter"),
        ({"resources": None}, 400, "InvalidParameter"),
        ({"resources": [{"resource_id": "x", "resource_type": "facelora"}]}, 403, "Resource.AccessDenied"),
        (
            {"style": "portrait_url_template", "input": {"template_url": "oss://a/b"}},
            400,
            "InvalidParameter.DataInspection",
        ),
        ({"api_key": "sk-none"}, 401, "InvalidApiKey"),
    ],
)
def test_refusals_arrive_as_code_and_message(options: dict[str, Any], status: int, code: str) -> None:
    refused = submit(**options)
    assert (refused.status_code, refused.code) == (status, code)
    assert refused.message
    assert refused.request_id


def test_workspace_is_accepted() -> None:
    assert submit(workspace="llm-1").status_code == 200


# -- face check -------------------------------------------------------------------------------------------------------


def test_detect_refuses_asynchronous_calls() -> None:
    refused = BaseAsyncApi.async_call(**DETECTION, input={"images": [FACE_URL]})
    assert (refused.status_code, refused.code) == (403, "AccessDenied")


# -- files and training -----------------------------------------------------------------------------------------------


def test_a_file_with_a_chinese_name(tmp_path: Path) -> None:
    path = tmp_path / "我的照片.jpg"
    path.write_bytes(b"\xff\xd8")
    sent = Files.upload(str(path), purpose="inference")
    assert sent.output["uploaded_files"][0]["name"] == "我的照片.jpg"


def test_following_a_training() -> None:
    job_id = FineTunes.call(model="facechain-finetune", training_file_ids=["a-file"]).output.job_id
    told = [json.loads(event.output)["output"]["status"] for event in FineTunes.stream_events(job_id)]
    assert told == ["RUNNING", "SUCCEEDED"]
    logs = FineTunes.logs(job_id, offset=0, line=100)
    assert (logs.status_code, logs.output["total"]) == (200, 4)
    assert logs.output["logs"][-1] == "##FT_COMPLETE##"
    assert len(FineTunes.logs(job_id).output["logs"]) == 3


def test_cancel_training() -> None:
    job = FineTunes.call(model="facechain-finetune", training_file_ids=["a-file"])
    assert FineTunes.cancel(job.output.job_id).output["status"] == "success"
    assert FineTunes.get(job.output.job_id).output.status == "CANCELED"


# -- another account --------------------------------------------------------------------------------------------------


def test_another_key_sees_nothing(world: World, photo: Path) -> None:
    task_id = submit().output["task_id"]
    file_id = Files.upload(str(photo), purpose="inference").output["uploaded_files"][0]["file_id"]
    assert BaseAsyncApi.fetch(task_id, api_key=BERT).output["task_status"] == "UNKNOWN"
    assert Files.get(file_id, api_key=BERT).code == "InvalidParameter"
    assert Files.list(api_key=BERT).output["total"] == 0


# -- the second version of the client ---------------------------------------------------------------------------------


@pytest.fixture
def client(live: Live) -> Iterator[Any]:
    with dashscope.Client(api_key=live.key, base_url=live.api) as client:
        yield client


def test_v2_jobs(client: Any) -> None:
    jobs = Jobs(client, "aigc/album/gen_potrait")
    parameters = {"style": "f_idcard_female", "n": 1}
    created = jobs.create(model="facechain-generation", input={}, parameters=parameters, resources=LORA)
    finished = jobs.wait(created.task_id)
    assert finished.succeeded
    assert finished.result_url.startswith("http://127.0.0.1")
    assert finished.usage.image_count == 1


def test_v2_reads_jobs_with_what_stands_beside_the_contract(client: Any, unfinished: tuple[str, str]) -> None:
    waiting, running = (Jobs(client, "aigc/album/gen_potrait").fetch(task_id) for task_id in unfinished)
    assert (waiting.status, waiting.output["portraitd"]) == ("PENDING", {"queue_position": 3})
    assert (running.status, running.output["portraitd"]) == ("RUNNING", {"progress": 0.5})


def test_v2_detect(client: Any) -> None:
    body = {"model": "facechain-facedetect", "input": {"images": [FACE_URL]}}
    reply = client.transport.request("POST", "/services/vision/facedetection/detect", json=body)
    assert reply.json()["output"]["is_face"] == [True]


def test_v2_files(client: Any, photo: Path) -> None:
    file_id = client.files.upload(file_path=str(photo), purpose="inference").file_id
    assert client.files.get(file_id).size == photo.stat().st_size
    assert file_id in [file.file_id for file in client.files.list().files]
    client.files.delete(file_id)
    with pytest.raises(NotFoundError):
        client.files.get(file_id)


def test_v2_training(client: Any) -> None:
    job = client.fine_tunes.create(model="facechain-finetune", training_file_ids=["a-file"])
    assert job.status == "PENDING"
    assert client.fine_tunes.wait(job.job_id).finetuned_model == f"facechain-finetune-{job.job_id}"
    assert job.job_id in [listed.job_id for listed in client.fine_tunes.list().jobs]
    told = [event.output["output"]["status"] for event in client.fine_tunes.stream_events(job.job_id)]
    assert told == ["SUCCEEDED"]
    assert client.fine_tunes.logs(job.job_id, offset=0).content.endswith("##FT_COMPLETE##")
    client.fine_tunes.delete(job.job_id)
    with pytest.raises(NotFoundError):
        client.fine_tunes.get(job.job_id)


def test_trainings_with_what_stands_beside_the_contract(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.finetunes, "moving", False)
    job_id = FineTunes.call(model="facechain-finetune", training_file_ids=["a"]).output.job_id
    world.finetunes.put(replace(world.finetunes.kept[job_id], ahead=2))
    assert FineTunes.get(job_id).output["portraitd"] == {"queue_position": 2}
    found = client.fine_tunes.get(job_id)
    assert (found.status, found.portraitd) == ("PENDING", {"queue_position": 2})


def test_v2_refusals_are_not_retried(world: World, client: Any) -> None:
    before = world.tasks.attempts
    jobs = Jobs(client, "aigc/album/gen_potrait")
    with pytest.raises(APIStatusError) as caught:
        jobs.create(model="facechain-generation", input={}, parameters={"style": "none"}, resources=LORA)
    assert caught.value.status_code == 400
    world.tasks.broken = RuntimeError("after it was stored, perhaps")
    try:
        with pytest.raises(APIStatusError):
            jobs.create(model="facechain-generation", input={}, parameters={"style": "f_idcard_female"}, resources=LORA)
    finally:
        world.tasks.broken = None
    assert world.tasks.attempts == before + 1
