"""Short-lived keys, to hand to what must not hold the key itself (contract section 7.1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query

from portraitd.api.call import KnownCall, repeat_key
from portraitd.api.wire import tokens as wire


def create(call: KnownCall, query: Annotated[wire.TokenQuery, Query()]) -> wire.TokenReply:
    """A token that opens what the caller's key opens, until it ends or the key is revoked."""
    life = timedelta(seconds=query.expire_in_seconds)
    token, ends_at = call.services.accounts.token(call.account, life, repeat_key(call))
    return wire.token_reply(token, ends_at)
