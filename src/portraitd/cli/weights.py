"""`weights pull|list|verify`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portraitd.cli.tables import show
from portraitd.errors import SetupError
from portraitd.settings import Settings, load_settings

if TYPE_CHECKING:
    from portraitd.weights.models import Model
    from portraitd.weights.shelf import Shelf
    from portraitd.weights.store import WeightStatus

app = typer.Typer(help="The networks' weights.", no_args_is_help=True)


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Weights, sets of them, or models; default: all but models.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take them from this folder of downloaded files instead.")
    ] = None,
    mirror: Annotated[str | None, typer.Option(help="Where else a model's files lie; each is asked for below.")] = None,
) -> None:
    """Fetch what is missing or broken, checked against the manifest."""
    from portraitd import wiring
    from portraitd.weights.progress import RichBars

    settings = load_settings()
    store, shelf = wiring.weights_of(settings), wiring.shelf_of(settings)
    models = [name for name in names or () if name in shelf.names]
    if mirror and not models:
        raise SetupError(f"--mirror is for models: {', '.join(shelf.names)}")
    for name in models:
        _pull_model(shelf, shelf.model(name), source, [mirror] if mirror else ())
    others = [name for name in names or () if name not in models]
    if models and not others:
        return
    if source:
        store.take_from(source, others or None)
    else:
        with RichBars() as bars:
            store.ensure(others or None, bars, thorough=True)
    typer.echo(f"all there, in {store.folder}")


def _pull_model(shelf: Shelf, model: Model, source: Path | None, mirrors: Sequence[str]) -> None:
    """Its licence is told before the first byte is asked for."""
    from portraitd.weights.progress import RichBars

    told = f"{model.title} by {model.publisher}, {model.licence}, {model.bytes / 1e9:.1f} GB"
    typer.echo(f"{told}\n{model.origin} at {model.commit}; its licence lies with it")
    if source:
        folder = shelf.take_from(model, source)
    else:
        with RichBars() as bars:
            folder = shelf.pull(model, mirrors, bars)
    typer.echo(f"all there, in {folder}")


@app.command("list")
def list_weights() -> None:
    """List all weights and models and whether they are here."""
    from portraitd import wiring

    settings = load_settings()
    shelf = wiring.shelf_of(settings)
    models = [shelf.model(name) for name in shelf.names]
    _print(wiring.weights_of(settings).list(), [(model, _state(shelf, model)) for model in models])


@app.command()
def verify() -> None:
    """Compare every file with its checksum; models that are here, too."""
    from portraitd import wiring

    settings = load_settings()
    shelf = wiring.shelf_of(settings)
    found = wiring.weights_of(settings).verify()
    here = [model for model in map(shelf.model, shelf.names) if shelf.path(model).exists()]
    broken = {model.name for model in here if shelf.lacking(model, thorough=True)}
    _print(found, [(model, "broken" if model.name in broken else "present") for model in here])
    bad = [status.weight.name for status in found if status.state.value != "present"] + sorted(broken)
    if bad:
        raise SetupError(f"missing or broken: {', '.join(bad)}; `portraitd weights pull` fetches them again")


def _state(shelf: Shelf, model: Model) -> str:
    if shelf.holds(model):
        return "present"
    return "begun" if shelf.path(model).exists() else "missing"


def _print(found: Iterable[WeightStatus], models: Iterable[tuple[Model, str]]) -> None:
    rows = [
        (s.weight.name, s.weight.set, s.state.value, f"{s.weight.bytes / 1e6:.1f}", s.weight.licence) for s in found
    ]
    rows += [(model.name, "model", state, f"{model.bytes / 1e6:.1f}", model.licence) for model, state in models]
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
