"""For whoever runs the service: is it alive, can it take work."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from fastapi.responses import JSONResponse


def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "ok"})


def readyz(request: Request) -> JSONResponse:
    """The service can do its work, as far as the check that `build_app` was given knows."""
    ready: Callable[[], bool] = request.app.state.ready
    return JSONResponse({"status": "ok"}) if ready() else JSONResponse({"status": "not ready"}, 503)
