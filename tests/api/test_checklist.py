"""The contract's two lists, a test for each line: section 11, where its sources disagree or are silent, and what was
decided; and section 12, what breaks a naive server. The numbers are the contract's.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from portraitd.api.app import ApiConfig
from portraitd.errors import (
    BadFacePose,
    BadLight,
    FaceCovered,
    FaceTooSmall,
    InvalidImageResolution,
    MultipleFaces,
    NoHumanFace,
)
from portraitd.faces import verdict
from portraitd.portraits import faces as checks
from portraitd.portraits.rates import VENDOR, Meter, read_rates
from portraitd.portraits.requests import FinetuneJob, JobState, Task, TaskState
from portraitd.settings import load_settings
from tests.api.client import ASYNC, DETECT, GENERATE, Api, assert_error_shape, assert_success
from tests.api.fakes import FACE_URL, World
from tests.api.test_portraits import PRESET, TEMPLATE, TEMPLATE_URL, TRAIN_FREE, changed
from tests.api.whole import JOBS, TASKS, TRAIN, Whole, opened
from tests.fakes.engines import FAILS_EVERY_SECOND
from tests.unit.portraits.conftest import picture

FILES = "/api/v1/files"
NOW = datetime(2025, 9, 2, 1, 51, 2, 817_000, UTC)
JOB = FinetuneJob("ft-1", "1001", "facechain-finetune-ft-1", JobState.SUCCEEDED, ("a",), NOW, NOW)


def task(**fields: Any) -> Task:
    """A task of Anne's."""
    given: dict[str, Any] = {"state": TaskState.PENDING, "total": 2, "submitted_at": datetime.now(UTC)} | fields
    return Task(id="t", request_id="r", key_id="11", account_id="1001", model="facechain-generation", **given)


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    with opened(tmp_path) as whole:
        yield whole


def lora(*ids: str) -> list[dict[str, str]]:
    return [{"resource_id": resource_id, "resource_type": "facelora"} for resource_id in ids]


# -- section 11: conflicts and silences -------------------------------------------------------------------------------


def test_11_01_the_upper_bound_of_n_is_4_and_a_setting(world: World) -> None:
    five = changed(PRESET, parameters={"n": 5})
    assert_error_shape(Api(world).generate(five), 400, "InvalidParameter")
    assert_success(Api(world, ApiConfig(max_count=5)).generate(five))


def test_11_02_an_unknown_model_is_400_or_by_setting_404(world: World) -> None:
    body = {**PRESET, "model": "wanx-v1"}
    assert_error_shape(Api(world).generate(body), 400, "InvalidParameter", "Model not exist.")
    as_documented = Api(world, ApiConfig(unknown_model_is_404=True))
    assert_error_shape(as_documented.generate(body), 404, "ModelNotFound", "Model can not be found.")


def test_11_03_md5_is_base64(whole: Whole) -> None:
    sent = whole.said("POST", FILES, files=[("files", ("a", b"hello"))])
    file_id = sent["data"]["uploaded_files"][0]["file_id"]
    assert whole.said("GET", f"{FILES}/{file_id}")["data"]["md5"] == "XUFAKrxLKna5cZ2REBfFkg=="


def test_11_04_purpose_is_optional(api: Api) -> None:
    assert_success(api("POST", FILES, files=[("files", ("a", b"x"))]))
    assert "purpose" not in assert_success(api("GET", FILES))["data"]["files"][0]


def test_11_05_the_vendors_rate_of_trainings_is_1_a_second_and_2_at_once() -> None:
    rate = read_rates(VENDOR)[Meter.FINETUNE]
    assert rate is not None
    assert (rate.count / rate.period_s, rate.count) == (1, 2)


@pytest.mark.parametrize("path", [TASKS, f"{TASKS}/"])
def test_11_06_tasks_are_listed_at_both_paths(api: Api, path: str) -> None:
    assert_success(api("GET", path))


def test_11_07_of_several_resources_the_first_counts(api: Api) -> None:
    assert_success(api.generate({**PRESET, "resources": lora("women_model", "theirs")}))
    assert api.world.tasks.submitted[0].identity_id == "women_model"


def test_11_08_women_model_is_there_without_training(whole: Whole) -> None:
    assert whole.made({**PRESET, "resources": lora("women_model")})["task_status"] == "SUCCEEDED"


