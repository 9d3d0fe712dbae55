"""Which lists were found too long to be counted: they are not counted again at each page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from portraitd.portraits.requests import TaskFilter

#: How long such a list is taken for as long as it was, in seconds; tasks leave it when they are a day old.
_REMEMBERED_S = 60.0
_MOST = 1000
_MOVES = datetime.min.replace(tzinfo=UTC)


class LongLists:
    """Lists that reached the count's end a moment ago, by account and by what was asked for.

    A rolling list is the same one for as long as it is remembered; of others, one that starts or ends a second later is
    another.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[str, TaskFilter], float] = {}

    def knows(self, account_id: str, wanted: TaskFilter) -> bool:
        """Was this list too long to be counted a moment ago?"""
        return self._until.get(_key(account_id, wanted), 0.0) > self._monotonic()

    def add(self, account_id: str, wanted: TaskFilter) -> None:
        """This list is too long to be counted."""
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[_key(account_id, wanted)] = self._monotonic() + _REMEMBERED_S


def _key(account_id: str, wanted: TaskFilter) -> tuple[str, TaskFilter]:
    if wanted.is_rolling:
        wanted = replace(wanted, start=_MOVES, end=_MOVES)
    return account_id, replace(wanted, page=1, page_size=1)
