"""Log lines: their ids, their two formats, and what never stands in them."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd import logs

log = logging.getLogger("portraitd.test")

SECRETS = [
    ("GET https://photos.example/a.jpg?token=s3cret&x=1 failed", "GET https://photos.example/a.jpg?... failed"),
    ("oss://dir/a.jpg?Signature=s3cret", "oss://dir/a.jpg?..."),
    ("http://h/a#s3cret", "http://h/a?..."),
    ("postgresql://user:s3cret@host/db", "postgresql://...@host/db"),
    ("Authorization: Bearer s3cret", "Authorization: Bearer ..."),
    ("authorization=bearer   s3cret", "authorization=bearer   ..."),
    ("the key sk-0s3cret is wrong", "the key sk-... is wrong"),
    ("the webhook's whsec_s3cret", "the webhook's whsec_..."),
    ("{'token': 'st-s3cret'}", "{'token': 'st-...'}"),
    ("/results/a.jpg?Expires=s3cret&OSSAccessKeyId=s3cret&Signature=s3cret", None),
]


@pytest.fixture(params=logs.FORMATS)
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[[], list[str]]]:
    """What was logged so far, in one format and then in the other."""
    out = io.StringIO()
    handler = logs.handler_to(out, request.param)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield lambda: out.getvalue().splitlines()
    log.removeHandler(handler)
    log.propagate = True


def read(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(("said", "shown"), SECRETS)
def test_secrets_are_left_out(lines: Callable[[], list[str]], said: str, shown: str | None) -> None:
    log.info("%s", said)
    log.error("it failed", exc_info=ValueError(said))
    text = "\n".join(lines())
    assert "s3cret" not in text
    assert "ValueError" in text
    if shown:
        assert shown in text


def test_ids_are_on_every_line_of_a_block(lines: Callable[[], list[str]]) -> None:
    with logs.about(request_id="r1"):
        log.info("one")
        with logs.about(task_id="t1"):
            log.info("two")
            thread = threading.Thread(target=logs.carried(log.info), args=("three",))
            thread.start()
            thread.join()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(logs.carried(log.info), ["four", "four"]))
    log.info("none")
    one, two, three, four, same, none = lines()
    assert "r1" in one
    assert "t1" not in one
    assert all("r1" in line and "t1" in line for line in (two, three, four, same))
    assert "r1" not in none


def test_a_json_line_has_its_parts_and_the_caller_s_fields() -> None:
    out = io.StringIO()
    record = log.makeRecord(
        log.name, logging.INFO, "x", 1, "GET %s", ("/a",), None, extra={"fields": {"status": 200, "path": "sk-1234"}}
    )
    with logs.about(request_id="r1"):
        logs.handler_to(out, "json").handle(record)
    line = read(out.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line.pop("process") == record.process
    assert line == {
        "level": "INFO",
        "logger": "portraitd.test",
        "message": "GET /a",
        "request_id": "r1",
        "status": 200,
        "path": "sk-...",
    }


@given(text=st.text())
def test_no_text_makes_a_line_of_its_own(text: str) -> None:
    text_out, json_out = io.StringIO(), io.StringIO()
    record = log.makeRecord(log.name, logging.INFO, "x", 1, "%s", (text,), None)
    logs.handler_to(text_out, "text").handle(record)
    logs.handler_to(json_out, "json").handle(record)
    assert set(read(json_out.getvalue())) == {"time", "level", "logger", "message", "process"}
    first, *rest = text_out.getvalue().splitlines()
    assert " INFO portraitd.test: " in first
    assert all(line.startswith("    ") for line in rest)


def test_a_thread_that_fails_is_logged(lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    try:
        logs.to_stderr("text")
        thread = threading.Thread(target=lambda: int("sk-s3cret"), name="counting")
        thread.start()
        thread.join()
        told = sys.stderr.getvalue()  # type: ignore[attr-defined]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.captureWarnings(capture=False)
    assert "ERROR portraitd.logs: counting failed" in told
    assert "ValueError" in told
    assert "s3cret" not in told
