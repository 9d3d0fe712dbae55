"""The services behind the HTTP edge, written by hand: all in memory, each account apart, and no engine.

They keep the promises of `portraits/services.py`, so that what holds over them holds over the real ones.
"""

from __future__ import annotations

import base64
import hashlib
import io
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from portraitd.errors import (
    CancelRefused,
    FileMissing,
    InvalidApiKey,
    JobBusy,
    MediaDownloadFailed,
    NotFound,
    RateExceeded,
    ResourceAccessDenied,
    TooManyFiles,
    UnsupportedOperation,
    UploadRefused,
)
from portraitd.portraits.rates import Meter
from portraitd.portraits.requests import (
    Account,
    FaceVerdict,
    FailedUpload,
    FileFilter,
    FilePage,
    FileRun,
    Finetune,
    FinetuneJob,
    Generate,
    JobPage,
    JobState,
    Result,
    StoredFile,
    StoredPicture,
    Task,
    TaskFilter,
    TaskPage,
    TaskState,
    Ticket,
    Upload,
    UploadOutcome,
)
from portraitd.portraits.services import Services
from portraitd.styles.catalog import load_catalog
from tests.fakes.files import sent, told

ANNE = "sk-anne"
BERT = "sk-bert"
ACCOUNTS = {ANNE: Account("1001", "11"), BERT: Account("1002", "22")}
FACE_URL = "https://pictures.example/face.jpg"


@dataclass
class FakeLimits:
    """Lets everything through but what is named here."""

    refused: set[Meter] = field(default_factory=set)
    taken: list[tuple[str, Meter, str]] = field(default_factory=list)

    def take(self, account: Account, meter: Meter, of: str = "") -> None:
        if meter in self.refused:
            raise RateExceeded(1.25)
        self.taken.append((account.id, meter, of))


class FakeAccounts:
    def authenticate(self, key: str) -> Account:
        if key not in ACCOUNTS:
            raise InvalidApiKey
        return ACCOUNTS[key]

    def token(self, account: Account, life: timedelta, repeat: str | None = None) -> tuple[str, datetime]:
        return f"st-{account.key_id}", datetime(2026, 1, 1, tzinfo=UTC) + life


@dataclass
class FakeTasks:
    """Tasks stay as they are put; submitted ones take one step each time they are read, when `moving`."""

    base_url: str = "http://portraits.example"
    moving: bool = False
    kept: dict[str, Task] = field(default_factory=dict)
    submitted: list[Generate] = field(default_factory=list)
    filters: list[TaskFilter] = field(default_factory=list)
    #: What a submit raises.
    broken: Exception | None = None
    #: How often a submit got here.
    attempts: int = 0

    def submit(self, account: Account, request: Generate, key: str | None = None) -> Task:
        self.attempts += 1
        if self.broken:
            raise self.broken
        if request.identity_id not in {None, "women_model"}:
            raise ResourceAccessDenied
        self.submitted.append(request)
        return self.put(
            Task(
                id=str(uuid.uuid4()),
                request_id=request.request_id,
                key_id=account.key_id,
                account_id=account.id,
                model="facechain-generation",
                state=TaskState.PENDING,
                total=request.count,
                submitted_at=datetime.now(UTC),
            )
        )

    def put(self, task: Task) -> Task:
        self.kept[task.id] = task
        return task

    def get(self, account: Account, task_id: str) -> Task | None:
        task = self.kept.get(task_id)
        if task is None or task.account_id != account.id:
            return None
        return self.put(self._step(task)) if self.moving else task

    def list(self, account: Account, wanted: TaskFilter) -> TaskPage:
        self.filters.append(wanted)
        found = [
            task
            for task in self.kept.values()
            if task.account_id == account.id
            and wanted.start <= task.submitted_at < wanted.end
            and wanted.task_id in {None, task.id}
            and wanted.model in {None, task.model}
            and wanted.state in {None, task.state}
        ]
        found.sort(key=lambda task: task.submitted_at, reverse=True)
        begin = (wanted.page - 1) * wanted.page_size
        return TaskPage(tuple(found[begin : begin + wanted.page_size]), len(found))

    def cancel(self, account: Account, task_id: str) -> None:
        task = self.kept.get(task_id)
        if task is None or task.account_id != account.id or task.state is not TaskState.PENDING:
            raise CancelRefused
        self.put(replace(task, state=TaskState.CANCELED, ended_at=datetime.now(UTC)))

    def _step(self, task: Task) -> Task:
        now = datetime.now(UTC)
        if task.state is TaskState.PENDING:
            return replace(task, state=TaskState.RUNNING, started_at=now)
        if task.state is TaskState.RUNNING:
            results = tuple(
                Result(url=f"{self.base_url}{link(f'{task.id}/{n}.jpg')}") for n in range(1, task.total + 1)
            )
            return replace(task, state=TaskState.SUCCEEDED, ended_at=now, results=results, succeeded=task.total)
        return task


