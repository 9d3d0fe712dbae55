"""The doors between the HTTP edge and the service: what `api` may call, and nothing else.

Every method is plain `def`, takes the asking Account first, and raises from `portraitd.errors`. An id that is unknown,
expired or another account's looks the same from outside. `wiring.py` builds the one `Services`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import (
    Account,
    FaceVerdict,
    FileFilter,
    FilePage,
    FileRun,
    Finetune,
    FinetuneJob,
    Generate,
    JobPage,
    SignedUpload,
    StoredFile,
    StoredPicture,
    Task,
    TaskFilter,
    TaskPage,
    Ticket,
    Upload,
    UploadOutcome,
)
from portraitd.styles.catalog import StyleCatalog


class Accounts(Protocol):
    def authenticate(self, key: str) -> Account:
        """The account behind an API key or a token of one; raises InvalidApiKey."""

    def token(self, account: Account, life: timedelta, repeat: str | None = None) -> tuple[str, datetime]:
        """A token for the caller's key, and when it ends; raises InvalidApiKey for one who came with a token."""


class Limits(Protocol):
    def take(self, account: Account, meter: Meter, of: str = "") -> None:
        """Count one call; raises RateExceeded when it is one too many. `of` parts what is counted by itself."""


class Tasks(Protocol):
    def submit(self, account: Account, request: Generate, key: str | None = None) -> Task:
        """Accept a generation: durable once this returns; under a `key` that was used, the task made then.

        Raises ResourceAccessDenied for an unusable identity, TooMuchUnfinished, IdempotencyKeyReused.
        """

    def get(self, account: Account, task_id: str) -> Task | None:
        """The task, or None when the account has none of that id."""

    def list(self, account: Account, wanted: TaskFilter) -> TaskPage:
        """Tasks, newest submit first."""

    def cancel(self, account: Account, task_id: str) -> None:
        """Cancel a PENDING task; raises CancelRefused for any other, an unknown one included."""


class Finetunes(Protocol):
    def submit(self, account: Account, request: Finetune, key: str | None = None) -> FinetuneJob:
        """Accept a training; under a `key` that was used, the one accepted then, as it was.

        Raises FileMissing, MissingTrainingFiles, TooManyJobs, TooMuchUnfinished, IdempotencyKeyReused.
        """

    def get(self, account: Account, job_id: str) -> FinetuneJob:
        """The job; raises NotFound."""

    def list(self, account: Account, page: int, page_size: int) -> JobPage:
        """Jobs, newest first."""

    def cancel(self, account: Account, job_id: str) -> None:
        """Stop a job that is not terminal; raises NotFound, UnsupportedOperation."""

    def delete(self, account: Account, job_id: str) -> None:
        """Erase a terminal job, its identity and its training copies; raises NotFound, JobBusy."""


class Files(Protocol):
    def upload(self, account: Account, uploads: tuple[Upload, ...], key: str | None = None) -> UploadOutcome:
        """Keep what fits the account's limits; the rest is named with its reason.

        Under a `key` that was used, what came of it then. Raises IdempotencyKeyReused.
        """

    def keep(self, account: Account, upload: Upload, key: str | None = None) -> StoredFile:
        """Keep one file; raises PayloadTooLarge, TooManyFiles, IdempotencyKeyReused."""

    def list(self, account: Account, page: int, page_size: int) -> FilePage:
        """Files, newest first."""

    def find(self, account: Account, wanted: FileFilter) -> FileRun:
        """Files, by age; raises FileMissing when the list is to go on after one that is not there."""

    def get(self, account: Account, file_id: str) -> StoredFile:
        """The file; raises FileMissing."""

    def open(self, account: Account, file_id: str) -> StoredPicture:
        """The file's bytes; raises FileMissing."""

    def delete(self, account: Account, file_id: str) -> None:
        """Erase the file; raises FileMissing."""


class Faces(Protocol):
    def check(self, account: Account, urls: tuple[str, ...]) -> tuple[FaceVerdict, ...]:
        """A verdict per picture, in order. Raises InvalidURL or a kin of it when one cannot be fetched."""


class Uploads(Protocol):
    def ticket(self, account: Account, model: str) -> Ticket:
        """Leave to post one or more files for use with this model."""

    def check(self, upload: SignedUpload) -> None:
        """Raise UploadRefused unless a ticket allows it; asks nothing but the clock."""

    def put(self, upload: SignedUpload, content: BinaryIO) -> None:
        """Keep what was posted with a ticket; raises UploadRefused."""

    def link(self, account: Account, model: str, url: str) -> str:
        """A link of ours to what an `oss://` URL names; raises MediaDownloadFailed."""


class Results(Protocol):
    def open(self, path: str, expires: int, signature: str) -> StoredPicture | None:
        """What a signed link leads to, or None when it is wrong, expired or the picture is gone."""


@dataclass(frozen=True)
class Services:
    """Everything the HTTP edge can reach."""

    accounts: Accounts
    limits: Limits
    tasks: Tasks
    finetunes: Finetunes
    files: Files
    faces: Faces
    results: Results
    uploads: Uploads
    styles: StyleCatalog
