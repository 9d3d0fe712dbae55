"""Tickets of temporary uploads on the wire (contract section 6): under `data`, every field a string or a number."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from portraitd.api.wire.base import Part, Reply
from portraitd.portraits.requests import Ticket


class TicketQuery(Part):
    action: Annotated[str, Field(pattern="^getPolicy$")]
    model: str = ""


class TicketPart(Part):
    policy: str
    signature: str
    upload_dir: str
    upload_host: str
    expire_in_seconds: int
    max_file_size_mb: int
    capacity_limit_mb: int = 999999999
    oss_access_key_id: str = "portraitd"
    x_oss_object_acl: str = "private"
    x_oss_forbid_overwrite: str = "true"


class TicketReply(Reply):
    data: TicketPart


def ticket_reply(ticket: Ticket, request_id: str) -> TicketReply:
    part = TicketPart(
        policy=ticket.policy,
        signature=ticket.signature,
        upload_dir=ticket.upload_dir,
        upload_host=ticket.host,
        expire_in_seconds=int(ticket.life.total_seconds()),
        max_file_size_mb=ticket.max_mb,
    )
    return TicketReply(data=part, request_id=request_id)
