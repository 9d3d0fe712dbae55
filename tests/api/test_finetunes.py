"""Training an identity: contract section 4."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from portraitd.api.app import ApiConfig
from portraitd.errors import InvalidParameter, JobBusy, UnsupportedOperation
from portraitd.portraits.hints import BY_CODE
from portraitd.portraits.requests import FinetuneJob, JobState
from tests.api.client import Api, assert_error_shape, assert_stamped, assert_success
from tests.api.fakes import FACE_URL, World

PATH = "/api/v1/fine-tunes"
JOB = FinetuneJob(
    id="ft-202509020951-f8bf",
    account_id="1001",
    identity_id="facechain-finetune-ft-202509020951-f8bf",
    state=JobState.PENDING,
    sources=("311d3340-1f9b-487c-bd35-481cd5a23855", FACE_URL),
    created_at=datetime(2025, 9, 2, 1, 51, 2, 999_000, tzinfo=UTC),
)
ENDED_AT = datetime(2025, 9, 2, 1, 56, 2, tzinfo=UTC)
SHOWN = {
    "job_id": "ft-202509020951-f8bf",
    "job_name": "ft-202509020951-f8bf",
    "status": "PENDING",
    "finetuned_output": "facechain-finetune-ft-202509020951-f8bf",
    "model": "facechain-finetune",
    "base_model": "facechain-finetune",
    "training_file_ids": ["311d3340-1f9b-487c-bd35-481cd5a23855", FACE_URL],
    "validation_file_ids": [],
    "hyper_parameters": {},
    "training_type": "sft",
    "create_time": "2025-09-02 09:51:02",
    "workspace_id": "llm-default",
    "user_identity": "1001",
    "modifier": "1001",
    "creator": "1001",
    "group": "facechain",
    "model_name": "ft-202509020951-f8bf",
    "max_output_cnt": 1,
}


def create(api: Api, **fields: Any) -> Any:
    return api("POST", PATH, json={"model": "facechain-finetune", **fields})


def test_the_reply_names_the_identity_from_the_start(api: Api) -> None:
    output = assert_success(create(api, training_file_ids=["a", FACE_URL]))["output"]
    assert output["finetuned_output"] == f"facechain-finetune-{output['job_id']}"
    assert output["status"] == "PENDING"
    assert output["training_file_ids"] == ["a", FACE_URL]
    assert set(output) == set(SHOWN)


def test_what_the_official_client_always_sends(api: Api) -> None:
    assert_success(create(api, training_file_ids=["a"], validation_file_ids=None, hyper_parameters={}))


def test_fields_of_other_models_are_ignored(api: Api) -> None:
    others = {
        "training_type": "sft",
        "job_name": 3,
        "model_name": "mine",
        "finetuned_output_suffix": "x",
        "finetuned_output": "y",
        "hyper_parameters": {"n_epochs": 4},
    }
    assert_success(create(api, training_file_ids=["a"], **others))
    assert api.world.finetunes.submitted[0].sources == ("a",)


@pytest.mark.parametrize("count", [1, 10])
def test_1_to_10_entries(api: Api, count: int) -> None:
    assert len(assert_success(create(api, training_file_ids=["a"] * count))["output"]["training_file_ids"]) == count


@pytest.mark.parametrize("files", [None, [], [""], ["a", ""]])
def test_missing_files(api: Api, files: Any) -> None:
    assert_error_shape(create(api, training_file_ids=files), 400, "InvalidParameter", "Missing training files.")


@pytest.mark.parametrize("files", ["a", {"a": "b"}, [1], [None], ["a"] * 11, ["a\x00"]])
def test_other_lists_are_refused(api: Api, files: Any) -> None:
    assert_error_shape(create(api, training_file_ids=files), 400, "InvalidParameter", InvalidParameter.text)


@pytest.mark.parametrize("url", ["data:image/png;base64,AA", "http://", "file:///a", "https://a/照.jpg"])
def test_urls_are_checked(api: Api, url: str) -> None:
    assert_error_shape(create(api, training_file_ids=["a", url]), 400, "InvalidURL")


def test_another_models_job_is_refused(api: Api) -> None:
    reply = api("POST", PATH, json={"model": "facechain-generation", "training_file_ids": ["a"]})
    assert_error_shape(reply, 400, "InvalidParameter", "url error, please check url！")
    assert_error_shape(api("POST", PATH, json={"model": "qwen"}), 400, "InvalidParameter", "Model not exist.")
    assert_error_shape(api("POST", PATH, json={}), 400, "BadRequest.EmptyModel")


@pytest.mark.parametrize(
    ("job", "added"),
    [
        (JOB, {}),
        (replace(JOB, ahead=2), {"portraitd": {"queue_position": 2}}),
        (replace(JOB, state=JobState.QUEUING), {"status": "QUEUING"}),
        (replace(JOB, state=JobState.RUNNING, done=2 / 3), {"status": "RUNNING", "portraitd": {"progress": 0.67}}),
        (replace(JOB, state=JobState.CANCELING, code="x", message="y"), {"status": "CANCELING"}),
        (
            replace(JOB, state=JobState.SUCCEEDED, ended_at=ENDED_AT),
            {"status": "SUCCEEDED", "end_time": "2025-09-02 09:56:02", "usage": 1},
        ),
        (
            replace(JOB, state=JobState.FAILED, ended_at=ENDED_AT, code="InvalidFile.NoHuman", message="No photo."),
            {
                "status": "FAILED",
                "end_time": "2025-09-02 09:56:02",
                "code": "InvalidFile.NoHuman",
                "message": "No photo.",
                "portraitd": {"hint": BY_CODE["InvalidFile.NoHuman"]._asdict()},
            },
        ),
        (
            replace(JOB, state=JobState.CANCELED, ended_at=ENDED_AT),
            {"status": "CANCELED", "end_time": "2025-09-02 09:56:02", "usage": 0},
        ),
    ],
)
def test_a_job_in_each_state(api: Api, job: FinetuneJob, added: dict[str, Any]) -> None:
    api.world.finetunes.put(job)
    assert assert_success(api("GET", f"{PATH}/{job.id}"))["output"] == {**SHOWN, **added}


def test_the_list_is_newest_first_in_pages(api: Api) -> None:
    for n in range(3):
        api.world.finetunes.put(replace(JOB, id=f"ft-{n}"))
    output = assert_success(api("GET", f"{PATH}?page_no=1&page_size=2"))["output"]
    assert [job["job_id"] for job in output.pop("jobs")] == ["ft-2", "ft-1"]
    assert output == {"page_no": 1, "page_size": 2, "total": 3}
    assert assert_success(api("GET", PATH))["output"]["page_size"] == 10


def test_the_list_of_another_model_is_empty(api: Api) -> None:
    api.world.finetunes.put(JOB)
    assert assert_success(api("GET", f"{PATH}?model=qwen"))["output"]["jobs"] == []
    assert len(assert_success(api("GET", f"{PATH}?model=facechain-finetune"))["output"]["jobs"]) == 1


@pytest.mark.parametrize("query", ["page_no=0", "page_size=101", "page_size=0", "page_no=a"])
def test_pages_that_make_no_sense(api: Api, query: str) -> None:
    assert_error_shape(api("GET", f"{PATH}?{query}"), 400, "InvalidParameter")


@pytest.mark.parametrize("job_id", ["ft-none", "%00", "a%20b"])
@pytest.mark.parametrize(
    ("method", "tail"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/logs"), ("GET", "/stream"), ("GET", "/events")],
)
def test_a_missing_job_is_404(api: Api, job_id: str, method: str, tail: str) -> None:
    assert_error_shape(api(method, f"{PATH}/{job_id}{tail}"), 404, "NotFound", "Not found!")


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
@pytest.mark.parametrize("state", [state for state in JobState if not state.is_terminal])
def test_cancel(api: Api, state: JobState, headers: dict[str, str]) -> None:
    api.world.finetunes.put(replace(JOB, state=state))
    reply = assert_success(api("POST", f"{PATH}/{JOB.id}/cancel", headers=headers))
    assert reply["output"] == {"status": "success"}


@pytest.mark.parametrize("state", [state for state in JobState if state.is_terminal])
def test_a_finished_job_cannot_be_cancelled(api: Api, state: JobState) -> None:
    api.world.finetunes.put(replace(JOB, state=state))
    text = UnsupportedOperation.text
    assert_error_shape(api("POST", f"{PATH}/{JOB.id}/cancel"), 400, "UnsupportedOperation", text)


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
@pytest.mark.parametrize("state", [state for state in JobState if state.is_terminal])
def test_a_finished_job_can_be_erased(api: Api, state: JobState, headers: dict[str, str]) -> None:
    api.world.finetunes.put(replace(JOB, state=state))
    assert assert_success(api("DELETE", f"{PATH}/{JOB.id}", headers=headers))["output"] == {"status": "success"}
    assert_error_shape(api("GET", f"{PATH}/{JOB.id}"), 404, "NotFound")


@pytest.mark.parametrize("state", [state for state in JobState if not state.is_terminal])
def test_a_busy_job_cannot_be_erased(api: Api, state: JobState) -> None:
    api.world.finetunes.put(replace(JOB, state=state))
    assert_error_shape(api("DELETE", f"{PATH}/{JOB.id}"), 400, "UnsupportedOperation", JobBusy.text)


# -- following a training ---------------------------------------------------------------------------------------------


SUCCEEDED = replace(JOB, state=JobState.SUCCEEDED, ended_at=ENDED_AT)
SUCCEEDED_LOG = [
    "2025-09-02 09:51:02 ft-202509020951-f8bf accepted, 2 training files",
    "2025-09-02 09:56:02 ft-202509020951-f8bf succeeded",
    "facechain-finetune-ft-202509020951-f8bf can be used as a resource_id",
    "##FT_COMPLETE##",
]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", SUCCEEDED_LOG),
        ("?offset=1&line=1000", SUCCEEDED_LOG[1:]),
        ("?offset=0&line=1", SUCCEEDED_LOG[:1]),
        ("?offset=2&line=1", SUCCEEDED_LOG[2:3]),
        ("?offset=4", []),
        ("?offset=10000000", []),
    ],
)
def test_the_log_in_pages(api: Api, query: str, lines: list[str]) -> None:
    api.world.finetunes.put(SUCCEEDED)
    assert assert_success(api("GET", f"{PATH}/{JOB.id}/logs{query}"))["output"] == {"total": 4, "logs": lines}


def test_the_log_says_which_photos_were_not_used(api: Api) -> None:
    notes = ("photo 2 was not used: No human face detected.", "the photos are kept")
    api.world.finetunes.put(replace(SUCCEEDED, notes=notes))
    logs = assert_success(api("GET", f"{PATH}/{JOB.id}/logs"))["output"]["logs"]
    assert logs == [SUCCEEDED_LOG[0], *notes, *SUCCEEDED_LOG[1:]]


@pytest.mark.parametrize("query", ["offset=-1", "line=0", "line=1001", "offset=x", f"offset={10**30}"])
def test_log_pages_that_make_no_sense(api: Api, query: str) -> None:
    api.world.finetunes.put(SUCCEEDED)
    assert_error_shape(api("GET", f"{PATH}/{JOB.id}/logs?{query}"), 400, "InvalidParameter")


@pytest.mark.parametrize("state", list(JobState))
def test_only_the_log_of_an_ended_job_has_its_last_line(api: Api, state: JobState) -> None:
    ended = {"ended_at": ENDED_AT} if state.is_terminal else {}
    api.world.finetunes.put(replace(JOB, state=state, code="A", message="b", **ended))
    logs = assert_success(api("GET", f"{PATH}/{JOB.id}/logs"))["output"]["logs"]
    assert (logs[-1] == "##FT_COMPLETE##") is state.is_terminal
    assert ("A: b" in logs) is (state in {JobState.FAILED, JobState.CANCELED})


def events(reply: Any) -> list[str]:
    """The status in each event of a stream."""
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert_stamped(reply)
    frames = [frame for frame in reply.text.split("\n\n") if frame and frame != ":"]
    assert all(frame.startswith("data:") for frame in frames)
    return [json.loads(frame.removeprefix("data:"))["output"]["status"] for frame in frames]


def test_lines_of_the_log_never_change(world: World) -> None:
    api = Api(world)
    begun = replace(JOB, state=JobState.RUNNING, ended_at=None, started_at=JOB.created_at, done=0.2)
    seen: list[str] = []
    for job in (
        replace(JOB, state=JobState.PENDING, ended_at=None),
        begun,
        replace(begun, done=0.9),
        replace(begun, state=JobState.CANCELING),
        replace(begun, state=JobState.SUCCEEDED, ended_at=JOB.created_at, done=1.0),
    ):
        world.finetunes.put(job)
        logs = assert_success(api("GET", f"{PATH}/{JOB.id}/logs"))["output"]["logs"]
        assert logs[: len(seen)] == seen
        seen = logs
    assert len(seen) == 5


@pytest.mark.parametrize("tail", ["stream", "events"])
def test_the_stream_tells_each_change_and_ends(world: World, tail: str) -> None:
    api = Api(world, ApiConfig(stream_poll_s=0.01))
    world.finetunes.moving = True
    world.finetunes.put(JOB)
    # The read that opens the stream is the one that moves the fake from PENDING.
    assert events(api("GET", f"{PATH}/{JOB.id}/{tail}")) == ["RUNNING", "SUCCEEDED"]


def test_the_stream_of_an_ended_job_is_one_event(api: Api) -> None:
    api.world.finetunes.put(SUCCEEDED)
    assert events(api("GET", f"{PATH}/{JOB.id}/stream")) == ["SUCCEEDED"]


class ErasedLater(dict[str, FinetuneJob]):
    """Jobs that are erased once they were looked at so many times: on a busy machine nobody knows when that is."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def get(self, key: str, default: FinetuneJob | None = None) -> FinetuneJob | None:  # type: ignore[override]
        self.looks -= 1
        return super().get(key, default) if self.looks >= 0 else None


def test_a_stream_with_nothing_to_tell_keeps_the_connection_awake(world: World) -> None:
    """And it ends when the job is erased."""
    api = Api(world, ApiConfig(stream_poll_s=0.02, stream_heartbeat_s=0.05))
    world.finetunes.kept = ErasedLater(10)
    world.finetunes.put(replace(JOB, state=JobState.RUNNING))
    reply = api("GET", f"{PATH}/{JOB.id}/stream")
    assert events(reply) == ["RUNNING"]
    assert reply.text.count(":\n\n") == 3  # every third of the nine looks after the first
