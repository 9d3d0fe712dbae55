"""Forms: how a part may name its file, and what is held of one in memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Mapping
from itertools import chain, repeat
from typing import Any

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

from portraitd.api.multipart import MAX_FIELD_BYTES, read_form, with_plain_name
from portraitd.errors import InvalidParameter, UploadRefused

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("given_head", "plain"),
    [
        (b'form-data; name="files"; filename="a.jpg"', b'form-data; name="files"; filename="a.jpg"'),
        (b"form-data; filename*=utf-8''%C3%A4.jpg", 'form-data; filename="ä.jpg"'.encode()),
        (b"form-data; FileName*=UTF-8'de'a.jpg; name=files", b'form-data; filename="a.jpg"; name=files'),
        (b"form-data; filename*=latin1''%E4.jpg", b"form-data; filename*=latin1''%E4.jpg"),
        (b"form-data; filename*=utf-8''a%22%5Cb", b'form-data; filename="a\'/b"'),
        (b"", b""),
    ],
)
def test_extended_names_become_plain(given_head: bytes, plain: bytes) -> None:
    assert with_plain_name(given_head) == plain


@given(st.binary(max_size=80))
def test_anything_else_stays(head: bytes) -> None:
    if b"*" not in head:
        assert with_plain_name(head) == head


# -- what is held of a form -------------------------------------------------------------------------------------------

BEFORE = b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nto/me.jpg\r\n'
FILE_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="me.jpg"\r\n\r\n'
END = b"\r\n--x--\r\n"


def form_of(size_mib: int, head: bytes = BEFORE + FILE_HEAD) -> Request:
    """A request that comes in bites, as from the network."""
    bites = chain([head], repeat(b"\xff" * 65536, size_mib * 16), [END])
    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}

    async def receive() -> dict[str, Any]:
        bite = next(bites, None)
        return {"type": "http.request", "body": bite or b"", "more_body": bite is not None}

    return Request(scope, receive)


def most_held(request: Request, **options: Any) -> int:
    """Bytes of memory at once while the form is read."""

    async def read() -> None:
        async with read_form(request, max_files=1, max_fields=20, **options) as form:
            assert isinstance(form["file"], UploadFile)

    tracemalloc.start()
    try:
        asyncio.run(read())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_file_is_not_held_in_memory() -> None:
    assert most_held(form_of(24)) < 2 * MIB


def test_of_a_file_that_is_not_admitted_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Mapping[str, str], str]] = []

    def refuse(fields: Mapping[str, str], filename: str) -> None:
        asked.append((dict(fields), filename))
        raise UploadRefused("no ticket")

    async def write(self: UploadFile, data: bytes) -> None:
        raise AssertionError("kept")

    monkeypatch.setattr(UploadFile, "write", write)
    with pytest.raises(UploadRefused, match="no ticket"):
        most_held(form_of(1), admit=refuse)
    assert asked == [({"key": "to/me.jpg"}, "me.jpg")]


def test_a_field_that_is_not_a_file_is_short() -> None:
    with pytest.raises(InvalidParameter):
        most_held(form_of(0, BEFORE[:-2] + b"x" * MAX_FIELD_BYTES + b"\r\n" + FILE_HEAD))
