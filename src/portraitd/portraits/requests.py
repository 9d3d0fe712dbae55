"""What clients can ask for and what they get back, in portraitd's own words. Frozen, no wire spelling, no SQL."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO

from portraitd.portraits.rates import Rates


@dataclass(frozen=True)
class Account:
    """Who asks: the account a key belongs to, and which key it was."""

    id: str
    key_id: str
    #: Whether they came with a token of the key.
    by_token: bool = False
    #: Limits of the key's own, in place of the service's.
    rates: Rates = field(default_factory=dict)
    max_unfinished: int | None = None


#: What names of temporary uploads begin with.
UPLOAD_SCHEME = "oss://"
#: Photos and archives of photos: more than a picture of the contract may have, far less than fills a disk unnoticed.
MAX_UPLOAD_MB = 100


@dataclass(frozen=True)
class Ticket:
    """Leave to upload: a policy, signed, and where and how long it holds."""

    policy: str
    signature: str
    upload_dir: str
    host: str
    life: timedelta
    max_mb: int


# -- portraits --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Generate:
    """`count` portraits in a style. Which fields are set depends on the style's mode (see styles.catalog.Mode)."""

    request_id: str
    style_id: str
    count: int
    #: A trained identity (the wire's resource_id); presets and template mode.
    identity_id: str | None = None
    #: Where the template picture is; both template modes.
    template_url: str | None = None
    #: Where the person's photos are; train-free mode.
    photo_urls: tuple[str, ...] = ()
    retouch: bool = True
    #: None: chosen at submit and kept with the task, so that a re-run makes the same pictures.
    seed: int | None = None


class TaskState(enum.Enum):
    """A task's life. Moves: PENDING -> RUNNING | CANCELED | FAILED; RUNNING -> SUCCEEDED | FAILED | CANCELED."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        return self in {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED}


@dataclass(frozen=True)
class Result:
    """One picture of a task: either where it lies, or why it is missing."""

    #: Signed, expiring link; None when the picture failed.
    url: str | None = None
    seed: int | None = None
    similarity: float | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Task:
    """One accepted generation, as it stands now. Times are aware UTC."""

    id: str
    request_id: str
    key_id: str
    account_id: str
    model: str
    state: TaskState
    total: int
    submitted_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    #: The most alike first; empty until SUCCEEDED.
    results: tuple[Result, ...] = ()
    #: Why it FAILED.
    code: str | None = None
    message: str | None = None
    #: How many of `total` are done so far (also while RUNNING).
    succeeded: int = 0
    failed: int = 0
    #: How many waiting tasks come before it by fair turns, while it is PENDING and was asked for alone.
    ahead: int | None = None


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks to list; None means any. Times are aware UTC, [start, end)."""

    start: datetime
    end: datetime
    #: Whoever asks named no time: the same list a moment later starts and ends a moment later.
    is_rolling: bool = False
    task_id: str | None = None
    model: str | None = None
    state: TaskState | None = None
    page: int = 1
    page_size: int = 10


@dataclass(frozen=True)
class Ended:
    """What an account's webhook is told of a task or a training that has ended."""

    #: The same at every attempt to tell it.
    event_id: str
    task_id: str
    is_training: bool
    state: TaskState
    account_id: str
    key_id: str
    #: Of the request that submitted it.
    request_id: str
    model: str
    ended_at: datetime
    started_at: datetime | None = None


# -- training ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finetune:
    """Train an identity from 1 to 10 photos; each source is a file id or a URL, a file may be a zip of photos."""

    request_id: str
    sources: tuple[str, ...]
    #: What the sources are called in replies, where that is not what they are read by.
    shown: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The sources as replies name them."""
        return self.shown or self.sources


class JobState(enum.Enum):
    """A fine-tune job's life as the contract names it (section 4.2)."""

    PENDING = "PENDING"
    QUEUING = "QUEUING"
    RUNNING = "RUNNING"
    CANCELING = "CANCELING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}


