"""The composition root: Settings in, the concrete service out. Nothing else decides which thing is used."""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from portraitd.blobs import Blobs, open_blobs
from portraitd.db import accounts, executors
from portraitd.db.engine import OUTAGE_S, Clock, Database, open_database, utc_now
from portraitd.db.migrations import migrate
from portraitd.db.tasks import Kind
from portraitd.engines.base import Engine
from portraitd.errors import InvalidApiKey, SetupError
from portraitd.images import Image
from portraitd.portraits.accounts import KeyRing
from portraitd.portraits.courier import Courier
from portraitd.portraits.erase import Eraser
from portraitd.portraits.faces import FaceDesk
from portraitd.portraits.fetch import Fetcher
from portraitd.portraits.figures import FigureDesk
from portraitd.portraits.files import FileCabinet, Quota
from portraitd.portraits.finetune import JobDesk, Trainer
from portraitd.portraits.generate import Studio, TaskDesk
from portraitd.portraits.identities import IdentityShelf
from portraitd.portraits.imports import IdentityRegister
from portraitd.portraits.limits import RateKeeper
from portraitd.portraits.links import Links
from portraitd.portraits.photos import MEGABYTE, Judge, Purpose, Verdict
from portraitd.portraits.post import Poster
from portraitd.portraits.requests import ServiceFigures
from portraitd.portraits.results import ResultStore
from portraitd.portraits.retention import Retention, Sweeper, UnhurriedClock
from portraitd.portraits.services import Services
from portraitd.portraits.tokens import Tokens
from portraitd.portraits.training_set import SourceReader
from portraitd.portraits.turns import TakingTurns
from portraitd.portraits.uploads import UploadDesk
from portraitd.portraits.webhooks import Sender, WebhookDesk
from portraitd.settings import Settings
from portraitd.styles.catalog import Mode, StyleCatalog, load_catalog
from portraitd.styles.packs import with_packs
from portraitd.tasks.executors import Presence, Reaper, Wards, reconcile
from portraitd.tasks.life import Life
from portraitd.tasks.queue import Queue, Receiver
from portraitd.tasks.tally import Tally
from portraitd.tasks.worker import Bench, Chore, Handler, Watch, Worker

if TYPE_CHECKING:
    from fastapi import FastAPI

    from portraitd.engines.classic.presets.idchecks import Finding
    from portraitd.engines.diffusion.painter import ModelChoice
    from portraitd.faces.models import FaceModels
    from portraitd.weights.shelf import Shelf
    from portraitd.weights.store import WeightStore

#: Every engine by name, as "module:factory". A factory takes the FaceModels and returns an Engine; the diffusion
#: engine's takes the choice of its model too.
ENGINES: Mapping[str, str] = {
    "classic": "portraitd.engines.classic.engine:ClassicEngine",
    "diffusion": "portraitd.engines.diffusion.engine:make_engine",
}
#: What the diffusion engine paints with unless a setting names another.
DIFFUSION_MODEL = "klein-4b"
#: The sets of weights that each engine cannot start without. The diffusion engine ranks its pictures by likeness.
ENGINE_WEIGHTS: Mapping[str, tuple[str, ...]] = {"classic": ("classic",), "diffusion": ("classic", "embedder")}

#: How often a worker adds what it counted to the database's sums, in seconds.
_TALLY_EVERY_S = 10