def test_11_09_reasons_of_the_face_check_are_the_contracts() -> None:
    known = {
        "no face detected",
        "multiple faces detected",
        "face too small",
        "face angle too large",
        "face occluded",
        "poor lighting",
        "image blurred",
        "image resolution out of range",
        "image size exceeds limit",
        "image format not supported",
    }
    said = set()
    for module in (verdict, checks):
        source = Path(str(module.__file__)).read_text("utf-8")
        said |= set(re.findall(r'"((?:no|multiple|face|poor|image) [a-z ]+)"', source))
    assert said == known


def test_11_10_a_face_check_takes_10_images(api: Api) -> None:
    def check(count: int) -> Any:
        return api.detect({"model": "facechain-facedetect", "input": {"images": [FACE_URL] * count}})

    assert len(assert_success(check(10))["output"]["is_face"]) == 10
    assert_error_shape(check(11), 400, "InvalidParameter")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoHumanFace, "InvalidImage.NoHumanFace"),
        (MultipleFaces, "InvalidFile.MultiHuman"),
        (BadFacePose, "InvalidFile.FacePose"),
        (FaceCovered, "InvalidFile.FullFace"),
        (BadLight, "InvalidFile.Value"),
        (FaceTooSmall, "InvalidFile.BodyProportion"),
    ],
)
def test_11_11_face_errors_have_the_codes_of_the_vendors_siblings(error: Any, code: str) -> None:
    assert error.code == code


def test_11_11_no_face_in_a_template_fails_the_task(whole: Whole) -> None:
    whole.place.web.pages[TEMPLATE_URL] = picture(800, 1000, grey=0)
    failed = whole.made(TRAIN_FREE)
    assert (failed["task_status"], failed["code"]) == ("FAILED", "InvalidImage.NoHumanFace")
    assert failed["message"] == "No human face detected."


def test_11_12_a_resource_one_may_not_use_is_403(whole: Whole) -> None:
    reply = whole("POST", GENERATE, json={**PRESET, "resources": lora("theirs")}, headers=ASYNC)
    assert_error_shape(reply, 403, "Resource.AccessDenied", "Resource access denied.")


def test_11_13_deleting_a_job_erases_its_identity(whole: Whole) -> None:
    job = whole.trained()
    assert whole.place.blob_names(".") != []
    whole.said("DELETE", f"{JOBS}/{job['job_id']}")
    assert whole.place.blob_names(".") == []
    reply = whole("POST", GENERATE, json={**PRESET, "resources": lora(job["finetuned_output"])}, headers=ASYNC)
    assert_error_shape(reply, 403, "Resource.AccessDenied")


def test_11_14_a_result_has_the_template_s_own_size() -> None:
    """Seen where real pictures are made."""
    source = (Path(__file__).parents[1] / "pixels" / "test_fuse.py").read_text("utf-8")
    (test,) = re.findall(r"def test_a_result_is_the_template_but_for_the_face.*?\n\n\n", source, re.DOTALL)
    assert "assert image.shape == template.shape" in test


def test_11_15_a_training_s_usage_is_1(whole: Whole) -> None:
    assert whole.trained()["usage"] == 1


def test_11_16_what_needs_no_download_is_refused_at_submit_and_the_rest_fails_the_task(whole: Whole) -> None:
    for wrong in (
        changed(PRESET, parameters={"style": "none"}),
        changed(PRESET, parameters={"n": 0}),
        changed(PRESET, parameters={"size": "large"}),
        changed(TEMPLATE, input={"template_url": ""}),
        changed(TRAIN_FREE, input={"user_urls": []}),
        changed(PRESET, resources=[]),
    ):
        assert whole("POST", GENERATE, json=wrong, headers=ASYNC).status_code == 400
    whole.place.web.pages[TEMPLATE_URL] = picture(100, 100)
    assert whole.made(TRAIN_FREE)["code"] == "InvalidImageResolution"


@pytest.mark.parametrize("tail", ["stream", "events"])
def test_11_17_the_stream_tells_the_job(api: Api, tail: str) -> None:
    api.world.finetunes.put(JOB)
    reply = api("GET", f"{JOBS}/ft-1/{tail}")
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.text.startswith('data:{"output":{"job_id":"ft-1"')
    assert reply.text.count("data:") == 1


def test_11_18_there_is_no_result_url(whole: Whole) -> None:
    assert set(whole.made(PRESET)) >= {"results"}
    assert "result_url" not in whole.made(PRESET)


def test_11_19_a_job_is_pending_and_queues_while_another_runs(whole: Whole) -> None:
    first, second = (whole.said("POST", JOBS, json=TRAIN)["output"] for _ in range(2))
    assert first["status"] == second["status"] == "PENDING"
    assert whole.place.house.life.begin(first["job_id"])
    assert whole.said("GET", f"{JOBS}/{second['job_id']}")["output"]["status"] == "QUEUING"


