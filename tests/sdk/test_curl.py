"""Plain curl: the vendor's example with the host and the key changed, and the other calls of sections 1 to 6."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
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


# -- the rest of the contract's calls, with the whole service behind them ---------------------------------------------

AUTH = ("--header", "Authorization: Bearer $KEY")
JSON = (*AUTH, "--header", "Content-Type: application/json")


def until_done(live: Live, path: str, field: str) -> Any:
    """The `output` of a task or a training that has ended."""
    for _ in range(200):
        _, body = curl(live, f"$HOST/api/v1/{path}", *AUTH)
        if body["output"][field] not in {"PENDING", "QUEUING", "RUNNING"}:
            return body["output"]
        time.sleep(0.05)
    pytest.fail(f"{path} does not end")


def test_a_face_check(real: Live, pictures: str) -> None:
    body = json.dumps(
        {"model": "facechain-facedetect", "input": {"images": [f"{pictures}/face.jpg"]}, "parameters": {}}
    )
    status, found = curl(real, "-X", "POST", "$HOST/api/v1/services/vision/facedetection/detect", *JSON, "--data", body)
    assert status == 200
    assert found["output"] == {"is_face": [True], "failed_reason": [""]}
    assert found["usage"] == {}


def test_train_generate_download_and_erase(real: Live, photo: Path, tmp_path: Path) -> None:
    _, sent = curl(real, "$HOST/api/v1/files", *AUTH, "--form", f'files=@"{photo}"', "--form", "descriptions=me")
    file_id = sent["data"]["uploaded_files"][0]["file_id"]
    body = json.dumps({"model": "facechain-finetune", "training_file_ids": [file_id]})
    status, accepted = curl(real, "$HOST/api/v1/fine-tunes", *JSON, "--data", body)
    assert (status, accepted["output"]["status"]) == (200, "PENDING")
    job_id, identity = accepted["output"]["job_id"], accepted["output"]["finetuned_output"]
    assert until_done(real, f"fine-tunes/{job_id}", "status")["status"] == "SUCCEEDED"
    assert (
        curl(real, "$HOST/api/v1/fine-tunes?page_no=1&page_size=1", *AUTH)[1]["output"]["jobs"][0]["job_id"] == job_id
    )
    logs = curl(real, f"$HOST/api/v1/fine-tunes/{job_id}/logs?offset=0&line=100", *AUTH)[1]["output"]["logs"]
    assert logs[-1] == "##FT_COMPLETE##"

    status, created = curl(real, *CREATE, BODY.replace("women_model", identity).replace('"n": 4', '"n": 1'))
    assert status == 200
    task_id = created["output"]["task_id"]
    (result,) = until_done(real, f"tasks/{task_id}", "task_status")["results"]
    got = tmp_path / "got.jpg"
    subprocess.run(["curl", "--silent", "--fail", "--noproxy", "*", "-o", got, result["url"]], check=True, timeout=30)
    assert got.read_bytes().startswith(b"\xff\xd8")
    listed = curl(real, f"$HOST/api/v1/tasks/?task_id={task_id}&status=SUCCEEDED", *AUTH)[1]
    assert (listed["total"], listed["data"][0]["status"]) == (1, "SUCCEEDED")

    assert curl(real, "--request", "DELETE", f"$HOST/api/v1/fine-tunes/{job_id}", *JSON)[0] == 200
    status, gone = curl(real, "--request", "DELETE", f"$HOST/api/v1/files/{file_id}", *AUTH)
    assert (status, set(gone)) == (200, {"request_id"})
    status, refused = curl(real, "--request", "POST", f"$HOST/api/v1/tasks/{task_id}/cancel", *AUTH)
    assert (status, refused["code"]) == (400, "UnsupportedOperation")


def test_a_temporary_upload(real: Live, photo: Path) -> None:
    _, ticket = curl(real, "$HOST/api/v1/uploads?action=getPolicy&model=facechain-generation", *JSON)
    given = ticket["data"]
    key = f"{given['upload_dir']}/me.jpg"
    fields = {
        "OSSAccessKeyId": given["oss_access_key_id"],
        "Signature": given["signature"],
        "policy": given["policy"],
        "x-oss-object-acl": given["x_oss_object_acl"],
        "x-oss-forbid-overwrite": given["x_oss_forbid_overwrite"],
        "key": key,
        "success_action_status": "200",
        "file": f"@{photo}",
    }
    form = [word for name, value in fields.items() for word in ("--form", f"{name}={value}")]
    posted = ["curl", "--silent", "--noproxy", "*", "--write-out", "%{http_code}", *form, given["upload_host"]]
    assert subprocess.run(posted, check=True, capture_output=True, text=True, timeout=30).stdout == "200"
    body = json.dumps(
        {
            "model": "facechain-generation",
            "input": {"template_url": f"oss://{key}", "user_urls": [f"oss://{key}"]},
            "parameters": {"style": "train_free_portrait_url_template", "n": 1},
        }
    )
    status, created = curl(real, "--header", "X-DashScope-OssResourceResolve: enable", *CREATE, body)
    assert status == 200
    done = until_done(real, f"tasks/{created['output']['task_id']}", "task_status")
    assert done["task_status"] == "SUCCEEDED"


def test_a_token(real: Live) -> None:
    status, token = curl(real, "-X", "POST", "$HOST/api/v1/tokens?expire_in_seconds=1800", *AUTH)
    assert (status, set(token)) == (200, {"token", "expires_at"})
    assert curl(Live(real.url, token["token"]), "$HOST/api/v1/tasks/", *AUTH)[0] == 200


def test_files_for_openais_clients(real: Live, photo: Path) -> None:
    url = "$HOST/compatible-mode/v1/files"
    status, file = curl(real, "-X", "POST", url, *AUTH, "--form", f'file=@"{photo}"', "--form", 'purpose="fine-tune"')
    assert (status, file["object"], file["purpose"]) == (200, "file", "fine-tune")
    assert curl(real, f"{url}?limit=1", *AUTH)[1]["data"][0] == file
    assert curl(real, "-X", "DELETE", f"{url}/{file['id']}", *AUTH)[1]["deleted"] is True