@dataclass(frozen=True)
class House:
    """What the web side and the workers share."""

    settings: Settings
    clock: Clock
    database: Database
    blobs: Blobs
    queue: Queue
    life: Life
    styles: StyleCatalog
    links: Links
    #: What links, tokens and tickets are signed with.
    secret: str = field(repr=False)
    fetcher: Fetcher
    judge: Judge

    @property
    def retention(self) -> timedelta:
        return timedelta(hours=self.settings.retention_h)

    @property
    def eraser(self) -> Eraser:
        return Eraser(self.database, self.blobs, self.queue)

    @property
    def register(self) -> IdentityRegister:
        return IdentityRegister(self.database, self.blobs, self.eraser, self.clock)

    @property
    def sender(self) -> Sender:
        return Sender(Poster(self.settings.fetch_allow), self.clock)

    @property
    def webhooks(self) -> WebhookDesk:
        from portraitd.api.wire import events

        return WebhookDesk(self.database, self.clock, self.sender, events.trial)

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.secret, self.clock)

    @property
    def keys(self) -> KeyRing:
        return KeyRing(self.database, self.clock, self.tokens)

    def close(self) -> None:
        self.queue.close()
        self.database.close()

    def __enter__(self) -> House:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_house(settings: Settings, clock: Clock = utc_now) -> House:
    """Everything opened and up to date, tables made if need be. Raises SetupError that says what is wrong."""
    _make_home(settings.home)
    database = open_database(settings.database_url)
    migrate(database)
    queue = Queue(database)
    # The classic engine makes nothing together: a second task would only wait in the worker instead of in the queue.
    queue.prepare(settings.max_running, settings.diffusion_tasks if settings.engine == "diffusion" else 1)
    blobs = blobs_of(settings)
    secret = _signing_secret(database)
    links = Links(settings.public_url, secret, clock)
    return House(
        settings=settings,
        clock=clock,
        database=database,
        blobs=blobs,
        queue=queue,
        life=Life(database, clock),
        styles=styles_of(settings),
        links=links,
        secret=secret,
        fetcher=_fetcher(settings, ResultStore(database, blobs, links)),
        judge=judge_of(settings),
    )


def _fetcher(settings: Settings, results: ResultStore) -> Fetcher:
    return Fetcher(allow=settings.fetch_allow, own=results.read)


def build_services(house: House) -> Services:
    """Everything the HTTP edge can reach."""
    settings = house.settings
    quota = Quota(settings.max_files, settings.max_file_mb * MEGABYTE, settings.max_storage_mb * MEGABYTE)
    return Services(
        accounts=house.keys,
        limits=RateKeeper(house.database, settings.rates),
        tasks=TaskDesk(
            house.database, house.life, house.queue, house.styles, house.links, house.retention, settings.max_unfinished
        ),
        finetunes=JobDesk(
            house.database,
            house.life,
            house.queue,
            house.eraser,
            settings.max_jobs,
            house.clock,
            settings.max_unfinished,
        ),
        files=FileCabinet(house.database, house.blobs, house.eraser, house.links, quota, house.clock),
        faces=FaceDesk(house.fetcher, house.judge),
        results=ResultStore(house.database, house.blobs, house.links),
        uploads=UploadDesk(
            house.blobs, house.links, house.secret, f"{settings.public_url}/uploads", house.clock, house.database
        ),
        styles=house.styles,
    )


def build_web(house: House) -> FastAPI:
    """The HTTP application."""
    from portraitd.api.app import Watched, build_app
    from portraitd.api.config import ApiConfig

    settings = house.settings
    config = ApiConfig(
        max_count=settings.max_n,
        max_upload_bytes=_max_form_mb(settings.max_file_mb) * MEGABYTE,
        workspaces=settings.workspaces or None,
        accept_bare_keys=settings.bare_keys,
        unknown_model_is_404=settings.unknown_model == 404,
        metrics_token=settings.metrics_token,
    )
    desk = FigureDesk(house.database, settings.lease_s, house.clock)
    watch = Watched(ready=lambda: _has_workers(house.database, settings.lease_s), figures=lambda: _figures(desk))
    return build_app(build_services(house), config, watch)


def _max_form_mb(max_file_mb: int) -> int:
    """Most that one form of files may hold: photos to train from, but no more than fits on a disk at once."""
    return max(max_file_mb, min(10 * max_file_mb, 1024))


