"""`styles list|add|pull|remove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.settings import load_settings
from portraitd.styles.catalog import Mode

if TYPE_CHECKING:
    from portraitd.styles.pinned import PinnedPack

app = typer.Typer(help="Styles and their template pictures.", no_args_is_help=True)


@app.command("list")
def list_styles() -> None:
    """List all styles and how many template pictures each has."""
    from portraitd import wiring

    needs = {Mode.PRESET: "identity", Mode.TEMPLATE: "identity, template", Mode.TRAIN_FREE: "photos, template"}
    found = wiring.styles_of(load_settings())
    rows = [(style.id, style.name, style.english, needs[style.mode], str(len(style.templates))) for style in found]
    show(("style", "name", "", "needs", "templates"), rows)


@app.command()
def add(
    style: Annotated[str, typer.Argument(help="The style's id, from the list.")],
    pictures: Annotated[list[Path], typer.Argument(help="Template pictures, copied into the home.")],
) -> None:
    """Add template pictures to a style; workers started afterwards use them."""
    from portraitd import wiring
    from portraitd.styles.packs import add_to_pack

    settings = load_settings()
    wiring.styles_of(settings).get(style)
    for path in add_to_pack(settings.home / "styles", style, pictures):
        typer.echo(path)


@app.command()
def pull(
    pack: Annotated[str, typer.Argument(help="The pack's name: facechain.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the pictures from this folder instead of the network.")
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Fetch them below this address instead of the pack's own.")] = None,
) -> None:
    """Give styles a pack's template pictures, each checked by its sha256; workers started afterwards use them."""
    from portraitd.styles.pinned import read_pinned
    from portraitd.styles.pull import from_folder, from_web, lacking
    from portraitd.styles.pull import pull as put

    if source and mirror:
        raise SetupError("--from and --mirror exclude each other.")
    pinned, folder = read_pinned(pack), load_settings().home / "styles"
    missing = lacking(pinned, folder)
    if missing:
        typer.echo(_origin(pinned, sum(picture.bytes for picture in missing)))
    if source:
        written = put(pinned, folder, from_folder(source))
    else:
        with from_web(pinned, mirror) as web:
            written = put(pinned, folder, web)
    for path in written:
        typer.echo(path)
    typer.echo(f"all {len(pinned.pictures)} pictures are in {folder}")


@app.command()
def remove(pack: Annotated[str, typer.Argument(help="The pack's name: facechain.")]) -> None:
    """Take a pulled pack's pictures away again; workers started afterwards do without them."""
    from portraitd.styles.pinned import read_pinned
    from portraitd.styles.pull import remove as take_away

    for path in take_away(read_pinned(pack), load_settings().home / "styles"):
        typer.echo(f"removed {path}")


def _origin(pack: PinnedPack, missing_bytes: int) -> str:
    """Whose pictures these are and under which licence, for an operator to know before they come."""
    return (
        f"{pack.name}: {missing_bytes / 1e6:.1f} MB of pictures from {pack.origin}, commit {pack.commit}, "
        f"under the licence {pack.licence}"
    )
