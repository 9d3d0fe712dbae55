"""`webhook set|list|test|remove`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.portraits.accounts import DEFAULT_ACCOUNT
from portraitd.settings import load_settings

if TYPE_CHECKING:
    from portraitd.db.webhooks import Mail, WebhookRow

app = typer.Typer(help="Webhooks: URLs that are told of tasks' ends.", no_args_is_help=True)

Account = Annotated[str, typer.Option(help="Whose webhook it is.")]


@app.command("set")
def set_webhook(
    url: Annotated[str, typer.Argument(help="Where to post events to.")], account: Account = DEFAULT_ACCOUNT
) -> None:
    """Have an account's URL told of each task and training that ends. Prints the secret that signs events, once."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        secret = house.webhooks.set(account, url)
    typer.echo(secret)
    typer.echo("It signs the events, and is shown only now. `portraitd webhook test` sends one.", err=True)


@app.command("list")
def list_webhooks() -> None:
    """List all webhooks, and what became of the events of the last two days."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        found = house.webhooks.list()
    heads = ("account", "URL", "set (UTC)", "waiting", "delivered", "given up", "last answer (UTC)")
    show(heads, [_row(row, mail) for row, mail in found])


@app.command("test")
def try_webhook(account: Account = DEFAULT_ACCOUNT) -> None:
    """Send an event that means nothing, now, and tell what is answered."""
    from portraitd import wiring
    from portraitd.portraits.webhooks import is_success

    with wiring.open_house(load_settings()) as house:
        answer = house.webhooks.test(account)
    if not is_success(answer):
        raise SetupError(f"the webhook does not take events: {answer}")
    typer.echo(f"taken: {answer}")


@app.command()
def remove(account: Account = DEFAULT_ACCOUNT) -> None:
    """Tell an account's URL nothing any more, and forget URL, secret and what waits."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        house.webhooks.remove(account)
    typer.echo(f"removed the webhook of {account}")


def _row(row: WebhookRow, mail: Mail) -> tuple[str, ...]:
    from portraitd.db.webhooks import DELIVERED, GIVEN_UP

    counts = [str(mail.counts.get(outcome, 0)) for outcome in ("", DELIVERED, GIVEN_UP)]
    since = f"{_minute(row.created_at)}, disabled {_minute(row.disabled_at)}" if row.disabled_at else ""
    last = f"{mail.last_answer}, {_minute(mail.last_answered_at)}" if mail.last_answer else ""
    return (row.account, row.url, since or _minute(row.created_at), *counts, last)


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
