"""Downloading behind signed links: contract section 1.5."""

from __future__ import annotations

import io
import time
from datetime import timedelta
from xml.etree import ElementTree

import httpx
import pytest

from portraitd.portraits.requests import StoredPicture
from tests.api.client import Api, assert_stamped
from tests.api.fakes import link


def test_a_link_needs_no_key(api: Api) -> None:
    reply = api("GET", link("task/1.jpg"), key=None)
    assert_stamped(reply)
    assert (reply.status_code, reply.content) == (200, b"\xff\xd8\xff\xe0picture")
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["Content-Length"] == "11"
    assert reply.headers["Content-Disposition"] == "inline; filename*=UTF-8''1.jpg"
    assert api.world.results.opened == ["task/1.jpg"]


def test_head_has_the_same_headers_and_no_bytes(api: Api) -> None:
    full, head = (api(method, link("task/1.jpg"), key=None) for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    same = ["Content-Type", "Content-Length", "Content-Disposition"]
    assert [head.headers[name] for name in same] == [full.headers[name] for name in same]


def test_a_picture_may_be_kept_by_its_reader_until_the_link_expires(api: Api) -> None:
    control = api("GET", link("task/1.jpg"), key=None).headers["Cache-Control"]
    assert control.startswith("private, max-age=")
    assert 3590 <= int(control.split("=")[1].split(",")[0]) <= 3600


def test_any_key_is_ignored(api: Api) -> None:
    assert api("GET", link("task/1.jpg"), key="sk-nobody").status_code == 200


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/zip", "application/octet-stream"])
def test_what_is_no_picture_is_only_for_saving(api: Api, media_type: str) -> None:
    api.world.results.kept["f"] = StoredPicture(io.BytesIO(b"<script>"), 8, media_type, name='照 "片".html')
    headers = api("GET", link("f"), key=None).headers
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''%E7%85%A7%20%22%E7%89%87%22.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def refused(reply: httpx.Response) -> str:
    """The code of a refusal, which has an object store's shape."""
    assert reply.status_code == 403
    assert reply.headers["Content-Type"] == "application/xml"
    assert_stamped(reply)
    root = ElementTree.fromstring(reply.content)
    assert [child.tag for child in root] == ["Code", "Message", "RequestId"]
    assert root.findtext("RequestId") == reply.headers["X-Request-ID"]
    return root.findtext("Code") or ""


def test_an_expired_link(api: Api) -> None:
    assert refused(api("GET", link("a.jpg", valid=timedelta(seconds=-2)), key=None)) == "AccessDenied"


def test_a_link_with_another_signature(api: Api) -> None:
    assert refused(api("GET", link("a.jpg", signature="bad"), key=None)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?Signature=good",
        f"?Expires={int(time.time()) + 999}",
        "?Expires=&Signature=good",
        "?Expires=soon&Signature=good",
        "?Expires=-1&Signature=good",
        "?Expires=" + "9" * 5000 + "&Signature=good",
        "?Expires=١٢٣٤٥٦٧٨٩٠&Signature=good",
        f"?expires={int(time.time()) + 999}&signature=good",
    ],
)
def test_a_link_without_all_its_parts(api: Api, query: str) -> None:
    refused(api("GET", f"/results/a.jpg{query}", key=None))
    assert api.world.results.opened == []


@pytest.mark.parametrize("path", ["a%00b", "a%0db", "%1b%5b2J", "%e2%80%a8"])
def test_a_path_of_control_characters(api: Api, path: str) -> None:
    refused(api("GET", link(path), key=None))


def test_an_owner_of_a_key_needs_the_signature_too(api: Api) -> None:
    refused(api("GET", "/results/task/1.jpg"))