@pytest.mark.parametrize("value", ["disable", "yes", "1", ""])
def test_11_20_any_other_value_of_the_header_means_synchronous(api: Api, value: str) -> None:
    headers = {"X-DashScope-Async": value}
    reply = api("POST", GENERATE, json=PRESET, headers=headers)
    assert_error_shape(reply, 403, "AccessDenied", "current user api does not support synchronous calls.")
    check = {"model": "facechain-facedetect", "input": {"images": [FACE_URL]}}
    assert_success(api("POST", DETECT, json=check, headers=headers))


def test_11_21_file_quotas_are_settings_with_beijing_s_numbers(tmp_path: Path) -> None:
    settings = load_settings({"PORTRAITD_HOME": str(tmp_path)})
    assert (settings.max_file_mb, settings.max_storage_mb, settings.max_files) == (1024, 5 * 1024, 100)


def test_11_22_a_finished_job_can_be_deleted_and_a_busy_one_not(whole: Whole) -> None:
    busy = whole.said("POST", JOBS, json=TRAIN)["output"]["job_id"]
    assert_error_shape(whole("DELETE", f"{JOBS}/{busy}"), 400, "UnsupportedOperation")
    assert whole.said("DELETE", f"{JOBS}/{whole.trained()['job_id']}")["output"] == {"status": "success"}


def test_11_23_a_missing_job_is_not_found_with_a_small_f(api: Api) -> None:
    assert_error_shape(api("GET", f"{JOBS}/ft-9"), 404, "NotFound", "Not found!")


def test_11_24_the_resolution_text_has_no_full_stop() -> None:
    assert InvalidImageResolution().message == "The input image resolution is too large or small"


# -- section 12: surprises --------------------------------------------------------------------------------------------


def test_12_01_what_is_missing_is_200_or_400_or_404(whole: Whole) -> None:
    unknown = whole.said("GET", f"{TASKS}/1111")
    assert unknown["output"] == {"task_id": "1111", "task_status": "UNKNOWN"}
    assert_error_shape(whole("GET", f"{FILES}/none"), 400, "InvalidParameter", "File not found.")
    assert_error_shape(whole("GET", f"{JOBS}/none"), 404, "NotFound")


def test_12_01_a_job_is_no_task_and_a_task_no_job(whole: Whole) -> None:
    job_id = whole.said("POST", JOBS, json=TRAIN)["output"]["job_id"]
    task_id = whole.said("POST", GENERATE, json=PRESET, headers=ASYNC)["output"]["task_id"]
    assert whole.said("GET", f"{TASKS}/{job_id}")["output"]["task_status"] == "UNKNOWN"
    assert_error_shape(whole("POST", f"{TASKS}/{job_id}/cancel"), 400, "UnsupportedOperation")
    assert_error_shape(whole("GET", f"{JOBS}/{task_id}"), 404, "NotFound")
    assert [listed["task_id"] for listed in whole.said("GET", TASKS)["data"]] == [task_id]


def test_12_02_create_answers_200(api: Api) -> None:
    assert api.generate(PRESET).status_code == 200
    assert api("POST", JOBS, json=TRAIN).status_code == 200
    assert api("POST", FILES, files=[("files", ("a", b"x"))]).status_code == 200


