"""What parses what a client sends, each as one function of bytes: it returns, or raises what the contract knows.

`tools/fuzz.py` looks for bytes that make one of them do anything else; what it found stays in `corpus/<target>/`, and
`test_corpus.py` tries it for ever.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress

from fastapi import Request

from portraitd import images, logs
from portraitd.api import auth
from portraitd.api.config import ApiConfig
from portraitd.api.multipart import read_form, with_plain_name
from portraitd.api.wire import base, faces, finetunes, openai_files, portraits
from portraitd.db.engine import utc_now
from portraitd.errors import InvalidImageFormat, InvalidImageResolution, InvalidParameter, InvalidURL, PortraitdError
from portraitd.portraits.addresses import may_reach
from portraitd.portraits.fetch import parse_url
from portraitd.portraits.links import Links
from portraitd.portraits.training_set import BadArchive, unzip
from portraitd.styles.catalog import load_catalog

Target = Callable[[bytes], None]

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # as the service does
_CONFIG = ApiConfig()
_STYLES = load_catalog()
_LINKS = Links("http://portraits.example", "secret", utc_now)


def picture(data: bytes) -> None:
    with suppress(InvalidImageFormat, InvalidImageResolution), warnings.catch_warnings(action="ignore"):
        if images.probe(data).size.width * images.probe(data).size.height < 256 * 256:  # larger ones only take longer
            image = images.decode(data)
            assert image.shape[2] == 3
            assert image.dtype == "uint8"


def archive(data: bytes) -> None:
    with suppress(BadArchive), warnings.catch_warnings(action="ignore"):
        for photo in unzip(io.BytesIO(data)):
            images.probe(photo)


def body(data: bytes) -> None:
    """A JSON body, as each of the three models reads it."""
    with suppress(PortraitdError):
        raw = base.read_object(data)
        with suppress(PortraitdError):
            portraits.read_generate(raw, "r", _STYLES, _CONFIG)
        with suppress(PortraitdError):
            finetunes.read_finetune(raw, "r", _CONFIG)
        with suppress(PortraitdError):
            faces.read_detect(raw, _CONFIG)
        base.check_model(raw, base.GENERATION_MODEL, _CONFIG)


def form(data: bytes) -> None:
    """A multipart body; its first line is the Content-Type's parameters."""
    parameters, _, content = data.partition(b"\n")
    headers = [(b"content-type", b"multipart/form-data; " + parameters)]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def read() -> None:
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        with suppress(InvalidParameter):
            async with read_form(request, max_files=4, max_fields=4) as parts:
                for _, part in parts.multi_items():
                    if not isinstance(part, str):
                        await part.read()

    asyncio.run(read())


def url(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(InvalidURL):
        target = parse_url(text)
        may_reach(target.host)
        assert target.scheme in {"http", "https"}
        assert 0 < target.port < 65536
        assert text.isascii()
        assert "@" not in target.host_header
    may_reach(text)


def link(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for candidate in (text, "http://portraits.example/results/" + text):
        found = _LINKS.split(candidate)
        assert found is None or not _LINKS.holds(*found), "nobody can guess a signature"


def header(data: bytes) -> None:
    """The key, an id, a time of the query and a file's name."""
    text = data.decode("latin-1")
    with suppress(PortraitdError):
        assert auth.read_key(text, _CONFIG).split() != []
    with suppress(PortraitdError):
        base.read_compact_time(text)
    with suppress(PortraitdError):
        openai_files.read_filter(openai_files.OpenaiListQuery(create_after=text.rstrip("\n")))
    assert not base.is_id(text) or text.isprintable()
    assert b"\n" not in with_plain_name(data.replace(b"\n", b" ").replace(b"%0A", b"").replace(b"%0a", b""))


def log_line(data: bytes) -> None:
    """What a client sent, quoted in a log: one line, and no secret."""
    text = data.decode("utf-8", "replace")
    out = io.StringIO()
    record = logging.LogRecord("x", 20, "x", 1, "%s", (f"Bearer s3cret {text}",), None)
    logs.handler_to(out, "json").handle(record)
    assert "s3cret" not in json.loads(out.getvalue())["message"]
    assert out.getvalue().count("\n") == 1


TARGETS: Mapping[str, Target] = {
    target.__name__: target for target in (picture, archive, body, form, url, link, header, log_line)
}
