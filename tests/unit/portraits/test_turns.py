"""Several lanes, one engine: portraits go on while somebody is learnt, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from portraitd.engines.base import Failure, Job, Photo, Portrait, Progress, TemplateJob, Trained, Training, trained_by
from portraitd.errors import AlgorithmFailed, PortraitdError
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


class Sociable(Instant):
    """Makes jobs of the same template together, three at most; a job with the identity "rude" spoils it for all."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[list[bytes]] = []
        self.alone: list[bytes] = []

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        assert isinstance(job, TemplateJob)
        self.alone.append(job.identity)
        if job.identity == b"rude":
            raise AlgorithmFailed
        yield from super().generate(job)

    def go_together(self, jobs: Sequence[Job]) -> bool:
        templates = [job.template.tobytes() for job in jobs if isinstance(job, TemplateJob)]
        return len(jobs) <= 3 and len(set(templates)) == 1

    def generate_together(self, jobs: Sequence[Job]) -> list[list[Portrait | Failure]]:
        identities = [job.identity for job in jobs if isinstance(job, TemplateJob)]
        self.together.append(identities)
        if b"rude" in identities:
            raise AlgorithmFailed
        return [list(super(Sociable, self).generate(job)) for job in jobs]


def _job(identity: str, seed: int, template: int = 1) -> TemplateJob:
    return TemplateJob(flat((template, 2, 3)), identity.encode(), 2, seed)


def _made_while_busy(engine: Sociable, jobs: Sequence[Job]) -> list[list[int] | PortraitdError]:
    """The seeds of each job's outcomes, or its error: all jobs waited while the engine was busy."""
    turns = TakingTurns(engine)
    company = turns._company
    assert company

    def seeds(job: Job) -> list[int] | PortraitdError:
        try:
            return [outcome.seed for outcome in turns.generate(job) if isinstance(outcome, Portrait)]
        except PortraitdError as error:
            return error

    with ThreadPoolExecutor(len(jobs) + 1) as pool:
        with turns._turn:  # as a training holds it, or a picture that is being made
            waiting = []
            for number, job in enumerate(jobs):
                waiting.append(pool.submit(seeds, job))
                deadline = time.monotonic() + LONG_S
                while sum(len(table.jobs) for table in company._open) <= number:
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
        return [future.result(LONG_S) for future in waiting]


def test_jobs_that_wait_and_go_together_share_a_turn() -> None:
    engine = Sociable()
    jobs = [_job("a", 10), _job("b", 20), _job("other", 30, template=9), _job("c", 40), _job("one too many", 50)]
    assert _made_while_busy(engine, jobs) == [[10, 11], [20, 21], [30, 31], [40, 41], [50, 51]]
    assert engine.together == [[b"a", b"b", b"c"]]
    assert engine.alone == [b"other", b"one too many"]


def test_one_that_cannot_be_made_spoils_nothing_for_the_others() -> None:
    engine = Sociable()
    first, second, third = _made_while_busy(engine, [_job("a", 10), _job("rude", 20), _job("c", 30)])
    assert (first, third) == ([10, 11], [30, 31])
    assert isinstance(second, AlgorithmFailed)
    assert sorted(engine.alone) == [b"a", b"c", b"rude"]


def test_who_is_the_first_keeps_the_turn_for_the_pictures() -> None:
    """Nobody who came later gets in between."""
    engine = Sociable()
    found = _made_while_busy(engine, [_job(str(number), 10 * number, template=number) for number in range(5)])
    assert [seeds[0] for seeds in found if isinstance(seeds, list)] == [0, 10, 20, 30, 40]
    assert engine.alone == [str(number).encode() for number in range(5)]


def test_nobody_waits_for_company() -> None:
    engine = Sociable()
    outcomes = list(TakingTurns(engine).generate(_job("a", 10)))
    assert [outcome.seed for outcome in outcomes if isinstance(outcome, Portrait)] == [10, 11]
    assert (engine.together, engine.alone) == ([], [b"a"])
