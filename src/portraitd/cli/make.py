"""`generate` and `detect`: the engine and the face check on files, without a server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from portraitd.cli.tables import show
from portraitd.cli.weights import ensure_weights
from portraitd.errors import PortraitdError, SetupError
from portraitd.settings import Settings, load_settings
from portraitd.styles.catalog import Mode, Style

if TYPE_CHECKING:
    from portraitd.engines.base import Engine, Job, Photo

_OUT = Path("portraits")


def generate(  # noqa: PLR0917 - one parameter per option
    photos: Annotated[list[Path], typer.Argument(help="Photos of one person.", exists=True, dir_okay=False)],
    style: Annotated[str, typer.Option(help="A preset style; see `portraitd styles list`.")] = "f_idcard_female",
    template: Annotated[Path | None, typer.Option(help="Put the face into this picture instead.", exists=True)] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="How many portraits.", min=1, max=16)] = 4,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the portraits.")] = _OUT,
    seed: Annotated[int | None, typer.Option(help="Makes the same portraits again.", min=0)] = None,
    retouch: Annotated[bool, typer.Option(help="Retouch the photos' skin first (with --template).")] = True,
) -> None:
    """Make portraits from photos and write them to files."""
    from portraitd import images, wiring
    from portraitd.engines.base import Failure, TrainFreeJob

    settings = load_settings()
    engine = _warm_engine(settings)
    seed = secrets.randbits(31) if seed is None else seed
    taken = _read(photos)
    if template:
        job: Job = TrainFreeJob(_read([template])[0].image, taken, retouch, count, seed)
    else:
        job = _preset(engine, wiring.styles_of(settings).get(style), taken, count, seed)
    out.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True)) as bar:
        for number, outcome in enumerate(bar.track(engine.generate(job), total=count, description="portraits"), 1):
            if isinstance(outcome, Failure):
                typer.echo(f"portrait {number}: {outcome.error.message}", err=True)
                continue
            path = out / f"portrait-{outcome.seed}.jpg"
            path.write_bytes(images.encode_jpeg(outcome.image))
            typer.echo(path)


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
    answers = [("yes" if verdict.is_face else "no", verdict.reason) for verdict in verdicts]
    show(
        ("picture", "usable", "reason"), [(str(path), *answer) for path, answer in zip(pictures, answers, strict=True)]
    )
    if not all(verdict.is_face for verdict in verdicts):
        raise typer.Exit(1)


def _preset(engine: Engine, style: Style, photos: tuple[Photo, ...], count: int, seed: int) -> Job:
    from portraitd.engines.base import PresetJob

    if style.mode is not Mode.PRESET:
        raise SetupError(f"the style {style.id} needs a template: give one with --template and leave --style out")
    trained = engine.train(photos)
    for left_out in trained.left_out:
        typer.echo(f"{left_out.name} was not used: {left_out.error.message}", err=True)
    return PresetJob(style, trained.identity, count, seed)


def _warm_engine(settings: Settings) -> Engine:
    from portraitd import wiring

    ensure_weights(settings)
    engine = wiring.load_engine(settings)
    engine.warm()
    return engine


def _read(paths: Sequence[Path]) -> tuple[Photo, ...]:
    from portraitd.engines.base import Photo
    from portraitd.portraits.photos import CHECKED_PHOTO

    found = []
    for path in paths:
        try:
            found.append(Photo(path.name, CHECKED_PHOTO.decode(path.read_bytes())))
        except PortraitdError as error:
            raise SetupError(f"{path}: {error.message}") from error
    return tuple(found)
