"""Running sums that all workers add to, and that outlive them: what a monitor reads about the work.

They hold no ids and nothing of an account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from portraitd.db.schema import figures


class Figure(NamedTuple):
    """What is summed up: a name, and what tells its kinds apart, such as ("generate", "fetch")."""

    name: str
    labels: tuple[str, ...]


def add(conn: sa.Connection, amounts: Mapping[Figure, float]) -> None:
    """Add each amount to its sum."""
    statement = sa.text(
        "INSERT INTO figures (name, labels, value) VALUES (:name, :labels, :value) "
        "ON CONFLICT (name, labels) DO UPDATE SET value = figures.value + excluded.value"
    )
    # Always in the same order, so that two workers never wait for each other.
    rows = [{"name": key.name, "labels": "/".join(key.labels), "value": amounts[key]} for key in sorted(amounts)]
    if rows:
        conn.execute(statement, rows)


def everything(conn: sa.Connection) -> Mapping[Figure, float]:
    """All sums."""
    return {Figure(row.name, tuple(row.labels.split("/"))): row.value for row in conn.execute(sa.select(figures)).all()}