@dataclass(frozen=True)
class FinetuneJob:
    """One accepted training, as it stands now."""

    #: "ft-" + yyyyMMddHHmm (Beijing) + "-" + 4 hex.
    id: str
    account_id: str
    #: "facechain-finetune-" + id; usable in Generate once SUCCEEDED.
    identity_id: str
    state: JobState
    sources: tuple[str, ...]
    created_at: datetime
    ended_at: datetime | None = None
    code: str | None = None
    message: str | None = None
    #: As in Task.
    ahead: int | None = None
    #: Share of its steps that are done, while RUNNING.
    done: float = 0.0
    #: When its first run began.
    started_at: datetime | None = None
    #: What came of its photos, once SUCCEEDED: those that were not used, and why.
    notes: tuple[str, ...] = ()


# -- files ------------------------------------------------------------------------------------------------------------


#: What a file is for when nobody said.
DEFAULT_PURPOSE = "fine-tune"


@dataclass(frozen=True)
class SignedUpload:
    """What a form with a temporary upload says of itself: where to, and the ticket that allows it."""

    policy: str
    signature: str
    key: str


@dataclass(frozen=True)
class Upload:
    """One file of a multipart upload."""

    name: str
    #: Open while the upload lasts; it may be read more than once.
    content: BinaryIO
    description: str | None = None
    purpose: str | None = None


@dataclass(frozen=True)
class StoredFile:
    """A file an account keeps."""

    #: Running number, per service.
    number: int
    id: str
    account_id: str
    key_id: str
    name: str
    size: int
    #: Base64 of the digest, as the real service shows it.
    md5: str
    created_at: datetime
    #: Signed, expiring link.
    url: str
    description: str | None = None
    purpose: str | None = None


@dataclass(frozen=True)
class FileFilter:
    """Which files to list, and how many at most; None means any. Times are aware UTC, [since, before)."""

    most: int
    #: Id of the file after which the list goes on.
    after: str | None = None
    oldest_first: bool = False
    purpose: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class FailedUpload:
    """A file of an upload that was not kept, and why (`code` and `message` of section 5.1)."""

    name: str
    code: str
    message: str


@dataclass(frozen=True)
class UploadOutcome:
    stored: tuple[StoredFile, ...] = ()
    failed: tuple[FailedUpload, ...] = ()


# -- face check -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FaceVerdict:
    """Is this picture usable as a photo of one person? `reason` is "" when it is (wire-contract section 3)."""

    is_face: bool
    reason: str = ""


# -- pages ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskPage:
    tasks: tuple[Task, ...]
    total: int


@dataclass(frozen=True)
class JobPage:
    jobs: tuple[FinetuneJob, ...]
    total: int


@dataclass(frozen=True)
class FilePage:
    files: tuple[StoredFile, ...]
    total: int


@dataclass(frozen=True)
class FileRun:
    """Files that follow one another, and whether more come after them."""

    files: tuple[StoredFile, ...]
    more: bool


@dataclass(frozen=True)
class StoredPicture:
    """A picture or file, open for reading; whoever gets it closes `content`."""

    content: BinaryIO = field(repr=False, compare=False)
    #: Length of `content` in bytes.
    size: int
    media_type: str = "image/jpeg"
    name: str = ""


@dataclass(frozen=True)
class StageTimes:
    """How long one stage of tasks of a kind took, as a histogram."""

    kind: str
    stage: str
    #: (upper bound in seconds, how many took no longer), the last bound infinite.
    buckets: tuple[tuple[float, float], ...]
    #: Of all together.
    total_s: float


@dataclass(frozen=True)
class ServiceFigures:
    """How the service is doing, over all its processes. Nothing in it is an account's."""

    #: Living worker processes.
    workers: int
    #: Tasks that the database remembers, by kind and state.
    tasks: Mapping[tuple[str, str], int]
    #: Seconds that the oldest waiting task has waited, by kind; kinds without one are missing.
    waiting_s: Mapping[str, float]
    stages: tuple[StageTimes, ...]
    #: Runs that ended since the service was set up, by (kind, state, code); code is "" unless FAILED.
    ends: Mapping[tuple[str, ...], float]
    #: Pictures, by "made" and "failed".
    pictures: Mapping[str, float]
    #: Attempts to tell a webhook, by what came of them.
    deliveries: Mapping[str, float] = field(default_factory=dict)
