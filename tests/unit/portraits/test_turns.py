"""Several lanes, one engine: portraits go on while somebody is learnt, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from portraitd.engines.base import Job, Photo, Portrait, Progress, TemplateJob, Trained, Training, trained_by
from portraitd.portraits.turns import TakingTurns, Turn
from tests.fakes.engines import Instant, flat

JOB = TemplateJob(flat((1, 2, 3)), b"123", 2, 0)
PHOTOS = [Photo("a.jpg", flat((9, 9, 9)))]
LONG_S = 30


class Slow(Instant):
    """Learns until it is told to stop, and notices who comes in while it works."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = threading.Lock()
        self.enough = threading.Event()
        self.began = threading.Event()
        self.closed = threading.Event()

    def training(self, photos: Sequence[Photo]) -> Training:
        try:
            while not self.enough.is_set():
                with self._alone():
                    self.began.set()
                yield Progress(0.5)
            yield self.train(photos)
        finally:
            self.closed.set()

    def generate(self, job: Job) -> Iterator[Portrait]:
        for seed in range(job.count):
            with self._alone():
                portrait = Portrait(flat((1, 1, 1)), seed, None)
            yield portrait

    def _alone(self) -> threading.Lock:
        assert not self.busy.locked(), "two at a time"
        return self.busy


@pytest.fixture
def slow() -> Iterator[Slow]:
    engine = Slow()
    yield engine
    engine.enough.set()


def test_portraits_are_made_between_two_steps_of_a_training(slow: Slow) -> None:
    engine = TakingTurns(slow)
    with ThreadPoolExecutor() as lanes:
        training = lanes.submit(lambda: trained_by(engine.training(PHOTOS)))
        assert slow.began.wait(LONG_S)
        made = [lanes.submit(lambda: list(engine.generate(JOB))) for _ in range(8)]
        assert [len(portraits.result(LONG_S)) for portraits in made] == [2] * 8
        assert not training.done()
        slow.enough.set()
        assert training.result(LONG_S) == slow.train(PHOTOS)


def test_a_second_training_waits_and_can_be_told_to_stop(slow: Slow) -> None:
    engine = TakingTurns(slow)
    first, second = engine.training(PHOTOS), engine.training(PHOTOS)
    assert next(first) == Progress(0.5)
    assert next(second) == Progress(0.0)
    second.close()
    assert next(first) == Progress(0.5)
    slow.enough.set()
    assert isinstance(next(first), Trained)
    assert list(first) == []
    assert trained_by(engine.training(PHOTOS)) == slow.train(PHOTOS)


def test_a_training_that_is_closed_ends_at_once(slow: Slow) -> None:
    engine = TakingTurns(slow)
    training = engine.training(PHOTOS)
    next(training)
    training.close()
    assert slow.closed.is_set()
    assert len(list(engine.generate(JOB))) == 2
    slow.enough.set()
    assert isinstance(next(engine.training(PHOTOS)), Trained)


def test_a_training_that_fails_makes_room() -> None:
    engine = TakingTurns(Instant())
    black = [Photo("a.jpg", np.zeros((9, 9, 3), np.uint8))]
    for _ in range(2):
        with pytest.raises(Exception, match="No human face"):
            trained_by(engine.training(black))
    assert trained_by(engine.training(PHOTOS)).used == ("a.jpg",)


def test_whoever_has_waited_longest_comes_next() -> None:
    turn, order, threads = Turn(), [], []

    def take(name: int) -> None:
        with turn:
            order.append(name)

    with turn:
        with turn:
            assert not order, "the holder may take it again"
        for name in range(5):
            threads.append(threading.Thread(target=take, args=(name,)))
            threads[-1].start()
            while len(turn._line) <= name:
                pass
    for thread in threads:
        thread.join(LONG_S)
    assert order == list(range(5))
