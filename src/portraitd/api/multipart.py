"""Multipart bodies, in every spelling that clients use."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from portraitd.errors import InvalidParameter, PortraitdError

#: Longest field that is not a file, in bytes.
MAX_FIELD_BYTES = 64 * 1024
#: Most of a file that is held in memory, in bytes; a longer one lies in a temporary file.
MAX_HELD_BYTES = 64 * 1024

_EXTENDED_NAME = re.compile(rb"filename\*\s*=\s*utf-8'[^']*'([^;\s]*)", re.IGNORECASE)


@asynccontextmanager
async def read_form(
    request: Request,
    max_files: int,
    max_fields: int,
    admit: Callable[[Mapping[str, str], str], None] = lambda fields, filename: None,
) -> AsyncIterator[FormData]:
    """The parts of a multipart body, its files open while the block runs; raises InvalidParameter.

    admit: asked before a file's first byte is kept, with the fields before it and its name. What it raises is raised
    when the client has sent all, which most must have done to read an answer; nothing is kept of it.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidParameter
    try:
        parser = _Parser(
            admit,
            request.headers,
            request.stream(),
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=MAX_FIELD_BYTES,
        )
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:  # ValueError: a charset that cannot even be looked up
        raise InvalidParameter from error
    try:
        if parser.refusal:
            raise parser.refusal
        yield form
    finally:
        await form.close()


class _Parser(MultiPartParser):
    """Also takes a file's name as RFC 2231 spells it: older HTTP libraries send names outside ASCII that way only.

    And it lets files be refused by what came before them.
    """

    spool_max_size = MAX_HELD_BYTES

    def __init__(self, admit: Callable[[Mapping[str, str], str], None], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._admit = admit
        self.refusal: PortraitdError | None = None

    def on_part_begin(self) -> None:
        # A form is UTF-8 (RFC 7578): the charset a client names would choose among all of Python's codecs.
        self._charset = "utf-8"
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        part = self._current_part
        part.content_disposition = with_plain_name(part.content_disposition or b"")
        super().on_headers_finished()
        if part.file is None or self.refusal:
            return
        fields = {name: value for name, value in self.items if isinstance(value, str)}
        try:
            self._admit(fields, part.file.filename or "")
        except PortraitdError as error:
            self.refusal = error

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self.refusal:
            super().on_part_data(data, start, end)


def with_plain_name(disposition: bytes) -> bytes:
    """`filename*=utf-8''%C3%A4.jpg` as `filename="ä.jpg"`, in UTF-8."""

    def plain(found: re.Match[bytes]) -> bytes:
        name = unquote_to_bytes(found[1]).replace(b"\\", b"/").replace(b'"', b"'")
        return b'filename="' + name + b'"'

    # Where both forms are there, this one counts: the parser takes the last (and so says RFC 6266).
    return _EXTENDED_NAME.sub(plain, disposition)
