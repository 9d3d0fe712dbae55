"""Checking photos: contract section 3."""

from __future__ import annotations

from typing import Any

import pytest

from portraitd.api.app import ApiConfig
from portraitd.errors import ConnectionRefused, DownloadTimeout, InvalidURL, MediaDownloadFailed, PortraitdError
from portraitd.portraits.hints import BY_REASON
from tests.api.client import DETECT, Api, assert_error_shape, assert_success
from tests.api.fakes import FACE_URL, World

BODY: dict[str, Any] = {"model": "facechain-facedetect", "input": {"images": [FACE_URL]}, "parameters": {}}
NO_HINT = {"en": "", "zh": ""}
TREE_URL = "https://pictures.example/tree.jpg"


def asking(images: Any) -> dict[str, Any]:
    return {**BODY, "input": {"images": images}}


def test_verdicts_and_reasons_line_up_with_the_pictures(api: Api) -> None:
    reply = assert_success(api.detect(asking([FACE_URL, TREE_URL, FACE_URL])))
    reply.pop("request_id")
    assert reply == {
        "output": {
            "is_face": [True, False, True],
            "failed_reason": ["", "no face detected", ""],
            "portraitd": {"hints": [NO_HINT, BY_REASON["no face detected"]._asdict(), NO_HINT]},
        },
        "usage": {},
    }


def test_where_nothing_is_wrong_there_is_no_hint(api: Api) -> None:
    assert set(assert_success(api.detect(asking([FACE_URL])))["output"]) == {"is_face", "failed_reason"}


@pytest.mark.parametrize("parameters", [{}, None, {"anything": 1}, "nonsense"])
def test_parameters_do_not_matter(api: Api, parameters: Any) -> None:
    assert_success(api.detect({**BODY, "parameters": parameters}))
    assert_success(api.detect({"model": "facechain-facedetect", "input": BODY["input"]}))


@pytest.mark.parametrize("given", [None, ...])
def test_input_is_required(api: Api, given: Any) -> None:
    body = {"model": "facechain-facedetect", **({} if given is ... else {"input": given})}
    assert_error_shape(api.detect(body), 400, "BadRequest.EmptyInput", "Required input parameter missing from request.")


@pytest.mark.parametrize("images", [None, [], "x", [1], [None], {"0": FACE_URL}, [FACE_URL] * 11])
def test_other_lists_are_refused(api: Api, images: Any) -> None:
    assert_error_shape(api.detect(asking(images)), 400, "InvalidParameter")


def test_the_number_of_pictures_is_a_setting(world: World) -> None:
    api = Api(world, ApiConfig(max_detect_images=2))
    assert_success(api.detect(asking([FACE_URL] * 2)))
    assert_error_shape(api.detect(asking([FACE_URL] * 3)), 400, "InvalidParameter")


@pytest.mark.parametrize("url", ["", "a.jpg", "https://a/图.jpg", "data:image/jpeg;base64,/9j/"])
def test_urls_are_checked(api: Api, url: str) -> None:
    assert_error_shape(api.detect(asking([FACE_URL, url])), 400, "InvalidURL", InvalidURL.text)


@pytest.mark.parametrize(
    "error", [InvalidURL(), ConnectionRefused("a.example"), DownloadTimeout("a.example"), MediaDownloadFailed()]
)
def test_a_picture_that_cannot_be_fetched_fails_the_call(api: Api, error: PortraitdError) -> None:
    api.world.faces.broken = error
    assert_error_shape(api.detect(BODY), 400, error.code, error.message)


@pytest.mark.parametrize("value", ["disable", "", "other"])
def test_synchronous_calls_are_served(api: Api, value: str) -> None:
    assert_success(api("POST", DETECT, json=BODY, headers={"X-DashScope-Async": value}))


def test_asynchronous_calls_are_not(api: Api) -> None:
    reply = api("POST", DETECT, json={"model": "facechain-facedetect"}, headers={"X-DashScope-Async": "enable"})
    assert_error_shape(reply, 403, "AccessDenied", "Current user api does not support asynchronous calls.")


def test_another_model_is_refused(api: Api) -> None:
    reply = api.detect({**BODY, "model": "facechain-generation"})
    assert_error_shape(reply, 400, "InvalidParameter", "url error, please check url！")
