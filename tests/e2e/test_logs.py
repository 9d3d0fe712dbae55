"""What a whole service writes down about whole jobs, and what it must not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.crash.service import Service
from tests.fakes.engines import RAISES
from tests.fakes.sites import Quiet, listening

#: In URLs, names and bodies that clients send; none of them may be written down.
SECRETS = ("QUERYS3CRET", "PASSW0RD", "anna-karenina", "B0DYS3CRET", "WR0NGKEY", "FRAGMENTS3CRET")
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]
ASYNC = {"X-DashScope-Async": "enable"}


def photo() -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(np.full((800, 600, 3), 120, np.uint8)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def site() -> Iterator[str]:
    """A server with one photo; the rest of its paths are not there."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = photo() if self.path.startswith("/photo.jpg") else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """On its second start: the first one shows its key, on purpose."""
    made = Service(tmp_path, PORTRAITD_LOG_FORMAT="json", PORTRAITD_FETCH_ALLOW="127.0.0.0/8")
    made.start()
    assert made.stop() == 0
    made.start()
    yield made
    made.close()


def test_nothing_secret_is_written_down_and_every_line_says_what_it_is_about(service: Service, site: str) -> None:
    begun = len(service.log)
    key = (service.home / "api-key").read_text().strip()
    submitted = submit_every_kind(service, site)
    good = next(iter(submitted))
    assert service.until_ended([good])[good] == "SUCCEEDED"
    service.until_ended([task_id for task_id in submitted if not task_id.startswith("ft-")])
    link = service.task(good)["results"][0]["url"]
    assert httpx.get(link).status_code == 200
    assert httpx.get(link.replace("Expires=", "Expires=1")).status_code == 403
    misuse(service, site)
    assert service.stop() == 0

    written = service.log[begun:]
    signature = link.split("Signature=")[1]
    for secret in (*SECRETS, key, key[3:], signature, "Signature", "JFIF", "/9j/4"):
        assert secret not in written, secret
    lines = [json.loads(line) for line in written.splitlines()]
    assert {"time", "level", "logger", "message", "process"} <= set.intersection(*(set(line) for line in lines))
    requests = [line for line in lines if line["logger"].startswith("portraitd.api") or "status" in line]
    assert all(line["request_id"] for line in requests)
    for task_id, request_id in submitted.items():
        about = [line for line in lines if line.get("task_id") == task_id]
        assert about, "a worker's lines"
        assert {line["request_id"] for line in about} == {request_id}
        assert any(line.get("request_id") == request_id and line.get("status") == 200 for line in lines), "the API's"
    assert any("Traceback" in line.get("traceback", "") for line in lines), "the failure of the engine"


def submit_every_kind(service: Service, site: str) -> dict[str, str]:
    """Request ids by task id: of a task that succeeds, of ones that fail, and of trainings."""
    found: dict[str, str] = {}

    def generate(body: dict[str, Any]) -> None:
        path = "/services/aigc/album/gen_potrait"
        reply = service.call("POST", path, json={"model": "facechain-generation", **body}, headers=ASYNC)
        found[reply["output"]["task_id"]] = reply["request_id"]

    def train(source: str) -> None:
        body = {"model": "facechain-finetune", "training_file_ids": [source]}
        reply = service.call("POST", "/fine-tunes", json=body)
        job_id = reply["output"]["job_id"]
        found[job_id] = reply["request_id"]
        assert [event for event in stream(service, job_id) if "SUCCEEDED" in event or "FAILED" in event]

    train_free = {"style": "train_free_portrait_url_template", "n": 1}
    good, missing = f"{site}/photo.jpg?token=QUERYS3CRET#FRAGMENTS3CRET", f"{site}/missing.jpg?token=QUERYS3CRET"
    generate({"parameters": train_free, "input": {"template_url": good, "user_urls": [good]}})
    generate({"parameters": train_free, "input": {"template_url": missing, "user_urls": [good]}})
    generate({"parameters": {"style": RAISES, "n": 1, "B0DYS3CRET": "B0DYS3CRET"}, "resources": LORA})
    files = [("files", ("anna-karenina.jpg", photo())), ("files", ("anna-karenina.txt", b"B0DYS3CRET"))]
    stored = service.call("POST", "/files", files=files, data={"descriptions": "B0DYS3CRET"})["data"]["uploaded_files"]
    for source in (good, missing, *(file["file_id"] for file in stored)):
        train(source)
    return found


def stream(service: Service, job_id: str) -> list[str]:
    """The job's events up to its end."""
    key = (service.home / "api-key").read_text().strip()
    url = service.url(f"/api/v1/fine-tunes/{job_id}/stream")
    return httpx.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=30).text.split("\n\n")


def misuse(service: Service, site: str) -> None:
    """Requests that are refused, each with something secret in another place."""
    detect, key = service.url("/api/v1/services/vision/facedetection/detect"), (service.home / "api-key").read_text()
    keyed = {"Authorization": f"Bearer {key.strip()}"}
    asked = {"model": "facechain-facedetect", "input": {"images": [f"{site}/missing.jpg?token=QUERYS3CRET"]}}
    told = [
        httpx.post(detect, json=asked, headers=keyed),
        httpx.post(detect, json={**asked, "input": {"images": "B0DYS3CRET"}}, headers=keyed),
        httpx.post(detect, json={**asked, "input": {"images": ["http://a:PASSW0RD@h/"]}}, headers=keyed),
        httpx.post(detect, json={**asked, "input": {"images": ["http://10.0.0.1/?QUERYS3CRET"]}}, headers=keyed),
        httpx.post(detect, content=b"B0DYS3CRET", headers=keyed),
        httpx.post(detect, json=asked, headers={"Authorization": "Bearer sk-WR0NGKEY"}),
        httpx.post(detect, json=asked, headers={"Authorization": "Basic WR0NGKEY"}),
        httpx.get(service.url("/api/v1/tasks?task_id=QUERYS3CRET&status=QUERYS3CRET"), headers=keyed),
        httpx.get(service.url("/nowhere?QUERYS3CRET")),
    ]
    assert [reply.status_code for reply in told] == [400, 400, 400, 400, 400, 401, 401, 400, 404]
