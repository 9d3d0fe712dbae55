"""Every setting portraitd has: one table, one frozen object, and the only place that reads the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from portraitd.errors import SetupError
from portraitd.portraits.rates import VENDOR, Rates, read_rates

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Settings:
    """What an operator can choose, all of it optional. SETTINGS below says what each one means."""

    host: str
    port: int
    home: Path
    public_url: str
    database_url: str
    storage_url: str
    #: None: the user's cache folder.
    weights: Path | None
    fetch_allow: tuple[Network, ...]
    style_packs: tuple[Path, ...]
    engine: str
    clothes: str
    diffusion_model: Path | None
    diffusion_tier: str
    diffusion_training_model: Path | None
    diffusion_compile: str
    diffusion_start: str
    diffusion_tasks: int
    workers: int
    max_n: int
    max_jobs: int
    max_files: int
    max_file_mb: int
    max_storage_mb: int
    limits: str
    rates: Rates
    max_running: int
    max_unfinished: int
    unknown_model: int
    bare_keys: bool
    workspaces: frozenset[str]
    retention_h: int
    identity_retention_h: int
    file_retention_h: int
    task_limit_s: int
    lease_s: int
    drain_s: int
    log_format: str
    metrics_token: str

    @property
    def key_file(self) -> Path:
        """Where the first API key is kept."""
        return self.home / "api-key"


@dataclass(frozen=True)
class Setting:
    """One row of the table: an environment variable and the field of Settings that it fills."""

    name: str
    field: str
    #: As it would be written in the environment; "" means that it follows from other settings.
    default: str
    help: str
    parse: Callable[[str], Any]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return parse


def _maybe_whole(low: int, high: int) -> Callable[[str], int | None]:
    parse = _whole(low, high)
    return lambda text: parse(text) if text else None


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {' or '.join(choices)}")
        return text

    return parse


def _yes_or_no(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _token(text: str) -> str:
    if text and not re.fullmatch(r"[\x21-\x7e]{16,}", text):
        raise ValueError("expected at least 16 characters of ASCII without spaces")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"expected networks such as 10.0.0.0/8,192.168.1.0/24 ({error})") from error


def _folders(text: str) -> tuple[Path, ...]:
    folders = tuple(_path(part) for part in text.split(os.pathsep) if part.strip())
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"expected folders that exist, parted by '{os.pathsep}'; {folder} does not")
    return folders


def _path(text: str) -> Path:
    return Path(text.strip()).expanduser().absolute()


def _maybe_path(text: str) -> Path | None:
    return _path(text) if text else None


def _host(text: str) -> str:
    if not text or any(mark in text for mark in "/ "):
        raise ValueError("expected a host name or an address, such as 127.0.0.1 or 0.0.0.0")
    return text


def _web_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment):
        raise ValueError("expected a web address such as https://portraits.example.org")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    if text and urlsplit(text).scheme not in {"sqlite", "postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError("expected sqlite:///path/to/file.db or postgresql://user:password@host/database")
    return text


def _storage_url(text: str) -> str:
    scheme = urlsplit(text).scheme
    if scheme not in {"", "file", "s3"}:
        raise ValueError("expected a folder, file:///folder or s3://bucket/prefix")
    return text if scheme == "s3" or not text else str(_path(text.removeprefix("file://")))


def _name(text: str) -> str:
    if not text:
        raise ValueError("expected a name")
    return text


#: The table that `portraitd doctor` prints and the docs are checked against.
SETTINGS: tuple[Setting, ...] = (
    Setting("PORTRAITD_HOST", "host", "127.0.0.1", "Address to listen on.", _host),
    Setting("PORTRAITD_PORT", "port", "8000", "Port to listen on.", _whole(1, 65535)),
    Setting("PORTRAITD_HOME", "home", "./portraitd-home", "Folder for database, pictures and key file.", _path),
    Setting("PORTRAITD_PUBLIC_URL", "public_url", "", "How clients reach the server; links start with it.", _web_url),
    Setting("PORTRAITD_DATABASE_URL", "database_url", "", "SQLite file or PostgreSQL database.", _database_url),
    Setting("PORTRAITD_STORAGE_URL", "storage_url", "", "Where pictures lie: a folder or s3://.", _storage_url),
    Setting("PORTRAITD_WEIGHTS", "weights", "", "Folder that model weights are downloaded to.", _maybe_path),
    Setting(
        "PORTRAITD_FETCH_ALLOW",
        "fetch_allow",
        "",
        "Private networks that input URLs and webhooks may reach.",
        _networks,
    ),
    Setting("PORTRAITD_STYLE_PACKS", "style_packs", "", "Folders of template pictures for styles.", _folders),
    Setting("PORTRAITD_ENGINE", "engine", "classic", "The engine that makes the pictures.", _name),
    Setting(
        "PORTRAITD_CLOTHES",
        "clothes",
        "formal",
        "ID and business styles: formal draws a suit on who wears none, own never.",
        _one_of("formal", "own"),
    ),
    Setting(
        "PORTRAITD_DIFFUSION_MODEL",
        "diffusion_model",
        "",
        "Folder of the diffusion engine's model, if it was not pulled.",
        _maybe_path,
    ),
    Setting(
        "PORTRAITD_DIFFUSION_TIER",
        "diffusion_tier",
        "auto",
        "Where that model lies: auto, resident, fp8, offload, fp8-offload or cpu.",
        _one_of("auto", "resident", "fp8", "offload", "fp8-offload", "cpu"),
    ),
    Setting(
        "PORTRAITD_DIFFUSION_TRAINING_MODEL",
        "diffusion_training_model",
        "",
        "Folder of the model that identities are trained on; without it their photos do.",
        _maybe_path,
    ),
    Setting(
        "PORTRAITD_DIFFUSION_COMPILE",
        "diffusion_compile",
        "auto",
        "Whether that model is compiled: auto, which is on a card, on or off.",
        _one_of("auto", "on", "off"),
    ),
    Setting(
        "PORTRAITD_DIFFUSION_START",
        "diffusion_start",
        "noise",
        "What a template's face is painted over: noise, or classic, that engine's.",
        _one_of("noise", "classic"),
    ),
    Setting(
        "PORTRAITD_DIFFUSION_TASKS",
        "diffusion_tasks",
        "4",
        "Tasks that a worker takes at once, to paint those of one style together.",
        _whole(1, 16),
    ),
    Setting("PORTRAITD_WORKERS", "workers", "1", "Worker processes that `serve` starts.", _whole(0, 64)),
    Setting("PORTRAITD_MAX_N", "max_n", "4", "Most pictures per task.", _whole(1, 16)),
    Setting(
        "PORTRAITD_MAX_JOBS", "max_jobs", "20", "Most unfinished or succeeded trainings per account.", _whole(1, 10**6)
    ),
    Setting("PORTRAITD_MAX_FILES", "max_files", "100", "Most files that an account keeps.", _whole(1, 10**6)),
    Setting("PORTRAITD_MAX_FILE_MB", "max_file_mb", "1024", "Largest uploaded file, in MiB.", _whole(1, 10**5)),
    Setting(
        "PORTRAITD_MAX_STORAGE_MB", "max_storage_mb", "5120", "Most file space per account, in MiB.", _whole(1, 10**8)
    ),
    Setting(
        "PORTRAITD_LIMITS",
        "limits",
        "generous",
        "Where the next two come from: generous, or vendor for the vendor's own.",
        _one_of("generous", "vendor"),
    ),
    Setting("PORTRAITD_RATES", "rates", "", "Most calls of an account, such as generate=2,read=600/m.", read_rates),
    Setting(
        "PORTRAITD_MAX_RUNNING",
        "max_running",
        "",
        "Most generations of an account that run at once; more of them wait.",
        _maybe_whole(1, 10**4),
    ),
    Setting(
        "PORTRAITD_MAX_UNFINISHED",
        "max_unfinished",
        "10000",
        "Most tasks of an account that wait or run; 0: any number.",
        _whole(0, 10**6),
    ),
    Setting(
        "PORTRAITD_UNKNOWN_MODEL",
        "unknown_model",
        "400",
        "Answer to an unknown model: 400, or 404 as the vendor's pages have it.",
        lambda text: int(_one_of("400", "404")(text)),
    ),
    Setting("PORTRAITD_BARE_KEYS", "bare_keys", "no", "Accept keys without the word Bearer: yes or no.", _yes_or_no),
    Setting("PORTRAITD_WORKSPACES", "workspaces", "", "The workspace ids that exist; none named: any will do.", _names),
    Setting(
        "PORTRAITD_RETENTION_H", "retention_h", "24", "Hours that a finished task and its links live.", _whole(1, 10**5)
    ),
    Setting(
        "PORTRAITD_IDENTITY_RETENTION_H",
        "identity_retention_h",
        "0",
        "Hours that a trained identity lives; 0: until it is deleted.",
        _whole(0, 10**6),
    ),
    Setting(
        "PORTRAITD_FILE_RETENTION_H",
        "file_retention_h",
        "0",
        "Hours that an uploaded file lives; 0: until it is deleted.",
        _whole(0, 10**6),
    ),
    Setting(
        "PORTRAITD_TASK_LIMIT_S", "task_limit_s", "10800", "Seconds after which a running task fails.", _whole(1, 10**6)
    ),
    Setting(
        "PORTRAITD_LEASE_S",
        "lease_s",
        "30",
        "Seconds of silence after which a worker is taken for dead.",
        _whole(2, 3600),
    ),
    Setting(
        "PORTRAITD_DRAIN_S", "drain_s", "30", "Seconds that running tasks may take to end at shutdown.", _whole(0, 3600)
    ),
    Setting("PORTRAITD_LOG_FORMAT", "log_format", "text", "Log lines as text or json.", _one_of("text", "json")),
    Setting("PORTRAITD_METRICS_TOKEN", "metrics_token", "", "Opens /metrics; without one there is none.", _token),
)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ` (default: this process's environment), defaults filled in.

    Raises SetupError that names the setting and what is expected of it.
    """
    environ = os.environ if environ is None else environ
    values = {setting.field: _read(setting, environ.get(setting.name, "")) for setting in SETTINGS}
    return Settings(**(values | _derived(values)))


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.parse(text.strip() or setting.default)
    except ValueError as error:
        raise SetupError(f"{setting.name}={text!r}: {error}") from error


def _derived(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings left empty whose default follows from others."""
    home: Path = values["home"]
    host = "127.0.0.1" if values["host"] in {"0.0.0.0", "::"} else values["host"]  # noqa: S104 - compared, not bound
    bracketed = f"[{host}]" if ":" in host else host
    vendor = values["limits"] == "vendor"
    return {
        # What is named holds; what is not, the profile says.
        "rates": {**read_rates(VENDOR if vendor else ""), **values["rates"]},
        "max_running": values["max_running"] or (1 if vendor else 16),
        "public_url": values["public_url"] or f"http://{bracketed}:{values['port']}",
        "database_url": values["database_url"] or f"sqlite:///{home / 'portraitd.db'}",
        "storage_url": values["storage_url"] or str(home / "blobs"),
    }
