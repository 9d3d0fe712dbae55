"""`generate` and `detect`: the engine and the face check on files, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from portraitd.cli.photos import read_photo, read_photos
from portraitd.cli.tables import show
from portraitd.cli.weights import ensure_weights
from portraitd.errors import InvalidStyle, PortraitdError, SetupError
from portraitd.portraits.hints import BY_CODE, BY_REASON
from portraitd.settings import load_settings
from portraitd.styles.catalog import Mode, Style, StyleCatalog

if TYPE_CHECKING:
    from portraitd.engines.base import Engine, Failure, Job, Photo, Portrait
    from portraitd.portraits.requests import FaceVerdict

_OUT = Path("portraits")
_MAX_TRAIN_FREE_PHOTOS = 5


@dataclass(frozen=True)
class Order:
    """What `generate` was asked for, read and found possible."""

    style: Style
    photos: tuple[Photo, ...]
    template: Photo | None
    retouch: bool
    count: int
    seed: int


def generate(  # noqa: PLR0917 - one parameter per option
    photos: Annotated[list[Path], typer.Argument(help="Photos of one person.", exists=True, dir_okay=False)],
    style: Annotated[
        str | None,
        typer.Option(
            help="A style of `portraitd styles list`; default: f_idcard_female, or, "
            "with --template, train_free_portrait_url_template."
        ),
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help="Put the face into this picture.", exists=True, dir_okay=False)
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many portraits.", min=1, max=16)] = 4,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the portraits.")] = _OUT,
    seed: Annotated[int | None, typer.Option(help="Makes the same portraits again.", min=0)] = None,
    retouch: Annotated[bool, typer.Option(help="Retouch the photos' skin first (without training only).")] = True,
) -> None:
    """Make portraits from photos and write them to files named by their seeds."""
    from portraitd import wiring
    from portraitd.engines.base import fresh_seed

    settings = load_settings()
    chosen = style or ("train_free_portrait_url_template" if template else "f_idcard_female")
    order = Order(
        style=_style(wiring.styles_of(settings), chosen),
        photos=read_photos(photos),
        template=read_photo(template) if template else None,
        retouch=retouch,
        count=count,
        seed=fresh_seed() if seed is None else seed,
    )
    _check(order)
    ensure_weights(settings)
    outcomes = make_portraits(wiring.load_engine(settings, for_once=True), order)
    if not _write(outcomes, out):
        raise typer.Exit(1)


def detect(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures to check.", exists=True, dir_okay=False)],
) -> None:
    """Check whether pictures show one usable face; exit status 1 if any does not."""
    from portraitd import wiring
    from portraitd.portraits.faces import FaceDesk
    from portraitd.portraits.fetch import Fetcher

    settings = load_settings()
    ensure_weights(settings)
    desk = FaceDesk(Fetcher(), wiring.judge_of(settings))
    verdicts = [desk.judge_file(picture.read_bytes()) for picture in pictures]
    answers = [("yes" if verdict.is_face else "no", _why(verdict)) for verdict in verdicts]
    show(
        ("picture", "usable", "reason"), [(str(path), *answer) for path, answer in zip(pictures, answers, strict=True)]
    )
    if not all(verdict.is_face for verdict in verdicts):
        raise typer.Exit(1)


def _why(verdict: FaceVerdict) -> str:
    hint = BY_REASON.get(verdict.reason)
    return f"{verdict.reason}. {hint.en} {hint.zh}" if hint else verdict.reason


def _style(catalog: StyleCatalog, style_id: str) -> Style:
    try:
        return catalog.get(style_id)
    except InvalidStyle as error:
        raise SetupError(f"no style is called {style_id}; see `portraitd styles list`") from error


def _check(order: Order) -> None:
    """Raises SetupError for what does not go together, before anything slow."""
    style = order.style
    if style.mode is Mode.PRESET and order.template:
        raise SetupError(f"the style {style.id} takes no template: leave --template or --style out")
    if style.mode is not Mode.PRESET and not order.template:
        raise SetupError(f"the style {style.id} needs a template: give one with --template")
    if style.mode is Mode.TRAIN_FREE and len(order.photos) > _MAX_TRAIN_FREE_PHOTOS:
        raise SetupError(
            f"without training, at most {_MAX_TRAIN_FREE_PHOTOS} photos are taken; "
            "with --style portrait_url_template, any number"
        )


def make_portraits(engine: Engine, order: Order) -> tuple[Portrait | Failure, ...]:
    """All outcomes, with a progress bar on the error stream meanwhile."""
    # Standard output is for the files' names, so it must not go through the bar's console.
    with Progress(console=Console(stderr=True), redirect_stdout=False, redirect_stderr=False, transient=True) as bars:
        learning = bars.add_task("looking at the photos", total=None)
        engine.warm()
        try:
            job = _job(engine, order)
            bars.remove_task(learning)
            return tuple(bars.track(engine.generate(job), total=order.count, description="making portraits"))
        except SetupError:
            raise
        except PortraitdError as error:
            raise SetupError(f"{plainly(error)} (`portraitd detect` checks each picture.)") from error


def plainly(error: PortraitdError) -> str:
    """The error's message, and behind it what to do, where that is known."""
    hint = BY_CODE.get(error.code)
    return f"{error.message} {hint.en} {hint.zh}" if hint else error.message


def _job(engine: Engine, order: Order) -> Job:
    from portraitd.engines.base import PresetJob, TemplateJob, TrainFreeJob

    if order.style.mode is Mode.TRAIN_FREE:
        assert order.template is not None  # noqa: S101 - _check has seen to it
        return TrainFreeJob(order.template.image, order.photos, order.retouch, order.count, order.seed)
    trained = engine.train(order.photos)
    for left_out in trained.left_out:
        typer.echo(f"{left_out.name} was not used: {left_out.plainly or plainly(left_out.error)}", err=True)
    if order.template:
        return TemplateJob(order.template.image, trained.identity, order.count, order.seed)
    return PresetJob(order.style, trained.identity, order.count, order.seed)


def _write(outcomes: Iterable[Portrait | Failure], out: Path) -> bool:
    """Write the portraits and print their paths; False if any could not be made."""
    from portraitd import images
    from portraitd.engines.base import Failure

    well = True
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Failure):
                typer.echo(f"portrait {number} could not be made: {plainly(outcome.error)}", err=True)
                well = False
                continue
            path = out / f"portrait-{outcome.seed}.jpg"
            path.write_bytes(images.encode_jpeg(outcome.image))
            typer.echo(path)
    except OSError as error:
        raise SetupError(f"{out}: cannot be written to: {error.strerror}") from error
    return well
