"""`key create|list|revoke`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from portraitd.cli.tables import show
from portraitd.db.accounts import KeyRow
from portraitd.errors import SetupError
from portraitd.portraits.accounts import DEFAULT_ACCOUNT, KeyLimits
from portraitd.settings import load_settings

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; shown in the list.")],
    account: Annotated[
        str, typer.Option(help="Whose key it is; made if new. Accounts see nothing of each other.")
    ] = DEFAULT_ACCOUNT,
    rates: Annotated[
        str | None, typer.Option(help="Rates of its own, in place of PORTRAITD_RATES: generate=10,read=none.")
    ] = None,
    max_unfinished: Annotated[
        int | None, typer.Option(min=0, help="Most tasks of this key that wait or run; 0: any number.")
    ] = None,
) -> None:
    """Make a key and print it. It is kept as a hash and cannot be shown again."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        typer.echo(house.keys.create(name, account, KeyLimits(rates, max_unfinished)))


@app.command("list")
def list_keys() -> None:
    """List all keys, without the keys themselves."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        found = house.keys.list()
    rows = [
        (key.id, key.account, key.name, _limits(key), _minute(key.created_at), _minute(key.revoked_at)) for key in found
    ]
    show(("id", "account", "name", "limits", "created (UTC)", "revoked (UTC)"), rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, from the list.")]) -> None:
    """Make a key useless, at once."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        is_known = house.keys.revoke(key_id)
    if not is_known:
        raise SetupError(f"there is no live key with the id {key_id}; see `portraitd key list`")
    typer.echo(f"revoked {key_id}")


def _limits(key: KeyRow) -> str:
    unfinished = "" if key.max_unfinished is None else f"unfinished={key.max_unfinished}"
    return ",".join(part for part in (key.rates, unfinished) if part)


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
