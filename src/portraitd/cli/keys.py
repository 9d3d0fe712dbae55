"""`key create|list|revoke`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.portraits.accounts import DEFAULT_ACCOUNT
from portraitd.settings import load_settings

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; shown in the list.")],
    account: Annotated[
        str, typer.Option(help="Whose key it is; made if new. Accounts see nothing of each other.")
    ] = DEFAULT_ACCOUNT,
) -> None:
    """Make a key and print it. It is kept as a hash and cannot be shown again."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        typer.echo(house.keys.create(name, account))


@app.command("list")
def list_keys() -> None:
    """List all keys, without the keys themselves."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        found = house.keys.list()
    rows = [(key.id, key.account, key.name, _minute(key.created_at), _minute(key.revoked_at)) for key in found]
    show(("id", "account", "name", "created (UTC)", "revoked (UTC)"), rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, from the list.")]) -> None:
    """Make a key useless, at once."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        is_known = house.keys.revoke(key_id)
    if not is_known:
        raise SetupError(f"there is no live key with the id {key_id}; see `portraitd key list`")
    typer.echo(f"revoked {key_id}")


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
