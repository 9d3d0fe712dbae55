"""Pictures from URLs that clients name, without letting a client reach what only this machine can.

The name is resolved once, its addresses are checked, and the connection goes to a checked one: a name that changes its
answer in between gains nothing. The Host header and the TLS server name stay the name's. Every redirect starts anew.

Proxies, cookies and credentials are never used: httpcore, unlike the clients built on it, reads none of them from the
environment. (Behind a proxy the check would mean nothing, since the proxy resolves the name again.)
"""

from __future__ import annotations

import functools
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpcore

from portraitd.errors import ConnectionRefused, DownloadTimeout, InvalidFileSize, InvalidURL, MediaDownloadFailed
from portraitd.portraits.addresses import Network, Resolver, system_resolver
from portraitd.portraits.pinned import Deadline, PinnedBackend

logger = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
MAX_URL_LENGTH = 4096
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
#: A DNS name (or an IPv4 address, which has the same letters), or an IPv6 address without its brackets.
_HOST = re.compile(r"[a-z0-9_][a-z0-9._-]{0,252}|[0-9a-f:]*:[0-9a-f:.]+")


@dataclass(frozen=True)
class Target:
    """A checked URL, in the pieces a request is made of."""

    scheme: str
    host: str
    port: int
    #: Path and query.
    path: str

    @property
    def host_header(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


def check_url(url: str) -> str:
    """`url` itself, when a fetch of it may be tried; raises InvalidURL."""
    parse_url(url)
    return url


def parse_url(url: str) -> Target:
    """The URL's pieces; raises InvalidURL.

    http and https only, no user or password, and nothing but printable ASCII without spaces: other characters must come
    percent-encoded. Backslashes, which programs read in different ways, are refused.
    """
    if not re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", url) or len(url) > MAX_URL_LENGTH:
        raise InvalidURL
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:  # a port that is none, brackets that do not match
        raise InvalidURL from error
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or "@" in parts.netloc or not _HOST.fullmatch(host) or port == 0:
        raise InvalidURL
    query = f"?{parts.query}" if parts.query else ""
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], (parts.path or "/") + query)


@functools.cache
def usual_trust() -> ssl.SSLContext:
    """The usual authorities, and those of SSL_CERT_FILE. Reading them takes tens of milliseconds, so once."""
    return httpcore.default_ssl_context()


@dataclass(frozen=True)
class Fetcher:
    """Fetches what clients point at; safe to share between threads."""

    #: Networks that may be reached although they are not public.
    allow: tuple[Network, ...] = ()
    #: For everything about one fetch: names, redirects, connections, bytes.
    timeout_s: float = 20.0
    max_redirects: int = 3
    #: Asked first: the first so many bytes behind one of our own signed links, None when the URL is no such link.
    own: Callable[[str, int], bytes | None] | None = None
    resolve: Resolver = system_resolver
    #: Who vouches for TLS servers.
    trust: Callable[[], ssl.SSLContext] = usual_trust

    def fetch(self, url: str, limit_bytes: int) -> bytes:
        """The bytes at `url`, `limit_bytes` at most.

        Raises InvalidURL (also for what may not be reached), ConnectionRefused, DownloadTimeout, MediaDownloadFailed
        (any status but 200, too many redirects, a broken reply) and InvalidFileSize.
        """
        # One byte too many is enough to tell that there are too many.
        mine = self.own(url, limit_bytes + 1) if self.own else None
        if mine is not None:
            return _within(mine, limit_bytes)
        deadline = Deadline(self.timeout_s)
        for _ in range(self.max_redirects + 1):
            found = self._hop(parse_url(url), limit_bytes, deadline)
            if isinstance(found, bytes):
                return found
            url = _joined(url, found)
        raise MediaDownloadFailed

    def _hop(self, target: Target, limit_bytes: int, deadline: Deadline) -> bytes | str:
        """The bytes at `target`, or where it redirects to."""
        request_url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        # identity: what arrives is what counts against the limit, there is no smaller form of it to inflate.
        headers = [("Host", target.host_header), ("Accept-Encoding", "identity"), ("User-Agent", "portraitd")]
        backend = PinnedBackend(self.resolve, self.allow, deadline)
        with (
            as_our_errors(target),
            httpcore.ConnectionPool(ssl_context=self.trust(), network_backend=backend) as pool,
            pool.stream("GET", request_url, headers=headers) as response,
        ):
            return _read(response, limit_bytes)


def _read(response: httpcore.Response, limit_bytes: int) -> bytes | str:
    """The body of a 200, no longer than the limit; where a redirect leads to."""
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status in _REDIRECTS and headers.get(b"location"):
        return headers[b"location"]
    if response.status != 200 or headers.get(b"content-encoding", "identity").lower() != "identity":
        raise MediaDownloadFailed
    length = headers.get(b"content-length", "")
    if length.isdecimal() and int(length) > limit_bytes:
        raise _too_large(limit_bytes)
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
    return bytes(body)


@contextmanager
def as_our_errors(target: Target) -> Iterator[None]:
    """httpcore's errors as the contract's."""
    try:
        yield
    except InvalidURL:
        logger.info("refused to connect to %s: unknown name, or an address outside the allowed networks", target.host)
        raise
    except httpcore.TimeoutException as error:
        raise DownloadTimeout(target.host) from error
    except httpcore.ConnectError as error:  # also a TLS certificate that does not hold
        raise ConnectionRefused(target.host) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise MediaDownloadFailed from error


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError as error:
        raise InvalidURL from error


def _within(data: bytes, limit_bytes: int) -> bytes:
    if len(data) > limit_bytes:
        raise _too_large(limit_bytes)
    return data


def _too_large(limit_bytes: int) -> InvalidFileSize:
    return InvalidFileSize(max(1, limit_bytes // MEGABYTE))
