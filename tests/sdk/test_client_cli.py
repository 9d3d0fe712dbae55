"""The command that comes with the official client: `dashscope files`, `ft` and `oss`, of contract section 9.3."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.conftest import Live, pointing_at

dashscope = pytest.importorskip("dashscope")

from dashscope import FineTunes  # noqa: E402  (the import above decides whether there is anything to test)


@pytest.fixture(autouse=True)
def _pointed_here(real: Live) -> Iterator[None]:
    with pointing_at(real):
        yield


def environ(real: Live) -> dict[str, str]:
    told = {"DASHSCOPE_HTTP_BASE_URL": real.api, "DASHSCOPE_API_KEY": real.key, "PYTHONUNBUFFERED": "1"}
    # Wide, so that it breaks no line.
    return os.environ | told | {"COLUMNS": "500"}


def said(real: Live, *arguments: str) -> str:
    """All that the command writes; it must succeed."""
    command = [sys.executable, "-m", "dashscope.cli", *arguments]
    done = subprocess.run(command, env=environ(real), check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_files(real: Live, photo: Path) -> None:
    sent = said(real, "files", "upload", "-f", str(photo), "-p", "inference")
    (file_id,) = re.findall(r"file id: (\S+)", sent)
    assert '"name": "me.jpg"' in said(real, "files", "get", file_id)
    assert file_id in said(real, "files", "list")
    said(real, "files", "delete", file_id)
    assert file_id not in said(real, "files", "list")


def test_trainings(real: Live, pictures: str) -> None:
    # Once it has submitted, the command waits for half a minute at a time.
    create = [sys.executable, "-m", "dashscope.cli", "ft", "create", "-m", "facechain-finetune"]
    with subprocess.Popen(
        [*create, "-t", f"{pictures}/slow.jpg"], env=environ(real), stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        job_id = next(found for line in running.stdout for found in re.findall(r"job_id: (\S+)", line))
        running.terminate()
    assert job_id in said(real, "ft", "list")
    # `ft stream` breaks on its own reading of the job, before it asks for the stream.
    while FineTunes.get(job_id).output.status != "SUCCEEDED":
        time.sleep(0.1)
    assert f"facechain-finetune-{job_id}" in said(real, "ft", "get", job_id)
    said(real, "ft", "delete", job_id)
    assert FineTunes.get(job_id).status_code == 404


def test_cancel(real: Live, pictures: str) -> None:
    job_id = FineTunes.call(model="facechain-finetune", training_file_ids=[f"{pictures}/held.jpg"]).output.job_id
    said(real, "ft", "cancel", job_id)
    with urllib.request.urlopen(f"{pictures}/let-go"):
        pass
    assert FineTunes.get(job_id).output.status in {"CANCELING", "CANCELED"}


def test_temporary_upload(real: Live, photo: Path) -> None:
    assert "oss://dashscope-instant/" in said(real, "oss", "upload", "-m", "facechain-generation", "-f", str(photo))
