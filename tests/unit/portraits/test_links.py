"""Signed links open one thing, for a while, and cannot be bent."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.portraits.links import Links
from tests.fakes.stores import FakeClock

PATH = "tasks/1b4e28ba-2fa1-11d2-883f-0016d3cca427/1.jpg"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def links(clock: FakeClock) -> Links:
    return Links("https://portraits.example", "secret", clock)


def made(links: Links, clock: FakeClock) -> str:
    return links.make(PATH, clock() + timedelta(hours=1))


def test_a_link_looks_like_the_real_service_s(links: Links, clock: FakeClock) -> None:
    parts = urlsplit(made(links, clock))
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "portraits.example", f"/results/{PATH}")
    assert list(parse_qs(parts.query)) == ["Expires", "OSSAccessKeyId", "Signature"]
    assert parts.path.endswith(".jpg")


def test_it_opens_its_own_path_until_it_expires(links: Links, clock: FakeClock) -> None:
    link = links.split(made(links, clock))
    assert link is not None
    path, expires, signature = link
    assert path == PATH
    assert links.holds(path, expires, signature)
    clock.pass_(minutes=59)
    assert links.holds(path, expires, signature)
    clock.pass_(minutes=1)
    assert not links.holds(path, expires, signature)


def test_it_opens_nothing_else(links: Links, clock: FakeClock) -> None:
    link = links.split(made(links, clock))
    assert link is not None
    path, expires, signature = link
    assert not links.holds(path.replace("1.jpg", "2.jpg"), expires, signature)
    assert not links.holds(path, expires + 1, signature)
    assert not links.holds(path, expires, signature.lower())
    assert not links.holds(path, expires, "")
    assert not links.holds(path, expires, "é\ud800".encode("utf-8", "replace").decode())
    other = Links("https://portraits.example", "another secret", clock)
    assert not other.holds(path, expires, signature)


@given(st.text(), st.integers(0, 10**11), st.text())
def test_no_guess_opens_anything(path: str, expires: int, signature: str) -> None:
    assert not Links("", "secret", FakeClock()).holds(path, expires, signature)


def test_other_urls_are_not_ours(links: Links) -> None:
    for url in (
        "https://elsewhere.example/results/x?Expires=1&Signature=y",
        "https://portraits.example/results/x",
        "https://portraits.example.evil/results/x?Expires=1&Signature=y",
        "",
    ):
        assert links.split(url) is None