def test_12_03_one_success_of_n_is_succeeded_and_none_is_failed_both_with_http_200(whole: Whole) -> None:
    some = whole.made(changed(PRESET, parameters={"style": FAILS_EVERY_SECOND, "n": 2}))
    assert some["task_status"] == "SUCCEEDED"
    assert some["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 1, "FAILED": 1}
    assert ["url" in result for result in some["results"]] == [True, False]
    assert set(some["results"][1]) == {"code", "message"}
    whole.place.web.pages.clear()
    assert whole.made(TRAIN_FREE)["task_status"] == "FAILED"


def test_12_04_the_field_is_skin_retouch_and_the_path_gen_potrait(api: Api) -> None:
    assert_success(api.generate(changed(TRAIN_FREE, parameters={"skin_retouch": False, "skin_retouching": True})))
    assert api.world.tasks.submitted[0].retouch is False
    right = api("POST", GENERATE.replace("potrait", "portrait"), json=PRESET, headers=ASYNC)
    assert_error_shape(right, 404, "NotFound")


@pytest.mark.parametrize("given", [..., {}, None])
def test_12_05_presets_come_without_input(api: Api, given: Any) -> None:
    assert_success(api.generate(changed(PRESET, input=given)))


def test_12_06_the_identity_s_name_is_there_from_the_first_reply_and_opens_nothing_yet(whole: Whole) -> None:
    job = whole.said("POST", JOBS, json=TRAIN)["output"]
    assert job["finetuned_output"] == f"facechain-finetune-{job['job_id']}"
    body = {**PRESET, "resources": lora(job["finetuned_output"])}
    assert_error_shape(whole("POST", GENERATE, json=body, headers=ASYNC), 403, "Resource.AccessDenied")
    whole.place.work(job["job_id"])
    assert_success(whole("POST", GENERATE, json=body, headers=ASYNC))


def test_12_07_validation_files_come_as_null_and_go_as_a_list(api: Api) -> None:
    body = {**TRAIN, "validation_file_ids": None, "hyper_parameters": {}}
    job = assert_success(api("POST", JOBS, json=body))["output"]
    assert (job["validation_file_ids"], job["hyper_parameters"]) == ([], {})


def test_12_08_data_output_or_flat(api: Api) -> None:
    def keys(path: str) -> set[str]:
        return set(assert_success(api("GET", path))) - {"request_id"}

    assert keys(FILES) == keys("/api/v1/uploads?action=getPolicy&model=facechain-generation") == {"data"}
    assert keys(JOBS) == keys(f"{TASKS}/1") == {"output"}
    assert keys(TASKS) == {"total", "data", "total_page", "page_no", "page_size"}


def test_12_09_three_formats_of_time(api: Api) -> None:
    api.world.tasks.put(task(submitted_at=NOW))
    api.world.finetunes.put(JOB)
    assert_success(api("POST", FILES, files=[("files", ("a", b"x"))]))
    assert assert_success(api("GET", f"{TASKS}/t"))["output"]["submit_time"] == "2025-09-02 09:51:02.817"
    query = {"start_time": "20250902000000", "end_time": "20250902235959"}
    listed = assert_success(api("GET", TASKS, params=query))["data"]
    assert [found["gmt_create"] for found in listed] == [1756777862817]
    assert assert_success(api("GET", f"{JOBS}/ft-1"))["output"]["create_time"] == "2025-09-02 09:51:02"
    assert assert_success(api("GET", FILES))["data"]["files"][0]["gmt_create"] == "2025-11-30 19:37:33"


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
def test_12_10_a_cancel_has_no_body_whatever_it_declares(api: Api, headers: dict[str, str]) -> None:
    api.world.tasks.put(task())
    assert set(assert_success(api("POST", f"{TASKS}/t/cancel", headers=headers, content=b""))) == {"request_id"}
    api.world.finetunes.put(replace(JOB, state=JobState.RUNNING, ended_at=None))
    assert_success(api("POST", f"{JOBS}/ft-1/cancel", headers=headers, content=b""))


def test_12_11_files_that_fail_are_told_with_http_200(world: World) -> None:
    world.files.limit = 0
    reply = assert_success(Api(world)("POST", FILES, files=[("files", ("a", b"x"))]))
    assert reply["data"]["uploaded_files"] == []
    assert reply["data"]["failed_uploads"][0]["code"] == "BadRequest.TooMany"


def test_12_12_a_request_sent_twice_is_two_and_none_is_a_5xx_to_be_sent_again(whole: Whole) -> None:
    first, second = (whole.said("POST", GENERATE, json=PRESET, headers=ASYNC)["output"]["task_id"] for _ in range(2))
    assert first != second
    again = {**ASYNC, "Idempotency-Key": "k"}
    once, twice = (whole.said("POST", GENERATE, json=PRESET, headers=again)["output"]["task_id"] for _ in range(2))
    assert once == twice, "only who asks for it"


def test_12_12_a_failure_after_a_submit_is_not_to_be_sent_again(api: Api) -> None:
    api.world.tasks.broken = RuntimeError("stored, perhaps")
    reply = api.generate(PRESET)
    assert_error_shape(reply, 500, "InternalError")
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("error", [RuntimeError("boom"), OSError("away"), TimeoutError()])
def test_12_13_reading_a_task_is_never_503_or_504(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(api.world.tasks, "get", broken)
    assert_error_shape(api("GET", f"{TASKS}/t"), 500, "InternalError")


# -- the lists are whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "lines"), [(11, 24), (12, 13)])
def test_every_line_has_its_test(section: int, lines: int) -> None:
    names: list[str] = [name for name in vars(sys.modules[__name__]) if name.startswith(f"test_{section}_")]
    assert {int(name.split("_")[2]) for name in names} == set(range(1, lines + 1))
