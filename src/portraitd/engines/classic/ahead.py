"""Work done side by side: the pictures of a job, handed out in order, and what one picture needs before it is made.

numpy, OpenCV and the networks let other threads work while they do, and most of a picture's steps are too small to be
shared among cores by themselves.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

#: Pictures at a time, however many cores there are: each needs memory of its own.
MOST = 4


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Work that goes on beside what the `with` block does, where there is a second core.

    Gives a call that waits for what the work gives, or raises what it raised. The block ends when the work has ended.
    """
    if cores() < 2:
        yield work
        return
    with ThreadPoolExecutor(1, "beside") as pool:
        yield pool.submit(work).result


def in_order(make: Callable[[int], T], seeds: Sequence[int], at_once: int) -> Generator[Callable[[], T], None, None]:
    """For each seed, in order, a call that gives what `make` gives for it, or raises what that raises.

    Closed early, it waits for the pictures in hand and begins no more.
    """
    at_once = min(at_once, MOST, len(seeds))
    if at_once < 2:
        yield from (partial(make, seed) for seed in seeds)
        return
    pool = ThreadPoolExecutor(at_once, "picture")
    begun: deque[Future[T]] = deque()
    waiting = iter(seeds)
    try:
        begun.extend(pool.submit(make, seed) for seed in islice(waiting, at_once))
        while begun:
            yield begun.popleft().result
            begun.extend(pool.submit(make, seed) for seed in islice(waiting, 1))
    finally:
        pool.shutdown(cancel_futures=bool(begun))
