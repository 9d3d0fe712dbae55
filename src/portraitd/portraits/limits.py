"""How much an account may ask for: rates, and how much unfinished work it may have."""

from __future__ import annotations

import sqlalchemy as sa

from portraitd.db import meters
from portraitd.db import tasks as rows
from portraitd.db.engine import Database
from portraitd.errors import RateExceeded, TooMuchUnfinished
from portraitd.portraits.rates import Meter, Rate, Rates
from portraitd.portraits.requests import Account

#: Waits are told in milliseconds: who has waited to within one of them has waited.
_TICK_S = 0.001


class RateKeeper:
    """The `Limits` door of services.py: counts in the database, so that all machines of a service count together.

    The algorithm is GCRA (ITU-T I.371), which needs one number per meter: the time at which all that was let through
    would be through at an even pace. It may lie a whole period ahead, which is what lets that many through at once.
    """

    def __init__(self, database: Database, rates: Rates) -> None:
        self._database = database
        self._rates = rates

    def take(self, account: Account, meter: Meter, of: str = "") -> None:
        """Count one; raises RateExceeded, counting nothing, when that is more than the account or its key may.

        `of` parts what is counted by itself. A key with a rate of its own is counted apart from its account's others.
        """
        own = meter in account.rates
        rate = account.rates[meter] if own else self._rates.get(meter)
        if rate is None:
            return
        name = f"{meter.value} {of}".strip()
        key_id = account.key_id if own else ""
        with self._database.write() as conn:
            free_at = meters.free_at(conn, account.id, key_id, name)
            # Read after the wait for others: a moment before it would be older than what they have filled.
            now = self._database.now(conn).timestamp()
            meters.fill(conn, account.id, key_id, name, _let_through(free_at, now, rate))


def _let_through(free_at: float, now: float, rate: Rate) -> float:
    """When the meter will be empty with one more, in the clock's seconds; raises RateExceeded."""
    # More than full: the clock was put back, or the rate has changed. Whatever it was full of is long through.
    if free_at > now + rate.period_s + _TICK_S:
        free_at = now
    until = max(free_at, now) + rate.period_s / rate.count
    too_early_s = until - now - rate.period_s
    if too_early_s > _TICK_S:
        raise RateExceeded(too_early_s)
    return until


def check_unfinished(conn: sa.Connection, account: Account, most: int) -> None:
    """Raise TooMuchUnfinished when the account has `most` tasks and trainings that have not ended, or its key its own.

    0 is no limit. Requests of one moment do not see each other, so that a few more may get in.
    """
    own = account.max_unfinished
    most, key_id = (most, None) if own is None else (own, account.key_id)
    if most and rows.count_unfinished(conn, account.id, key_id, most) >= most:
        raise TooMuchUnfinished
