"""The command line: every verb reads the settings, calls one thing, and prints what came of it."""

from __future__ import annotations

import sys

import typer

from portraitd.cli import accounts, doctor, identities, idphoto, keys, make, serve, styles, tasks, webhooks, weights
from portraitd.errors import PortraitdError

app = typer.Typer(
    name="portraitd",
    help="A self-hosted AI portrait service that speaks DashScope's FaceChain API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve.serve)
app.command()(serve.worker)
app.command()(make.generate)
app.command()(make.detect)
app.command()(idphoto.idphoto)
app.command()(doctor.doctor)
app.add_typer(keys.app, name="key")
app.add_typer(accounts.app, name="account")
app.add_typer(identities.app, name="identity")
app.add_typer(tasks.app, name="task")
app.add_typer(webhooks.app, name="webhook")
app.add_typer(weights.app, name="weights")
app.add_typer(styles.app, name="styles")


def main() -> None:
    """Run the verb; what an operator can mend is told in one sentence, without a traceback."""
    try:
        app()
    except PortraitdError as error:
        print(f"portraitd: {error.message}", file=sys.stderr)
        sys.exit(1)
