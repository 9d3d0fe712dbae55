"""The HTTP application: one list of routes, one of middleware.

`uvicorn` must run it without its own access log, which would write the signatures of links; `portraitd.access` is ours.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from portraitd.api import (
    faces,
    files,
    finetunes,
    metrics,
    openai_files,
    openapi,
    ops,
    portraits,
    results,
    tasks,
    tokens,
    uploads,
)
from portraitd.api.call import KnownCall
from portraitd.api.config import MEGABYTE, ApiConfig
from portraitd.api.files import FORM
from portraitd.api.metrics import Meter, ReadFigures
from portraitd.api.middleware import BodyLimit, RequestStamp, SecureHeaders
from portraitd.api.openapi import JSON, Said, answers, header, takes, takes_form
from portraitd.api.replies import LastResort, on_error
from portraitd.api.wire.faces import DetectBody
from portraitd.api.wire.finetunes import FinetuneBody
from portraitd.api.wire.portraits import GenerateBody
from portraitd.errors import PathNotFound, PortraitdError
from portraitd.portraits.requests import MAX_UPLOAD_MB
from portraitd.portraits.services import Services

__all__ = ["API_ROOT", "ApiConfig", "build_app"]

API_ROOT = "/api/v1"
#: Where OpenAI's clients look for their files.
OPENAI_ROOT = "/compatible-mode/v1"
#: What a multipart body may hold besides its files: headers, descriptions, boundaries.
FRAMING_BYTES = 256 * 1024
#: Face checks that run at once; more of them wait. Each fetches pictures, and other requests must not wait for those.
CHECKS_AT_ONCE = 16
_EVERY_METHOD = "GET HEAD POST PUT PATCH DELETE OPTIONS"

_NOTHING = Said()
_ASYNC = header("X-DashScope-Async", "This work is only done asynchronously.", only="enable")
_ONCE = header("Idempotency-Key", "Sent again with the same request, it makes nothing more.")
_EVENTS = answers((200, "text/event-stream", "The job, now and at each change, as `data:` lines of JSON."))
_POSTED = answers((200, "*/*", "Kept."), (204, "*/*", "Kept."), (403, "application/xml", "Not with this ticket."))
_LINKED = answers(
    (200, "*/*", "The picture or file."),
    (403, "application/xml", "The link is wrong or has expired."),
    (404, JSON, "No link can look like this."),
)
_CONTENT = answers((200, "application/octet-stream", "The file, as it came."))
_FIGURES = answers(
    (200, "text/plain", "Figures for Prometheus."), (401, JSON, "Not the token."), (404, JSON, "No token was set.")
)


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
        routes=list(_routes()),
        middleware=_middleware(config, meter),
        exception_handlers=dict.fromkeys((PortraitdError, HTTPException, RequestValidationError), on_error),
        redirect_slashes=False,
        openapi_url=None,
    )
    app.state.services = services
    app.state.config = config
    #: Set when the server is to end: open replies come to theirs.
    app.state.stopping = threading.Event()
    app.state.api_root = API_ROOT
    app.state.openai_root = OPENAI_ROOT
    app.state.ready = watched.ready
    app.state.meter = meter
    app.state.checks = anyio.CapacityLimiter(CHECKS_AT_ONCE)
    return app


@functools.cache
def _routes() -> tuple[BaseRoute, ...]:
    """Every path of the service. The last one under the API root takes what no other did, wrong methods included.

    They know no application, and take longer to make than all the rest of one: all applications share them.
    """
    return (
        _api("POST", "/services/aigc/album/gen_potrait", portraits.create, takes(GenerateBody, _ASYNC, _ONCE)),
        _api("POST", "/services/vision/facedetection/detect", faces.detect, takes(DetectBody)),
        _api("POST", "/fine-tunes", finetunes.create, takes(FinetuneBody, _ONCE)),
        _api("GET", "/fine-tunes", finetunes.list_jobs),
        _api("GET", "/fine-tunes/{job_id}", finetunes.read),
        _api("DELETE", "/fine-tunes/{job_id}", finetunes.delete),
        _api("POST", "/fine-tunes/{job_id}/cancel", finetunes.cancel),
        _api("GET", "/fine-tunes/{job_id}/logs", finetunes.logs),
        _api("GET", "/fine-tunes/{job_id}/stream", finetunes.stream, _EVENTS),
        _api("GET", "/fine-tunes/{job_id}/events", finetunes.stream, _EVENTS),
        _api("GET", "/tasks", tasks.list_tasks),
        _api("GET", "/tasks/", tasks.list_tasks),
        _api("GET", "/tasks/{task_id}", tasks.read),
        _api("POST", "/tasks/{task_id}/cancel", tasks.cancel),
        # So the asynchronous classes of the vendor's client spell the two.
        _api("GET", "/tasks/{task_id}/", tasks.read),
        _api("POST", "/tasks/{task_id}/cancel/", tasks.cancel),
        _api("POST", "/files", files.upload, takes_form(FORM, "files", _ONCE)),
        _api("GET", "/files", files.list_files),
        _api("GET", "/files/{file_id}", files.read),
        _api("DELETE", "/files/{file_id}", files.delete),
        _api("POST", "/tokens", tokens.create, Said({"parameters": [_ONCE]})),
        _api("GET", "/uploads", uploads.ticket),
        _api(_EVERY_METHOD, "/{path:path}", _unknown_path),
        *_openai_routes(),
        _route("POST", uploads.PATH, uploads.post, _POSTED),
        *_page(results.PREFIX + "{path:path}", results.download, _LINKED),
        *_page("/healthz", ops.healthz, answers((200, JSON, "The process answers."))),
        *_page("/readyz", ops.readyz, answers((200, JSON, "It can do its work."), (503, JSON, "It cannot now."))),
        _route("GET", "/metrics", metrics.read, _FIGURES),
        _route("GET", "/openapi.json", openapi.read, answers((200, JSON, "This document."))),
    )


def _openai_routes() -> list[BaseRoute]:
    root = OPENAI_ROOT
    return [
        _route("POST", f"{root}/files", openai_files.create, takes_form(openai_files.FORM, "file purpose", _ONCE)),
        _route("GET", f"{root}/files", openai_files.list_files),
        _route("GET", f"{root}/files/{{file_id}}", openai_files.read),
        _route("GET", f"{root}/files/{{file_id}}/content", openai_files.content, _CONTENT),
        _route("DELETE", f"{root}/files/{{file_id}}", openai_files.delete),
        _route(_EVERY_METHOD, f"{root}/{{path:path}}", _unknown_path),
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
            larger={
                f"{API_ROOT}/files": config.max_upload_bytes + FRAMING_BYTES,
                f"{OPENAI_ROOT}/files": config.max_upload_bytes + FRAMING_BYTES,
                uploads.PATH: MAX_UPLOAD_MB * MEGABYTE + FRAMING_BYTES,
            },
        ),
    ]


def _api(methods: str, path: str, handler: Callable[..., Any], said: Said = _NOTHING) -> BaseRoute:
    return _route(methods, API_ROOT + path, handler, said)


def _page(path: str, handler: Callable[..., Any], said: Said) -> tuple[BaseRoute, BaseRoute]:
    """A path to look at: HEAD is answered as GET is, and not told apart."""
    return _route("GET", path, handler, said), _route("HEAD", path, handler)


def _route(methods: str, path: str, handler: Callable[..., Any], said: Said = _NOTHING) -> BaseRoute:
    return APIRoute(
        path,
        handler,
        methods=methods.split(),
        response_model_exclude_none=True,
        # The plain Response promises no JSON.
        response_class=Response if said.answers else JSONResponse,
        responses=dict(said.answers),
        openapi_extra=said.takes,
        include_in_schema=methods not in {_EVERY_METHOD, "HEAD"},
    )


def _unknown_path(call: KnownCall) -> None:
    """The key is looked at first: who has none learns no paths."""
    raise PathNotFound
