"""`task cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from portraitd.errors import SetupError
from portraitd.settings import load_settings

app = typer.Typer(help="Tasks and trainings, of all accounts.", no_args_is_help=True)


@app.callback()
def tasks() -> None:
    """Tasks and trainings, of all accounts."""


@app.command()
def cancel(
    task_id: Annotated[str, typer.Argument(help="The task's or the training's id.")],
    force: Annotated[bool, typer.Option("--force", help="A running one, too: it stops after its picture.")] = False,
) -> None:
    """Cancel a task that has not begun."""
    from portraitd import wiring

    with wiring.open_house(load_settings()) as house:
        if house.life.cancel_pending(task_id):
            house.queue.cancel(task_id)
            typer.echo(f"canceled {task_id}")
        elif force and house.life.ask_to_cancel(task_id):
            typer.echo(f"{task_id} stops after the picture it is making")
        else:
            wanted = "unfinished" if force else "waiting (--force stops a running one)"
            raise SetupError(f"there is no task {task_id} that is {wanted}")
