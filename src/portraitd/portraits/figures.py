"""How the service is doing, over all its processes: what a monitor reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from portraitd.db import executors, figures, tasks
from portraitd.db.engine import Clock, Database
from portraitd.db.figures import Figure
from portraitd.portraits.requests import ServiceFigures, StageTimes, TaskState
from portraitd.tasks import tally


@dataclass(frozen=True)
class FigureDesk:
    """Reads the figures out of the database."""

    database: Database
    #: Seconds of silence after which a worker does not count as living.
    lease_s: float
    clock: Clock

    def read(self) -> ServiceFigures:
        """The figures now. Costs one pass over the tasks that the database remembers."""
        with self.database.read() as conn:
            standing = tasks.standing(conn)
            sums = figures.everything(conn)
            workers = set(executors.everyone(conn)) - set(executors.silent(self.database, conn, self.lease_s))
        now = self.clock()
        return ServiceFigures(
            workers=len(workers),
            tasks={(stand.kind.value, stand.state.value): stand.count for stand in standing},
            waiting_s={
                stand.kind.value: max(0.0, (now - stand.oldest).total_seconds())
                for stand in standing
                if stand.state is TaskState.PENDING
            },
            stages=_stages(sums),
            ends={labels: value for (name, labels), value in sums.items() if name == tally.ENDS},
            deliveries={labels[0]: value for (name, labels), value in sums.items() if name == tally.DELIVERIES},
            pictures={labels[0]: value for (name, labels), value in sums.items() if name == tally.PICTURES},
        )


def _stages(sums: Mapping[Figure, float]) -> tuple[StageTimes, ...]:
    counts: dict[tuple[str, ...], dict[float, float]] = defaultdict(dict)
    for (name, labels), value in sums.items():
        if name == tally.STAGE_COUNT:
            *stage, bound = labels
            counts[tuple(stage)][float(bound)] = value
    return tuple(
        StageTimes(kind, stage, _cumulative(found), sums.get(Figure(tally.STAGE_SECONDS, (kind, stage)), 0.0))
        for (kind, stage), found in sorted(counts.items())
    )


def _cumulative(counts: Mapping[float, float]) -> tuple[tuple[float, float], ...]:
    """Each bound with how many took no longer."""
    return tuple((bound, sum(count for other, count in counts.items() if other <= bound)) for bound in tally.BOUNDS_S)
