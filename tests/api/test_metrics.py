"""What Prometheus is told, and who may ask."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portraitd.api.app import ApiConfig, Watched, build_app
from portraitd.portraits.requests import ServiceFigures, StageTimes
from tests.api.client import Api, ask, assert_error_shape
from tests.api.fakes import ANNE, World, link
from tests.api.test_portraits import PRESET

TOKEN = "let-the-monitor-in"
FIGURES = ServiceFigures(
    workers=2,
    tasks={("generate", "PENDING"): 3, ("generate", "SUCCEEDED"): 5},
    waiting_s={"generate": 12.5},
    stages=(StageTimes("generate", "make", ((1.0, 4.0), (float("inf"), 6.0)), 33.5),),
    ends={("generate", "FAILED", "InvalidURL"): 2.0},
    pictures={"made": 7.0},
    deliveries={"given up": 3.0},
)


@pytest.fixture
def told() -> list[ServiceFigures | None]:
    """What the service says of itself: the last one counts."""
    return [FIGURES]


@pytest.fixture
def api(world: World, told: list[ServiceFigures | None]) -> Api:
    api = Api(world)
    api._app = build_app(world.services, ApiConfig(metrics_token=TOKEN), Watched(figures=lambda: told[-1]))
    return api


def samples(api: Api) -> Mapping[str, float]:
    """Every sample, by its name and labels as they are written."""
    reply = api("GET", "/metrics", key=TOKEN)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_the_service_s_figures(api: Api) -> None:
    found = samples(api)
    assert found["portraitd_database_up"] == 1
    assert found["portraitd_workers"] == 2
    assert found["portraitd_tasks kind=generate state=PENDING"] == 3
    assert found["portraitd_queue_age_seconds kind=generate"] == 12.5
    assert found["portraitd_queue_age_seconds kind=finetune"] == 0
    assert found["portraitd_stage_seconds_bucket kind=generate le=1.0 stage=make"] == 4
    assert found["portraitd_stage_seconds_bucket kind=generate le=+Inf stage=make"] == 6
    assert found["portraitd_stage_seconds_count kind=generate stage=make"] == 6
    assert found["portraitd_stage_seconds_sum kind=generate stage=make"] == 33.5
    assert found["portraitd_task_ends_total code=InvalidURL kind=generate state=FAILED"] == 2
    assert found["portraitd_pictures_total outcome=made"] == 7
    assert found["portraitd_webhook_deliveries_total outcome=given up"] == 3
    assert found["process_resident_memory_bytes"] > 1_000_000


def test_without_a_database_the_process_s_own_are_told(api: Api, told: list[ServiceFigures | None]) -> None:
    told.append(None)
    found = samples(api)
    assert found["portraitd_database_up"] == 0
    assert "portraitd_workers" not in found


def test_requests_are_counted_by_the_template_of_their_path(api: Api) -> None:
    api.generate(PRESET)
    for path in ("1", "2", "3"):
        api("GET", f"/api/v1/tasks/{path}")
    api("GET", link("a.jpg"), key=None)
    api("BREW", "/coffee")
    api("GET", "/api/v1/any/path/somebody/invents")
    found = samples(api)
    post = "method=POST route=/api/v1/services/aigc/album/gen_potrait"
    assert found[f"portraitd_http_requests_total {post} status=200"] == 1
    assert found[f"portraitd_http_request_seconds_count {post}"] == 1
    assert found["portraitd_http_requests_total method=GET route=/api/v1/tasks/{task_id} status=200"] == 3
    assert found["portraitd_http_requests_total method=GET route=/results/{path:path} status=200"] == 1
    assert found["portraitd_http_requests_total method=other route=none status=404"] == 1
    assert found["portraitd_http_requests_total method=GET route=/api/v1/{path:path} status=404"] == 1


def test_refusals_are_counted_by_code(api: Api) -> None:
    api("GET", "/api/v1/tasks", key="sk-no")
    api("GET", "/api/v1/tasks", key=None)
    api.generate({**PRESET, "model": "no"})
    api.world.tasks.broken = RuntimeError("boom")
    api.generate(PRESET)
    found = samples(api)
    assert found["portraitd_refusals_total code=InvalidApiKey"] == 2
    assert found["portraitd_refusals_total code=InvalidParameter"] == 1
    assert found["portraitd_refusals_total code=InternalError"] == 1


def test_nothing_of_an_account_is_told(api: Api) -> None:
    task_id = api.generate(PRESET).json()["output"]["task_id"]
    api("GET", f"/api/v1/tasks/{task_id}")
    text = api("GET", "/metrics", key=TOKEN).text
    for thing in (task_id, ANNE, "1001", "women_model"):
        assert thing not in text


def test_applications_of_one_process_do_not_count_each_other_s(api: Api) -> None:
    other = Api(World())
    other.generate(PRESET)
    assert not [name for name in samples(api) if "gen_potrait" in name]


@pytest.mark.parametrize("key", [None, "", ANNE, TOKEN + "x", TOKEN[:-1], TOKEN.upper()])
def test_only_the_token_opens_it(api: Api, key: str | None) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    assert_error_shape(api("GET", "/metrics", key=None, headers=headers), 401, "InvalidApiKey")


def test_a_key_like_no_other_is_refused_quietly(api: Api) -> None:
    for header in (b"Bearer \xff", b"", b"Basic eA==", TOKEN.encode()):
        assert_error_shape(api("GET", "/metrics", key=None, headers={"Authorization": header}), 401, "InvalidApiKey")


@pytest.mark.parametrize("key", [None, "", TOKEN, ANNE])
def test_without_a_token_there_is_no_such_path(world: World, key: str | None) -> None:
    app = build_app(world.services, ApiConfig())
    assert_error_shape(ask(app, "GET", "/metrics", key=key), 404, "NotFound", "Request path not found.")
