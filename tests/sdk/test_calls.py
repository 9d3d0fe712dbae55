"""Every call of contract table 9.3, and the snippets of 9.5, by the official `dashscope` client against the real thing.

This process runs it with the version that is installed; test_older_client.py runs it again with an older one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from portraitd.images import decode
from tests.sdk.conftest import Live, pointing_at

dashscope = pytest.importorskip("dashscope")

from dashscope import Files, FineTunes  # noqa: E402  (the import above decides whether there is anything to test)
from dashscope.client.base_api import BaseAioApi, BaseApi, BaseAsyncAioApi, BaseAsyncApi  # noqa: E402
from dashscope.utils.oss_utils import OssUtils  # noqa: E402

GEN = {"model": "facechain-generation", "task_group": "aigc", "task": "album", "function": "gen_potrait"}
DETECT = {"model": "facechain-facedetect", "task_group": "vision", "task": "facedetection", "function": "detect"}
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]
PRESET = {"input": {}, "resources": LORA, "style": "f_idcard_female", "size": "768*1024", "n": 2}
#: Half a second for each picture, so that a task waits behind it.
SLOW = {**PRESET, "style": "f_lightportray_female", "n": 4}
TRAIN_FREE = {"style": "train_free_portrait_url_template", "n": 1, "skin_retouch": False}
RESOLVE = {"X-DashScope-OssResourceResolve": "enable"}


@pytest.fixture(autouse=True)
def _pointed_here(real: Live) -> Iterator[None]:
    with pointing_at(real):
        yield


def uploaded(photo: Path) -> str:
    file_id: str = Files.upload(str(photo), purpose="inference").output["uploaded_files"][0]["file_id"]
    return file_id


def train(*sources: str) -> Any:
    accepted = FineTunes.call(model="facechain-finetune", training_file_ids=list(sources))
    assert accepted.status_code == 200
    return accepted.output


def trained(*sources: str) -> Any:
    """A job that trained an identity."""
    job = train(*sources)
    while (found := FineTunes.get(job.job_id).output).status in {"PENDING", "QUEUING", "RUNNING"}:
        time.sleep(0.05)
    assert found.status == "SUCCEEDED"
    return found


def test_the_client_is_the_one_that_is_meant() -> None:
    from dashscope.version import __version__

    assert __version__ == os.environ.get("DASHSCOPE_UNDER_TEST", "2.0.2")


# -- files ------------------------------------------------------------------------------------------------------------


def test_files_upload(photo: Path) -> None:
    sent = Files.upload(str(photo), purpose="inference", description="me, smiling")
    assert sent.status_code == 200
    assert [file["name"] for file in sent.output["uploaded_files"]] == ["me.jpg"]
    assert sent.output["uploaded_files"][0]["file_id"]
    assert sent.output["failed_uploads"] == []


def test_files_upload_by_default_never_leaves_the_client(photo: Path) -> None:
    """It believes that a photo is JSON lines, and says so before there is any request."""
    with pytest.raises(Exception):  # noqa: B017, PT011  (each version has an error of its own)
        Files.upload(str(photo))


def test_files_list(photo: Path) -> None:
    newest = [uploaded(photo) for _ in range(3)][::-1]
    listed = Files.list(page=1, page_size=2)
    assert listed.status_code == 200
    assert [file["file_id"] for file in listed.output["files"]] == newest[:2]
    assert listed.output["total"] >= 3
    assert Files.list(page=2, page_size=2).output["files"][0]["file_id"] == newest[2]


def test_files_get(photo: Path) -> None:
    file_id = Files.upload(str(photo), purpose="inference", description="d").output["uploaded_files"][0]["file_id"]
    found = Files.get(file_id)
    assert found.status_code == 200
    assert (found.output["name"], found.output["description"]) == ("me.jpg", "d")
    assert found.output["size"] == photo.stat().st_size
    assert found.output["md5"] == base64.b64encode(hashlib.md5(photo.read_bytes()).digest()).decode()
    with urllib.request.urlopen(found.output["url"]) as content:
        assert content.read() == photo.read_bytes()


def test_files_delete(photo: Path) -> None:
    file_id = uploaded(photo)
    assert Files.delete(file_id).status_code == 200
    for missing in (Files.get(file_id), Files.delete(file_id), Files.get("no-such-file")):
        assert (missing.status_code, missing.code, missing.message) == (400, "InvalidParameter", "File not found.")


# -- training ---------------------------------------------------------------------------------------------------------


def test_finetunes_call(photo: Path, pictures: str) -> None:
    job = train(uploaded(photo), f"{pictures}/face.jpg")
    assert job.status == "PENDING"
    assert job.finetuned_output == f"facechain-finetune-{job.job_id}"
    assert job.training_type == "sft"


def test_finetunes_list_and_get(photo: Path) -> None:
    first, second = (trained(uploaded(photo)) for _ in range(2))
    listed = FineTunes.list()
    assert listed.status_code == 200
    assert [job.job_id for job in listed.output.jobs][:2] == [second.job_id, first.job_id]
    assert (first.status, first.usage) == ("SUCCEEDED", 1)
    missing = FineTunes.get("ft-209901010000-0000")
    assert (missing.status_code, missing.code) == (404, "NotFound")


def test_finetunes_cancel(photo: Path, pictures: str) -> None:
    file_id, before = uploaded(photo), train(f"{pictures}/slow.jpg")
    while FineTunes.get(before.job_id).output.status == "PENDING":
        time.sleep(0.05)
    behind = train(file_id)
    assert FineTunes.get(behind.job_id).output.status == "QUEUING"
    cancelled = FineTunes.cancel(behind.job_id)
    assert (cancelled.status_code, cancelled.output["status"]) == (200, "success")
    assert FineTunes.get(behind.job_id).output.status == "CANCELED"
    again = FineTunes.cancel(behind.job_id)
    assert (again.status_code, again.code) == (400, "UnsupportedOperation")
    assert FineTunes.cancel(before.job_id).status_code == 200


def test_finetunes_delete(photo: Path) -> None:
    job = trained(uploaded(photo))
    assert FineTunes.delete(job.job_id).output["status"] == "success"
    assert FineTunes.get(job.job_id).status_code == 404
    lora = [{"resource_id": job.finetuned_output, "resource_type": "facelora"}]
    refused = BaseAsyncApi.async_call(**GEN, **{**PRESET, "resources": lora})
    assert (refused.status_code, refused.code) == (403, "Resource.AccessDenied")


def test_finetunes_logs(photo: Path) -> None:
    job = trained(uploaded(photo))
    lines = FineTunes.logs(job.job_id, offset=0, line=100)
    assert lines.status_code == 200
    assert lines.output["total"] == len(lines.output["logs"])
    assert lines.output["logs"][-1] == "##FT_COMPLETE##"
    assert FineTunes.logs(job.job_id).output["logs"] == lines.output["logs"][1:], "by default it skips the first"


def test_finetunes_stream_events(pictures: str) -> None:
    job = train(f"{pictures}/slow.jpg")
    told = [json.loads(event.output)["output"]["status"] for event in FineTunes.stream_events(job.job_id)]
    assert told[-1] == "SUCCEEDED"
    assert len(told) == len(set(told)) >= 2


def test_finetunes_wait(photo: Path) -> None:
    job = trained(uploaded(photo))
    assert FineTunes.wait(job.job_id).output["status"] == "SUCCEEDED"


# -- generation -------------------------------------------------------------------------------------------------------


def test_async_call_fetch_and_wait() -> None:
    accepted = BaseAsyncApi.async_call(**GEN, **PRESET)
    assert (accepted.status_code, accepted.output["task_status"]) == (200, "PENDING")
    assert BaseAsyncApi.fetch(accepted).output["task_id"] == accepted.output["task_id"]
    done = BaseAsyncApi.wait(accepted)
    assert done.output["task_status"] == "SUCCEEDED"
    assert done.output["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 2, "FAILED": 0}
    assert done.usage["image_count"] == len(done.output["results"]) == 2
    for result in done.output["results"]:
        with urllib.request.urlopen(result["url"]) as content:
            assert content.headers["Content-Type"] == "image/jpeg"
            assert decode(content.read()).shape == (1024, 768, 3)


def test_fetch_of_an_unknown_task_is_a_200() -> None:
    unknown = BaseAsyncApi.fetch("1111")
    assert (unknown.status_code, unknown.output["task_status"]) == (200, "UNKNOWN")
    assert BaseAsyncApi.wait("1111").output["task_status"] == "UNKNOWN"


def test_wait_gives_up_when_told_to() -> None:
    slow = BaseAsyncApi.async_call(**GEN, **SLOW)
    late = BaseAsyncApi.wait(slow, wait_timeout=0.2)
    assert (late.status_code, late.code) == (HTTPStatus.REQUEST_TIMEOUT, "WaitTaskTimeout")
    BaseAsyncApi.wait(slow)


def test_cancel() -> None:
    slow = BaseAsyncApi.async_call(**GEN, **SLOW)
    while BaseAsyncApi.fetch(slow).output["task_status"] == "PENDING":
        time.sleep(0.05)
    behind = BaseAsyncApi.async_call(**GEN, **PRESET)
    assert BaseAsyncApi.cancel(behind).status_code == 200
    assert BaseAsyncApi.wait(behind).output["task_status"] == "CANCELED"
    BaseAsyncApi.wait(slow)
    for task in (slow, behind, "1111"):
        refused = BaseAsyncApi.cancel(task)
        assert (refused.status_code, refused.code) == (400, "UnsupportedOperation")
        assert "PENDING" in refused.message


def test_list_is_flat() -> None:
    done = BaseAsyncApi.call(**GEN, **PRESET)
    listed = BaseAsyncApi.list(model_name="facechain-generation", status="SUCCEEDED", page_size=5)
    assert listed.status_code == 200
    body = listed.output or listed
    assert body["data"][0]["task_id"] == done.output["task_id"]
    assert body["total"] >= 1
    assert {task["status"] for task in body["data"]} == {"SUCCEEDED"}


def test_list_of_a_time() -> None:
    done = BaseAsyncApi.call(**GEN, **PRESET)
    day = done.output["submit_time"][:10].replace("-", "")
    for start, finds in ((day, True), ("20200101", False)):
        listed = BaseAsyncApi.list(start_time=f"{start}000000", end_time=f"{start}235959", region="cn-beijing")
        assert bool((listed.output or listed)["data"]) is finds


def test_a_task_that_fails_is_no_exception(pictures: str) -> None:
    given = {"template_url": f"{pictures}/black.jpg", "user_urls": [f"{pictures}/face.jpg"]}
    failed = BaseAsyncApi.call(**GEN, input=given, **TRAIN_FREE)
    assert (failed.status_code, failed.output["task_status"]) == (200, "FAILED")
    assert (failed.output["code"], failed.output["message"]) == ("InvalidImage.NoHumanFace", "No human face detected.")
    assert failed.usage["image_count"] == 0


# -- face check -------------------------------------------------------------------------------------------------------


def test_detect(pictures: str) -> None:
    found = BaseApi.call(**DETECT, input={"images": [f"{pictures}/face.jpg", f"{pictures}/black.jpg"]})
    assert found.status_code == 200
    assert (found.output["is_face"], found.output["failed_reason"]) == ([True, False], ["", "no face detected"])


# -- temporary uploads ------------------------------------------------------------------------------------------------


def test_temporary_upload(real: Live, photo: Path) -> None:
    sent = OssUtils.upload(model="facechain-generation", file_path=str(photo), api_key=real.key)
    url, ticket = sent if isinstance(sent, tuple) else (sent, None)
    assert url.startswith("oss://dashscope-instant/")
    assert ticket
    given = {"template_url": url, "user_urls": [url]}
    done = BaseAsyncApi.call(**GEN, input=given, **TRAIN_FREE, headers=RESOLVE)
    assert done.output["task_status"] == "SUCCEEDED"
    refused = BaseAsyncApi.async_call(**GEN, input=given, **TRAIN_FREE)
    assert (refused.status_code, refused.code) == (400, "InvalidParameter.DataInspection")


# -- the asynchronous classes -----------------------------------------------------------------------------------------


def test_the_asynchronous_classes(pictures: str) -> None:
    async def use() -> None:
        accepted = await BaseAsyncAioApi.async_call(**GEN, **PRESET)
        assert accepted.output["task_status"] == "PENDING"
        done = await BaseAsyncAioApi.wait(accepted)
        assert done.output["task_status"] == "SUCCEEDED"
        assert (await BaseAsyncAioApi.fetch("1111")).output["task_status"] == "UNKNOWN"
        assert (await BaseAsyncAioApi.cancel(accepted)).status_code == 400
        assert (await BaseAsyncAioApi.list(page_size=1)).status_code == 200
        found = await BaseAioApi.call(**DETECT, input={"images": [f"{pictures}/face.jpg"]})
        assert found.output["is_face"] == [True]
        if close := getattr(dashscope, "close_shared_aio_session", None):
            await close()

    asyncio.run(use())


# -- contract section 9.5 ---------------------------------------------------------------------------------------------


def test_the_snippets(photo: Path, pictures: str) -> None:
    """As the contract has them, one after the other."""
    r = BaseAsyncApi.async_call(**GEN, input={}, resources=LORA, style="f_idcard_female", size="768*1024", n=2)
    assert r.status_code == 200
    assert r.output["task_status"] == "PENDING"
    r = BaseAsyncApi.wait(r)
    assert r.output["task_status"] == "SUCCEEDED"
    assert r.usage["image_count"] == len(r.output["results"]) == 2
    assert BaseAsyncApi.fetch("1111").output["task_status"] == "UNKNOWN"
    c = BaseAsyncApi.cancel(r)
    assert (c.status_code, c.code) == (400, "UnsupportedOperation")
    listed = BaseAsyncApi.list(model_name="facechain-generation", status="SUCCEEDED", page_size=5)
    assert listed.status_code == 200
    u, _ = OssUtils.upload(model="facechain-generation", file_path=str(photo), api_key=dashscope.api_key)
    t, _ = OssUtils.upload(model="facechain-generation", file_path=str(photo), api_key=dashscope.api_key)
    r = BaseAsyncApi.call(**GEN, input={"template_url": t, "user_urls": [u]}, **TRAIN_FREE, headers=RESOLVE)
    assert r.output["task_status"] == "SUCCEEDED"
    d = BaseApi.call(**DETECT, input={"images": [f"{pictures}/face.jpg"]})
    assert d.output["is_face"]
    assert d.output["failed_reason"][0] == ""
    fid = Files.upload(str(photo), purpose="inference", description="d").output["uploaded_files"][0]["file_id"]
    assert Files.get(fid).output["size"] > 0
    assert Files.list().output["total"] >= 1
    j = FineTunes.call(model="facechain-finetune", training_file_ids=[fid]).output
    while (s := FineTunes.get(j.job_id).output).status in ("PENDING", "QUEUING", "RUNNING"):
        time.sleep(0.1)
    assert s.finetuned_output == "facechain-finetune-" + j.job_id
    assert FineTunes.logs(j.job_id, offset=0, line=100).status_code == 200
    for _ in FineTunes.stream_events(j.job_id):
        pass
    assert FineTunes.delete(j.job_id).status_code == 200
    assert Files.delete(fid).status_code == 200