@dataclass
class FakeFinetunes:
    moving: bool = False
    kept: dict[str, FinetuneJob] = field(default_factory=dict)
    submitted: list[Finetune] = field(default_factory=list)

    def submit(self, account: Account, request: Finetune, key: str | None = None) -> FinetuneJob:
        self.submitted.append(request)
        job_id = f"ft-202509020951-{len(self.kept):04x}"
        now = datetime.now(UTC)
        identity = f"facechain-finetune-{job_id}"
        return self.put(FinetuneJob(job_id, account.id, identity, JobState.PENDING, request.named, now))

    def put(self, job: FinetuneJob) -> FinetuneJob:
        self.kept[job.id] = job
        return job

    def get(self, account: Account, job_id: str) -> FinetuneJob:
        job = self.kept.get(job_id)
        if job is None or job.account_id != account.id:
            raise NotFound
        if self.moving and job.state is JobState.PENDING:
            return self.put(replace(job, state=JobState.RUNNING))
        if self.moving and job.state is JobState.RUNNING:
            return self.put(replace(job, state=JobState.SUCCEEDED, ended_at=datetime.now(UTC)))
        return job

    def list(self, account: Account, page: int, page_size: int) -> JobPage:
        found = [job for job in reversed(self.kept.values()) if job.account_id == account.id]
        return JobPage(tuple(found[(page - 1) * page_size : page * page_size]), len(found))

    def cancel(self, account: Account, job_id: str) -> None:
        job = self.get(account, job_id)
        if job.state.is_terminal:
            raise UnsupportedOperation
        self.put(replace(job, state=JobState.CANCELED, ended_at=datetime.now(UTC)))

    def delete(self, account: Account, job_id: str) -> None:
        if not self.get(account, job_id).state.is_terminal:
            raise JobBusy
        del self.kept[job_id]


