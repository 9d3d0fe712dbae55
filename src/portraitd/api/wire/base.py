"""What every noun of the contract shares: reading JSON, the model check, paging, ids, and the three time formats."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from portraitd.api.config import ApiConfig
from portraitd.errors import EmptyModel, IllegalInput, InvalidParameter, ModelNotFound, UnknownModel, WrongModelForPath
from portraitd.portraits.hints import Hint

#: Everything the contract shows as local time is Beijing's, without saying so.
BEIJING = timezone(timedelta(hours=8), "Beijing")

GENERATION_MODEL = "facechain-generation"
FINETUNE_MODEL = "facechain-finetune"
DETECT_MODEL = "facechain-facedetect"
_MODELS = {GENERATION_MODEL, FINETUNE_MODEL, DETECT_MODEL}

Json: TypeAlias = Mapping[str, Any]
#: Text that any database keeps: no control characters (pydantic itself refuses lone surrogates).
Text: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=4096)]
#: A URL, as far as a document can say; `portraits.fetch.check_url` says the rest.
Link: TypeAlias = Annotated[Text, Field(json_schema_extra={"format": "uri"})]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=256)]

#: Upper bound of the page number: past it, `page_no * page_size` would not fit a database's integers.
PageNo: TypeAlias = Annotated[int, Field(ge=1, le=10_000_000)]
PageSize: TypeAlias = Annotated[int, Field(ge=1, le=100)]

_B = TypeVar("_B", bound="Body")


class Body(BaseModel):
    """Part of a request: exact JSON types, unknown fields ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Part(BaseModel):
    """Part of a reply. A field that is None is left out."""

    # protected_namespaces: the contract has fields called `model_name`.
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Reply(Part):
    """A whole reply; alone, it is the answer to what has nothing to say."""

    request_id: str


class Refusal(Reply):
    """What is said of every request that is refused or goes wrong."""

    code: str
    message: str


class HintPart(Part):
    """What is wrong with a picture and what to do, in plain words; both "" where nothing is."""

    en: str = ""
    zh: str = ""


class Extras(Part):
    """What we tell beside the contract, all of it under one name of ours that its clients pass over."""

    #: How many waiting tasks come first; 0: it is next.
    queue_position: int | None = None
    #: Share of the pictures, or of a training's steps, that are done, 0 to 1.
    progress: float | None = None
    #: Of what failed: why, and what to do.
    hint: HintPart | None = None
    #: The same of a face check and of a task that could make only some of its pictures, one for each picture.
    hints: list[HintPart] | None = None


def hint_part(hint: Hint | None) -> HintPart | None:
    """The hint on the wire."""
    return None if hint is None else HintPart(en=hint.en, zh=hint.zh)


def hints_of(hints: Iterable[Hint | None]) -> Extras | None:
    """A hint for each picture, empty where nothing is wrong with it; None where nothing is wrong at all."""
    parts = [hint_part(hint) for hint in hints]
    return Extras(hints=[part or HintPart() for part in parts]) if any(parts) else None


class StatusPart(Part):
    status: str = "success"


class StatusReply(Reply):
    """Said after cancelling or deleting a fine-tune job."""

    output: StatusPart = StatusPart()


# -- reading ----------------------------------------------------------------------------------------------------------


def read_object(body: bytes) -> Json:
    """The JSON object in a request's body, nulls left out (clients send `null` for "not set"); raises IllegalInput."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise IllegalInput from error
    if not isinstance(value, dict):
        raise IllegalInput
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


def check_model(raw: Json, wanted: str, config: ApiConfig) -> None:
    """Raise unless `model` names the one model that this path serves."""
    model = raw.get("model", "")
    if model == "":
        raise EmptyModel
    if not isinstance(model, str):
        raise InvalidParameter
    check_known_model(model, config)
    if model != wanted:
        raise WrongModelForPath


def check_known_model(model: str, config: ApiConfig) -> None:
    """Raise unless `model` names one of ours."""
    if model == "":
        raise EmptyModel
    if model not in _MODELS:
        raise ModelNotFound if config.unknown_model_is_404 else UnknownModel


def checked(shape: type[_B], raw: Any) -> _B:
    """`raw` as a `shape`; raises InvalidParameter."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        raise InvalidParameter from error


def wrong_fields(error: Exception) -> str:
    """Which fields an error of `checked` is about, for a log: their names, never what was in them."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return ""
    problems = cause.errors(include_input=False, include_context=False)
    return ", ".join(".".join(map(str, problem["loc"])) for problem in problems)


def is_id(text: str) -> bool:
    """Could `text` be an id of ours? What could not is unknown, and no database need be asked about it."""
    return re.fullmatch(r"[\x21-\x7e]{1,200}", text) is not None


def _without_nulls(value: Any) -> Any:
    """`value` without the null members of its objects; nulls in lists stay, and are refused where they are read."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


# -- times ------------------------------------------------------------------------------------------------------------


def local_ms(moment: datetime) -> str:
    """A task's time: `2024-03-01 17:38:24.817`, in Beijing."""
    return moment.astimezone(BEIJING).isoformat(sep=" ", timespec="milliseconds")[:23]


def local_s(moment: datetime) -> str:
    """A job's or file's time: `2025-09-02 09:51:02`, in Beijing."""
    return moment.astimezone(BEIJING).isoformat(sep=" ", timespec="seconds")[:19]


def epoch_ms(moment: datetime) -> int:
    """The task list's time: whole milliseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def read_compact_time(text: str) -> datetime:
    """The task list's query time, `YYYYMMDDhhmmss` in Beijing; raises InvalidParameter."""
    if not re.fullmatch(r"[0-9]{14}", text):
        raise InvalidParameter
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise InvalidParameter from error
    if not 1970 < moment.year < 9999:  # so that a day can be added or taken away
        raise InvalidParameter
    return moment
