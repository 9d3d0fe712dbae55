"""Whose turn it is."""

from __future__ import annotations

import itertools
import random

from portraitd.tasks import turns as module
from portraitd.tasks.turns import Turns


def served(turns: Turns, waiting: list[str]) -> str:
    """Who gets the next free place, as DBOS finds out: it shuffles, and leaves off once a task was found."""
    order = turns.in_order(waiting)
    random.Random(0).shuffle(order)
    first, *_ = itertools.islice(order, 2)
    return first


def test_accounts_take_turns() -> None:
    turns = Turns()
    got = [served(turns, ["a", "b", "c"]) for _ in range(9)]
    assert sorted(got[:3]) == ["a", "b", "c"]
    assert got == got[:3] * 3


def test_newcomers_come_first() -> None:
    turns = Turns()
    for _ in range(5):
        served(turns, ["a", "b"])
    assert served(turns, ["a", "b", "new"]) == "new"


def test_newcomers_come_in_any_order() -> None:
    assert {served(Turns(), ["a", "b", "c"]) for _ in range(200)} == {"a", "b", "c"}


def test_accounts_that_send_one_task_after_the_other_do_not_keep_out_one_with_many() -> None:
    turns = Turns()
    got = []
    for number in range(12):
        # b and c in turn have a task waiting each time a place is free.
        got.append(served(turns, ["many", "b" if number % 2 else "c"]))
    assert got.count("many") >= 4


def test_who_was_asked_in_vain_goes_to_the_end_too() -> None:
    turns = Turns()
    order = turns.in_order(["a", "b"])
    assert sorted(order) == ["a", "b"]
    in_turn = list(turns.in_order(["a", "b", "c"]))
    assert in_turn[0] == "c"


def test_memory_is_bounded() -> None:
    turns = Turns()
    for number in range(module._REMEMBERED + 50):
        list(turns.in_order([str(number)]))
    assert len(turns._asked) == module._REMEMBERED
