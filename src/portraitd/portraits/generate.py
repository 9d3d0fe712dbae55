"""Portraits, both sides of the queue: accepting a request, and making its pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from itertools import islice
from typing import Any, cast
from uuid import uuid4

from portraitd import images
from portraitd.blobs import Blobs
from portraitd.db import repeats
from portraitd.db import tasks as rows
from portraitd.db.engine import Database
from portraitd.db.tasks import Kind, NewTask, ResultRow, TaskRow
from portraitd.engines.base import (
    Engine,
    Failure,
    Job,
    Photo,
    Portrait,
    PresetJob,
    TemplateJob,
    TrainFreeJob,
    fresh_seed,
)
from portraitd.errors import AlgorithmFailed, CancelRefused, InvalidParameter, PortraitdError, ResourceAccessDenied
from portraitd.images import Image
from portraitd.portraits import photos
from portraitd.portraits.identities import IdentityShelf, is_usable
from portraitd.portraits.limits import check_unfinished
from portraitd.portraits.links import Links
from portraitd.portraits.long_lists import LongLists
from portraitd.portraits.once import once
from portraitd.portraits.photos import Fetches, Judge, Limits, Purpose
from portraitd.portraits.requests import Account, Generate, Result, Task, TaskFilter, TaskPage, TaskState
from portraitd.portraits.results import picture_key
from portraitd.styles.catalog import Mode, StyleCatalog
from portraitd.tasks.life import Life, Outcome
from portraitd.tasks.queue import Queue
from portraitd.tasks.tally import PICTURES, Tally
from portraitd.tasks.worker import Finished, Report

_log = logging.getLogger(__name__)

MODEL = "facechain-generation"
#: Likenesses of one task's pictures that differ by less say nothing.
_TOLD_APART = 0.02


@dataclass(frozen=True)
class TaskDesk:
    """Accepts, shows and cancels generations: the `Tasks` door of services.py."""

    database: Database
    life: Life
    queue: Queue
    styles: StyleCatalog
    links: Links
    #: How long results outlive their task's end.
    retention: timedelta
    #: Most tasks of an account that have not ended; 0: no limit.
    max_unfinished: int = 0
    long_lists: LongLists = field(default_factory=LongLists)

    def submit(self, account: Account, request: Generate, key: str | None = None) -> Task:
        """Accept a generation: durable once this returns; under a `key` that was used, the task made then.

        Raises ResourceAccessDenied for an unusable identity, TooMuchUnfinished, IdempotencyKeyReused.
        """
        identity_id = self._identity(request)
        task = NewTask(
            id=str(uuid4()),
            kind=Kind.GENERATE,
            account_id=account.id,
            key_id=account.key_id,
            request_id=request.request_id,
            model=MODEL,
            request=asdict(request),
            seed=fresh_seed() if request.seed is None else request.seed,
            total=request.count,
        )
        asked = once(account, key, MODEL, asdict(replace(request, request_id="")))
        with self.database.write() as conn:

            def accept() -> str:
                if identity_id is not None and not is_usable(conn, account.id, identity_id):
                    raise ResourceAccessDenied
                check_unfinished(conn, account, self.max_unfinished)
                self.life.accept(conn, task)
                self.queue.enqueue(conn, task.id, task.kind, account.id)
                return task.id

            row = rows.get(conn, repeats.make_once(self.database, conn, asked, accept))
        return self._shown(cast(TaskRow, row), ())

    def get(self, account: Account, task_id: str) -> Task | None:
        """The task, or None when the account has none of that id."""
        with self.database.read() as conn:
            task = rows.get(conn, task_id, account.id)
            if task is None or task.kind is not Kind.GENERATE:
                return None
            ahead = rows.ahead(conn, task) if task.state is TaskState.PENDING else None
            return replace(self._shown(task, rows.results_of(conn, task_id)), ahead=ahead)

    def list(self, account: Account, wanted: TaskFilter) -> TaskPage:
        """Tasks, newest submit first, without their results."""
        with self.database.read() as conn:
            found, total = rows.page(
                conn, account.id, Kind.GENERATE, wanted, is_long=self.long_lists.knows(account.id, wanted)
            )
        if total >= rows.COUNTED:
            self.long_lists.add(account.id, wanted)
        return TaskPage(tuple(self._shown(task, ()) for task in found), total)

    def cancel(self, account: Account, task_id: str) -> None:
        """Cancel a PENDING task; raises CancelRefused for any other, an unknown one included."""
        if self.get(account, task_id) is None or not self.life.cancel_pending(task_id):
            raise CancelRefused
        self.queue.cancel(task_id)

    def _identity(self, request: Generate) -> str | None:
        """The identity the style needs, None for a style that needs none."""
        if self.styles.get(request.style_id).mode is Mode.TRAIN_FREE:
            return None
        if request.identity_id is None:
            raise InvalidParameter
        return request.identity_id

    def _shown(self, task: TaskRow, results: tuple[ResultRow, ...]) -> Task:
        return Task(
            id=task.id,
            request_id=task.request_id,
            key_id=task.key_id,
            account_id=task.account_id,
            model=task.model,
            state=task.state,
            total=task.total,
            submitted_at=task.submitted_at,
            started_at=task.started_at,
            ended_at=task.ended_at,
            results=tuple(self._result(task, result) for result in results),
            code=task.code,
            message=task.message,
            succeeded=task.succeeded,
            failed=task.failed,
        )

    def _result(self, task: TaskRow, result: ResultRow) -> Result:
        """The result with a link made now that expires when the task does."""
        url = None
        if result.blob_key and task.ended_at:
            url = self.links.make(result.blob_key, task.ended_at + self.retention)
        return Result(url, result.seed, result.similarity, result.code, result.message)


@dataclass(frozen=True)
class Studio:
    """Makes the pictures of generations: the worker's handler for them."""

    engine: Engine
    styles: StyleCatalog
    shelf: IdentityShelf
    blobs: Blobs
    fetcher: Fetches
    judge: Judge
    tally: Tally = field(default_factory=Tally)

    def run(self, task: TaskRow, report: Report) -> Finished:
        """Every picture of the task, in the blob store. Raises the first failure when none could be made."""
        job = self._job(task, request_of(task.request))
        report(0, 0)
        results: list[ResultRow] = []
        errors: list[PortraitdError] = []
        beat = _Beat(lambda: report(len(results) - len(errors), len(errors)))
        job = replace(job, beat=beat)
        for number, outcome in enumerate(self.tally.each_timed(task.kind, "make", self._outcomes(job, beat)), 1):
            if isinstance(outcome, Failure):
                errors.append(outcome.error)
                results.append(ResultRow(code=outcome.error.code, message=outcome.error.message))
            else:
                with self.tally.timed(task.kind, "store"):
                    results.append(self._keep(task.id, number, outcome))
            self.tally.add(PICTURES, "failed" if isinstance(outcome, Failure) else "made")
            report(number - len(errors), len(errors))
        if len(errors) == len(results):
            raise errors[0]
        return Finished(Outcome(ranked(results), usage=len(results) - len(errors)))

    def discard(self, task: TaskRow) -> None:
        """Erase what a run left behind of a task that is gone."""
        self.blobs.delete_prefix(f"tasks/{task.id}")

    def _job(self, task: TaskRow, request: Generate) -> Job:
        """What the engine is asked for, every picture fetched and every face checked."""
        style = self.styles.get(request.style_id)
        if style.mode is Mode.PRESET:
            return PresetJob(style, self._identity(task, request), task.total, task.seed)
        template = self._picture(request.template_url or "", photos.TEMPLATE, Purpose.TEMPLATE)
        if style.mode is Mode.TEMPLATE:
            return TemplateJob(template, self._identity(task, request), task.total, task.seed)
        taken = tuple(
            Photo(f"user_urls[{number}]", self._picture(url, photos.USER_PHOTO, Purpose.PHOTO))
            for number, url in enumerate(request.photo_urls)
        )
        return TrainFreeJob(template, taken, request.retouch, task.total, task.seed)

    def _identity(self, task: TaskRow, request: Generate) -> bytes:
        return self.shelf.take(task.account_id, request.identity_id or "")

    def _picture(self, url: str, limits: Limits, purpose: Purpose) -> Image:
        with self.tally.timed(Kind.GENERATE, "fetch"):
            data = self.fetcher.fetch(url, limits.max_bytes)
        with self.tally.timed(Kind.GENERATE, "check"):
            image = limits.decode(data)
            if error := self.judge(image, purpose).error:
                raise error
        return image

    def _outcomes(self, job: Job, beat: _Beat) -> Iterator[Portrait | Failure]:
        """Exactly `job.count` outcomes. An engine that breaks down halfway keeps what it has made."""
        done = 0
        made_one = False
        with closing(cast(Any, self.engine.generate(job))) as outcomes:
            try:
                for outcome in islice(outcomes, job.count):
                    done += 1
                    made_one = made_one or isinstance(outcome, Portrait)
                    yield outcome
            except PortraitdError:
                if not made_one:
                    raise
            except (Exception, SystemExit):
                if beat.ended or not made_one:
                    raise
                _log.exception("the engine broke down after %d pictures", done)
        for _ in range(done, job.count):
            yield Failure(AlgorithmFailed())

    def _keep(self, task_id: str, number: int, portrait: Portrait) -> ResultRow:
        """The picture's row, its bytes put away. The key depends on the task alone: a re-run writes over it."""
        key = picture_key(task_id, f"{number}.jpg")
        self.blobs.put(key, images.encode_jpeg(portrait.image))
        return ResultRow(key, portrait.seed, portrait.similarity)


class _Beat:
    """Reports between an engine's steps, and remembers that the job was ended there: the engine did not break down."""

    def __init__(self, report: Callable[[], None]) -> None:
        self._report = report
        self.ended = False

    def __call__(self) -> None:
        try:
            self._report()
        except BaseException:
            self.ended = True
            raise


def ranked(results: Sequence[ResultRow]) -> tuple[ResultRow, ...]:
    """The pictures, the most alike first; what is as alike as can be told stays in the order of its seeds.

    Failures keep their places.
    """
    made = [result for result in results if result.blob_key]
    best_first = iter(sorted(made, key=lambda result: -math.floor((result.similarity or 0.0) / _TOLD_APART)))
    return tuple(next(best_first) if result.blob_key else result for result in results)


def request_of(record: Mapping[str, Any]) -> Generate:
    """The request as it was before `asdict` and JSON."""
    return Generate(**{**record, "photo_urls": tuple(record["photo_urls"])})
