"""`doctor`: what is missing on this machine, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    findings = list(examine())
    marks = {True: "[green]ok[/]", False: "[red]!![/]"}
    show(("", "what", "found"), [(marks[finding.is_well], finding.what, finding.words) for finding in findings])
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


def _home(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("home", False, f"{folder} cannot be written to; set PORTRAITD_HOME to a folder that can")
    return Finding("home", True, str(settings.home))


def _port(settings: Settings) -> Finding:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        words = f"{settings.host} port {settings.port}: {error.strerror}"
        return Finding("port", False, f"{words}; is portraitd running already? Else set PORTRAITD_PORT")
    return Finding("port", True, f"{settings.host} port {settings.port} is free")


def _database(settings: Settings) -> Finding:
    from portraitd.db.engine import Database, open_database

    if (file := Database(settings.database_url).file) and not file.exists():
        return Finding("database", True, f"{file} will be made at the first start")
    database = open_database(settings.database_url)
    name = database.url.render_as_string(hide_password=True)
    database.close()
    return Finding("database", True, f"{name} answers")


CHECKS: tuple[Check, ...] = (_weights, _home, _port, _database)