@dataclass
class FakeFiles:
    #: Most files an account keeps.
    limit: int = 10
    kept: dict[str, StoredFile] = field(default_factory=dict)
    uploaded: list[Upload] = field(default_factory=list)

    def upload(self, account: Account, uploads: tuple[Upload, ...], key: str | None = None) -> UploadOutcome:
        stored: list[StoredFile] = []
        failed: list[FailedUpload] = []
        # A call's files are closed by the time that a test looks at them.
        for upload in [sent(*told(upload)) for upload in uploads]:
            self.uploaded.append(upload)
            mine = sum(file.account_id == account.id for file in self.kept.values())
            if mine >= self.limit:
                text = f"Out of number, <{mine}> of <{self.limit}> files has been uploaded."
                failed.append(FailedUpload(upload.name, "BadRequest.TooMany", text))
            else:
                stored.append(self._keep(account, upload))
        return UploadOutcome(tuple(stored), tuple(failed))

    def keep(self, account: Account, upload: Upload, key: str | None = None) -> StoredFile:
        outcome = self.upload(account, (upload,))
        if outcome.failed:
            raise TooManyFiles(self.limit, self.limit)
        return outcome.stored[0]

    def find(self, account: Account, wanted: FileFilter) -> FileRun:
        found = [
            file
            for file in self.kept.values()
            if file.account_id == account.id
            and wanted.purpose in {None, file.purpose or "fine-tune"}
            and (wanted.since is None or file.created_at >= wanted.since)
            and (wanted.before is None or file.created_at < wanted.before)
        ]
        if not wanted.oldest_first:
            found.reverse()
        if wanted.after is not None:
            found = found[found.index(self.get(account, wanted.after)) + 1 :]
        return FileRun(tuple(found[: wanted.most]), len(found) > wanted.most)

    def open(self, account: Account, file_id: str) -> StoredPicture:
        file = self.get(account, file_id)
        _, data, *_ = told(self.uploaded[file.number - 1])
        return StoredPicture(io.BytesIO(data), len(data), "application/octet-stream", file.name)

    def list(self, account: Account, page: int, page_size: int) -> FilePage:
        found = [file for file in reversed(self.kept.values()) if file.account_id == account.id]
        return FilePage(tuple(found[(page - 1) * page_size : page * page_size]), len(found))

    def get(self, account: Account, file_id: str) -> StoredFile:
        file = self.kept.get(file_id)
        if file is None or file.account_id != account.id:
            raise FileMissing
        return file

    def delete(self, account: Account, file_id: str) -> None:
        self.get(account, file_id)
        del self.kept[file_id]

    def _keep(self, account: Account, upload: Upload) -> StoredFile:
        _, data, *_ = told(upload)
        file = StoredFile(
            number=len(self.uploaded),
            id=str(uuid.uuid4()),
            account_id=account.id,
            key_id=account.key_id,
            name=upload.name,
            size=len(data),
            md5=base64.b64encode(hashlib.md5(data).digest()).decode(),
            created_at=datetime(2025, 11, 30, 11, 37, 33, tzinfo=UTC),
            url=f"http://portraits.example{link('files/' + upload.name)}",
            description=upload.description,
            purpose=upload.purpose,
        )
        self.kept[file.id] = file
        return file


@dataclass
class FakeFaces:
    """A face is where the URL says so."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    broken: Exception | None = None

    def check(self, account: Account, urls: tuple[str, ...]) -> tuple[FaceVerdict, ...]:
        if self.broken:
            raise self.broken
        self.asked.append(urls)
        return tuple(FaceVerdict("face" in url, "" if "face" in url else "no face detected") for url in urls)


class FakeUploads:
    """Takes nothing in: tests/api/test_uploads.py has the real ones."""

    def ticket(self, account: Account, model: str) -> Ticket:
        return Ticket("cG9saWN5", "sign", f"dashscope-instant/{account.id}", "http://x", timedelta(seconds=300), 100)

    def put(self, policy: str, signature: str, key: str, data: bytes) -> None:
        raise UploadRefused("Invalid according to Policy: Policy expired.")

    def link(self, account: Account, model: str, url: str) -> str:
        raise MediaDownloadFailed


@dataclass
class FakeResults:
    """Every link signed "good" leads somewhere until it expires; `kept` says where, a JPEG's first bytes by default."""

    kept: dict[str, StoredPicture] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)

    def open(self, path: str, expires: int, signature: str) -> StoredPicture | None:
        self.opened.append(path)
        if signature != "good" or expires < time.time():
            return None
        return self.kept.get(path, StoredPicture(io.BytesIO(b"\xff\xd8\xff\xe0picture"), 11, name="1.jpg"))


def link(path: str, signature: str = "good", valid: timedelta = timedelta(hours=1)) -> str:
    """The path and query of a signed link."""
    return f"/results/{path}?Expires={int(time.time() + valid.total_seconds())}&OSSAccessKeyId=k&Signature={signature}"


@dataclass
class World:
    """The fakes, each within reach of a test."""

    limits: FakeLimits = field(default_factory=FakeLimits)
    tasks: FakeTasks = field(default_factory=FakeTasks)
    finetunes: FakeFinetunes = field(default_factory=FakeFinetunes)
    files: FakeFiles = field(default_factory=FakeFiles)
    faces: FakeFaces = field(default_factory=FakeFaces)
    results: FakeResults = field(default_factory=FakeResults)

    @property
    def services(self) -> Services:
        return Services(
            accounts=FakeAccounts(),
            limits=self.limits,
            tasks=self.tasks,
            finetunes=self.finetunes,
            files=self.files,
            faces=self.faces,
            results=self.results,
            uploads=FakeUploads(),
            styles=load_catalog(),
        )
