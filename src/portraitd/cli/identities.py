"""`identity import|list|delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from portraitd.cli.photos import pictures_in, read_photo
from portraitd.cli.tables import show
from portraitd.cli.weights import ensure_weights
from portraitd.errors import PortraitdError, SetupError
from portraitd.portraits.accounts import DEFAULT_ACCOUNT
from portraitd.settings import load_settings

if TYPE_CHECKING:
    from portraitd.engines.base import Photo

app = typer.Typer(help="Trained identities, by their resource ids.", no_args_is_help=True)


@app.command("import")
def import_identity(
    resource_id: Annotated[str, typer.Argument(help="The id that apps already use for this person.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos of the person, or a folder of them.", exists=True)],
    account: Annotated[str, typer.Option(help="Whose identity it is; made if new.")] = DEFAULT_ACCOUNT,
) -> None:
    """Train an identity from photos under an id of your own, so that ids stored in an app keep working."""
    from portraitd import wiring

    settings = load_settings()
    usable = _usable(pictures_in(photos))
    ensure_weights(settings)
    engine = wiring.load_engine(settings)
    engine.warm()
    with wiring.open_house(settings) as house, Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("training", total=1.0)
        try:
            trained = house.register.bring_in(
                engine, resource_id, account, usable, lambda done: bars.update(bar, completed=done)
            )
        except SetupError:
            raise
        except PortraitdError as error:
            raise SetupError(f"{error.message} (`portraitd detect` checks each picture.)") from error
    for left_out in trained.left_out:
        typer.echo(f"{left_out.name} was not used: {left_out.why}", err=True)
    typer.echo(f"{resource_id}: trained from {len(trained.used)} photos")


@app.command("list")
def list_identities() -> None:
    """List all identities, those that were trained through the API included."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        found = house.register.list()
    rows = [(held.id, held.account, held.engine, f"{held.created_at:%Y-%m-%d %H:%M}") for held in found]
    show(("resource id", "account", "engine", "made (UTC)"), rows)


@app.command()
def delete(resource_id: Annotated[str, typer.Argument(help="The identity's id, from the list.")]) -> None:
    """Erase an identity, and the training with its photos that made it."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        house.register.delete(resource_id)
    typer.echo(f"erased {resource_id}")


def _usable(paths: tuple[Path, ...]) -> tuple[Photo, ...]:
    """The photos that can be read; the others are told of, and fail the verb only when none is left."""
    found: list[Photo] = []
    for path in paths:
        try:
            found.append(read_photo(path))
        except SetupError as error:
            typer.echo(f"not used: {error.message}", err=True)
    if not found:
        raise SetupError("there is no photo to train from")
    return tuple(found)
