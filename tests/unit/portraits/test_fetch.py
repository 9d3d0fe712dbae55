"""Fetching from URLs, against a real server on this machine that misbehaves to order."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.errors import (
    ConnectionRefused,
    DownloadTimeout,
    InvalidFileSize,
    InvalidURL,
    MediaDownloadFailed,
    PortraitdError,
)
from portraitd.portraits.fetch import MEGABYTE, Fetcher, check_url, parse_url
from tests.fakes.sites import Quiet, listening

LOCAL = (ip_network("127.0.0.0/8"),)
LIMIT = 100_000
PICTURE = b"\xff\xd8" + bytes(range(256)) * 200


@dataclass
class Site:
    """A running server, what it was asked, and what it answers by path."""

    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def redirects(self, path: str, location: str, status: int = 302) -> str:
        """Let `path` lead to `location`."""
        self.answers[path] = lambda handler: reply(handler, status, b"moved", Location=location)
        return self.url(path)


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Length": str(len(body)), **given}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    found.answers["/a.jpg"] = lambda handler: reply(handler, 200, PICTURE)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            with suppress(OSError):  # a client that has seen enough hangs up
                found.answers.get(self.path.partition("?")[0], lambda handler: reply(handler, 404, b"no"))(self)

    with listening(Handler) as found.port:
        yield found


def local(**options: Any) -> Fetcher:
    """A fetcher that may reach this machine."""
    return Fetcher(**{"allow": LOCAL, "timeout_s": 5.0, **options})


# -- what works -------------------------------------------------------------------------------------------------------


def test_the_bytes_of_a_picture(site: Site) -> None:
    assert local().fetch(site.url("/a.jpg?x=%E7%85%A7&y=1#part"), LIMIT) == PICTURE
    ((path, headers),) = site.requests
    assert path == "/a.jpg?x=%E7%85%A7&y=1"
    assert headers == {"host": f"127.0.0.1:{site.port}", "accept-encoding": "identity", "user-agent": "portraitd"}


def test_an_answer_of_unknown_length(site: Site) -> None:
    def chunked(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    site.answers["/chunked"] = chunked
    assert local().fetch(site.url("/chunked"), LIMIT) == b"abcde"


def test_no_proxy_and_no_password_file_of_the_environment_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert local().fetch(site.url("/a.jpg"), LIMIT) == PICTURE
    assert "authorization" not in site.requests[0][1]


def test_an_own_link_is_read_without_a_request(site: Site) -> None:
    fetcher = local(own=lambda url, most: b"mine"[:most] if "/results/" in url else None)
    assert fetcher.fetch(site.url("/results/1.jpg"), LIMIT) == b"mine"
    assert site.requests == []
    assert fetcher.fetch(site.url("/a.jpg"), LIMIT) == PICTURE
    with pytest.raises(InvalidFileSize):
        fetcher.fetch(site.url("/results/1.jpg"), 3)


# -- where it may go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_out_of_reach(site: Site, host: str) -> None:
    with pytest.raises(InvalidURL):
        Fetcher(timeout_s=5.0).fetch(site.url("/a.jpg", host), LIMIT)
    assert site.requests == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "x"]
)
def test_a_name_that_leads_inside_is_out_of_reach(address: str) -> None:
    with pytest.raises(InvalidURL) as caught:
        Fetcher(resolve=lambda host, port: [address]).fetch("http://pictures.example/a.jpg", LIMIT)
    assert type(caught.value) is InvalidURL


@pytest.mark.parametrize("error", [socket.gaierror("no such name"), UnicodeError("label too long")])
def test_a_name_that_leads_nowhere_answers_as_one_that_leads_inside(error: Exception) -> None:
    def fail(host: str, port: int) -> list[str]:
        raise error

    with pytest.raises(InvalidURL) as caught:
        Fetcher(resolve=fail).fetch("http://pictures.example/a.jpg", LIMIT)
    assert (type(caught.value), caught.value.message) == (InvalidURL, InvalidURL.text)


def test_of_several_addresses_only_permitted_ones_are_used(site: Site) -> None:
    fetcher = local(resolve=lambda host, port: ["10.0.0.1", "::1", "127.0.0.1"])
    assert fetcher.fetch(site.url("/a.jpg", "pictures.example"), LIMIT) == PICTURE
    assert site.requests[0][1]["host"] == f"pictures.example:{site.port}"


def test_the_next_address_is_tried_when_one_refuses(site: Site) -> None:
    fetcher = local(resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"])
    assert fetcher.fetch(site.url("/a.jpg", "pictures.example"), LIMIT) == PICTURE


@dataclass
class ChangingNames:
    """A resolver that gives one answer after the other, and the last one for good."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_name_is_resolved_once_and_its_change_of_mind_ignored(site: Site) -> None:
    names = ChangingNames([["127.0.0.1"], ["10.0.0.1"]])
    assert local(resolve=names).fetch(site.url("/a.jpg", "pictures.example"), LIMIT) == PICTURE
    assert names.asked == ["pictures.example"]


