"""Submitting a generation: contract section 1."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portraitd.api.app import ApiConfig
from portraitd.errors import InvalidParameter, InvalidURL
from portraitd.portraits.requests import Generate
from tests.api.client import ASYNC, GENERATE, Api, assert_error_shape, assert_success
from tests.api.fakes import FACE_URL, World

TEMPLATE_URL = "https://pictures.example/template.jpg"
LORA = [{"resource_id": "women_model", "resource_type": "facelora"}]
PRESETS = [
    "f_idcard_male",
    "f_business_male",
    "f_idcard_female",
    "f_business_female",
    "m_springflower_female",
    "f_summersport_female",
    "f_autumnleaf_female",
    "m_winterchinese_female",
    "f_hongkongvintage_female",
    "f_lightportray_female",
]
PRESET: dict[str, Any] = {
    "model": "facechain-generation",
    "parameters": {"style": "f_idcard_female", "size": "768*1024", "n": 4},
    "resources": LORA,
}
TEMPLATE: dict[str, Any] = {
    "model": "facechain-generation",
    "input": {"template_url": TEMPLATE_URL},
    "parameters": {"style": "portrait_url_template", "n": 4},
    "resources": LORA,
}
TRAIN_FREE: dict[str, Any] = {
    "model": "facechain-generation",
    "input": {"template_url": TEMPLATE_URL, "user_urls": [FACE_URL]},
    "parameters": {"style": "train_free_portrait_url_template", "n": 4, "skin_retouch": True},
}


def changed(body: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """`body` with other parts; `parameters` and `input` are merged, a part that is `...` is left out."""
    merged = dict(body)
    for name, value in parts.items():
        old = body.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return {name: value for name, value in merged.items() if value is not ...}


def accepted(api: Api, body: dict[str, Any]) -> Generate:
    """What reaches the service when `body` is accepted."""
    reply = assert_success(api.generate(body))
    assert reply["output"]["task_status"] == "PENDING"
    wanted = api.world.tasks.submitted[-1]
    assert wanted.request_id == reply["request_id"]
    assert api.world.tasks.kept[reply["output"]["task_id"]].total == wanted.count
    return wanted


def assert_invalid(api: Api, body: Any) -> None:
    assert_error_shape(api.generate(body), 400, "InvalidParameter", InvalidParameter.text)
    assert api.world.tasks.submitted == []


def test_the_vendors_example_is_accepted_with_these_fields_and_no_others(api: Api) -> None:
    reply = assert_success(api.generate(PRESET))
    assert set(reply) == {"request_id", "output"}
    assert set(reply["output"]) == {"task_id", "task_status"}


@pytest.mark.parametrize("style", PRESETS)
def test_every_preset_takes_an_identity(api: Api, style: str) -> None:
    wanted = accepted(api, changed(PRESET, parameters={"style": style}))
    assert (wanted.style_id, wanted.identity_id, wanted.count) == (style, "women_model", 4)
    assert (wanted.template_url, wanted.photo_urls) == (None, ())


@pytest.mark.parametrize("given", [..., None, {}, {"template_url": ""}, {"template_url": None, "user_urls": None}])
def test_a_preset_needs_no_input(api: Api, given: Any) -> None:
    assert accepted(api, changed(PRESET, input=given)).template_url is None


def test_template_mode_takes_a_template_and_an_identity(api: Api) -> None:
    wanted = accepted(api, TEMPLATE)
    assert (wanted.template_url, wanted.identity_id, wanted.photo_urls) == (TEMPLATE_URL, "women_model", ())


def test_train_free_mode_takes_a_template_and_photos(api: Api) -> None:
    wanted = accepted(api, TRAIN_FREE)
    assert (wanted.template_url, wanted.identity_id, wanted.photo_urls) == (TEMPLATE_URL, None, (FACE_URL,))


@pytest.mark.parametrize("resources", [[], LORA, [{"resource_type": "lora"}], "nonsense", None])
def test_train_free_mode_ignores_resources(api: Api, resources: Any) -> None:
    assert accepted(api, changed(TRAIN_FREE, resources=resources)).identity_id is None


def test_defaults(api: Api) -> None:
    wanted = accepted(api, {**PRESET, "parameters": {"style": "f_idcard_female"}})
    assert (wanted.count, wanted.retouch, wanted.seed) == (4, True, None)


def test_null_means_not_set(api: Api) -> None:
    nothing = {"size": None, "n": None, "skin_retouch": None, "seed": None}
    assert accepted(api, changed(PRESET, parameters=nothing)).count == 4


def test_unknown_fields_are_ignored(api: Api) -> None:
    body = changed(PRESET, parameters={"skin_retouching": "x", "prompt": 3}, input={"prompt": []}, extra={"a": None})
    accepted(api, body)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_n_may_be_1_to_4(api: Api, n: int) -> None:
    assert accepted(api, changed(PRESET, parameters={"n": n})).count == n


@pytest.mark.parametrize("n", [0, -1, 5, 10**30, "4", 2.0, 2.5, True, [], {}])
def test_another_n_is_refused(api: Api, n: Any) -> None:
    assert_invalid(api, changed(PRESET, parameters={"n": n}))


def test_the_upper_bound_of_n_is_a_setting(world: World) -> None:
    api = Api(world, ApiConfig(max_count=5))
    assert accepted(api, changed(PRESET, parameters={"n": 5})).count == 5
    assert_error_shape(api.generate(changed(PRESET, parameters={"n": 6})), 400, "InvalidParameter")


@pytest.mark.parametrize("size", ["768*1024", "512*512", "1*1", "99999*1"])
@pytest.mark.parametrize("body", [PRESET, TEMPLATE, TRAIN_FREE])
def test_any_well_formed_size_is_accepted(api: Api, body: dict[str, Any], size: str) -> None:
    accepted(api, changed(body, parameters={"size": size}))


@pytest.mark.parametrize(
    "size", ["", "768x1024", "0*1024", "768*", "*", "-1*5", "768*1024*3", " 768*1024", 768, [1, 2]]
)
def test_another_size_is_refused(api: Api, size: Any) -> None:
    assert_invalid(api, changed(PRESET, parameters={"size": size}))


@pytest.mark.parametrize("flag", [True, False])
def test_skin_retouch_is_a_boolean(api: Api, flag: bool) -> None:
    assert accepted(api, changed(TRAIN_FREE, parameters={"skin_retouch": flag})).retouch is flag


@pytest.mark.parametrize("flag", ["true", "false", 0, 1, "", [], {}])
def test_skin_retouch_is_nothing_else(api: Api, flag: Any) -> None:
    assert_invalid(api, changed(TRAIN_FREE, parameters={"skin_retouch": flag}))


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_a_seed_may_be_named(api: Api, seed: int) -> None:
    assert accepted(api, changed(PRESET, parameters={"seed": seed})).seed == seed


@pytest.mark.parametrize("seed", [-1, 2**31, "1", 1.5, True])
def test_another_seed_is_refused(api: Api, seed: Any) -> None:
    assert_invalid(api, changed(PRESET, parameters={"seed": seed}))


def test_an_unknown_style_has_its_own_text(api: Api) -> None:
    reply = api.generate(changed(PRESET, parameters={"style": "f_space_female"}))
    assert_error_shape(reply, 400, "InvalidParameter", "The style is invalid.")


@pytest.mark.parametrize("style", [None, "", 3, ["f_idcard_female"]])
def test_the_style_is_required(api: Api, style: Any) -> None:
    assert_invalid(api, changed(PRESET, parameters={"style": style}))


@pytest.mark.parametrize("body", [changed(PRESET, parameters=...), {**PRESET, "parameters": None}])
def test_the_parameters_are_required(api: Api, body: Any) -> None:
    text = 'Required parameter "parameters" missing from request.'
    assert_error_shape(api.generate(body), 400, "BadRequest.EmptyParameters", text)


@pytest.mark.parametrize("parameters", [[], "x", {}])
def test_the_parameters_are_an_object_with_a_style(api: Api, parameters: Any) -> None:
    assert_invalid(api, {**PRESET, "parameters": parameters})


# -- resources --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [PRESET, TEMPLATE])
@pytest.mark.parametrize(
    "resources",
    [
        ...,
        None,
        [],
        {},
        "women_model",
        ["women_model"],
        [None],
        [{}],
        [{"resource_id": "women_model"}],
        [{"resource_type": "facelora"}],
        [{"resource_id": "", "resource_type": "facelora"}],
        [{"resource_id": 7, "resource_type": "facelora"}],
        [{"resource_id": "a\u0000b", "resource_type": "facelora"}],
        [{"resource_id": "women_model", "resource_type": "lora"}],
        [*LORA, {"resource_id": "x", "resource_type": "lora"}],
    ],
)
def test_where_an_identity_is_needed_anything_but_facelora_is_refused(api: Api, body: Any, resources: Any) -> None:
    assert_invalid(api, changed(body, resources=resources))


def test_of_several_identities_the_first_counts(api: Api) -> None:
    both = [*LORA, {"resource_id": "other", "resource_type": "facelora"}]
    assert accepted(api, changed(PRESET, resources=both)).identity_id == "women_model"


def test_an_identity_one_may_not_use(api: Api) -> None:
    reply = api.generate(changed(PRESET, resources=[{"resource_id": "theirs", "resource_type": "facelora"}]))
    assert_error_shape(reply, 403, "Resource.AccessDenied", "Resource access denied.")


# -- input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [TEMPLATE, TRAIN_FREE])
@pytest.mark.parametrize("given", [..., None])
def test_template_modes_need_input(api: Api, body: Any, given: Any) -> None:
    text = "Required input parameter missing from request."
    assert_error_shape(api.generate(changed(body, input=given)), 400, "BadRequest.EmptyInput", text)


@pytest.mark.parametrize("body", [TEMPLATE, TRAIN_FREE])
@pytest.mark.parametrize("url", [..., None, "", "data:image/png;base64,AA", "ftp://a/b", "a.jpg"])
def test_template_modes_need_a_template_url(api: Api, body: Any, url: Any) -> None:
    given = {name: value for name, value in {**body["input"], "template_url": url}.items() if value is not ...}
    assert_error_shape(api.generate({**body, "input": given}), 400, "InvalidURL", InvalidURL.text)


@pytest.mark.parametrize("urls", [None, [], ["file:///etc/passwd"], [FACE_URL, ""]])
def test_train_free_mode_needs_photo_urls(api: Api, urls: Any) -> None:
    reply = api.generate(changed(TRAIN_FREE, input={"user_urls": urls}))
    assert_error_shape(reply, 400, "InvalidURL", InvalidURL.text)


@pytest.mark.parametrize("count", [1, 5])
def test_train_free_mode_takes_1_to_5_photos(api: Api, count: int) -> None:
    assert len(accepted(api, changed(TRAIN_FREE, input={"user_urls": [FACE_URL] * count})).photo_urls) == count


@pytest.mark.parametrize("urls", [[FACE_URL] * 6, FACE_URL, {"0": FACE_URL}, [1], [None]])
def test_another_number_or_kind_of_photos_is_refused(api: Api, urls: Any) -> None:
    assert_invalid(api, changed(TRAIN_FREE, input={"user_urls": urls}))


def test_a_url_may_not_hold_chinese_characters(api: Api) -> None:
    reply = api.generate(changed(TEMPLATE, input={"template_url": "https://pictures.example/模板.jpg"}))
    assert_error_shape(reply, 400, "InvalidURL")


def test_a_url_may_hold_them_percent_encoded(api: Api) -> None:
    url = "https://pictures.example/%E6%A8%A1%E6%9D%BF.jpg?a=b%20c"
    assert accepted(api, changed(TEMPLATE, input={"template_url": url})).template_url == url


@pytest.mark.parametrize("given", [[], "x", 3])
def test_input_is_an_object(api: Api, given: Any) -> None:
    assert_invalid(api, {**PRESET, "input": given})


# -- which error wins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{'a': 1}", b'{"n": NaN}', b"[" * 9999]
)
def test_a_body_that_is_no_json_object(api: Api, body: bytes) -> None:
    text = "The input parameter requires json format."
    assert_error_shape(api("POST", GENERATE, content=body), 400, "BadRequest.IllegalInput", text)


@pytest.mark.parametrize("model", [..., None, ""])
def test_the_model_is_required(api: Api, model: Any) -> None:
    text = 'Required parameter "model" missing from request.'
    assert_error_shape(api.generate(changed(PRESET, model=model)), 400, "BadRequest.EmptyModel", text)


def test_an_unknown_model(api: Api) -> None:
    assert_error_shape(api.generate({"model": "wanx-v1"}), 400, "InvalidParameter", "Model not exist.")


def test_an_unknown_model_as_the_vendors_page_has_it(world: World) -> None:
    api = Api(world, ApiConfig(unknown_model_is_404=True))
    assert_error_shape(api.generate({"model": "wanx-v1"}), 404, "ModelNotFound", "Model can not be found.")


def test_a_model_on_another_models_path(api: Api) -> None:
    text = "url error, please check url！"
    assert_error_shape(api.generate({"model": "facechain-finetune"}), 400, "InvalidParameter", text)


@pytest.mark.parametrize("model", [1, [], {"a": 1}, True])
def test_a_model_of_another_type(api: Api, model: Any) -> None:
    assert_error_shape(api.generate({"model": model}), 400, "InvalidParameter", InvalidParameter.text)


@pytest.mark.parametrize("value", [None, "disable", "", "true", "yes"])
def test_only_asynchronous_calls_are_served(api: Api, value: str | None) -> None:
    headers = {} if value is None else {"X-DashScope-Async": value}
    text = "current user api does not support synchronous calls."
    assert_error_shape(api("POST", GENERATE, json=PRESET, headers=headers), 403, "AccessDenied", text)


@pytest.mark.parametrize("value", ["enable", "Enable", " enable "])
def test_the_header_may_be_spelled_freely(api: Api, value: str) -> None:
    assert_success(api("POST", GENERATE, json=PRESET, headers={"X-DashScope-Async": value}))


def test_the_order_of_checks(world: World) -> None:
    """Key, workspace, (route,) JSON, model, header, parameters: each beats all that come after it."""
    api = Api(world, ApiConfig(workspaces=frozenset({"ws"})))
    good = {"Authorization": "Bearer sk-anne", "X-DashScope-WorkSpace": "ws", **ASYNC}
    wrong = {"Authorization": "Bearer x", "X-DashScope-WorkSpace": "other", "X-DashScope-Async": "disable"}
    steps = [
        (wrong, b"{", "InvalidApiKey"),
        ({**wrong, "Authorization": good["Authorization"]}, b"{", "Workspace.AccessDenied"),
        ({**good, "X-DashScope-Async": "disable"}, b"{", "BadRequest.IllegalInput"),
        ({**good, "X-DashScope-Async": "disable"}, b'{"parameters": 3}', "BadRequest.EmptyModel"),
        ({**good, "X-DashScope-Async": "disable"}, b'{"model": "facechain-generation"}', "AccessDenied"),
        (good, b'{"model": "facechain-generation"}', "BadRequest.EmptyParameters"),
        (good, b'{"model": "facechain-generation", "parameters": 3}', "InvalidParameter"),
    ]
    codes = [api("POST", GENERATE, content=body, headers=headers).json()["code"] for headers, body, _ in steps]
    assert codes == [code for _, _, code in steps]


def test_a_body_that_is_too_long(world: World) -> None:
    api = Api(world, ApiConfig(max_json_bytes=1000))
    reply = api.generate({**PRESET, "padding": "x" * 1000})
    assert_error_shape(reply, 400, "BadRequest.TooLarge", "Payload Too Large.")


def test_the_content_type_does_not_matter(api: Api) -> None:
    headers = {**ASYNC, "Content-Type": "application/x-www-form-urlencoded"}
    assert_success(api("POST", GENERATE, content=json.dumps(PRESET), headers=headers))


# -- anything at all --------------------------------------------------------------------------------------------------

_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_bodies = st.fixed_dictionaries(
    {"model": st.just("facechain-generation")},
    optional={
        "parameters": _anything
        | st.fixed_dictionaries(
            {
                "style": st.sampled_from(
                    ["f_idcard_female", "portrait_url_template", "train_free_portrait_url_template"]
                )
            },
            optional={"n": _anything, "size": _anything, "skin_retouch": _anything, "seed": _anything},
        ),
        "input": _anything
        | st.fixed_dictionaries({}, optional={"template_url": st.just(FACE_URL) | _anything, "user_urls": _anything}),
        "resources": st.just(LORA) | _anything,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_bodies)
def test_whatever_is_sent_is_accepted_or_refused_by_the_contract(api: Api, body: dict[str, Any]) -> None:
    reply = api("POST", GENERATE, content=json.dumps(body).encode(), headers=ASYNC)
    if reply.status_code == 200:
        assert_success(reply)
    else:
        assert_error_shape(reply, reply.status_code, reply.json()["code"])
        assert reply.status_code in {400, 403}
