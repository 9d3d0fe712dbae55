"""How a part of a form may name its file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.api.multipart import with_plain_name


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
