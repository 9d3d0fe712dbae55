"""Requests that take effect once, however often they are sent: the `Idempotency-Key` of an account."""

from __future__ import annotations

import hashlib
import json

from portraitd.db.repeats import Once
from portraitd.portraits.requests import Account


def once(account: Account, key: str | None, *asked: object) -> Once | None:
    """The request under its key, None without one. `asked`: all that makes it a different request, as JSON."""
    if not key:
        return None
    return Once(account.id, _sha256(key), _sha256(json.dumps(asked, sort_keys=True)))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
