"""Portrait generation on the wire (contract section 1)."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import Field

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import GENERATION_MODEL, Body, Json, Link, Name, Part, Reply, checked
from portraitd.errors import EmptyInput, EmptyParameters, InvalidParameter, InvalidURL
from portraitd.portraits.fetch import check_url
from portraitd.portraits.requests import Generate, Task
from portraitd.styles.catalog import Mode, StyleCatalog

logger = logging.getLogger(__name__)

#: The one size that presets are rendered in; every other well-formed one is accepted and rendered so too.
RENDERED_SIZE = "768*1024"
#: Seeds are what other models of the family take.
MAX_SEED = 2**31 - 1
MAX_USER_URLS = 5


class Parameters(Body):
    style: Name
    size: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}\*[1-9][0-9]{0,4}$")] = RENDERED_SIZE
    n: Annotated[int, Field(ge=1)] = 4
    skin_retouch: bool = True
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None


class Input(Body):
    template_url: Link = ""
    user_urls: list[Link] = Field(default_factory=list)


class Resource(Body):
    resource_id: Name
    resource_type: Annotated[str, Field(pattern="^facelora$")]


class GenerateBody(Body):
    model: Annotated[str, Field(json_schema_extra={"const": GENERATION_MODEL})]
    parameters: Parameters
    input: Input | None = None
    #: Read by `Resources` where the style asks for it: train-free ignores whatever is here.
    resources: Any = Field(None, examples=[[{"resource_id": "women_model", "resource_type": "facelora"}]])


class Resources(Body):
    resources: Annotated[list[Resource], Field(min_length=1)]


class AcceptedPart(Part):
    task_id: str
    task_status: str


class Accepted(Reply):
    output: AcceptedPart


def read_generate(raw: Json, request_id: str, styles: StyleCatalog, config: ApiConfig) -> Generate:
    """What is asked for, checked as far as that goes without I/O.

    Raises EmptyParameters, InvalidParameter, InvalidStyle, EmptyInput, InvalidURL.
    """
    if "parameters" not in raw:
        raise EmptyParameters
    body = checked(GenerateBody, raw)
    wanted = body.parameters
    mode = styles.get(wanted.style).mode
    if wanted.n > config.max_count:
        raise InvalidParameter
    if wanted.size != RENDERED_SIZE:
        logger.warning("size %s asked for, %s will be rendered", wanted.size, RENDERED_SIZE)
    return Generate(
        request_id=request_id,
        style_id=wanted.style,
        count=wanted.n,
        identity_id=None if mode is Mode.TRAIN_FREE else _identity(body.resources),
        template_url=None if mode is Mode.PRESET else _template_url(body.input),
        photo_urls=_photo_urls(body.input) if mode is Mode.TRAIN_FREE else (),
        retouch=wanted.skin_retouch,
        seed=wanted.seed,
    )


def accepted(task: Task, request_id: str) -> Accepted:
    """The reply to a submit. Always PENDING: that is what it was when it was accepted."""
    return Accepted(request_id=request_id, output=AcceptedPart(task_id=task.id, task_status="PENDING"))


def _identity(resources: Any) -> str:
    """The first `facelora` entry; a list with anything else in it is refused."""
    return checked(Resources, {"resources": resources}).resources[0].resource_id


def _template_url(given: Input | None) -> str:
    if given is None:
        raise EmptyInput
    return check_url(given.template_url)


def _photo_urls(given: Input | None) -> tuple[str, ...]:
    if given is None:
        raise EmptyInput
    if not given.user_urls:
        raise InvalidURL
    if len(given.user_urls) > MAX_USER_URLS:
        raise InvalidParameter
    return tuple(check_url(url) for url in given.user_urls)
