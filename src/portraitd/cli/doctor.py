"""`doctor`: what is missing on this machine, and how to mend it."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.settings import SETTINGS, Settings, load_settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    is_well: bool
    #: What was found; when it is not well, how to mend it.
    words: str


Check: TypeAlias = Callable[[Settings], Finding]


def doctor() -> None:
    """Look at everything the service needs; exit status 1 if something is missing."""
    from rich.markup import escape

    findings = list(examine())
    marks = {True: "[green]ok[/]", False: "[red]!![/]"}
    show(("", "what", "found"), [(marks[found.is_well], found.what, escape(found.words)) for found in findings])
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Every check's finding; the later ones need settings that can be read."""
    yield _python()
    yield _packages()
    try:
        settings = load_settings()
    except SetupError as error:
        yield Finding("settings", False, error.message)
        return
    yield Finding("settings", True, f"{len(SETTINGS)} known, all readable")
    for check in CHECKS:
        try:
            yield check(settings)
        except SetupError as error:
            yield Finding(check.__name__.strip("_"), False, error.message)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    well = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding("python", well, version if well else f"{version}; portraitd needs 3.11 to 3.13")


def _packages() -> Finding:
    missing = [name for name in _required() if not _is_installed(name)]
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}; run `pip install portraitd` again")
    return Finding("packages", True, "all installed")


def _required() -> Iterator[str]:
    for line in importlib.metadata.requires("portraitd") or ():
        if "extra ==" not in line:
            yield re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0]


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _weights(settings: Settings) -> Finding:
    from portraitd import wiring

    store = wiring.weights_of(settings)
    if missing := store.missing():
        return Finding("weights", False, f"missing: {', '.join(missing)}; run `portraitd weights pull`")
    return Finding("weights", True, f"all in {store.folder}")


def _engine(settings: Settings) -> Finding:
    from portraitd import wiring

    return Finding("engine", True, wiring.engine_outlook(settings))


def _styles(settings: Settings) -> Finding:
    from portraitd import wiring

    found = tuple(wiring.styles_of(settings))
    pictures = sum(len(style.templates) for style in found)
    return Finding("styles", True, f"{len(found)}, with {pictures} template pictures")


def _home(settings: Settings) -> Finding:
    if blocked := _not_writable(settings.home):
        return Finding("home", False, f"{blocked} cannot be written to; set PORTRAITD_HOME to a folder that can")
    return Finding("home", True, str(settings.home))


def _storage(settings: Settings) -> Finding:
    from portraitd import wiring

    url = settings.storage_url
    if url.startswith("s3:"):
        wiring.blobs_of(settings)
        return Finding("storage", True, f"{url} (read, not tried)")
    if blocked := _not_writable(Path(url)):
        return Finding(
            "storage", False, f"{blocked} cannot be written to; set PORTRAITD_STORAGE_URL to a folder that can"
        )
    return Finding("storage", True, url)


def _not_writable(folder: Path) -> Path | None:
    """What keeps the folder from being made or filled; None if nothing does."""
    while not folder.exists():
        folder = folder.parent
    return None if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) else folder


def _port(settings: Settings) -> Finding:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_portraitd(settings):
            return Finding("port", True, f"portraitd answers at {settings.host} port {settings.port}")
        # Python adds the address to the system's own words, which are enough.
        why = str(error.strerror).partition(" (while")[0]
        words = f"{settings.host} port {settings.port}: {why}"
        mend = "set PORTRAITD_PORT to another" if error.errno == errno.EADDRINUSE else "set PORTRAITD_HOST"
        return Finding("port", False, f"{words}; {mend}")
    return Finding("port", True, f"{settings.host} port {settings.port} is free")


def _is_portraitd(settings: Settings) -> bool:
    """Is it a portraitd that listens there?"""
    import httpx

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        reply = httpx.get(f"http://{host}:{settings.port}/healthz", timeout=3, trust_env=False)
        return bool(reply.json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False


def _database(settings: Settings) -> Finding:
    from portraitd.db.engine import Database, open_database

    if (file := Database(settings.database_url).file) and not file.exists():
        return Finding("database", True, f"{file} will be made at the first start")
    database = open_database(settings.database_url)
    name = database.url.render_as_string(hide_password=True)
    database.close()
    return Finding("database", True, f"{name} answers")


CHECKS: tuple[Check, ...] = (_engine, _weights, _styles, _home, _storage, _database, _port)