def test_a_redirect_asks_for_the_name_anew(site: Site) -> None:
    names = ChangingNames([["127.0.0.1"], ["10.0.0.1"]])
    site.redirects("/r", "/a.jpg")
    with pytest.raises(InvalidURL):
        local(resolve=names).fetch(site.url("/r", "pictures.example"), LIMIT)
    assert [path for path, _ in site.requests] == ["/r"]


# -- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/a.jpg", "a.jpg", "/a.jpg?q=1", "//127.0.0.1:{port}/a.jpg", "http://127.0.0.1:{port}/a.jpg"]
)
def test_redirects_are_followed(site: Site, status: int, location: str) -> None:
    url = site.redirects("/r", location.format(port=site.port), status)
    assert local().fetch(url, LIMIT) == PICTURE


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//192.168.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "gopher://127.0.0.1/",
        "oss://bucket/a",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1/照",
        "http://[",
        "javascript:1",
    ],
)
def test_redirects_are_checked_like_urls(site: Site, location: str) -> None:
    def move(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 302 Found\r\nLocation: " + location.encode() + b"\r\n\r\n")

    site.answers["/r"] = move
    with pytest.raises(InvalidURL):
        local().fetch(site.url("/r"), LIMIT)
    assert len(site.requests) == 1


def test_three_redirects_and_no_more(site: Site) -> None:
    for n in range(4):
        site.redirects(f"/{n}", f"/{n - 1}" if n else "/a.jpg")
    assert local().fetch(site.url("/2"), LIMIT) == PICTURE
    with pytest.raises(MediaDownloadFailed):
        local().fetch(site.url("/3"), LIMIT)


def test_a_redirect_in_a_circle(site: Site) -> None:
    with pytest.raises(MediaDownloadFailed):
        local().fetch(site.redirects("/r", "/r"), LIMIT)
    assert len(site.requests) == 4


# -- limits -----------------------------------------------------------------------------------------------------------


def test_the_size_limit_is_inclusive(site: Site) -> None:
    assert local().fetch(site.url("/a.jpg"), len(PICTURE)) == PICTURE
    with pytest.raises(InvalidFileSize):
        local().fetch(site.url("/a.jpg"), len(PICTURE) - 1)


def test_the_size_error_names_the_limit_in_megabytes(site: Site) -> None:
    site.answers["/big"] = lambda handler: reply(handler, 200, b"", Content_Length=str(6 * MEGABYTE))
    with pytest.raises(InvalidFileSize) as caught:
        local().fetch(site.url("/big"), 5 * MEGABYTE)
    assert caught.value.message == "Invalid file size, The image file size must be smaller than 5MB."


def test_a_body_without_end_is_cut_off_at_the_limit(site: Site) -> None:
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while len(sent) < 10_000:
            handler.wfile.write(bytes(65_536))
            sent.append(65_536)

    site.answers["/endless"] = endless
    with pytest.raises(InvalidFileSize):
        local().fetch(site.url("/endless"), MEGABYTE)
    assert sum(sent) < 100 * MEGABYTE


def test_a_compressed_body_is_refused(site: Site) -> None:
    site.answers["/gzip"] = lambda handler: reply(handler, 200, b"\x1f\x8b", Content_Encoding="gzip")
    with pytest.raises(MediaDownloadFailed):
        local().fetch(site.url("/gzip"), LIMIT)


def dripping(head: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Sends `head`, then a byte now and then, for as long as anyone listens."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    return drip


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
)
def test_a_server_that_drips_is_left_at_the_deadline(site: Site, head: bytes) -> None:
    site.answers["/slow"] = dripping(head)
    begun = time.monotonic()
    with pytest.raises(DownloadTimeout) as caught:
        local(timeout_s=0.4).fetch(site.url("/slow"), LIMIT)
    assert time.monotonic() - begun < 2
    assert caught.value.message == "Download 127.0.0.1 timeout, please check network connection."


def test_a_chain_of_slow_redirects_shares_one_deadline(site: Site) -> None:
    def late(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.25)
        reply(handler, 302, b"", Location="/r")

    site.answers["/r"] = late
    begun = time.monotonic()
    with pytest.raises(DownloadTimeout):
        local(timeout_s=0.4).fetch(site.url("/r"), LIMIT)
    assert time.monotonic() - begun < 2


def test_a_name_server_that_does_not_answer() -> None:
    def sleep(host: str, port: int) -> list[str]:
        time.sleep(3)
        return ["127.0.0.1"]

    begun = time.monotonic()
    with pytest.raises(DownloadTimeout):
        local(timeout_s=0.2, resolve=sleep).fetch("http://pictures.example/", LIMIT)
    assert time.monotonic() - begun < 2


# -- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 418, 500, 503])
def test_any_status_but_200_is_a_failure(site: Site, status: int) -> None:
    site.answers["/s"] = lambda handler: reply(handler, status, b"")
    with pytest.raises(MediaDownloadFailed):
        local().fetch(site.url("/s"), LIMIT)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
    ],
)
def test_a_broken_answer(site: Site, answer: bytes) -> None:
    site.answers["/broken"] = lambda handler: handler.wfile.write(answer) and None
    with pytest.raises(MediaDownloadFailed):
        local().fetch(site.url("/broken"), LIMIT)


