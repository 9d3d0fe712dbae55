"""The sums that workers share, and what a monitor is told, on both databases."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from portraitd.db import figures
from portraitd.db.engine import Database
from portraitd.db.figures import Figure
from portraitd.db.tasks import Kind
from portraitd.portraits.figures import FigureDesk
from portraitd.tasks.life import Life
from portraitd.tasks.tally import BOUNDS_S, ENDS, PICTURES, Tally
from tests.fakes.stores import FakeClock
from tests.ports.test_life import FOUR, new_task


def test_sums_of_several_workers_add_up(database: Database) -> None:
    def work() -> None:
        tally = Tally()
        for _ in range(10):
            tally.add(PICTURES, "made", amount=2)
            tally.add(PICTURES, "failed")
            tally.flush(database)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        assert figures.everything(conn) == {Figure(PICTURES, ("made",)): 80, Figure(PICTURES, ("failed",)): 40}


def test_what_could_not_be_added_is_added_the_next_time(database: Database) -> None:
    tally = Tally()
    tally.add(PICTURES, "made")
    with database.write() as conn:
        conn.execute(sa.text("ALTER TABLE figures RENAME TO away"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        tally.flush(database)
    with database.write() as conn:
        conn.execute(sa.text("ALTER TABLE away RENAME TO figures"))
    tally.add(PICTURES, "made")
    tally.flush(database)
    tally.flush(database)
    with database.read() as conn:
        assert figures.everything(conn) == {Figure(PICTURES, ("made",)): 2}


def test_what_a_monitor_is_told(database: Database, life: Life, clock: FakeClock) -> None:
    desk = FigureDesk(database, 30, clock)
    nothing = desk.read()
    assert (nothing.workers, nothing.tasks, nothing.waiting_s, nothing.stages) == (0, {}, {}, ())

    with database.write() as conn:
        life.accept(conn, new_task("ended"))
        life.accept(conn, new_task("running"))
        life.accept(conn, new_task("old"))
    ended, running = life.begin("ended"), life.begin("running")
    assert ended is not None
    assert running is not None
    life.succeed(ended, FOUR)
    clock.pass_(minutes=2)
    with database.write() as conn:
        life.accept(conn, new_task("young"))
    clock.pass_(minutes=1)
    tally = Tally()
    tally.took(Kind.GENERATE, "make", 0.02)
    tally.took(Kind.GENERATE, "make", 2.0)
    tally.took(Kind.GENERATE, "make", 5000)
    tally.add(ENDS, "generate", "SUCCEEDED", "")
    tally.flush(database)

    told = desk.read()
    assert told.tasks == {("generate", "SUCCEEDED"): 1, ("generate", "RUNNING"): 1, ("generate", "PENDING"): 2}
    assert told.waiting_s == {"generate": 180}
    assert told.ends == {("generate", "SUCCEEDED", ""): 1}
    (stage,) = told.stages
    assert (stage.kind, stage.stage, stage.total_s) == ("generate", "make", 5002.02)
    assert [bound for bound, _ in stage.buckets] == list(BOUNDS_S)
    counts = dict(stage.buckets)
    assert (counts[0.05], counts[1.0], counts[2.5], counts[1200.0], counts[float("inf")]) == (1, 1, 2, 2, 3)
