"""HTTP servers of the standard library, for as long as a test needs one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[..., BaseHTTPRequestHandler]


class _Server(ThreadingHTTPServer):
    # A connection that a test leaves open does not hold up its end.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *args: Any) -> None:
        """Say nothing: clients that hang up, or do not trust it, are what tests are about."""


class Quiet:
    """A handler that writes no log."""

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server on this machine."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
