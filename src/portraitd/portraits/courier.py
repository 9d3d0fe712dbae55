"""Tells webhooks of tasks that ended: at least once, by any worker, and without anybody waiting for a slow receiver."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from portraitd.db import webhooks as rows
from portraitd.db.engine import Database
from portraitd.db.tasks import Kind
from portraitd.db.webhooks import Claimed, Tried
from portraitd.logs import about
from portraitd.portraits.requests import Ended
from portraitd.portraits.webhooks import Envelope, Sender, is_success
from portraitd.tasks.tally import DELIVERIES, Tally
from portraitd.tasks.turns import Turns

_log = logging.getLogger(__name__)

#: Pauses after each failed attempt, in seconds; after as many and one more an event is given up: 19 hours, so that the
#: task that it is about is still there.
WAITS_S = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600)
#: Receivers told at the same moment by one process.
AT_ONCE = 64
#: How often to look for events, in seconds. A receiver that fails is tried no more often than that.
_LOOK_EVERY_S = 1.0
_GONE = "410"


class Courier:
    """Sends what is due: to each account one event at a time, to all accounts side by side.

    An event in hand is nobody else's for a while; if this process dies with it, another one sends it then, under the
    same id.
    """

    def __init__(
        self, database: Database, sender: Sender, render: Callable[[Ended], bytes], tally: Tally | None = None
    ) -> None:
        self._database = database
        self._sender = sender
        self._render = render
        self._tally = tally or Tally()
        # Longer than any attempt takes.
        self._hold = timedelta(seconds=sender.poster.timeout_s + 5)
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._turns = Turns()

    def run(self, stop: threading.Event) -> None:
        """Send what is due, and what becomes due, until told to stop."""
        while not stop.wait(_LOOK_EVERY_S):
            try:
                self.look(stop)
            except Exception:  # noqa: BLE001 - a database that stays away, mostly; the next look tries again
                _log.warning("webhooks could not be looked after", exc_info=True)

    def look(self, stop: threading.Event) -> None:
        """Start telling each account that there is something for, unless that goes on already."""
        due = [account_id for account_id in self._database.outlast(self._due_accounts) if account_id not in self._busy]
        for account_id in self._turns.in_order(due):
            if self._is_full:
                break
            with self._lock:
                self._busy.add(account_id)
            threading.Thread(target=self._tell, args=(account_id, stop), daemon=True, name="webhook").start()

    @property
    def _is_full(self) -> bool:
        return len(self._busy) >= AT_ONCE

    @property
    def is_idle(self) -> bool:
        """Is nobody being told anything here?"""
        return not self._busy

    def tell_next(self, account_id: str) -> bool:
        """Was the account told of one more end? False: there is nothing to tell now, or it would not listen."""
        claimed = self._database.outlast(lambda: self._claim(account_id))
        if claimed is None:
            return False
        with about(request_id=claimed.task.request_id, task_id=claimed.task.id):
            envelope = Envelope(claimed.url, claimed.secret, claimed.id, self._render(_ended(claimed)))
            answer = self._sender.send(envelope)
            self._database.outlast(lambda: self._settle(claimed, answer))
        return is_success(answer)

    def _tell(self, account_id: str, stop: threading.Event) -> None:
        try:
            # Where no more can be told at once, this one lets another have its turn after each event.
            while not stop.is_set() and self.tell_next(account_id) and not self._is_full:
                pass
        except Exception:  # noqa: BLE001 - as above
            _log.warning("an event could not be looked after", exc_info=True)
        finally:
            with self._lock:
                self._busy.discard(account_id)

    def _due_accounts(self) -> tuple[str, ...]:
        with self._database.read() as conn:
            return rows.due_accounts(conn, self._database.now(conn))

    def _claim(self, account_id: str) -> Claimed | None:
        with self._database.write() as conn:
            now = self._database.now(conn)
            return rows.claim(conn, account_id, now, now + self._hold)

    def _settle(self, claimed: Claimed, answer: str) -> None:
        with self._database.write() as conn:
            now = self._database.now(conn)
            if is_success(answer):
                tried = Tried(answer, now, rows.DELIVERED)
            elif answer == _GONE:
                tried = Tried(answer, now, rows.GONE)
            elif claimed.attempt > len(WAITS_S):
                tried = Tried(answer, now, rows.GIVEN_UP)
            else:
                tried = Tried(answer, now, due_at=now + timedelta(seconds=WAITS_S[claimed.attempt - 1]))
            is_kept = rows.settle(conn, claimed, tried)
            is_disabled = tried.outcome == rows.GONE and rows.disable(conn, claimed, now)
        if is_kept:
            self._note(claimed, tried)
        if is_disabled:
            _log.warning("the webhook of account %s answered 410 and is disabled", claimed.task.account_id)

    def _note(self, claimed: Claimed, tried: Tried) -> None:
        self._tally.add(DELIVERIES, tried.outcome or "failed")
        if tried.outcome == rows.GIVEN_UP:
            _log.warning("event %s was given up after %d attempts: %s", claimed.id, claimed.attempt, tried.answer)
        else:
            _log.info("event %s, attempt %d: %s", claimed.id, claimed.attempt, tried.answer)


def _ended(claimed: Claimed) -> Ended:
    task = claimed.task
    return Ended(
        event_id=claimed.id,
        task_id=task.id,
        is_training=task.kind is Kind.FINETUNE,
        state=task.state,
        account_id=task.account_id,
        key_id=task.key_id,
        request_id=task.request_id,
        model=task.model,
        # A task whose event is sent has ended.
        ended_at=task.ended_at or task.submitted_at,
        started_at=task.started_at,
    )
