"""The package index that this machine's user has chosen, read the way pip reads it.

These are pip's settings, not portraitd's, so they are read here and not in `settings.py`: whoever has set up pip for a
company mirror or a folder of wheels has set up portraitd too.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

PYPI = "https://pypi.org/simple"


@dataclass(frozen=True)
class IndexSettings:
    """Where package files are looked for, in this order: `find_links`, then each of `indexes`."""

    #: Roots of Simple API indexes (PEP 503), `http`, `https` or `file`.
    indexes: tuple[str, ...] = (PYPI,)
    #: Folders, or URLs of pages with links, that hold package files directly.
    find_links: tuple[str, ...] = ()
    #: A PEM file or a folder of certificates to trust instead of the usual ones.
    cert: str | None = None
    proxy: str | None = None


def read_index_settings(environ: Mapping[str, str] | None = None) -> IndexSettings:
    """The settings in pip's own configuration files and, before them, in its environment variables."""
    environ = os.environ if environ is None else environ
    config = _pip_config(environ)

    def value(key: str) -> str:
        variable = "PIP_" + key.upper().replace("-", "_")
        # pip's precedence: its environment variables, then the command's own section, then the global one.
        return environ.get(variable) or config.get(f"install.{key}") or config.get(f"global.{key}") or ""

    indexes: tuple[str, ...] = ()
    if value("no-index").lower() not in {"1", "true", "yes", "on"}:
        indexes = (value("index-url") or PYPI, *value("extra-index-url").split())
    return IndexSettings(
        indexes=tuple(dict.fromkeys(url.rstrip("/") for url in indexes)),
        find_links=tuple(value("find-links").split()),
        cert=value("cert") or environ.get("SSL_CERT_FILE") or None,
        proxy=value("proxy") or None,
    )


def _pip_config(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's configuration as `section.key` to value; empty where there is no pip."""
    command = _pip_command()
    if command is None or environ.get("PIP_CONFIG_FILE") == os.devnull:
        return {}
    try:
        listing = subprocess.run(  # noqa: S603 - a fixed command
            [*command, "config", "list"], capture_output=True, text=True, timeout=30, check=True, env=dict(environ)
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}  # a broken pip is no reason not to try the default index
    return dict(pair for line in listing.splitlines() if (pair := _pair(line)) is not None)


def _pip_command() -> list[str] | None:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    pip = shutil.which("pip") or shutil.which("pip3")
    return [pip] if pip else None


def _pair(line: str) -> tuple[str, str] | None:
    """The key and the value of one line of `pip config list`, which prints `key='value'` as Python would."""
    key, equals, quoted = line.partition("=")
    try:
        return (key, str(ast.literal_eval(quoted))) if equals else None
    except (SyntaxError, ValueError):
        return None
