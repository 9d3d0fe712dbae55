"""The face check on the wire (contract section 3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import DETECT_MODEL, Body, Extras, Json, Link, Part, Reply, checked, hints_of
from portraitd.errors import EmptyInput, InvalidParameter
from portraitd.portraits.fetch import check_url
from portraitd.portraits.hints import BY_REASON
from portraitd.portraits.requests import FaceVerdict


class DetectInput(Body):
    images: Annotated[list[Link], Field(min_length=1)]


class DetectBody(Body):
    model: Annotated[str, Field(json_schema_extra={"const": DETECT_MODEL})]
    input: DetectInput


class DetectPart(Part):
    is_face: list[bool]
    #: As long as `is_face`; "" where that is true.
    failed_reason: list[str]
    #: Only where a picture failed.
    portraitd: Extras | None = None


class NoUsage(Part):
    """Face checks are free."""


class DetectReply(Reply):
    output: DetectPart
    usage: NoUsage = NoUsage()


def read_detect(raw: Json, config: ApiConfig) -> tuple[str, ...]:
    """The pictures to look at, as URLs. Raises EmptyInput, InvalidParameter, InvalidURL."""
    if "input" not in raw:
        raise EmptyInput
    images = checked(DetectBody, raw).input.images
    if len(images) > config.max_detect_images:
        raise InvalidParameter
    return tuple(check_url(url) for url in images)


def verdicts(found: tuple[FaceVerdict, ...], request_id: str) -> DetectReply:
    """The verdicts, in the order of the pictures."""
    part = DetectPart(
        is_face=[verdict.is_face for verdict in found],
        failed_reason=["" if verdict.is_face else verdict.reason for verdict in found],
        portraitd=hints_of(None if verdict.is_face else BY_REASON.get(verdict.reason) for verdict in found),
    )
    return DetectReply(request_id=request_id, output=part)
