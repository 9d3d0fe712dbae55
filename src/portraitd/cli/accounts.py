"""`account delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from portraitd.settings import load_settings

app = typer.Typer(help="Accounts.", no_args_is_help=True)


@app.callback()
def accounts() -> None:
    """Accounts. (`portraitd key create --account` makes them.)"""


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The account, as `portraitd key list` names it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase an account: its keys, files, identities, tasks and pictures. Running tasks stop after their picture."""
    from portraitd import wiring

    if not yes:
        typer.confirm(f"Erase the account {name} and everything it has? This cannot be undone", abort=True)
    with wiring.open_house(load_settings()) as house:
        house.eraser.account(name, house.life)
    typer.echo(f"erased {name}")