def build_worker(house: House, engine: Engine) -> Worker:
    """A worker for this process, its engine warm already."""
    from portraitd.api.wire import events

    settings = house.settings
    # What a task reads and puts away waits for a store that is away; a request or a sweep has no time for that.
    blobs = house.blobs.patient(OUTAGE_S)
    fetcher = _fetcher(settings, ResultStore(house.database, blobs, house.links))
    turns, tally = TakingTurns(engine), Tally()
    folder = settings.home / "run"
    presence = Presence(house.database, folder)
    receiver = Receiver(house.database, presence.id)
    reaper = Reaper(Wards(house.database, house.queue, receiver.recover), folder, settings.lease_s)
    shelf = IdentityShelf(house.database, blobs, turns, house.clock)
    reader = SourceReader(house.database, blobs, fetcher)
    handlers: Mapping[Kind, Handler] = {
        Kind.GENERATE: Studio(turns, house.styles, shelf, blobs, fetcher, house.judge, tally),
        Kind.FINETUNE: Trainer(turns, blobs, reader, house.clock, tally),
    }
    bench = Bench(house.database, house.life, handlers, tally=tally)
    chores = (*_chores(house, bench), Chore(_TALLY_EVERY_S, lambda: tally.flush(house.database), last=True))
    courier = Courier(house.database, house.sender, events.task_ended, tally)
    watch = Watch(presence, reaper, settings.lease_s / 6, chores, grace_s=settings.lease_s, beside=(courier.run,))
    return Worker(receiver, bench, watch)


def _chores(house: House, bench: Bench) -> tuple[Chore, ...]:
    settings = house.settings
    sweeper = Sweeper(house.eraser, retention_of(settings), UnhurriedClock(house.clock))
    return (
        Chore(settings.lease_s / 2, lambda: reconcile(house.database, house.life, house.queue)),
        Chore(settings.lease_s / 2, lambda: bench.give_up_overdue(settings.task_limit_s)),
        Chore(600, sweeper.sweep),
        Chore(3600, sweeper.sweep_orphans),
    )


def retention_of(settings: Settings) -> Retention:
    """How long things are kept."""

    def hours(count: int) -> timedelta | None:
        return timedelta(hours=count) if count else None

    return Retention(
        timedelta(hours=settings.retention_h), hours(settings.identity_retention_h), hours(settings.file_retention_h)
    )


def load_engine(settings: Settings, for_once: bool = False) -> Engine:
    """The engine that PORTRAITD_ENGINE names, cold. Raises SetupError for one that does not exist.

    Besides the names in ENGINES, "module:factory" is taken, for tests. for_once: for a few pictures, which do not repay
    compiling unless the setting asks for it.
    """
    spec = ENGINES.get(settings.engine, settings.engine)
    module, _, factory = spec.partition(":")
    if not factory:
        raise SetupError(f"PORTRAITD_ENGINE={settings.engine!r}: expected one of {', '.join(ENGINES)}")
    try:
        make = cast("Callable[..., Engine]", getattr(importlib.import_module(module), factory))
    except (ImportError, AttributeError) as error:
        raise SetupError(f"PORTRAITD_ENGINE={settings.engine!r}: cannot be loaded: {error}") from error
    if settings.engine == "diffusion":
        return make(models_of(settings), _model_choice(settings, for_once), settings.diffusion_start)
    return make(models_of(settings))


def engine_outlook(settings: Settings) -> str:
    """The engine's name and what it will run on, nothing loaded. Raises the SetupError that a worker would.

    With the diffusion engine this process imports torch, and takes some of the card until it ends.
    """
    name = load_engine(settings).name
    if settings.engine != "diffusion":
        return name
    from portraitd.engines.diffusion.painter import look_ahead

    return f"{name}: {look_ahead(_model_choice(settings))}"


def _model_choice(settings: Settings, for_once: bool = False) -> ModelChoice:
    from portraitd.engines.diffusion.painter import ModelChoice

    return ModelChoice(
        settings.diffusion_model or _pulled_model(settings),
        settings.diffusion_tier,
        training_folder=settings.diffusion_training_model,
        compile="off" if for_once and settings.diffusion_compile == "auto" else settings.diffusion_compile,
    )


def _pulled_model(settings: Settings) -> Path | None:
    """The folder of the model that `weights pull` brought, if all of it is here."""
    shelf = shelf_of(settings)
    model = shelf.model(DIFFUSION_MODEL)
    return shelf.path(model) if shelf.holds(model) else None


def models_of(settings: Settings) -> FaceModels:
    """The face networks in the weights folder, each loaded at its first use."""
    from portraitd.faces.models import FaceModels

    return FaceModels(weights_of(settings).folder)


