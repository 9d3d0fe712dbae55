"""Plain curl, as the vendor's page shows it, with the host and the key changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.conftest import Live

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(live: Live, *arguments: str) -> tuple[int, Any]:
    """Status and body of one call; `$HOST` and `$KEY` stand for the server and the key."""
    filled = [argument.replace("$HOST", live.url).replace("$KEY", live.key) for argument in arguments]
    command = ["curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", *filled]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


CREATE = (
    "--location",
    "$HOST/api/v1/services/aigc/album/gen_potrait",
    "--header",
    "Authorization: Bearer $KEY",
    "--header",
    "Content-Type: application/json",
    "--header",
    "X-DashScope-Async: enable",
    "--data-raw",
)
BODY = """{
    "model": "facechain-generation",
    "parameters": {
        "style": "f_idcard_female",
        "size": "768*1024",
        "n": 4
    },
    "resources": [
        {
            "resource_id": "women_model",
            "resource_type": "facelora"
        }
    ]
}"""


def test_the_vendors_example(live: Live) -> None:
    status, created = curl(live, *CREATE, BODY)
    assert status == 200
    assert created["output"]["task_status"] == "PENDING"
    url = f"$HOST/api/v1/tasks/{created['output']['task_id']}"
    states = []
    for _ in range(2):
        status, task = curl(live, "-X", "GET", "--header", "Authorization: Bearer $KEY", url)
        states.append(task["output"]["task_status"])
    assert (status, states) == (200, ["RUNNING", "SUCCEEDED"])
    assert len(task["output"]["results"]) == task["usage"]["image_count"] == 4


def test_an_upload(live: Live, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8")
    form = []
    for name in ("a.jpg", "b.jpg"):
        form += [
            "--form",
            f'files=@"{tmp_path / name}"',
            "--form",
            "purpose=fine-tune",
            "--form",
            f"descriptions={name}",
        ]
    status, sent = curl(live, "$HOST/api/v1/files", "--header", "Authorization: Bearer $KEY", *form)
    assert status == 200
    assert [file["name"] for file in sent["data"]["uploaded_files"]] == ["a.jpg", "b.jpg"]
    file_id = sent["data"]["uploaded_files"][1]["file_id"]
    _, found = curl(live, f"$HOST/api/v1/files/{file_id}", "--header", "Authorization: Bearer $KEY")
    assert (found["data"]["description"], found["data"]["purpose"]) == ("b.jpg", "fine-tune")


def test_cancel_and_delete_with_a_content_type_and_no_body(live: Live) -> None:
    headers = ("--header", "Authorization: Bearer $KEY", "--header", "Content-Type: application/json")
    body = '{"model": "facechain-finetune", "training_file_ids": ["a"]}'
    _, created = curl(live, "$HOST/api/v1/fine-tunes", *headers, "--data", body)
    url = f"$HOST/api/v1/fine-tunes/{created['output']['job_id']}"
    assert curl(live, "--request", "POST", f"{url}/cancel", *headers)[1]["output"] == {"status": "success"}
    assert curl(live, "--request", "DELETE", url, *headers)[1]["output"] == {"status": "success"}


def test_a_refusal(live: Live) -> None:
    status, body = curl(live, *CREATE, BODY.replace("f_idcard_female", "f_none"))
    assert (status, body["code"], body["message"]) == (400, "InvalidParameter", "The style is invalid.")
