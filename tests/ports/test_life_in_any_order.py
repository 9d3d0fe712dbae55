"""Whatever is called in whatever order, a task ends once, stays ended, and is billed at most once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from portraitd.db import accounts, tasks
from portraitd.db.engine import open_database
from portraitd.db.migrations import migrate
from portraitd.db.tasks import TaskRow
from portraitd.errors import NoHumanFace
from portraitd.portraits.requests import TaskState
from portraitd.tasks.life import MAX_ATTEMPTS, MOVES, Life, Run
from tests.fakes.stores import FakeClock
from tests.ports.conftest import ACCOUNT
from tests.ports.test_life import FOUR, new_task


class AnyOrder(RuleBasedStateMachine):
    """One task, any number of workers that hold old and new attempts at it."""

    runs = Bundle("runs")

    @initialize()
    def accept(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.database = open_database(f"sqlite:///{Path(self.folder.name) / 'x.db'}")
        migrate(self.database)
        self.life = Life(self.database, self.clock)
        with self.database.write() as conn:
            accounts.add_account(conn, ACCOUNT, "anne", self.clock())
            self.life.accept(conn, new_task())
        self.before = self.look()
        self.ends = 0

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    def look(self) -> TaskRow:
        with self.database.read() as conn:
            task = tasks.get(conn, "t")
        assert task is not None
        return task

    @rule(target=runs)
    def begin(self) -> object:
        was_over = self.look().state.is_terminal
        run = self.life.begin("t")
        if run is None and not was_over:
            self.ends += 1
            assert self.look().attempt == MAX_ATTEMPTS
        return multiple() if run is None else run

    @rule(run=runs, how=st.sampled_from(["succeed", "fail", "cancel"]))
    def end(self, run: Run, how: str) -> None:
        acts = {
            "succeed": lambda: self.life.succeed(run, FOUR),
            "fail": lambda: self.life.fail(run, NoHumanFace()),
            "cancel": lambda: self.life.canceled(run),
        }
        held = self.life.holds(run)
        # Who asked for an end was told that there will be one.
        wanted = held and self.look().cancel_asked_at is not None
        assert acts[how]() is (held and not (wanted and how == "succeed"))
        if wanted:
            assert self.look().state is TaskState.CANCELED
        self.ends += held

    @rule(run=runs)
    def report(self, run: Run) -> None:
        self.life.report(run, 1, 1)

    @rule()
    def ask_to_cancel(self) -> None:
        self.life.ask_to_cancel("t")

    @rule(how=st.sampled_from(["cancel_pending", "give_up"]))
    def end_from_outside(self, how: str) -> None:
        self.ends += self.life.cancel_pending("t") if how == "cancel_pending" else self.life.give_up("t", NoHumanFace())

    @invariant()
    def moves_are_in_the_table_and_ends_are_final(self) -> None:
        after = self.look()
        if self.before.state.is_terminal:
            assert after == self.before
        elif after.state is not self.before.state:
            assert after.state in MOVES[self.before.state]
        self.before = after

    @invariant()
    def the_task_ended_once_and_is_billed_for_what_it_delivered(self) -> None:
        with self.database.read() as conn:
            used = tasks.usage_of(conn, ACCOUNT)
            delivered = tasks.results_of(conn, "t")
        assert self.ends == int(self.before.state.is_terminal)
        assert (self.before.ended_at is not None) is self.before.state.is_terminal
        succeeded = self.before.state is TaskState.SUCCEEDED
        assert used == ({"generate": 4} if succeeded else {})
        assert len(delivered) == (4 if succeeded else 0)


AnyOrder.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestAnyOrder = AnyOrder.TestCase
