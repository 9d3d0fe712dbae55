"""What a client that keeps to the Java SDK's rules sees: contract section 9.8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portraitd.errors import PortraitdError
from tests.api.fakes import World
from tests.sdk.conftest import Live
from tests.sdk.java import ApiError, JavaClient

PRESET = {
    "model": "facechain-generation",
    "input": {},
    "parameters": {"style": "f_idcard_female", "n": 2},
    "resources": [{"resource_id": "women_model", "resource_type": "facelora"}],
}


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def client(live: Live, slept: list[float]) -> Iterator[JavaClient]:
    """Talks to fakes that take one step at each look, and does not really sleep."""
    client = JavaClient(live, slept.append)
    yield client
    client.close()


@pytest.fixture
def real_client(real: Live) -> Iterator[JavaClient]:
    client = JavaClient(real)
    yield client
    client.close()


def test_submit_and_wait(client: JavaClient, slept: list[float]) -> None:
    accepted = client.submit(PRESET)
    assert accepted["task_status"] == "PENDING"
    task = client.wait(accepted["task_id"])
    assert task["output"]["task_status"] == "SUCCEEDED"
    assert len(task["output"]["results"]) == task["usage"]["image_count"] == 2
    assert slept == [1.0]


def test_wait_ends_at_an_unknown_task(client: JavaClient, slept: list[float]) -> None:
    assert client.wait("1111")["output"]["task_status"] == "UNKNOWN"
    assert slept == []


@pytest.mark.parametrize("error", [RuntimeError("boom"), OSError("away"), TimeoutError(), PortraitdError()])
def test_wait_is_never_told_503_or_504(
    world: World, client: JavaClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It would ask without a pause, for ever."""
    asked = []

    def broken(*_: object) -> None:
        asked.append(1)
        raise error

    monkeypatch.setattr(world.tasks, "get", broken)
    with pytest.raises(ApiError) as caught:
        client.wait("1111")
    assert (caught.value.status, caught.value.code) == (500, "InternalError")
    assert len(asked) == 1


def test_cancel_declares_json_and_sends_nothing(
    world: World, client: JavaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.tasks, "moving", False)
    task_id = client.submit(PRESET)["task_id"]
    assert set(client.cancel(task_id)) == {"request_id"}
    assert client.fetch(task_id)["output"]["task_status"] == "CANCELED"
    with pytest.raises(ApiError) as caught:
        client.cancel(task_id)
    assert (caught.value.status, caught.value.code) == (400, "UnsupportedOperation")


def test_list_has_data_and_total_page(client: JavaClient) -> None:
    task_id = client.submit(PRESET)["task_id"]
    tasks, pages = client.tasks()
    assert task_id in {task["task_id"] for task in tasks}
    assert pages >= 1


def test_detect_is_one_synchronous_call(client: JavaClient) -> None:
    urls = ["https://pictures.example/face.jpg", "https://pictures.example/cat.jpg"]
    found = client.detect({"model": "facechain-facedetect", "input": {"images": urls}, "parameters": {}})
    assert (found["is_face"], found["failed_reason"]) == ([True, False], ["", "no face detected"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "BadRequest.EmptyModel"),
        ({**PRESET, "model": "wanx-v1"}, 400, "InvalidParameter"),
        ({**PRESET, "parameters": {"style": "none"}}, 400, "InvalidParameter"),
        ({**PRESET, "resources": [{"resource_id": "x", "resource_type": "facelora"}]}, 403, "Resource.AccessDenied"),
    ],
)
def test_refusals_have_a_code_and_a_message(
    client: JavaClient, body: dict[str, object], status: int, code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        client.submit(body)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.message


def test_the_way_of_a_local_file(real_client: JavaClient, photo: Path) -> None:
    url = real_client.upload("facechain-generation", photo)
    body = {
        "model": "facechain-generation",
        "input": {"template_url": url, "user_urls": [url]},
        "parameters": {"style": "train_free_portrait_url_template", "n": 1},
    }
    accepted = real_client.submit(body, {"X-DashScope-OssResourceResolve": "enable"})
    assert real_client.wait(accepted["task_id"])["output"]["task_status"] == "SUCCEEDED"
