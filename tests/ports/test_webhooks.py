"""What accounts are told of their tasks' ends, on both databases, by a receiver that is a real server."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import sqlalchemy as sa
from standardwebhooks import WebhookVerificationError

from portraitd import wiring
from portraitd.db import schema
from portraitd.db import webhooks as rows
from portraitd.db.engine import utc_now
from portraitd.db.tasks import Kind
from portraitd.errors import NoHumanFace, SetupError
from portraitd.portraits.figures import FigureDesk
from portraitd.portraits.retention import Sweeper
from portraitd.tasks.tally import DELIVERIES
from tests.fakes.receivers import status
from tests.ports.hooked import ANNE, BERT, TWO, Hooked, verified


def test_a_task_s_end_is_told_signed_and_once(hooked: Hooked) -> None:
    secret = hooked.hook()
    hooked.end()
    assert hooked.tell()
    assert not hooked.tell()
    (got,) = hooked.receiver.got
    (row,) = hooked.deliveries()
    event = verified(secret, got)
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert got.id == event["id"] == row["id"]
    data = event.pop("data")
    assert 0 <= data.pop("end_time") - data.pop("start_time") < 60_000
    assert data == {
        "task_id": "t",
        "task_status": "SUCCEEDED",
        "region": "cn-beijing",
        "request_id": "request-1",
        "api_key_id": "key-1",
        "user_api_unique_key": "apikey:v1:aigc:album:gen_potrait:facechain-generation",
    }
    assert (
        abs(time.time() - time.mktime(time.strptime(event.pop("time"), "%Y-%m-%dT%H:%M:%S.%fZ")) + time.timezone) < 60
    )
    assert event == {
        "id": row["id"],
        "source": "acs.dashscope",
        "specversion": "1.0",
        "type": "dashscope:System:AsyncTaskFinish",
        "datacontenttype": "application/json; charset=utf-8",
        "subject": "/api/v1/tasks/t",
        "aliyunaccountid": hooked.accounts[ANNE],
        "aliyunregionid": "cn-beijing",
    }
    assert (row["outcome"], row["answer"], row["attempts"], row["due_at"]) == ("delivered", "204", 1, None)


def test_another_secret_or_body_is_no_proof(hooked: Hooked) -> None:
    hooked.hook(BERT)
    secret = hooked.hook()
    hooked.end()
    hooked.tell()
    (got,) = hooked.receiver.got
    verified(secret, got)
    for wrong, body in ((hooked.hook(BERT), got.body), (secret, got.body.replace(b"SUCCEEDED", b"FAILED"))):
        with pytest.raises(WebhookVerificationError):
            verified(wrong, dataclasses.replace(got, body=body))


def test_every_way_to_end_is_told(hooked: Hooked) -> None:
    hooked.hook()
    life = hooked.house.life
    assert life.cancel_pending(hooked.accept("canceled while it waited"))
    assert life.canceled(hooked.begun("canceled while it ran"))
    assert life.fail(hooked.begun("failed"), NoHumanFace())
    assert life.give_up(hooked.accept("given up"), NoHumanFace())
    hooked.accept("begun too often")
    while life.begin("begun too often"):
        pass
    assert life.fail(hooked.begun("ft-1", kind=Kind.FINETUNE), NoHumanFace())
    hooked.end("succeeded")
    hooked.begun("runs")
    hooked.accept("waits")
    while hooked.tell():
        pass
    told = {got.event["data"]["task_id"]: got.event for got in hooked.receiver.got}
    assert {task_id: event["data"]["task_status"] for task_id, event in told.items()} == {
        "canceled while it waited": "CANCELED",
        "canceled while it ran": "CANCELED",
        "failed": "FAILED",
        "given up": "FAILED",
        "begun too often": "FAILED",
        "ft-1": "FAILED",
        "succeeded": "SUCCEEDED",
    }
    assert len(hooked.receiver.got) == len(told)
    assert "start_time" not in told["canceled while it waited"]["data"]
    assert told["ft-1"]["subject"] == "/api/v1/fine-tunes/ft-1"
    assert told["ft-1"]["data"]["user_api_unique_key"] == "apikey:v1:fine-tunes:::facechain-finetune"


def test_of_many_that_end_a_task_one_is_told_of(hooked: Hooked) -> None:
    hooked.hook()
    run = hooked.begun()
    life = hooked.house.life
    acts = [lambda: life.succeed(run, TWO), lambda: life.fail(run, NoHumanFace()), lambda: life.canceled(run)] * 3
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hooked.deliveries()) == 1


def test_an_end_that_is_taken_back_is_not_told(hooked: Hooked) -> None:
    def power_cut(_conn: sa.Connection) -> None:
        raise RuntimeError

    hooked.hook()
    run = hooked.begun()
    with pytest.raises(RuntimeError):
        hooked.house.life.succeed(run, TWO, power_cut)
    assert hooked.deliveries() == []
    assert hooked.house.life.succeed(run, TWO)
    assert len(hooked.deliveries()) == 1


def test_accounts_are_told_of_their_own(hooked: Hooked) -> None:
    hooked.hook(ANNE, "/anne")
    hooked.end("hers")
    hooked.end("his", BERT)
    assert hooked.tell(ANNE)
    assert not hooked.tell(BERT)
    hooked.hook(BERT, "/bert")
    assert not hooked.tell(BERT), "what ended before is not told"
    hooked.end("his second", BERT)
    assert hooked.tell(BERT)
    assert [(got.path, got.event["data"]["task_id"]) for got in hooked.receiver.got] == [
        ("/anne", "hers"),
        ("/bert", "his second"),
    ]


# -- how it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
def test_an_event_goes_with_its_task(hooked: Hooked, kind: Kind) -> None:
    hooked.hook()
    hooked.end(kind=kind)
    hooked.end("another")
    hooked.house.eraser.work(kind, ["t"])
    assert [row["task_id"] for row in hooked.deliveries()] == ["another"]


def test_old_events_are_swept(hooked: Hooked) -> None:
    hooked.hook()
    for task_id in ("old", "young"):
        hooked.end(task_id, kind=Kind.FINETUNE)
    with hooked.house.database.write() as conn:
        found = sa.update(schema.deliveries).where(schema.deliveries.c.task_id == "old")
        conn.execute(found.values(created_at=utc_now() - rows.KEPT - timedelta(seconds=1)))
    Sweeper(hooked.house.eraser, wiring.retention_of(hooked.house.settings), utc_now).sweep()
    assert [row["task_id"] for row in hooked.deliveries()] == ["young"]


def test_a_removed_webhook_takes_what_waits_along(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end()
    hooked.house.webhooks.remove(ANNE)
    assert hooked.deliveries() == []
    hooked.end("later")
    assert hooked.deliveries() == []
    with pytest.raises(SetupError, match="has no webhook"):
        hooked.house.webhooks.remove(ANNE)


def test_a_removal_while_the_receiver_thinks(hooked: Hooked) -> None:
    def remove_and_take(handler: BaseHTTPRequestHandler) -> None:
        hooked.house.webhooks.remove(ANNE)
        status(200)(handler)

    hooked.hook()
    hooked.receiver.answers = [remove_and_take]
    hooked.end()
    assert hooked.tell()
    assert hooked.deliveries() == []


def test_an_account_that_is_erased_is_told_nothing_any_more(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end("done")
    hooked.accept("waits")
    hooked.house.eraser.account(ANNE, hooked.house.life)
    assert hooked.deliveries() == []
    assert not hooked.tell()
    assert hooked.house.webhooks.list() == ()


def test_it_is_counted_what_became_of_attempts(hooked: Hooked) -> None:
    hooked.hook()
    hooked.receiver.answers = [status(500), status(204), status(410)]
    hooked.end("a")
    hooked.tell()
    hooked.hurry()
    hooked.tell()
    hooked.end("b")
    hooked.tell()
    hooked.tally.flush(hooked.house.database)
    told = FigureDesk(hooked.house.database, 30, utc_now).read().deliveries
    assert told == {"failed": 1, "delivered": 1, "gone": 1}
    assert DELIVERIES == "deliveries"


def test_the_list_tells_how_it_goes_and_no_secret(hooked: Hooked) -> None:
    secret = hooked.hook()
    hooked.receiver.answers = [status(204), status(503)]
    hooked.end("a")
    hooked.end("b")
    hooked.tell()
    hooked.tell()
    ((row, mail),) = hooked.house.webhooks.list()
    assert (row.account, row.url, row.disabled_at) == (ANNE, hooked.receiver.url(), None)
    assert (mail.counts, mail.last_answer) == ({"": 1, "delivered": 1}, "503")
    assert secret not in repr(row)


def test_a_trial_is_sent_at_once_and_signed(hooked: Hooked) -> None:
    secret = hooked.hook()
    assert hooked.house.webhooks.test(ANNE) == "204"
    event = verified(secret, hooked.receiver.got[0])
    assert (event["type"], event["data"]) == ("portraitd:Webhook:Test", {})
    with pytest.raises(SetupError, match="has no webhook"):
        hooked.house.webhooks.test(BERT)
    assert hooked.deliveries() == []