def test_a_port_nobody_listens_on() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefused) as caught:
            local().fetch(f"http://127.0.0.1:{held.getsockname()[1]}/", LIMIT)
    assert caught.value.message == "Connection to 127.0.0.1 refused, please provide available URL."


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_site(site: Site, tmp_path: Path) -> Iterator[tuple[Site, ssl.SSLContext]]:
    """The site again, behind TLS as `pictures.example`, and who trusts its certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example"]
    files = ["-keyout", str(key), "-out", str(cert)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.requests.append((str(names[-1]), {"host": self.headers["Host"]}))
            reply(self, 200, PICTURE)

    with listening(Handler, context) as site.port:
        yield site, ssl.create_default_context(cafile=str(cert))


def test_tls_asks_for_and_checks_the_name_not_the_address(tls_site: tuple[Site, ssl.SSLContext]) -> None:
    site, trust = tls_site
    fetcher = local(resolve=lambda host, port: ["127.0.0.1"], trust=lambda: trust)
    assert fetcher.fetch(f"https://pictures.example:{site.port}/a.jpg", LIMIT) == PICTURE
    assert site.requests == [("pictures.example", {"host": f"pictures.example:{site.port}"})]
    with pytest.raises(ConnectionRefused):
        fetcher.fetch(f"https://other.example:{site.port}/a.jpg", LIMIT)


def test_tls_with_a_certificate_nobody_vouches_for(tls_site: tuple[Site, ssl.SSLContext]) -> None:
    site, _ = tls_site
    with pytest.raises(ConnectionRefused):
        local(resolve=lambda host, port: ["127.0.0.1"]).fetch(f"https://pictures.example:{site.port}/a.jpg", LIMIT)


# -- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "pieces"),
    [
        ("http://a.example", ("http", "a.example", 80, "/")),
        ("HTTPS://A.Example/b?c=d#e", ("https", "a.example", 443, "/b?c=d")),
        ("http://a.example:8080?x", ("http", "a.example", 8080, "/?x")),
        ("http://a.example:/x", ("http", "a.example", 80, "/x")),
        ("http://[2606:4700::1111]:81/", ("http", "2606:4700::1111", 81, "/")),
        ("http://xn--fsqu00a.example/", ("http", "xn--fsqu00a.example", 80, "/")),
        ("http://a_b.example./%E7%85%A7", ("http", "a_b.example.", 80, "/%E7%85%A7")),
    ],
)
def test_the_pieces_of_a_url(url: str, pieces: tuple[str, str, int, str]) -> None:
    target = parse_url(url)
    assert (target.scheme, target.host, target.port, target.path) == pieces


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("http://a.example:80/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("https://a.example:443/", "a.example"),
        ("http://[::1]:8000/", "[::1]:8000"),
    ],
)
def test_the_host_header(url: str, header: str) -> None:
    assert parse_url(url).host_header == header


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.jpg",
        "//a.example/",
        "http:a.example",
        "http:///a",
        "http://",
        "http://?",
        "http://:80/",
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:x/",
        "http://user@a.example/",
        "http://:@a.example/",
        "http://a.example\\@b.example/",
        "http://a.example/a b",
        " http://a.example/",
        "http://a.example/\n",
        "http://a.example/\t",
        "http://a.ex\x00ample/",
        "http://照片.example/",
        "http://a.example/照片.jpg",
        "http://a.example/é",
        "http://%61.example/",
        "http://a.example%2f@b/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://[not-an-address]/",
        "http://-a.example/",
        "http://a..\u3002b/",
        "ftp://a.example/",
        "oss://bucket/key",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://a.example/" + "x" * 5000,
        "http://" + "a" * 300,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        check_url(url)


@given(st.text(max_size=40) | st.from_regex(r"https?://[ -~]{0,40}", fullmatch=True))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        target = parse_url(text)
    except InvalidURL:
        return
    assert target.scheme in {"http", "https"}
    assert target.host
    assert target.host.isascii()
    assert not set(target.host) & set("/\\@?#%[] ")
    assert 0 < target.port < 65536
    assert target.path.startswith("/")
    assert all("\x21" <= letter <= "\x7e" for letter in target.path)


@given(st.text(max_size=40) | st.from_regex(r"http://[0-9a-fx.:\[\]@/\\]{1,30}", fullmatch=True))
def test_any_text_that_leads_to_this_machine_is_refused(text: str) -> None:
    fetcher = Fetcher(resolve=lambda host, port: ["127.0.0.1"], timeout_s=1)
    with pytest.raises(PortraitdError):
        fetcher.fetch(text, LIMIT)
