"""Pictures made side by side: in their order, with their errors, and no more of them than wanted."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from portraitd.engines.classic import ahead
from portraitd.engines.classic.ahead import beside, in_order


@pytest.mark.parametrize("at_once", [1, 2, 3, 9])
def test_they_come_in_order_however_long_each_takes(at_once: int) -> None:
    def make(seed: int) -> int:
        time.sleep(0.02 if seed % 2 else 0.001)
        return seed * seed

    assert [take() for take in in_order(make, range(3, 10), at_once)] == [seed * seed for seed in range(3, 10)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_one_that_fails_harms_no_other(at_once: int) -> None:
    def make(seed: int) -> int:
        if seed == 1:
            raise ValueError("no face")
        return seed

    calls = list(in_order(make, range(4), at_once))
    with pytest.raises(ValueError, match="no face"):
        calls[1]()
    assert [calls[index]() for index in (0, 2, 3)] == [0, 2, 3]


def test_so_many_are_made_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "MOST", 3)
    busy, most, lock = 0, 0, threading.Lock()

    def make(seed: int) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return seed

    assert [take() for take in in_order(make, range(12), 8)] == list(range(12))
    assert most == 3


@pytest.mark.parametrize("at_once", [1, 2])
def test_who_has_seen_enough_is_made_no_more(at_once: int) -> None:
    begun: list[int] = []

    def make(seed: int) -> int:
        begun.append(seed)
        time.sleep(0.005)
        return seed

    with closing(in_order(make, range(50), at_once)) as made:
        assert next(made)() == 0
    count = len(begun)
    assert count <= 4
    time.sleep(0.05)
    assert len(begun) == count
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("picture")]


def test_one_picture_needs_no_thread() -> None:
    (take,) = in_order(lambda seed: threading.current_thread(), [7], 4)
    assert take() is threading.current_thread()


@pytest.mark.parametrize("cores", [1, 2])
def test_what_goes_on_beside_gives_what_it_gives_or_raises_it(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(ahead, "cores", lambda: cores)
    with beside(lambda: 7) as seven:
        assert seven() == 7

    def fail() -> int:
        raise ValueError("no face")

    with pytest.raises(ValueError, match="no face"), beside(fail) as result:
        result()


def test_with_two_cores_both_go_on_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    here, there = threading.Event(), threading.Event()

    def work() -> bool:
        there.set()
        return here.wait(5)

    with beside(work) as met:
        assert there.wait(5)
        here.set()
        assert met()


def test_with_one_core_nothing_is_done_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "cores", lambda: 1)
    asked: list[str] = []
    with beside(lambda: asked.append("then")) as work:
        asked.append("first")
        work()
    assert asked == ["first", "then"]


def test_nothing_is_left_going_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when nobody asks for what it gives, because something else failed."""
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.05)
        ended.set()
        raise ValueError("nobody hears this")

    with pytest.raises(KeyError), beside(work):
        raise KeyError
    assert ended.is_set()
