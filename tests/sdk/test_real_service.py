"""The official client against the whole service, started by `portraitd serve` with an engine that needs no weights."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from portraitd.images import decode, encode_jpeg
from tests.sdk.conftest import Live

dashscope = pytest.importorskip("dashscope")

from dashscope import Files, FineTunes  # noqa: E402  (the import above decides whether there is anything to test)
from dashscope.api_entities.http_request import close_shared_sync_session  # noqa: E402
from dashscope.client.base_api import BaseApi, BaseAsyncApi  # noqa: E402

GENERATION = {"model": "facechain-generation", "task_group": "aigc", "task": "album", "function": "gen_potrait"}
DETECTION = {"model": "facechain-facedetect", "task_group": "vision", "task": "facedetection", "function": "detect"}
FAKES = Path(__file__).parents[1] / "fakes"


def picture(grey: int, width: int = 768, height: int = 1024) -> bytes:
    """A JPEG of one grey; the fake engine sees a face in every picture that is not black."""
    return encode_jpeg(np.full((height, width, 3), grey, np.uint8))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a site with pictures on it."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "face.jpg").write_bytes(picture(180))
    (folder / "black.jpg").write_bytes(picture(0))
    (folder / "template.jpg").write_bytes(picture(90))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`portraitd serve` in a new home, and the key it made there."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PORTRAITD_")}
    env |= {
        "PORTRAITD_HOME": str(home),
        "PORTRAITD_PORT": str(port),
        "PORTRAITD_ENGINE": "engines:instant",
        "PORTRAITD_FETCH_ALLOW": "127.0.0.0/8",
        "PYTHONPATH": str(FAKES),
    }
    url = f"http://127.0.0.1:{port}"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "portraitd", "serve"], env=env, stdout=log, stderr=log)
    try:
        _until_ready(url, process, home / "log")
        yield Live(url, (home / "api-key").read_text().strip())
    finally:
        process.terminate()
        assert process.wait(30) == 0
    written = (home / "log").read_text()
    assert "GET /results/" in written
    assert "Signature" not in written
    assert "Expires" not in written


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
    pytest.fail(f"not ready:\n{log.read_text()}")


@pytest.fixture(autouse=True)
def pointed_here(live: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(dashscope, "base_http_api_url", live.api)
    monkeypatch.setattr(dashscope, "api_key", live.key)
    yield
    close_shared_sync_session()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "me.jpg"
    path.write_bytes(picture(200))
    return path


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


def test_train_and_generate_and_erase(photo: Path, pictures: str) -> None:
    file_id = Files.upload(str(photo), purpose="inference", description="d").output["uploaded_files"][0]["file_id"]
    assert Files.get(file_id).output["size"] == photo.stat().st_size
    assert Files.list().output["total"] >= 1

    job = trained(file_id, f"{pictures}/face.jpg")
    assert (job.status, job.usage) == ("SUCCEEDED", 1)
    assert job.finetuned_output == f"facechain-finetune-{job.job_id}"

    lora = [{"resource_id": job.finetuned_output, "resource_type": "facelora"}]
    style = {"style": "f_idcard_female", "size": "768*1024", "n": 2}
    accepted = BaseAsyncApi.async_call(**GENERATION, input={}, resources=lora, **style)
    assert (accepted.status_code, accepted.output["task_status"]) == (200, "PENDING")
    finished = BaseAsyncApi.wait(accepted)
    assert finished.output["task_status"] == "SUCCEEDED"
    assert finished.usage["image_count"] == len(finished.output["results"]) == 2
    assert finished.output["task_metrics"] == {"TOTAL": 2, "SUCCEEDED": 2, "FAILED": 0}
    for result in finished.output["results"]:
        headers, data = download(result["url"])
        assert headers["Content-Type"] == "image/jpeg"
        assert decode(data).shape == (1024, 768, 3)

    refused = BaseAsyncApi.cancel(finished)
    assert (refused.status_code, refused.code) == (400, "UnsupportedOperation")
    listed = BaseAsyncApi.list(model_name="facechain-generation", status="SUCCEEDED", page_size=5)
    assert listed.status_code == 200

    assert FineTunes.delete(job.job_id).output["status"] == "success"
    gone = BaseAsyncApi.async_call(**GENERATION, input={}, resources=lora, **style)
    assert (gone.status_code, gone.code) == (403, "Resource.AccessDenied")
    assert Files.delete(file_id).status_code == 200


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


def test_unknown_ids() -> None:
    assert BaseAsyncApi.fetch("1111").output["task_status"] == "UNKNOWN"
    assert FineTunes.get("ft-1").status_code == 404
    assert Files.get("no-such-file").message == "File not found."


def test_detect(pictures: str) -> None:
    images = [f"{pictures}/face.jpg", f"{pictures}/black.jpg"]
    found = BaseApi.call(**DETECTION, input={"images": images})
    assert found.output == {"is_face": [True, False], "failed_reason": ["", "no face detected"]}


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
