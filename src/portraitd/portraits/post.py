"""Posting to URLs that people other than the operator may have chosen: by the same rules as fetching from them.

Redirects are not followed, and of the answer nothing is read but its head.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpcore

from portraitd.portraits.addresses import Network, Resolver, system_resolver
from portraitd.portraits.fetch import as_our_errors, parse_url, usual_trust
from portraitd.portraits.pinned import Deadline, PinnedBackend


@dataclass(frozen=True)
class Poster:
    """Posts JSON; safe to share between threads."""

    #: Networks that may be reached although they are not public.
    allow: tuple[Network, ...] = ()
    #: For everything about one post: names, connection, request, head of the answer.
    timeout_s: float = 15.0
    resolve: Resolver = system_resolver
    #: Who vouches for TLS servers.
    trust: Callable[[], ssl.SSLContext] = usual_trust

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer.

        Raises InvalidURL (also for what may not be reached), ConnectionRefused, DownloadTimeout and
        MediaDownloadFailed (a broken answer).
        """
        target = parse_url(url)
        request_url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        usual = {
            "Host": target.host_header,
            "User-Agent": "portraitd",
            "Content-Type": "application/json; charset=utf-8",
            "Connection": "close",
        }
        backend = PinnedBackend(self.resolve, self.allow, Deadline(self.timeout_s))
        with (
            as_our_errors(target),
            httpcore.ConnectionPool(ssl_context=self.trust(), network_backend=backend) as pool,
            pool.stream("POST", request_url, headers=list((usual | dict(headers)).items()), content=body) as response,
        ):
            return response.status
