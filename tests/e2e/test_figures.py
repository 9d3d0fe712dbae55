"""What a real service's worker has done reaches the monitor through the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.crash.service import Service, until
from tests.fakes.engines import FAILS_EVERY_SECOND

TOKEN = "let-the-monitor-in"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, PORTRAITD_METRICS_TOKEN=TOKEN)
    made.start()
    yield made
    made.close()


def test_a_worker_s_figures_reach_the_monitor(service: Service) -> None:
    def told() -> list[str]:
        reply = httpx.get(service.url("/metrics"), headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status_code == 200
        return reply.text.splitlines()

    service.until_ended([service.submit(n=2), service.submit(FAILS_EVERY_SECOND, n=2)])
    until(lambda: 'portraitd_pictures_total{outcome="made"} 3.0' in told(), 30)
    lines = told()
    assert 'portraitd_pictures_total{outcome="failed"} 1.0' in lines
    assert 'portraitd_tasks{kind="generate",state="SUCCEEDED"} 2.0' in lines
    assert 'portraitd_task_ends_total{code="",kind="generate",state="SUCCEEDED"} 2.0' in lines
    assert 'portraitd_queue_age_seconds{kind="generate"} 0.0' in lines
    assert "portraitd_workers 1.0" in lines
    assert 'portraitd_stage_seconds_count{kind="generate",stage="wait"} 2.0' in lines
    assert 'portraitd_stage_seconds_count{kind="generate",stage="make"} 4.0' in lines
    assert 'portraitd_stage_seconds_count{kind="generate",stage="store"} 3.0' in lines
    submit = 'method="POST",route="/api/v1/services/aigc/album/gen_potrait",status="200"'
    assert f"portraitd_http_requests_total{{{submit}}} 2.0" in lines
