"""Short-lived keys on the wire (contract section 7.1): a flat reply, without a request id."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from portraitd.api.wire.base import Part


class TokenQuery(Part):
    expire_in_seconds: Annotated[int, Field(ge=1, le=1800)] = 60


class TokenReply(Part):
    token: str
    #: Unix seconds.
    expires_at: int


def token_reply(token: str, ends_at: datetime) -> TokenReply:
    return TokenReply(token=token, expires_at=int(ends_at.timestamp()))
