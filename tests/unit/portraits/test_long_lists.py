"""Lists that need not be counted again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from portraitd.portraits import long_lists
from portraitd.portraits.long_lists import LongLists
from portraitd.portraits.requests import TaskFilter, TaskState

NOON = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)
DAY = TaskFilter(NOON - timedelta(days=1), NOON, is_rolling=True)


def test_a_list_is_known_for_a_minute_whatever_the_page() -> None:
    clock = [100.0]
    lists = LongLists(lambda: clock[0])
    assert not lists.knows("anne", DAY)
    lists.add("anne", DAY)
    seconds_later = replace(DAY, start=DAY.start + timedelta(seconds=5), end=DAY.end + timedelta(seconds=5))
    assert lists.knows("anne", replace(seconds_later, page=7, page_size=50))
    clock[0] += 61
    assert not lists.knows("anne", DAY)


def test_it_is_known_of_this_list_only() -> None:
    lists = LongLists()
    lists.add("anne", DAY)
    assert not lists.knows("bert", DAY)
    assert not lists.knows("anne", replace(DAY, state=TaskState.FAILED))
    assert not lists.knows("anne", replace(DAY, is_rolling=False))


def test_what_lies_between_two_times_is_another_list_a_second_later() -> None:
    lists = LongLists()
    between = replace(DAY, is_rolling=False)
    lists.add("anne", between)
    assert lists.knows("anne", replace(between, page=3))
    assert not lists.knows("anne", replace(between, end=NOON - timedelta(seconds=1)))


def test_memory_is_bounded() -> None:
    lists = LongLists()
    for number in range(3 * long_lists._MOST):
        lists.add(str(number), DAY)
    assert len(lists._until) <= long_lists._MOST
