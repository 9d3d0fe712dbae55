"""Fairness between accounts: whoever was asked longest ago is asked first, and a newcomer before all others.

So a task of an account that has nothing running waits for one running task per worker at most, however many tasks of
others are queued. Each worker keeps its own count: it has one task of a kind at a time, so that its turns are all there is.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Turns:
    """Remembers, for one lane of one worker, in which order accounts were asked for a task."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._count = itertools.count(1)

    def in_order(self, accounts: Sequence[str]) -> list[str]:
        """The accounts that have tasks waiting, as DBOS goes through them: to be asked in this order until one has one.

        An account is taken for asked once the next one is wanted, or none is left.
        """
        # One that has nothing waiting now comes back as a newcomer: it has waited for nothing.
        self._asked = {account: self._asked[account] for account in accounts if account in self._asked}
        # Newcomers by lot, or workers that start together would all begin with the same account.
        drawn = random.sample(accounts, len(accounts))
        return _InTurn(sorted(drawn, key=lambda account: self._asked.get(account, 0)), self._note)

    def _note(self, account: str) -> None:
        self._asked[account] = next(self._count)


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
