"""Figures for Prometheus: what this process has seen of HTTP, and how the service as a whole is doing."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import TypeAlias

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import generate_latest as render
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from portraitd.api.config import ApiConfig
from portraitd.errors import InvalidApiKey, PathNotFound
from portraitd.portraits.requests import ServiceFigures

#: The figures of the whole service, None when they cannot be had now.
ReadFigures: TypeAlias = Callable[[], ServiceFigures | None]

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Meter:
    """Counts one application's requests and refusals, and renders them with the service's figures."""

    def __init__(self, figures: ReadFigures) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(_Service(figures))
        self._requests = Counter(
            "portraitd_http_requests",
            "Requests answered by this process.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "portraitd_http_request_seconds",
            "Time until a request was answered whole, by this process.",
            ("method", "route"),
            buckets=_BOUNDS_S,
            registry=self._registry,
        )
        self._refusals = Counter(
            "portraitd_refusals", "Requests refused by this process, by error code.", ("code",), registry=self._registry
        )

    def saw(self, scope: Scope, status: int, cost_s: float) -> None:
        """A request was answered, or given up with status 0."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # The template of the path, never the path: a client could make any number of those.
        route = getattr(scope.get("route"), "path", "none")
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(cost_s)

    def refused(self, code: str) -> None:
        self._refusals.labels(code).inc()

    def render(self) -> bytes:
        return render(self._registry)


class _Service(Collector):
    """The figures that all processes share, read when they are asked for."""

    def __init__(self, figures: ReadFigures) -> None:
        self._figures = figures

    def describe(self) -> Iterator[Metric]:
        """Nothing: saying it would mean asking the database at start-up."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield GaugeMetricFamily("portraitd_database_up", "Did the database answer?", value=float(figures is not None))
        if figures:
            yield from _families(figures)


def _families(figures: ServiceFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily("portraitd_workers", "Worker processes that live.", value=figures.workers)
    tasks = GaugeMetricFamily("portraitd_tasks", "Tasks that the database remembers.", labels=("kind", "state"))
    for by, count in figures.tasks.items():
        tasks.add_metric(by, count)
    yield tasks
    age = GaugeMetricFamily(
        "portraitd_queue_age_seconds", "How long the oldest waiting task has waited.", labels=("kind",)
    )
    for kind in ("generate", "finetune"):
        age.add_metric((kind,), figures.waiting_s.get(kind, 0.0))
    yield age
    stages = HistogramMetricFamily(
        "portraitd_stage_seconds", "Time that a stage of tasks took.", labels=("kind", "stage")
    )
    for stage in figures.stages:
        buckets = [("+Inf" if bound == float("inf") else str(bound), count) for bound, count in stage.buckets]
        stages.add_metric((stage.kind, stage.stage), buckets, stage.total_s)
    yield stages
    ends = CounterMetricFamily(
        "portraitd_task_ends", "Runs that workers ended, by error code.", labels=("kind", "state", "code")
    )
    for by_code, ended in figures.ends.items():
        ends.add_metric(by_code, ended)
    yield ends
    pictures = CounterMetricFamily("portraitd_pictures", "Pictures, made and failed.", labels=("outcome",))
    for outcome, many in figures.pictures.items():
        pictures.add_metric((outcome,), many)
    yield pictures
    told = CounterMetricFamily(
        "portraitd_webhook_deliveries", "Attempts to tell webhooks, by what came of them.", labels=("outcome",)
    )
    for outcome, many in figures.deliveries.items():
        told.add_metric((outcome,), many)
    yield told


async def read(request: Request) -> Response:
    """Everything, for who has the token; where none is set there is no such path."""
    config: ApiConfig = request.app.state.config
    if not config.metrics_token:
        raise PathNotFound
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {config.metrics_token}".encode()):
        raise InvalidApiKey
    meter: Meter = request.app.state.meter
    return Response(await run_in_threadpool(meter.render), media_type=CONTENT_TYPE_LATEST)
