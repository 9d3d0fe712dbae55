"""Rates: how often an account may do something, as settings and keys spell it. Words only; `limits.py` keeps count."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias


class Meter(enum.Enum):
    """What is counted."""

    #: Submits of generations, and of trainings.
    GENERATE = "generate"
    FINETUNE = "finetune"
    #: Face checks.
    DETECT = "detect"
    #: A task or job looked at; lists of them; cancels.
    READ = "read"
    LIST = "list"
    CANCEL = "cancel"
    #: Tickets for temporary uploads, each model's counted by itself.
    TICKET = "ticket"
    #: Calls about files in OpenAI's shape; the vendor names no rate for its own.
    OPENAI_FILE = "openai-file"


@dataclass(frozen=True)
class Rate:
    """So many in any span of so many seconds, all of them at once if need be."""

    count: int
    period_s: float


Rates: TypeAlias = Mapping[Meter, Rate | None]
"""What has a limit, or None to say that it has none."""

_PERIODS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})(?:/([1-9][0-9]{0,3})?([smh]))?")
_EXPECTED = "expected rates such as generate=2,finetune=10/m,read=none"

#: The vendor's figures (wire-contract section 8). Its pages give trainings both as 1 and as 2 a second, hence "2 in 2".
VENDOR = "generate=2,finetune=2/2s,detect=5,read=20,list=20,cancel=20,ticket=100,openai-file=20"


def read_rates(text: str) -> Rates:
    """Rates as they are written: `name=count`, per second unless `/m`, `/h` or such as `/10s` follows, or `name=none`.

    Raises ValueError that says what is expected.
    """
    return MappingProxyType(dict(_read_one(part) for part in text.split(",") if part.strip()))


def _read_one(text: str) -> tuple[Meter, Rate | None]:
    name, _, rate = (part.strip().lower() for part in text.partition("="))
    if name not in {meter.value for meter in Meter}:
        raise ValueError(f"{_EXPECTED}; there is a rate for {', '.join(meter.value for meter in Meter)}")
    if rate == "none":
        return Meter(name), None
    found = _RATE.fullmatch(rate)
    if not found:
        raise ValueError(_EXPECTED)
    return Meter(name), Rate(int(found[1]), int(found[2] or 1) * _PERIODS[found[3] or "s"])
