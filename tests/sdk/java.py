"""A client that keeps to the rules of the Java SDK (contract section 9.8), which is not run here itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.sdk.conftest import Live

GENERATION = "/services/aigc/album/gen_potrait"
DETECTION = "/services/vision/facedetection/detect"


class ApiError(Exception):
    """Any reply outside 2xx."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}: {message}")


class JavaClient:
    """Asks as the Java SDK does, and is broken by what breaks it."""

    def __init__(self, live: Live, sleep: Callable[[float], None] = time.sleep) -> None:
        self._http = httpx.Client(headers={"Authorization": f"Bearer {live.key}"}, timeout=30, trust_env=False)
        self._api = live.api
        self._sleep = sleep

    def close(self) -> None:
        self._http.close()

    def submit(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The `output` of an accepted generation."""
        options = {"X-DashScope-Async": "enable", **(headers or {})}
        output: dict[str, Any] = self._ask("POST", GENERATION, json=body, headers=options)["output"]
        return output

    def detect(self, body: Mapping[str, Any]) -> dict[str, Any]:
        output: dict[str, Any] = self._ask("POST", DETECTION, json=body)["output"]
        return output

    def fetch(self, task_id: str) -> dict[str, Any]:
        return self._ask("GET", f"/tasks/{task_id}")

    def wait(self, task_id: str) -> dict[str, Any]:
        """The task once it has ended. After 503 or 504 it asks again at once, for ever."""
        wait_s, asked = 1.0, 0
        while True:
            asked += 1
            try:
                task = self.fetch(task_id)
            except ApiError as error:
                if error.status in {503, 504}:
                    continue
                raise
            if task["output"]["task_status"] in {"SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"}:
                return task
            if asked % 3 == 0:
                wait_s = min(wait_s * 2, 5.0)
            self._sleep(wait_s)

    def cancel(self, task_id: str) -> dict[str, Any]:
        """Declares JSON and sends nothing."""
        return self._ask("POST", f"/tasks/{task_id}/cancel", content=b"", headers={"Content-Type": "application/json"})

    def tasks(self) -> tuple[list[dict[str, Any]], int]:
        """The listed tasks, and how many pages there are."""
        body = self._ask("GET", "/tasks", params={"page_no": 1, "page_size": 10})
        return body["data"], body["total_page"]

    def upload(self, model: str, path: Path) -> str:
        """An `oss://` URL of the file."""
        ticket = self._ask("GET", "/uploads", params={"action": "getPolicy", "model": model})["data"]
        key = f"{ticket['upload_dir']}/{path.name}"
        fields = {
            "OSSAccessKeyId": ticket["oss_access_key_id"],
            "Signature": ticket["signature"],
            "policy": ticket["policy"],
            "x-oss-object-acl": ticket["x_oss_object_acl"],
            "x-oss-forbid-overwrite": ticket["x_oss_forbid_overwrite"],
            "key": key,
            "success_action_status": "200",
        }
        assert all(isinstance(value, str) for value in fields.values()), "a null here is a NullPointerException there"
        posted = httpx.post(
            ticket["upload_host"], data=fields, files={"file": (path.name, path.read_bytes())}, trust_env=False
        )
        assert posted.is_success, posted.text
        return f"oss://{key}"

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        reply = self._http.request(method, self._api + path, **options)
        body: dict[str, Any] = reply.json()
        if reply.is_success:
            return body
        code, message = body["code"], body["message"]
        assert isinstance(code, str), "a null here is a NullPointerException there"
        assert isinstance(message, str), "a null here is a NullPointerException there"
        raise ApiError(reply.status_code, code, message)
