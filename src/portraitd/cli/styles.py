"""`styles list|add`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from portraitd.cli.tables import show
from portraitd.settings import load_settings
from portraitd.styles.catalog import Mode

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