def blobs_of(settings: Settings) -> Blobs:
    """The store of pictures and files, made if need be. Raises SetupError."""
    return open_blobs(settings.storage_url)


def shelf_of(settings: Settings) -> Shelf:
    """Whole models, beside the weights."""
    from portraitd.weights.shelf import Shelf

    return Shelf(weights_of(settings).folder / "models")


def weights_of(settings: Settings) -> WeightStore:
    from portraitd.weights.store import WeightStore

    return WeightStore(settings.weights)


def styles_of(settings: Settings) -> StyleCatalog:
    """The built-in styles with what the operator's packs add. Raises SetupError for what an engine cannot read."""
    catalog = with_packs(load_catalog(), (settings.home / "styles", *settings.style_packs))
    if settings.engine == "diffusion":
        from portraitd.engines.diffusion.prompt import read_prompt

        for style in catalog:
            if style.mode is Mode.PRESET:
                read_prompt(style)
    if settings.clothes == "own":
        from portraitd.engines.classic.presets.recipe import without_outfits

        return StyleCatalog({style.id: without_outfits(style) for style in catalog})
    return catalog


def judge_of(settings: Settings) -> Judge:
    """The face check. An engine given as "module:factory" may bring its own, named `judge`."""
    if ":" in settings.engine:
        own = getattr(importlib.import_module(settings.engine.partition(":")[0]), "judge", None)
        if own is not None:
            return cast(Judge, own)
    from portraitd.faces.remembered import Remembered

    return Remembered(_RealJudge(settings))


def examiner_of(settings: Settings) -> Callable[[Image], tuple[Finding, ...]]:
    """What checks a finished ID photo against the standards."""
    from portraitd.engines.classic.presets.idchecks import examine

    return partial(examine, models_of(settings))


class _RealJudge:
    """Judges faces with the networks, which are loaded at the first picture."""

    def __init__(self, settings: Settings) -> None:
        self._models = models_of(settings)

    def __call__(self, image: Image, purpose: Purpose) -> Verdict:
        from portraitd.faces.verdict import VerdictLimits, judge

        limits = {
            Purpose.TEMPLATE: VerdictLimits.template,
            Purpose.PHOTO: VerdictLimits.photo,
            Purpose.DETECT: VerdictLimits.detect,
        }
        return judge(self._models, image, limits[purpose]())


@dataclass(frozen=True)
class FirstKey:
    """The key that a new service comes with."""

    path: Path
    #: The key itself, on the start that made it and never again.
    fresh: str | None = None


def ensure_first_key(house: House) -> FirstKey | None:
    """The first API key, made now if the service has no key yet; None when an operator removed its file."""
    path = house.settings.key_file
    if path.exists() and _opens(house.keys, path.read_text("ascii", "replace").strip()):
        return FirstKey(path)
    if house.keys.list():
        return None
    path.unlink(missing_ok=True)
    key = house.keys.create("first key")
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(key + "\n")
    return FirstKey(path, key)


def _opens(keys: KeyRing, key: str) -> bool:
    try:
        keys.authenticate(key)
    except InvalidApiKey:
        return False
    return True


def _make_home(home: Path) -> None:
    """The home is for its owner only: it holds faces."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"PORTRAITD_HOME={home}: cannot be made: {error.strerror}") from error


def _signing_secret(database: Database) -> str:
    """What links, tokens and tickets are signed with, the same on every machine of the service."""
    with database.alone("secret"), database.write() as conn:
        secret = accounts.secret(conn, "links")
        if secret is None:
            secret = secrets.token_hex(32)
            accounts.add_secret(conn, "links", secret)
        return secret


def _figures(desk: FigureDesk) -> ServiceFigures | None:
    """The service's figures, None while the database is away."""
    try:
        return desk.read()
    except sa.exc.SQLAlchemyError:
        return None


def _has_workers(database: Database, lease_s: float) -> bool:
    """Is there a worker to do what is accepted?"""
    try:
        with database.read() as conn:
            return bool(set(executors.everyone(conn)) - set(executors.silent(database, conn, lease_s)))
    except sa.exc.SQLAlchemyError:
        return False
