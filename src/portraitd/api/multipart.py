"""Multipart bodies, in every spelling that clients use."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from portraitd.errors import InvalidParameter

_EXTENDED_NAME = re.compile(rb"filename\*\s*=\s*utf-8'[^']*'([^;\s]*)", re.IGNORECASE)


@asynccontextmanager
async def read_form(request: Request, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """The parts of a multipart body, files larger than a megabyte in a temporary file; raises InvalidParameter."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidParameter
    try:
        parser = _Parser(request.headers, request.stream(), max_files=max_files, max_fields=max_fields)
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:  # ValueError: a charset that cannot even be looked up
        raise InvalidParameter from error
    try:
        yield form
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """Also takes a file's name as RFC 2231 spells it: older HTTP libraries send names outside ASCII that way only."""

    def on_part_begin(self) -> None:
        # A form is UTF-8 (RFC 7578): the charset a client names would choose among all of Python's codecs.
        self._charset = "utf-8"
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        part = self._current_part
        part.content_disposition = with_plain_name(part.content_disposition or b"")
        super().on_headers_finished()


def with_plain_name(disposition: bytes) -> bytes:
    """`filename*=utf-8''%C3%A4.jpg` as `filename="ä.jpg"`, in UTF-8."""

    def plain(found: re.Match[bytes]) -> bytes:
        name = unquote_to_bytes(found[1]).replace(b"\\", b"/").replace(b'"', b"'")
        return b'filename="' + name + b'"'

    # Where both forms are there, this one counts: the parser takes the last (and so says RFC 6266).
    return _EXTENDED_NAME.sub(plain, disposition)
