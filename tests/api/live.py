"""A server on a free port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from portraitd.api.app import ApiConfig, build_app
from portraitd.portraits.services import Services


@contextmanager
def serving(services: Services, config: ApiConfig | None = None) -> Iterator[str]:
    """The URL of a server over `services`, for as long as the block lasts."""
    app = build_app(services, config or ApiConfig())
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", access_log=False, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
