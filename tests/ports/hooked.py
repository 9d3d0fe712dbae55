"""A service on a database of each kind whose webhooks lead to a real server."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from standardwebhooks import Webhook

from portraitd.api.wire import events
from portraitd.db import schema
from portraitd.db.engine import utc_now
from portraitd.db.tasks import Kind, NewTask, ResultRow
from portraitd.portraits.courier import Courier
from portraitd.tasks.life import Outcome, Run
from portraitd.tasks.tally import Tally
from portraitd.wiring import House
from tests.fakes.receivers import Got, Receiver

ANNE, BERT = "anne", "bert"
TWO = Outcome((ResultRow("tasks/t/1.jpg", 1), ResultRow("tasks/t/2.jpg", 2)), usage=2)


@dataclass
class Hooked:
    """A service without processes, a courier that goes when told to, and somewhere to go."""

    house: House
    accounts: dict[str, str]
    receiver: Receiver
    tally: Tally = field(default_factory=Tally)
    timeout_s: float = 3.0

    @property
    def courier(self) -> Courier:
        sender = self.house.sender
        sender = dataclasses.replace(sender, poster=dataclasses.replace(sender.poster, timeout_s=self.timeout_s))
        return Courier(self.house.database, sender, events.task_ended, self.tally)

    def hook(self, account: str = ANNE, path: str = "/hook") -> str:
        """The secret of a webhook that leads to the receiver."""
        return self.house.webhooks.set(account, self.receiver.url(path))

    def accept(self, task_id: str = "t", account: str = ANNE, kind: Kind = Kind.GENERATE) -> str:
        model = "facechain-generation" if kind is Kind.GENERATE else "facechain-finetune"
        task = NewTask(task_id, kind, self.accounts[account], "key-1", "request-1", model, {"sources": []}, 7, 2)
        with self.house.database.write() as conn:
            self.house.life.accept(conn, task)
        return task_id

    def begun(self, task_id: str = "t", account: str = ANNE, kind: Kind = Kind.GENERATE) -> Run:
        run = self.house.life.begin(self.accept(task_id, account, kind))
        assert run is not None
        return run

    def end(self, task_id: str = "t", account: str = ANNE, kind: Kind = Kind.GENERATE) -> None:
        assert self.house.life.succeed(self.begun(task_id, account, kind), TWO)

    def tell(self, account: str = ANNE) -> bool:
        return self.courier.tell_next(self.accounts[account])

    def hurry(self) -> None:
        """Let what waits for its time be due."""
        self.due_in(timedelta(seconds=-1))

    def due_in(self, wait: timedelta) -> None:
        """Let what waits be due that much later than now."""
        with self.house.database.write() as conn:
            waits = schema.deliveries.c.due_at.is_not(None)
            conn.execute(sa.update(schema.deliveries).where(waits).values(due_at=utc_now() + wait))

    def deliveries(self) -> list[sa.RowMapping]:
        with self.house.database.read() as conn:
            return list(conn.execute(sa.select(schema.deliveries).order_by(schema.deliveries.c.task_id)).mappings())

    def outcomes(self) -> list[str | None]:
        return [row["outcome"] for row in self.deliveries()]


def verified(secret: str, got: Got) -> dict[str, Any]:
    """The event, if the headers prove who sent it; by somebody else's code."""
    event: dict[str, Any] = Webhook(secret).verify(got.body, got.headers)
    return event
