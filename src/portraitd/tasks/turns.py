"""Fairness between accounts: whoever was asked longest ago is asked first, and a newcomer before all others.

So a task of an account that has nothing running waits for one running task per worker at most, however many tasks of
another are queued; for as many as a worker takes at once, where it takes several. Each worker keeps its own count.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: Accounts remembered per lane; whoever was asked longer ago is a newcomer again.
_REMEMBERED = 10_000


class Turns:
    """Remembers, for one lane of one worker, in which order accounts were asked for a task."""

    def __init__(self) -> None:
        #: Who was asked when, the one asked longest ago first. Accounts that have nothing waiting now stay in it, or
        #: some that send one task after the other would be newcomers each time, and keep out one with many.
        self._asked: dict[str, int] = {}
        self._count = itertools.count(1)

    def in_order(self, accounts: Sequence[str]) -> list[str]:
        """The accounts that have tasks waiting, as DBOS goes through them: to be asked in this order until one has one.

        An account is taken for asked once the next one is wanted, or none is left.
        """
        # Newcomers by lot, or workers that start together would all begin with the same account.
        order = sorted(accounts, key=lambda account: (self._asked.get(account, 0), secrets.randbits(32)))
        return _InTurn(order, self._note)

    def _note(self, account: str) -> None:
        self._asked.pop(account, None)
        self._asked[account] = next(self._count)
        if len(self._asked) > _REMEMBERED:
            del self._asked[next(iter(self._asked))]


class _InTurn(list[str]):
    """Accounts that keep their order, and tell who was asked.

    DBOS shuffles what it gets (`random.shuffle`, which assigns items) and iterates over it: both are taken over here.
    """

    def __init__(self, accounts: Sequence[str], note: Callable[[str], None]) -> None:
        super().__init__(accounts)
        self._note = note

    def __setitem__(self, _index: Any, _value: Any) -> None:
        """Nothing: this order is not by lot."""

    def __iter__(self) -> Iterator[str]:
        for account in super().__iter__():
            yield account
            self._note(account)
