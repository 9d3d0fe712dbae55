"""The official `dashscope` client, either version of it, and what only the whole service can answer."""

from __future__ import annotations

import io
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.conftest import Live, pointing_at
from tests.sdk.service import picture

dashscope = pytest.importorskip("dashscope")

from dashscope import Files, FineTunes  # noqa: E402  (the import above decides whether there is anything to test)
from dashscope.client.base_api import BaseApi, BaseAsyncApi  # noqa: E402

GENERATION = {"model": "facechain-generation", "task_group": "aigc", "task": "album", "function": "gen_potrait"}
DETECTION = {"model": "facechain-facedetect", "task_group": "vision", "task": "facedetection", "function": "detect"}


@pytest.fixture(autouse=True)
def _pointed_here(real: Live) -> Iterator[None]:
    with pointing_at(real):
        yield


def trained(*sources: str) -> Any:
    """A job that trained an identity."""
    job = FineTunes.call(model="facechain-finetune", training_file_ids=list(sources)).output
    for _ in range(200):
        found = FineTunes.get(job.job_id).output
        if found.status not in {"PENDING", "QUEUING", "RUNNING"}:
            return found
        time.sleep(0.05)
    pytest.fail("the training does not end")


def download(url: str) -> tuple[Any, Any]:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.headers, reply.read()


def test_a_result_can_be_the_next_template(pictures: str) -> None:
    options = {"style": "train_free_portrait_url_template", "n": 1, "skin_retouch": False}
    given = {"template_url": f"{pictures}/template.jpg", "user_urls": [f"{pictures}/face.jpg"]}
    first = BaseAsyncApi.call(**GENERATION, input=given, **options)
    assert first.output["task_status"] == "SUCCEEDED"
    again = {**given, "template_url": first.output["results"][0]["url"]}
    assert BaseAsyncApi.call(**GENERATION, input=again, **options).output["task_status"] == "SUCCEEDED"


def test_a_changed_link_opens_nothing(pictures: str) -> None:
    options = {"style": "train_free_portrait_url_template", "n": 1}
    given = {"template_url": f"{pictures}/template.jpg", "user_urls": [f"{pictures}/face.jpg"]}
    url = BaseAsyncApi.call(**GENERATION, input=given, **options).output["results"][0]["url"]
    assert download(url)[1].startswith(b"\xff\xd8")
    for changed in (url.replace("Expires=", "Expires=9"), url[:-6] + "AAA%3D", url.replace("/results/", "/results/x")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            download(changed)
        with caught.value as refused:
            assert refused.code == 403


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("black.jpg", "InvalidImage.NoHumanFace"),
        ("missing.jpg", "InvalidParameter.DataInspection"),
    ],
)
def test_what_only_shows_later_fails_the_task(pictures: str, template: str, code: str) -> None:
    options = {"style": "train_free_portrait_url_template", "n": 1}
    given = {"template_url": f"{pictures}/{template}", "user_urls": [f"{pictures}/face.jpg"]}
    failed = BaseAsyncApi.call(**GENERATION, input=given, **options)
    assert failed.status_code == 200
    assert (failed.output["task_status"], failed.output["code"]) == ("FAILED", code)
    assert failed.usage["image_count"] == 0


def test_detect_of_a_picture_that_cannot_be_fetched(pictures: str) -> None:
    for url in (f"{pictures}/missing.jpg", "http://10.255.255.1/a.jpg", "http://no-such-host.invalid/a.jpg"):
        refused = BaseApi.call(**DETECTION, input={"images": [url]})
        assert refused.status_code == 400
        assert refused.code.startswith("InvalidURL") or refused.code == "InvalidParameter.DataInspection"


def test_an_archive_of_photos(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", picture(100))
        archive.writestr("b.jpg", picture(150))
    path = tmp_path / "photos.zip"
    path.write_bytes(packed.getvalue())
    file_id = Files.upload(str(path), purpose="inference").output["uploaded_files"][0]["file_id"]
    assert trained(file_id).status == "SUCCEEDED"


def test_a_training_without_a_usable_photo(pictures: str) -> None:
    job = trained(f"{pictures}/black.jpg")
    assert job.status == "FAILED"
    assert job.code
    assert job.message
