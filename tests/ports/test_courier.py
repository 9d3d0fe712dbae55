"""How ends are told: by several at once, to receivers that are slow, broken or gone, on both databases."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import sqlalchemy as sa

from portraitd.db import schema
from portraitd.db import webhooks as rows
from portraitd.db.engine import utc_now
from portraitd.errors import SetupError
from portraitd.portraits import courier
from portraitd.portraits.courier import WAITS_S
from tests.fakes.receivers import receiver, status
from tests.ports.hooked import ANNE, BERT, Hooked, verified

# -- when it does not go well -----------------------------------------------------------------------------------------


def test_a_refusal_is_told_again_under_the_same_id(hooked: Hooked) -> None:
    secret = hooked.hook()
    hooked.receiver.answers = [status(500), status(204)]
    hooked.end()
    assert not hooked.tell()
    assert not hooked.tell(), "not before its time"
    hooked.hurry()
    assert hooked.tell()
    first, second = hooked.receiver.got
    assert first.id == second.id
    assert verified(secret, first) == verified(secret, second)
    (row,) = hooked.deliveries()
    assert (row["outcome"], row["attempts"]) == ("delivered", 2)


def test_pauses_grow_and_end(hooked: Hooked, caplog: pytest.LogCaptureFixture) -> None:
    hooked.hook()
    hooked.receiver.answers = [status(503)]
    hooked.end()
    for wait_s in WAITS_S:
        before = utc_now()
        assert not hooked.tell()
        (row,) = hooked.deliveries()
        assert abs((row["due_at"] - before).total_seconds() - wait_s) < 5
        hooked.hurry()
    with caplog.at_level(logging.WARNING):
        assert not hooked.tell()
    (row,) = hooked.deliveries()
    assert (row["outcome"], row["due_at"], row["answer"]) == ("given up", None, "503")
    assert f"event {row['id']} was given up after {len(WAITS_S) + 1} attempts: 503" in caplog.text
    assert len(hooked.receiver.got) == len(WAITS_S) + 1
    hooked.hurry()
    assert not hooked.tell()
    assert sum(WAITS_S) < 24 * 3600, "the task that it is about must still be there"


def test_a_redirect_is_not_followed(hooked: Hooked) -> None:
    hooked.hook()
    hooked.receiver.answers = [status(307, Location=hooked.receiver.url("/elsewhere"))]
    hooked.end()
    assert not hooked.tell()
    assert [got.path for got in hooked.receiver.got] == ["/hook"]
    assert hooked.deliveries()[0]["answer"] == "307"


def test_a_receiver_that_is_gone_is_told_nothing_more(hooked: Hooked, caplog: pytest.LogCaptureFixture) -> None:
    hooked.hook()
    hooked.receiver.answers = [status(410), status(204)]
    for task_id in ("first", "second"):
        hooked.end(task_id)
    assert not hooked.tell()
    assert "answered 410 and is disabled" in caplog.text
    assert hooked.outcomes() == ["gone", "gone"]
    hooked.end("third")
    assert len(hooked.deliveries()) == 2
    assert hooked.courier._due_accounts() == ()
    hooked.hook()
    hooked.end("fourth")
    assert hooked.tell()
    assert [got.event["data"]["task_id"] for got in hooked.receiver.got] == ["first", "fourth"]


def test_a_receiver_that_was_changed_meanwhile_is_not_disabled(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end()

    def change_and_refuse(handler: BaseHTTPRequestHandler) -> None:
        hooked.hook(path="/new")
        status(410)(handler)

    hooked.receiver.answers = [change_and_refuse, status(204)]
    hooked.tell()
    ((row, _mail),) = hooked.house.webhooks.list()
    assert row.disabled_at is None


def test_who_sets_a_webhook_anew_gets_what_waits_at_once(hooked: Hooked) -> None:
    hooked.hook(path="/broken")
    hooked.receiver.answers = [status(500), status(204)]
    hooked.end()
    assert not hooked.tell()
    secret = hooked.hook(path="/mended")
    assert hooked.tell()
    verified(secret, hooked.receiver.got[1])
    assert [got.path for got in hooked.receiver.got] == ["/broken", "/mended"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
def test_private_addresses_are_refused(new_hooked: Callable[..., Hooked], host: str) -> None:
    hooked = new_hooked()
    url = f"http://{host}:{hooked.receiver.port}/hook"
    with pytest.raises(SetupError, match="PORTRAITD_FETCH_ALLOW"):
        hooked.house.webhooks.set(ANNE, url)
    with hooked.house.database.write() as conn:
        rows.put(conn, hooked.accounts[ANNE], url, "whsec_c2VjcmV0", utc_now())
    hooked.end()
    assert not hooked.tell()
    assert hooked.receiver.got == []
    assert hooked.deliveries()[0]["answer"] == "address refused"


def test_a_name_is_resolved_once_and_kept_to(hooked: Hooked) -> None:
    """One that leads to another address at the second look gains nothing."""
    asked: list[str] = []

    def changing(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    poster = dataclasses.replace(hooked.house.sender.poster, resolve=changing)
    assert poster.post(f"http://hook.example:{hooked.receiver.port}/x", b"{}", {}) == 204
    assert asked == ["hook.example"]
    assert hooked.receiver.got[0].headers["host"] == f"hook.example:{hooked.receiver.port}"


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    for letter in "HTTP/1.0 200 OK\r\nX-Header: " + "x" * 1000:
        handler.wfile.write(letter.encode())
        time.sleep(0.1)


def hanging(_handler: BaseHTTPRequestHandler) -> None:
    time.sleep(10)


def babbling(handler: BaseHTTPRequestHandler) -> None:
    while True:
        handler.wfile.write(b"x" * 65536)


def test_of_an_answer_its_head_is_read_and_no_more(hooked: Hooked) -> None:
    hooked.hook()
    hooked.receiver.answers = [endless]
    hooked.end()
    began = time.monotonic()
    assert hooked.tell()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (dripping, "no answer in time"),
        (hanging, "no answer in time"),
        (babbling, "broken answer"),
        (lambda handler: None, "broken answer"),
    ],
)
def test_an_answer_that_never_comes_is_waited_for_so_long(hooked: Hooked, answer: Any, code: str) -> None:
    hooked.timeout_s = 1.0
    hooked.hook()
    hooked.receiver.answers = [answer]
    hooked.end()
    began = time.monotonic()
    assert not hooked.tell()
    assert time.monotonic() - began < 3
    assert hooked.deliveries()[0]["answer"] == code


def test_nobody_there(hooked: Hooked) -> None:
    hooked.house.webhooks.set(ANNE, "http://127.0.0.1:1/hook")
    hooked.end()
    assert not hooked.tell()
    assert hooked.deliveries()[0]["answer"] == "no connection"


# -- who tells it -----------------------------------------------------------------------------------------------------


def test_a_slow_receiver_holds_up_nobody_else(hooked: Hooked) -> None:
    hooked.timeout_s = 8.0
    release = threading.Event()
    with receiver() as slow:
        slow.answers = [lambda _handler: release.wait(20) and None]
        hooked.house.webhooks.set(BERT, slow.url())
        hooked.hook()
        for number in range(300):
            hooked.end(f"his-{number}", BERT)
        stop = threading.Event()
        mail = hooked.courier
        thread = threading.Thread(target=mail.run, args=(stop,))
        thread.start()
        slow.until_got(1)
        began = time.monotonic()
        for number in range(20):
            hooked.end(f"hers-{number}")
        hooked.receiver.until_got(20)
        assert time.monotonic() - began < 6
        assert len(slow.got) == 1, "he is told one at a time"
        stop.set()
        release.set()
        thread.join()
        while not mail.is_idle:
            time.sleep(0.02)


def test_where_not_all_can_be_told_at_once_they_take_turns(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "AT_ONCE", 1)
    for account in (ANNE, BERT):
        hooked.hook(account, f"/{account}")
        for number in range(3):
            hooked.end(f"{account}-{number}", account)
    mail = hooked.courier
    while mail._due_accounts():
        mail.look(threading.Event())
        while not mail.is_idle:
            time.sleep(0.01)
    told = [got.path for got in hooked.receiver.got]
    assert told == [*told[:2] * 3]
    assert set(told) == {f"/{ANNE}", f"/{BERT}"}


def test_several_couriers_tell_each_end_once(hooked: Hooked) -> None:
    hooked.hook()
    for number in range(30):
        hooked.end(f"t{number}")
    stop = threading.Event()
    couriers = [hooked.courier for _ in range(4)]
    threads = [threading.Thread(target=courier.run, args=(stop,)) for courier in couriers]
    for thread in threads:
        thread.start()
    hooked.receiver.until_got(30)
    until_settled = time.monotonic() + 20
    while None in hooked.outcomes() and time.monotonic() < until_settled:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert sorted(got.event["data"]["task_id"] for got in hooked.receiver.got) == sorted(f"t{n}" for n in range(30))
    assert set(hooked.outcomes()) == {"delivered"}


def test_what_a_dead_courier_had_in_hand_is_told_by_another(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end()
    account_id = hooked.accounts[ANNE]
    with hooked.house.database.write() as conn:
        now = hooked.house.database.now(conn)
        claimed = rows.claim(conn, account_id, now, now + timedelta(seconds=20))
    assert claimed is not None
    assert not hooked.tell(), "it is another's now"
    hooked.hurry()
    assert hooked.tell()
    assert hooked.receiver.got[0].id == claimed.id
    with hooked.house.database.write() as conn:
        late = rows.Tried("500", utc_now(), due_at=utc_now())
        assert not rows.settle(conn, claimed, late), "the dead one comes back, and changes nothing"
    assert hooked.outcomes() == ["delivered"]


def test_a_clock_that_was_ahead_delays_nothing_for_long(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end()
    hooked.due_in(timedelta(hours=11))
    assert not hooked.tell()
    hooked.due_in(timedelta(days=4))
    assert hooked.tell()
    assert timedelta(seconds=max(WAITS_S)) <= rows.LONGEST_WAIT


def test_a_stopped_courier_starts_nothing(hooked: Hooked) -> None:
    hooked.hook()
    hooked.end()
    stop = threading.Event()
    stop.set()
    hooked.courier.run(stop)
    assert hooked.receiver.got == []


def test_looking_costs_the_same_however_much_waits(hooked: Hooked) -> None:
    hooked.hook()
    hooked.hook(BERT)
    hooked.end()
    with hooked.house.database.write() as conn:
        row = dict(conn.execute(sa.select(schema.deliveries)).mappings().one())
        told = row | {"due_at": None, "outcome": "delivered"}
        conn.execute(sa.insert(schema.deliveries), [row | {"id": f"w{n}"} for n in range(1000)])
        conn.execute(sa.insert(schema.deliveries), [told | {"id": f"d{n}"} for n in range(5000)])
    with hooked.house.database.write() as conn:
        conn.execute(sa.text("ANALYZE"))
    asked: list[tuple[str, Any]] = []
    sa.event.listen(hooked.house.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    assert hooked.courier._due_accounts() == (hooked.accounts[ANNE],)
    (statement, given) = next(one for one in asked if "webhooks" in one[0])
    explain = "EXPLAIN QUERY PLAN " if hooked.house.database.is_sqlite else "EXPLAIN "
    with hooked.house.database.read() as conn:
        plan = str(conn.exec_driver_sql(explain + statement, given).all())
    assert "deliveries_due" in plan, plan
