"""Whatever arrives, the answer is one of the contract's; never a 500."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.client import ASYNC, DETECT, GENERATE, Api, assert_error_shape, assert_success
from tests.api.fakes import World
from tests.api.test_files import BOUNDARY

API = Api(World())
FEW = settings(max_examples=60)
MODELS = {
    GENERATE: "facechain-generation",
    DETECT: "facechain-facedetect",
    "/api/v1/fine-tunes": "facechain-finetune",
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["input", "images", "training_file_ids", "parameters", "style", "resources", "user_urls"])
bodies = st.dictionaries(fields, json_values | st.dictionaries(fields, json_values, max_size=3), max_size=4)


def assert_answered(reply: httpx.Response) -> None:
    if reply.status_code == 200:
        assert_success(reply)
    else:
        assert 400 <= reply.status_code < 500, reply.text
        assert_error_shape(reply, reply.status_code, reply.json()["code"])


@pytest.mark.parametrize("path", list(MODELS))
@FEW
@given(body=bodies)
def test_any_json(path: str, body: dict[str, Any]) -> None:
    headers = {} if path == DETECT else ASYNC
    content = json.dumps({**body, "model": MODELS[path]}).encode()
    assert_answered(API("POST", path, content=content, headers=headers))


@pytest.mark.parametrize("path", list(MODELS))
@FEW
@given(content=st.binary(max_size=60))
def test_any_bytes(path: str, content: bytes) -> None:
    assert_answered(API("POST", path, content=content, headers=ASYNC))


pieces = st.sampled_from(
    [
        f"--{BOUNDARY}".encode(),
        f"--{BOUNDARY}--".encode(),
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; ",
        b'name="files"; ',
        b'filename="a.jpg"',
        b"filename*=utf-8''%00%ff",
        b'name="descriptions"',
        b"Content-Type: text/plain; charset=utf-7",
        b"Content-Transfer-Encoding: base64",
        b"; name=",
        b'"',
        b"\x00\xff",
    ]
)


@settings(max_examples=200)
@given(content=st.lists(pieces | st.binary(max_size=10), max_size=14).map(b"".join), head=st.booleans())
def test_any_form(content: bytes, head: bool) -> None:
    start = f"--{BOUNDARY}\r\n".encode() if head else b""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert_answered(API("POST", "/api/v1/files", content=start + content, headers=headers))


@FEW
@given(content_type=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_any_content_type_of_a_form(content_type: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; {content_type}"}
    assert_answered(API("POST", "/api/v1/files", content=b"--x\r\n\r\n", headers=headers))


names = st.sampled_from(["page_no", "page_size", "start_time", "end_time", "status", "task_id", "model", "offset"])
values = st.text(max_size=15) | st.integers().map(str) | st.from_regex(r"[0-9]{14}", fullmatch=True)


@pytest.mark.parametrize("path", ["tasks", "tasks/", "files", "fine-tunes"])
@FEW
@given(query=st.lists(st.tuples(names, values), max_size=4))
def test_any_query(path: str, query: list[tuple[str, str]]) -> None:
    encoded = urlencode(query, errors="replace")
    assert_answered(API("GET", f"/api/v1/{path}?{encoded}"))


@FEW
@given(header=st.binary(max_size=30).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"").strip()))
def test_any_key(header: bytes) -> None:
    reply = API("GET", "/api/v1/tasks", headers={"Authorization": header})
    assert_error_shape(reply, 401, "InvalidApiKey")


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "undefined", "zlib", "rot13", "utf-7", "unicode_escape", "utf-16", "no"]
)
@pytest.mark.parametrize("text", [b"+2AA-", b"\\ud800", b"xn--\xff", b"..", b"\xff\xfe\x00\xd8"])
def test_any_charset_of_a_form(charset: str, text: bytes) -> None:
    head = b'\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    parts = [head % (b"descriptions", b"", text), head % (b"files", b'; filename="' + text + b'"', b"x")]
    body = b"--b" + b"--b".join(parts) + b"--b--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    assert_answered(API("POST", "/api/v1/files", content=body, headers=headers))


#: Anything that can stand between two slashes of a path.
segments = st.text(min_size=1, max_size=40).map(lambda text: quote(text, safe="")) | st.from_regex(
    r"(%[0-9a-f]{2}|[!-\"$-.0->@-~]){1,40}", fullmatch=True
)


ID_PATHS = ["tasks/%s", "files/%s", "fine-tunes/%s", "fine-tunes/%s/logs", "fine-tunes/%s/stream"]


@pytest.mark.parametrize("path", ID_PATHS)
@FEW
@given(any_id=segments)
def test_any_id(path: str, any_id: str) -> None:
    assert_answered(API("GET", f"/api/v1/{path}".replace("%s", any_id)))


@FEW
@given(path=segments, query=st.dictionaries(st.sampled_from(["Expires", "Signature", "x"]), values, max_size=3))
def test_any_link(path: str, query: dict[str, str]) -> None:
    encoded = urlencode(query, errors="replace")
    reply = API("GET", f"/results/{path}?{encoded}", key=None)
    if reply.status_code == 404:  # a line feed, or what makes another path of it
        assert_error_shape(reply, 404, "NotFound")
    else:
        assert (reply.status_code, reply.headers["Content-Type"]) == (403, "application/xml")


names_of_headers = [f"X-DashScope-{name}" for name in ("Async", "WorkSpace", "OssResourceResolve", "DataInspection")]
names_of_headers += ["Content-Type", "Accept", "X-Request-ID", "Idempotency-Key", "Range"]
headers = st.dictionaries(
    st.sampled_from(names_of_headers),
    st.binary(max_size=30).map(lambda data: bytes(byte for byte in data if byte >= 32 and byte != 127)),
    max_size=5,
)


@pytest.mark.parametrize("path", list(MODELS))
@FEW
@given(any_headers=headers)
def test_any_headers(path: str, any_headers: dict[str, bytes]) -> None:
    assert_answered(API("POST", path, content=b'{"model": "facechain-generation"}', headers=any_headers))
