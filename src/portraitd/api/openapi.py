"""/openapi.json: the routes as they are, told in OpenAPI 3.1.

FastAPI reads paths, queries and successes off the handlers. What it cannot see is added here: bodies are read by hand
(the order of checks asks for that), and refusals come from one handler of errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fastapi import Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute

from portraitd import __version__
from portraitd.api.wire.base import Body, Part, Refusal
from portraitd.api.wire.events import EventPart
from portraitd.api.wire.faces import DetectBody
from portraitd.api.wire.finetunes import FinetuneBody
from portraitd.api.wire.openai_files import OpenaiRefusal
from portraitd.api.wire.portraits import GenerateBody
from portraitd.portraits.services import Services

#: Part of an OpenAPI document.
Piece: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a route's handler does not tell by itself."""

    #: Request body and headers.
    takes: Piece = field(default_factory=dict)
    #: Replies by status, where they are no JSON of the contract.
    answers: Mapping[int | str, Piece] = field(default_factory=dict)


JSON = "application/json"

_SCHEMAS = "#/components/schemas/"
_BODIES = (GenerateBody, DetectBody, FinetuneBody)
_BEARER = {"BearerKey": {"type": "http", "scheme": "bearer", "description": "An API key of `portraitd key create`."}}

#: Headers of Standard Webhooks.
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")

#: Why a request is refused, by status. Every path of the API may answer each of these.
_REFUSALS = {
    "400": "Something about the request is wrong; `code` says what.",
    "401": "No key, or one that is not known.",
    "403": "Not this way (`AccessDenied`), not this workspace or not this identity.",
    "404": "There is no such path, training or model.",
    "429": "Too much of it; try again later.",
    "500": "Something went wrong here. After a POST with `x-should-retry: false`, the work may have been accepted.",
}


def header(name: str, description: str, *, only: str = "") -> Piece:
    """A header of a request; with `only`, one that must be sent and has one value."""
    schema = {"type": "string", "enum": [only]} if only else {"type": "string", "pattern": "^[!-~]{1,255}$"}
    return {"name": name, "in": "header", "required": bool(only), "description": description, "schema": schema}


def takes(body: type[Body], *headers: Piece) -> Said:
    """An operation that reads a JSON object."""
    content = {JSON: {"schema": {"$ref": _SCHEMAS + body.__name__}}}
    return Said({"requestBody": {"required": True, "content": content}, "parameters": list(headers)})


def takes_form(properties: Mapping[str, Piece], required: str, *headers: Piece) -> Said:
    """An operation that reads a multipart form."""
    schema = {"type": "object", "properties": dict(properties), "required": required.split()}
    body = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    return Said({"requestBody": body, "parameters": list(headers)})


def answers(*replies: tuple[int, str, str]) -> Said:
    """An operation with replies of its own: status, media type and description of each."""
    # Without a schema: a body of bytes has none (OpenAPI 3.1, section 4.8.14.3), and text needs none.
    return Said(
        answers={
            status: {"description": description, "content": {media_type: {}}}
            for status, media_type, description in replies
        }
    )


def read(request: Request) -> JSONResponse:
    """The document; made at the first request, since nobody may ever ask."""
    state = request.app.state
    if not hasattr(state, "document"):
        services: Services = state.services
        made = document(request.app.routes, {state.api_root: Refusal, state.openai_root: OpenaiRefusal})
        parameters = made["components"]["schemas"]["Parameters"]["properties"]
        parameters["style"]["enum"] = [style.id for style in services.styles]
        parameters["n"]["anyOf"][0]["maximum"] = state.config.max_count
        state.document = made
    return JSONResponse(state.document)


def document(routes: Sequence[BaseRoute], refusals: Mapping[str, type[Part]]) -> Piece:
    """The OpenAPI document of the routes; `refusals`: the roots below which a key is needed, and what is said of all
    that is refused there.
    """
    made = get_openapi(
        title="portraitd",
        version=__version__,
        description="A self-hosted portrait service that speaks the FaceChain part of DashScope's API.",
        routes=routes,
    )
    replies = made.setdefault("components", {}).setdefault("schemas", {})
    replies |= _schemas((EventPart,))
    for schema in replies.values():
        _say_absent_is_absent(schema)
    replies |= _schemas((*_BODIES, *refusals.values()))
    made["webhooks"] = _webhooks()
    for name in ("HTTPValidationError", "ValidationError"):
        replies.pop(name, None)
    made["components"]["securitySchemes"] = _BEARER
    for path, operations in made["paths"].items():
        for operation in operations.values():
            _complete(operation, next((model for root, model in refusals.items() if path.startswith(root)), None))
    return made


def _webhooks() -> Piece:
    """What the service itself asks, of a URL that the operator set."""
    text = {"type": "string"}
    signed = [{"name": name, "in": "header", "required": True, "schema": text} for name in _SIGNED]
    content = {JSON: {"schema": {"$ref": _SCHEMAS + EventPart.__name__}}}
    answers = {"2XX": {"description": "Taken."}, "410": {"description": "No more of them."}}
    answers["default"] = {"description": "To be sent again later, under the same webhook-id."}
    told = {"summary": "A task or a training has ended.", "parameters": signed, "responses": answers}
    return {"taskEnded": {"post": told | {"requestBody": {"required": True, "content": content}}}}


def _complete(operation: Piece, refusal: type[Part] | None) -> None:
    """Add what every operation has; a bad query is one of our refusals, and not what FastAPI would say."""
    operation["responses"].pop("422", None)
    if refusal is not None:
        operation["security"] = [{name: [] for name in _BEARER}]
        content = {JSON: {"schema": {"$ref": _SCHEMAS + refusal.__name__}}}
        for status, description in _REFUSALS.items():
            operation["responses"].setdefault(status, {"description": description, "content": content})
    stamp = {"X-Request-ID": {"description": "The request's id, also in the body.", "schema": {"type": "string"}}}
    for reply in operation["responses"].values():
        reply["headers"] = reply.get("headers", {}) | stamp


def _schemas(models: Iterable[type[Body | Part]]) -> Piece:
    """The models and all their parts, by name."""
    found: Piece = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        parts = schema.pop("$defs", {}) | {model.__name__: schema}
        if issubclass(model, Body):
            for part in parts.values():
                _say_null_is_absent(part)
        found |= parts
    return found


def _say_null_is_absent(schema: Piece) -> None:
    """Let each optional field of a request be null: clients send that for "not set"."""
    required = schema.get("required", ())
    for name, told in schema.get("properties", {}).items():
        choices = told.get("anyOf", [told])
        if name not in required and {"type": "null"} not in choices and "type" in told:
            schema["properties"][name] = {"anyOf": [told, {"type": "null"}]}


def _say_absent_is_absent(schema: Piece) -> None:
    """Let no field of a reply be null: what is not known is left out."""
    for told in schema.get("properties", {}).values():
        choices = [choice for choice in told.get("anyOf", ()) if choice != {"type": "null"}]
        if len(choices) == 1:
            told.pop("anyOf")
            told.pop("default", None)
            told.update(choices[0])
