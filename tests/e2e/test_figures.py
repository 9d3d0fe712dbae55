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
    submit = 'method="POST",route="/api/v1/services/aigc/album/gen_potrait",status="200"'
    wanted = {
        'portraitd_pictures_total{outcome="made"} 3.0',
        'portraitd_pictures_total{outcome="failed"} 1.0',
        'portraitd_tasks{kind="generate",state="SUCCEEDED"} 2.0',
        'portraitd_task_ends_total{code="",kind="generate",state="SUCCEEDED"} 2.0',
        'portraitd_queue_age_seconds{kind="generate"} 0.0',
        "portraitd_workers 1.0",
        'portraitd_stage_seconds_count{kind="generate",stage="wait"} 2.0',
        'portraitd_stage_seconds_count{kind="generate",stage="make"} 4.0',
        'portraitd_stage_seconds_count{kind="generate",stage="store"} 3.0',
        f"portraitd_http_requests_total{{{submit}}} 2.0",
    }
    # A worker tells its figures every few seconds, in the middle of a task too: they need not come all at once.
    until(lambda: wanted <= set(told()), 30)
