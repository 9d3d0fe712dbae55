"""Tables on the terminal, and the same ones, uncut, in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

#: Columns of a table that goes into a pipe: wide enough that nothing is folded.
_PIPE_WIDTH = 240


def show(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows under their heads. The first column is what other verbs take, so it is never cut or folded."""
    table = Table()
    for number, head in enumerate(heads):
        table.add_column(head, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(table)
