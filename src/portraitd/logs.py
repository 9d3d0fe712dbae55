"""Log lines, of every process alike: with the ids of what they are about, and without what must not stand in them.

The rest of portraitd logs through the standard library and knows nothing of this, but for `about` and `carried`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO, TypeVar

T = TypeVar("T")

#: How lines may look.
FORMATS = ("text", "json")

#: A line of a traceback longer than this says nothing more; it may quote a whole body.
_LONGEST_LINE = 400

#: What must not be told, and what stands for it. Nothing should log any of it; a traceback or a library may.
_SECRETS = (
    # A URL's query, where links of all kinds keep their signatures; and the password of a database's URL.
    (re.compile(r"(\w://[^\s?#'\"<>]*)[?#][^\s'\"<>]*"), r"\1?..."),
    (re.compile(r"(\w://)[^\s/@'\"<>]+@"), r"\1...@"),
    (re.compile(r"(?i)(bearer\s+|signature=|expires=|ossaccesskeyid=|\b(?:sk|st)-|\bwhsec_)[^\s&'\"]+"), r"\1..."),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=MappingProxyType({}))


@contextmanager
def about(request_id: str = "", task_id: str = "") -> Iterator[None]:
    """Lines logged in the block carry these ids, besides those of a block around it."""
    given = {"request_id": request_id, "task_id": task_id}
    token = _ids.set({**_ids.get(), **{name: value for name, value in given.items() if value}})
    try:
        yield
    finally:
        _ids.reset(token)


def carried(act: Callable[..., T]) -> Callable[..., T]:
    """`act`, to be called in other threads, with the ids that lines have here."""
    context = copy_context()
    return lambda *args: context.copy().run(act, *args)


def to_stderr(line_format: str) -> None:
    """Have this process write its log lines to standard error, as "text" or "json"."""
    root = logging.getLogger()
    root.handlers[:] = [handler_to(sys.stderr, line_format)]
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It warns of every form that is broken: a client could fill the disk, and the refusal is logged anyway.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_thread_failure


def handler_to(stream: TextIO, line_format: str) -> logging.Handler:
    """A handler that writes lines of a format to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if line_format == "json" else _TextLines())
    return handler


def without_secrets(text: str) -> str:
    """`text` without keys, links' signatures, URLs' queries and passwords."""
    for pattern, stand_in in _SECRETS:
        text = pattern.sub(stand_in, text)
    return text


class _Lines(logging.Formatter):
    """What both formats have in common: the pieces of a line, with nothing secret in them."""

    def said(self, record: logging.LogRecord) -> str:
        """The message, control characters escaped: what a client sends must not look like a line of ours."""
        escaped = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), record.getMessage())
        return without_secrets(escaped)

    def failure(self, record: logging.LogRecord) -> str:
        """The traceback, "" where there is none."""
        if not record.exc_info:
            return ""
        lines = without_secrets(self.formatException(record.exc_info)).splitlines()
        return "\n".join(_CONTROL.sub("?", line)[:_LONGEST_LINE] for line in lines)


class _TextLines(_Lines):
    """`<time> <level> <logger>: <message> [request_id=... task_id=...]`; further lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        ids = " ".join(f"{name}={value}" for name, value in _ids.get().items())
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {self.said(record)}"
        whole = "\n".join(part for part in (f"{line} [{ids}]" if ids else line, self.failure(record)) if part)
        return whole.replace("\n", "\n    ")


class _JsonLines(_Lines):
    """One object a line: time, level, logger, message, process, the ids, and what the caller gave as `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.said(record),
            "process": record.process,
            **_ids.get(),
            **{name: _safe(value) for name, value in getattr(record, "fields", {}).items()},
        }
        if failure := self.failure(record):
            line["traceback"] = failure
        return json.dumps(line, ensure_ascii=False)


def _safe(value: object) -> object:
    return without_secrets(value) if isinstance(value, str) else value


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """A thread that ends by an exception says so in the log, not beside it."""
    if failure.exc_value is not None and failure.exc_type is not SystemExit:
        name = failure.thread.name if failure.thread else "a thread"
        told = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        logging.getLogger(__name__).error("%s failed", name, exc_info=told)
