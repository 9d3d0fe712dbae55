"""One request of a known account, as a handler sees it; and its body.

The order of checks (contract section 7.3) is the order in which a handler names these: the caller's key and workspace
come first, then the body is read, and what is in it is looked at by the handler. Limits per account are the last check:
`Call.take`, right before a handler calls a service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from portraitd.api.auth import check_workspace, read_key
from portraitd.api.config import ApiConfig
from portraitd.errors import BadIdempotencyKey
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import Account
from portraitd.portraits.services import Services


@dataclass(frozen=True)
class Call:
    """Who asks, under which request id, and what may be done about it."""

    account: Account
    request_id: str
    headers: Mapping[str, str]
    services: Services
    config: ApiConfig

    def take(self, meter: Meter, of: str = "") -> None:
        """Count this call; raises RateExceeded when it is one too many."""
        self.services.limits.take(self.account, meter, of)


async def _known(request: Request) -> Call:
    """The call; raises MissingApiKey, InvalidApiKey, WorkspaceAccessDenied."""
    services: Services = request.app.state.services
    config: ApiConfig = request.app.state.config
    key = read_key(request.headers.get("authorization", ""), config)
    account = await run_in_threadpool(services.accounts.authenticate, key)
    check_workspace(request.headers.get("x-dashscope-workspace", ""), config)
    return Call(account, request.state.request_id, request.headers, services, config)


async def _body(request: Request) -> bytes:
    """All of the body; its length is bounded by `middleware.BodyLimit`."""
    return await request.body()


def repeat_key(call: Call) -> str | None:
    """The Idempotency-Key, None without one; raises BadIdempotencyKey."""
    key = call.headers.get("idempotency-key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise BadIdempotencyKey
    return key


KnownCall: TypeAlias = Annotated[Call, Depends(_known)]
RawBody: TypeAlias = Annotated[bytes, Depends(_body)]
