"""Training on the wire (contract section 4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from portraitd.api.config import ApiConfig
from portraitd.api.wire.base import (
    FINETUNE_MODEL,
    Body,
    Extras,
    Json,
    PageNo,
    PageSize,
    Part,
    Reply,
    Text,
    checked,
    hint_part,
    local_s,
)
from portraitd.errors import InvalidParameter, MissingTrainingFiles
from portraitd.portraits.fetch import check_url
from portraitd.portraits.hints import BY_CODE
from portraitd.portraits.requests import Finetune, FinetuneJob, JobPage, JobState

#: What a job counts as in `usage`, by how it ended; the other states have no usage.
USAGE = {JobState.SUCCEEDED: 1, JobState.CANCELED: 0}


#: The last line of an ended job's log.
END_OF_LOG = "##FT_COMPLETE##"


class FinetuneBody(Body):
    """`validation_file_ids`, `hyper_parameters`, `training_type`, names and suffixes are for other models: ignored."""

    # Said in the document, checked by hand: without files there is a text of its own.
    model_config = ConfigDict(json_schema_extra={"required": ["model", "training_file_ids"]})

    model: Annotated[str, Field(json_schema_extra={"const": FINETUNE_MODEL})]
    training_file_ids: list[Text] = Field(default_factory=list, description="Ids of files, or URLs of photos.")


class JobPart(Part):
    job_id: str
    job_name: str
    status: str
    finetuned_output: str
    model: str = FINETUNE_MODEL
    base_model: str = FINETUNE_MODEL
    training_file_ids: list[str]
    # Never null: the official client's second version cannot read that back.
    validation_file_ids: list[str] = Field(default_factory=list)
    hyper_parameters: dict[str, Any] = Field(default_factory=dict)
    training_type: str = "sft"
    create_time: str
    workspace_id: str
    user_identity: str
    modifier: str
    creator: str
    group: str = "facechain"
    model_name: str
    max_output_cnt: int = 1
    end_time: str | None = None
    usage: int | None = None
    code: str | None = None
    message: str | None = None
    portraitd: Extras | None = None


class JobReply(Reply):
    output: JobPart


class JobListPart(Part):
    page_no: int
    page_size: int
    total: int
    jobs: list[JobPart]


class JobListReply(Reply):
    output: JobListPart


class JobListQuery(Part):
    page_no: PageNo = 1
    page_size: PageSize = 10
    #: All jobs are of one model, so that another one finds none.
    model: str = ""

    @property
    def finds_nothing(self) -> bool:
        return self.model not in {"", FINETUNE_MODEL}


class LogQuery(Part):
    #: Lines to skip; the official client says 1 unless told otherwise, and so never sees the first.
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    line: Annotated[int, Field(ge=1, le=1000)] = 100


class LogPart(Part):
    total: int
    logs: list[str]


class LogReply(Reply):
    output: LogPart


def read_finetune(raw: Json, request_id: str, config: ApiConfig) -> Finetune:
    """What to train from: file ids and URLs, mixed. Raises MissingTrainingFiles, InvalidParameter, InvalidURL."""
    sources = checked(FinetuneBody, raw).training_file_ids
    if not sources or not all(sources):
        raise MissingTrainingFiles
    if len(sources) > config.max_training_files:
        raise InvalidParameter
    return Finetune(request_id, tuple(check_url(source) if ":" in source else source for source in sources))


def job_reply(job: FinetuneJob, request_id: str, config: ApiConfig) -> JobReply:
    """A job as it stands."""
    return JobReply(request_id=request_id, output=_job(job, config))


def job_list(page: JobPage, query: JobListQuery, request_id: str, config: ApiConfig) -> JobListReply:
    """A page of jobs."""
    jobs = [_job(job, config) for job in page.jobs]
    part = JobListPart(page_no=query.page_no, page_size=query.page_size, total=page.total, jobs=jobs)
    return JobListReply(request_id=request_id, output=part)


def log_reply(job: FinetuneJob, query: LogQuery, request_id: str) -> LogReply:
    """The asked-for lines of a job's log."""
    lines = _log_lines(job)
    wanted = lines[query.offset : query.offset + query.line]
    return LogReply(request_id=request_id, output=LogPart(total=len(lines), logs=wanted))


def event(job: FinetuneJob, config: ApiConfig) -> bytes:
    """A server-sent event: the job as it stands."""
    part = _job(job, config).model_dump_json(exclude_none=True)
    return f'data:{{"output":{part}}}\n\n'.encode()


def _log_lines(job: FinetuneJob) -> list[str]:
    """What is known of a job's course, told from the job itself; the last line of one that has ended is a mark."""
    lines = [f"{local_s(job.created_at)} {job.id} accepted, {len(job.sources)} training files"]
    # Lines never change: who pages through them goes on after the last one seen.
    if job.started_at:
        lines.append(f"{local_s(job.started_at)} {job.id} begun")
    if not job.state.is_terminal:
        return lines
    lines += job.notes
    ended = local_s(job.ended_at) if job.ended_at else ""
    lines.append(f"{ended} {job.id} {job.state.value.lower()}".lstrip())
    if job.state is JobState.SUCCEEDED:
        lines.append(f"{job.identity_id} can be used as a resource_id")
    elif job.code:
        lines.append(f"{job.code}: {job.message}")
    return [*lines, END_OF_LOG]


def _extras(job: FinetuneJob) -> Extras | None:
    """How far an unfinished job is, and what to do about one that failed."""
    if job.state is JobState.FAILED:
        hint = hint_part(BY_CODE.get(job.code or ""))
        return None if hint is None else Extras(hint=hint)
    if job.state is JobState.RUNNING:
        return Extras(progress=round(job.done, 2))
    return None if job.ahead is None else Extras(queue_position=job.ahead)


def _job(job: FinetuneJob, config: ApiConfig) -> JobPart:
    told = job.state in {JobState.FAILED, JobState.CANCELED}
    return JobPart(
        job_id=job.id,
        job_name=job.id,
        status=job.state.value,
        finetuned_output=job.identity_id,
        training_file_ids=list(job.sources),
        create_time=local_s(job.created_at),
        workspace_id=config.workspace_id,
        user_identity=job.account_id,
        modifier=job.account_id,
        creator=job.account_id,
        model_name=job.id,
        end_time=local_s(job.ended_at) if job.ended_at and job.state.is_terminal else None,
        usage=USAGE.get(job.state),
        code=job.code if told else None,
        message=job.message if told else None,
        portraitd=_extras(job),
    )
