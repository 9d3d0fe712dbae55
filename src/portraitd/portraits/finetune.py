"""Training identities, both sides of the queue: accepting a job, and doing it."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

import sqlalchemy as sa

from portraitd.blobs import Blobs
from portraitd.db import accounts, files, identities, repeats
from portraitd.db import tasks as rows
from portraitd.db.engine import Clock, Database
from portraitd.db.identities import IdentityRow
from portraitd.db.tasks import Kind, NewTask, ResultRow, TaskRow
from portraitd.engines.base import Engine, LeftOut, Photo, Trained, trained_by
from portraitd.errors import (
    FileMissing,
    InvalidFileSize,
    InvalidImageFormat,
    InvalidImageResolution,
    JobBusy,
    MissingTrainingFiles,
    NotFound,
    TooManyJobs,
    UnsupportedOperation,
)
from portraitd.portraits.erase import Eraser, identity_key
from portraitd.portraits.limits import check_unfinished
from portraitd.portraits.once import once
from portraitd.portraits.photos import CHECKED_PHOTO
from portraitd.portraits.requests import Account, Finetune, FinetuneJob, JobPage, JobState, TaskFilter, TaskState
from portraitd.portraits.training_set import MAX_PHOTOS, RawPhoto, SourceReader, TooManyPhotos, is_url
from portraitd.tasks.life import Life, Outcome
from portraitd.tasks.queue import Queue
from portraitd.tasks.tally import Tally
from portraitd.tasks.worker import Finished, Report

_log = logging.getLogger(__name__)

MODEL = "facechain-finetune"
#: A training is counted in percent: its photos are here, they are checked, and the engine's share of the rest.
PERCENT = 100
_FETCHED, _CHECKED = 1, 2
#: The longest, in seconds, that a wish to cancel waits for being looked at, while the engine takes steps.
_LOOK_EVERY_S = 1.0
_BEIJING = timezone(timedelta(hours=8))
_ALWAYS = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))


def identity_of(job_id: str) -> str:
    """The id of the identity that a job makes, known from the start."""
    return f"{MODEL}-{job_id}"


@dataclass(frozen=True)
class JobDesk:
    """Accepts, shows, cancels and erases trainings: the `Finetunes` door of services.py."""

    database: Database
    life: Life
    queue: Queue
    eraser: Eraser
    #: Most jobs of an account that are unfinished or succeeded.
    max_jobs: int
    clock: Clock
    #: Most tasks of an account that have not ended; 0: no limit.
    max_unfinished: int = 0

    def submit(self, account: Account, request: Finetune, key: str | None = None) -> FinetuneJob:
        """Accept a training; under a `key` that was used, the one accepted then, as it was.

        Raises FileMissing, MissingTrainingFiles, TooManyPhotos, TooManyJobs, TooMuchUnfinished, IdempotencyKeyReused.
        """
        if not request.sources:
            raise MissingTrainingFiles
        if len(request.sources) > MAX_PHOTOS:
            raise TooManyPhotos
        asked = once(account, key, MODEL, request.named)
        with self.database.write() as conn:
            job_id = repeats.make_once(self.database, conn, asked, lambda: self._accept(conn, account, request))
            job = self._shown(conn, cast(TaskRow, rows.get(conn, job_id)))
        return replace(job, state=JobState.PENDING, ended_at=None, code=None, message=None)

    def get(self, account: Account, job_id: str) -> FinetuneJob:
        """The job; raises NotFound."""
        with self.database.read() as conn:
            job = _job(conn, account, job_id)
            ahead = rows.ahead(conn, job) if job.state is TaskState.PENDING else None
            return replace(self._shown(conn, job), ahead=ahead)

    def list(self, account: Account, page: int, page_size: int) -> JobPage:
        """Jobs, newest first."""
        wanted = TaskFilter(*_ALWAYS, page=page, page_size=page_size)
        with self.database.read() as conn:
            found, total = rows.page(conn, account.id, Kind.FINETUNE, wanted)
            return JobPage(tuple(self._shown(conn, job) for job in found), total)

    def cancel(self, account: Account, job_id: str) -> None:
        """Stop a job that is not terminal; raises NotFound, UnsupportedOperation."""
        with self.database.read() as conn:
            _job(conn, account, job_id)
        if self.life.cancel_pending(job_id):
            self.queue.cancel(job_id)
        elif not self.life.ask_to_cancel(job_id):
            raise UnsupportedOperation

    def delete(self, account: Account, job_id: str) -> None:
        """Erase a terminal job and its identity; raises NotFound, JobBusy."""
        with self.database.read() as conn:
            job = _job(conn, account, job_id)
        if not job.state.is_terminal:
            raise JobBusy
        self.eraser.work(Kind.FINETUNE, [job_id])
        self.database.scrub()

    def _accept(self, conn: sa.Connection, account: Account, request: Finetune) -> str:
        """The id of the new job."""
        self._check(conn, account, request)
        task = self._new(conn, account, request)
        self.life.accept(conn, task)
        self.queue.enqueue(conn, task.id, task.kind, account.id)
        return task.id

    def _check(self, conn: sa.Connection, account: Account, request: Finetune) -> None:
        accounts.lock_account(conn, account.id)
        counted = (TaskState.PENDING, TaskState.RUNNING, TaskState.SUCCEEDED)
        if rows.count(conn, account.id, Kind.FINETUNE, counted) >= self.max_jobs:
            raise TooManyJobs(self.max_jobs)
        for source in request.sources:
            if not is_url(source) and files.get(conn, source, account.id) is None:
                raise FileMissing
        check_unfinished(conn, account, self.max_unfinished)

    def _new(self, conn: sa.Connection, account: Account, request: Finetune) -> NewTask:
        minute = self.clock().astimezone(_BEIJING).strftime("%Y%m%d%H%M")
        job_id = f"ft-{minute}-{secrets.token_hex(2)}"
        while rows.get(conn, job_id):
            job_id = f"ft-{minute}-{secrets.token_hex(2)}"
        return NewTask(
            id=job_id,
            kind=Kind.FINETUNE,
            account_id=account.id,
            key_id=account.key_id,
            request_id=request.request_id,
            model=MODEL,
            request={"sources": list(request.sources), "shown": list(request.named)},
            seed=0,
            total=PERCENT,
        )

    def _shown(self, conn: sa.Connection, job: TaskRow) -> FinetuneJob:
        return FinetuneJob(
            id=job.id,
            account_id=job.account_id,
            identity_id=identity_of(job.id),
            state=self._state(conn, job),
            sources=tuple(job.request.get("shown") or job.request["sources"]),
            created_at=job.submitted_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            code=job.code,
            message=job.message,
            # No more than all: a training accepted by an older portraitd counts in other units.
            done=min(1.0, job.succeeded / job.total),
            notes=tuple(row.message for row in rows.results_of(conn, job.id) if row.message),
        )

    def _state(self, conn: sa.Connection, job: TaskRow) -> JobState:
        """The contract tells more states apart than a task has."""
        if job.state is TaskState.RUNNING and job.cancel_asked_at:
            return JobState.CANCELING
        if job.state is TaskState.PENDING and rows.count(conn, job.account_id, Kind.FINETUNE, (TaskState.RUNNING,)):
            return JobState.QUEUING
        return JobState(job.state.value)


def _job(conn: sa.Connection, account: Account, job_id: str) -> TaskRow:
    job = rows.get(conn, job_id, account.id)
    if job is None or job.kind is not Kind.FINETUNE:
        raise NotFound
    return job


@dataclass(frozen=True)
class Trainer:
    """Does trainings: the worker's handler for them."""

    engine: Engine
    blobs: Blobs
    reader: SourceReader
    clock: Clock
    tally: Tally = field(default_factory=Tally)

    def run(self, task: TaskRow, report: Report) -> Finished:
        """The identity, in the blob store. Raises the first photo's error when no photo is usable."""
        with self.tally.timed(task.kind, "fetch"):
            copies = self._copies(task)
        report(_FETCHED, 0)
        with self.tally.timed(task.kind, "check"):
            photos, refused = self._usable(copies)
        report(_CHECKED, 0)
        with self.tally.timed(task.kind, "make"):
            trained = self._watched(photos, report)
        report(PERCENT, 0)
        key = identity_key(task.id)
        with self.tally.timed(task.kind, "store"):
            self.blobs.put(key, trained.identity)
        row = IdentityRow(identity_of(task.id), task.account_id, self.engine.name, key, self.clock())
        copies_at, outcome = f"jobs/{task.id}/photos", Outcome(_notes(refused, trained), usage=1)
        return Finished(outcome, lambda conn: identities.add(conn, row), lambda: self.blobs.delete_prefix(copies_at))

    def discard(self, task: TaskRow) -> None:
        """Erase what a run left behind of a job that is gone."""
        self.blobs.delete_prefix(f"jobs/{task.id}")

    def _watched(self, photos: Sequence[Photo], report: Report) -> Trained:
        """What the engine's training comes to, reported as it goes; ends it where the report says to stop."""
        told, at = _CHECKED, time.monotonic()

        def tell(done: float) -> None:
            nonlocal told, at
            percent = _CHECKED + int(done * (PERCENT - 1 - _CHECKED))
            if percent != told or time.monotonic() - at >= _LOOK_EVERY_S:
                told, at = percent, time.monotonic()
                report(percent, 0)

        with closing(self.engine.training(photos)) as training:
            return trained_by(training, tell)

    def _copies(self, task: TaskRow) -> tuple[RawPhoto, ...]:
        """The job's photos, copied on the first run: what is behind a URL may change, a re-run must not."""
        listing = f"jobs/{task.id}/photos"
        if self.blobs.exists(f"{listing}/complete"):
            count = int(self.blobs.get(f"{listing}/complete"))
            return tuple(RawPhoto(f"photo {n}", self.blobs.get(f"{listing}/{n}")) for n in range(1, count + 1))
        photos = self.reader.read(task.account_id, tuple(task.request["sources"]))
        for number, photo in enumerate(photos, 1):
            self.blobs.put(f"{listing}/{number}", photo.data)
        self.blobs.put(f"{listing}/complete", str(len(photos)).encode())
        return photos

    def _usable(self, raw: Sequence[RawPhoto]) -> tuple[tuple[Photo, ...], tuple[LeftOut, ...]]:
        """Those within the contract's limits, and the others. Faces are the engine's to judge: training wants turned
        heads too."""
        found: list[Photo] = []
        refused: list[LeftOut] = []
        for photo in raw:
            try:
                found.append(Photo(photo.name, CHECKED_PHOTO.decode(photo.data)))
            except (InvalidFileSize, InvalidImageFormat, InvalidImageResolution) as error:
                refused.append(LeftOut(photo.name, error))
        if not found:
            raise refused[0].error if refused else MissingTrainingFiles()
        return tuple(found), tuple(refused)


def _notes(refused: Sequence[LeftOut], trained: Trained) -> tuple[ResultRow, ...]:
    """What the job's log is to say of its photos."""
    notes = []
    for photo in (*refused, *trained.left_out):
        _log.info("%s was not used: %s", photo.name, photo.error.code)
        notes.append(ResultRow(code=photo.error.code, message=f"{photo.name} was not used: {photo.why}"))
    return tuple(notes) if not trained.remark else (*notes, ResultRow(message=trained.remark))
