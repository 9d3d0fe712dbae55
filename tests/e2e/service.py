"""`portraitd serve` with the real engine, and a client that speaks to it over HTTP as a customer would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

WOMEN_MODEL = [{"resource_id": "women_model", "resource_type": "facelora"}]


def until(happened: Callable[[], T], timeout_s: float = 60) -> T:
    """What `happened` returns once it is true; fails the test after `timeout_s` seconds."""
    give_up_at = time.monotonic() + timeout_s
    while not (outcome := happened()):
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.05)
    return outcome


def environment(home: Path, weights: Path, **settings: str) -> dict[str, str]:
    """The environment of a portraitd process, nothing of the caller's settings in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTRAITD_")}
    return kept | {"PORTRAITD_HOME": str(home), "PORTRAITD_WEIGHTS": str(weights), "COLUMNS": "200"} | settings


def run(env: dict[str, str], *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The outcome of a `portraitd` command."""
    command = [sys.executable, "-m", "portraitd", *words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


class Customer:
    """Somebody with a key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._client = httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._client.request(method, path, **options)

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The body of a call that succeeds."""
        reply = self.ask(method, path, **options)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def ask_for_portraits(self, style: str, **rest: Any) -> httpx.Response:
        """The reply to a generation; `parameters` besides the style, `input` and `resources` go into the body."""
        parameters = {"style": style, **rest.pop("parameters", {})}
        body = {"model": "facechain-generation", "parameters": parameters, **rest}
        headers = {"X-DashScope-Async": "enable"}
        return self.ask("POST", "/services/aigc/album/gen_potrait", json=body, headers=headers)

    def portraits(self, style: str, **rest: Any) -> dict[str, Any]:
        """The finished task of a generation, whatever became of it."""
        reply = self.ask_for_portraits(style, **rest)
        assert reply.status_code == 200, reply.text
        return self.finished(reply.json()["output"]["task_id"])

    def finished(self, task_id: str) -> dict[str, Any]:
        """The task's whole reply once it is in a terminal state."""

        def done() -> dict[str, Any] | None:
            body = self.call("GET", f"/tasks/{task_id}")
            return None if body["output"]["task_status"] in {"PENDING", "RUNNING"} else body

        return until(done)

    def upload(self, name: str, data: bytes) -> str:
        """The new file's id."""
        sent = self.call("POST", "/files", files={"files": (name, data)}, data={"purpose": "fine-tune"})["data"]
        assert sent["failed_uploads"] == []
        return str(sent["uploaded_files"][0]["file_id"])

    def start_training(self, *sources: str) -> dict[str, Any]:
        body = {"model": "facechain-finetune", "training_file_ids": list(sources)}
        output: dict[str, Any] = self.call("POST", "/fine-tunes", json=body)["output"]
        return output

    def trained(self, job_id: str) -> dict[str, Any]:
        """The job once it is in a terminal state."""

        def done() -> dict[str, Any] | None:
            output: dict[str, Any] = self.call("GET", f"/fine-tunes/{job_id}")["output"]
            return None if output["status"] in {"PENDING", "QUEUING", "RUNNING"} else output

        return until(done)
