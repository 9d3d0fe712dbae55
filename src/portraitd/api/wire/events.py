"""What webhooks are sent (contract section 2.7): the vendor's event of its event bus, a CloudEvent 1.0."""

from __future__ import annotations

from datetime import UTC, datetime

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import Part, epoch_ms
from portraitd.api.wire.tasks import USER_API_KEY
from portraitd.portraits.requests import Ended

#: Of a training, in the form of USER_API_KEY.
_TRAINING_API_KEY = "apikey:v1:fine-tunes:::"
_TASK_ENDED = "dashscope:System:AsyncTaskFinish"
#: Ours: it says that a webhook can be reached, and nothing else.
_TRIAL = "portraitd:Webhook:Test"


class EndedPart(Part):
    """No results: whoever is told asks for the task, once, with a key."""

    task_id: str
    task_status: str
    #: As in the task list; missing for a task that never began.
    start_time: int | None = None
    end_time: int
    region: str
    request_id: str
    api_key_id: str
    user_api_unique_key: str


class EventPart(Part):
    id: str
    source: str = "acs.dashscope"
    specversion: str = "1.0"
    type: str
    datacontenttype: str = "application/json; charset=utf-8"
    time: str
    #: The path to ask for what the event is about.
    subject: str | None = None
    aliyunaccountid: str
    aliyunregionid: str
    data: EndedPart | dict[str, str]


def task_ended(ended: Ended, region: str = ApiConfig.region) -> bytes:
    """The body of the event: a task or training has ended."""
    path, api_key = ("fine-tunes", _TRAINING_API_KEY) if ended.is_training else ("tasks", USER_API_KEY)
    told = EndedPart(
        task_id=ended.task_id,
        task_status=ended.state.value,
        start_time=epoch_ms(ended.started_at) if ended.started_at else None,
        end_time=epoch_ms(ended.ended_at),
        region=region,
        request_id=ended.request_id,
        api_key_id=ended.key_id,
        user_api_unique_key=api_key + ended.model,
    )
    event = EventPart(
        id=ended.event_id,
        type=_TASK_ENDED,
        time=_utc(ended.ended_at),
        subject=f"/api/v1/{path}/{ended.task_id}",
        aliyunaccountid=ended.account_id,
        aliyunregionid=region,
        data=told,
    )
    return _json(event)


def trial(event_id: str, account_id: str, at: datetime, region: str = ApiConfig.region) -> bytes:
    """The body of an event that means nothing."""
    event = EventPart(
        id=event_id, type=_TRIAL, time=_utc(at), aliyunaccountid=account_id, aliyunregionid=region, data={}
    )
    return _json(event)


def _utc(moment: datetime) -> str:
    """`2024-03-01T09:38:55.565Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(event: EventPart) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()
