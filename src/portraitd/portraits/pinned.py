"""Connections that go to a checked address only, and end at a deadline."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from portraitd.errors import InvalidURL
from portraitd.portraits.addresses import Network, Resolver, permitted

#: One address of several must not use up all the time.
CONNECT_TIMEOUT_S = 5.0


class Deadline:
    """A moment that everything about one fetch must be done by."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def left_s(self, at_most_s: float = float("inf")) -> float:
        """Seconds left, `at_most_s` at most; raises httpcore.ReadTimeout when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return min(left, at_most_s)


class PinnedBackend(httpcore.NetworkBackend):
    """Resolves a name once, checks what it got, and connects to that and nothing else."""

    def __init__(self, resolve: Resolver, allow: Sequence[Network], deadline: Deadline) -> None:
        self._resolve = resolve
        self._allow = allow
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first permitted address of `host` that takes one.

        Raises InvalidURL for a name without addresses and for one without permitted addresses: the answer must not
        tell which names exist inside.
        """
        found = list(permitted(self._addresses(host, port), self._allow))
        if not found:
            raise InvalidURL
        for address in found[:-1]:
            try:
                return self._connect(address, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(found[-1], port)

    def sleep(self, seconds: float) -> None:
        """httpcore waits between its own retries; there are none here."""
        time.sleep(self._deadline.left_s(seconds))

    def _connect(self, address: str, port: int) -> httpcore.NetworkStream:
        stream = self._sockets.connect_tcp(address, port, timeout=self._deadline.left_s(CONNECT_TIMEOUT_S))
        return _DeadlineStream(stream, self._deadline)

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        """What the resolver says, within the deadline: the system's own takes no timeout, hence the thread."""
        answer: list[Sequence[str]] = []

        def ask() -> None:
            try:
                answer.append(self._resolve(host, port))
            except (OSError, UnicodeError):
                answer.append(())

        thread = threading.Thread(target=ask, name=f"resolve {host[:40]}", daemon=True)
        thread.start()
        thread.join(self._deadline.left_s())
        if thread.is_alive():
            raise httpcore.ConnectTimeout("out of time")
        return answer[0] if answer else ()


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose every step gets the time that is left, so that many slow small steps add up to no more."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left_s())
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
