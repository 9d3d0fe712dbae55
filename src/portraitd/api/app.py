"""The HTTP application: one list of routes, one of middleware.

`uvicorn` must run it without its own access log, which would write the signatures of links; `portraitd.access` is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from portraitd.api import faces, files, finetunes, metrics, ops, portraits, results, tasks
from portraitd.api.call import KnownCall
from portraitd.api.config import ApiConfig
from portraitd.api.metrics import Meter, ReadFigures
from portraitd.api.middleware import BodyLimit, RequestStamp, SecureHeaders
from portraitd.api.replies import LastResort, on_error
from portraitd.errors import PathNotFound, PortraitdError
from portraitd.portraits.services import Services

__all__ = ["API_ROOT", "ApiConfig", "build_app"]

API_ROOT = "/api/v1"
#: What a multipart body may hold besides its files: headers, descriptions, boundaries.
FRAMING_BYTES = 256 * 1024
#: Face checks that run at once; more of them wait. Each fetches pictures, and other requests must not wait for those.
CHECKS_AT_ONCE = 16
_EVERY_METHOD = "GET HEAD POST PUT PATCH DELETE OPTIONS"


@dataclass(frozen=True)
class Watched:
    """What whoever runs the service can ask about it."""

    #: Can it do its work? The answer of /readyz.
    ready: Callable[[], bool] = lambda: True
    #: The figures of the whole service for /metrics, None when they cannot be had now.
    figures: ReadFigures = lambda: None


def build_app(services: Services, config: ApiConfig, watched: Watched | None = None) -> FastAPI:
    """The application over `services`; nothing starts or opens here."""
    watched = watched or Watched()
    meter = Meter(watched.figures)
    app = FastAPI(
        title="portraitd",
        routes=_routes(),
        middleware=_middleware(config, meter),
        exception_handlers=dict.fromkeys((PortraitdError, HTTPException, RequestValidationError), on_error),
        redirect_slashes=False,
        openapi_url=None,
    )
    app.state.services = services
    app.state.config = config
    app.state.ready = watched.ready
    app.state.meter = meter
    app.state.checks = anyio.CapacityLimiter(CHECKS_AT_ONCE)
    return app


def _routes() -> list[BaseRoute]:
    """Every path of the service. The last one under the API root takes what no other did, wrong methods included."""
    return [
        _api("POST", "/services/aigc/album/gen_potrait", portraits.create),
        _api("POST", "/services/vision/facedetection/detect", faces.detect),
        _api("POST", "/fine-tunes", finetunes.create),
        _api("GET", "/fine-tunes", finetunes.list_jobs),
        _api("GET", "/fine-tunes/{job_id}", finetunes.read),
        _api("DELETE", "/fine-tunes/{job_id}", finetunes.delete),
        _api("POST", "/fine-tunes/{job_id}/cancel", finetunes.cancel),
        _api("GET", "/fine-tunes/{job_id}/logs", finetunes.logs),
        _api("GET", "/fine-tunes/{job_id}/stream", finetunes.stream),
        _api("GET", "/fine-tunes/{job_id}/events", finetunes.stream),
        _api("GET", "/tasks", tasks.list_tasks),
        _api("GET", "/tasks/", tasks.list_tasks),
        _api("GET", "/tasks/{task_id}", tasks.read),
        _api("POST", "/tasks/{task_id}/cancel", tasks.cancel),
        _api("POST", "/files", files.upload),
        _api("GET", "/files", files.list_files),
        _api("GET", "/files/{file_id}", files.read),
        _api("DELETE", "/files/{file_id}", files.delete),
        _api(_EVERY_METHOD, "/{path:path}", _unknown_path),
        _route("GET HEAD", results.PREFIX + "{path:path}", results.download),
        _route("GET HEAD", "/healthz", ops.healthz),
        _route("GET HEAD", "/readyz", ops.readyz),
        _route("GET", "/metrics", metrics.read),
    ]


def _middleware(config: ApiConfig, meter: Meter) -> list[Middleware]:
    """Outermost first."""
    return [
        Middleware(RequestStamp, meter=meter),
        Middleware(SecureHeaders),
        Middleware(LastResort),
        Middleware(
            BodyLimit,
            limit_bytes=config.max_json_bytes,
            larger={f"{API_ROOT}/files": config.max_upload_bytes + FRAMING_BYTES},
        ),
    ]


def _api(methods: str, path: str, handler: Callable[..., Any]) -> BaseRoute:
    return _route(methods, API_ROOT + path, handler)


def _route(methods: str, path: str, handler: Callable[..., Any]) -> BaseRoute:
    return APIRoute(path, handler, methods=methods.split(), response_model_exclude_none=True)


def _unknown_path(call: KnownCall) -> None:
    """The key is looked at first: who has none learns no paths."""
    raise PathNotFound
