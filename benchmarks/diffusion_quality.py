"""The classic engine's quality tables, of a diffusion engine: every person in every template, and every preset."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import portraits
import report
from portraitd.engines.base import Failure, Job, Photo, Portrait, Trained, Training, trained_by
from portraitd.engines.diffusion.engine import DiffusionEngine
from subjects import Studio


class Patient:
    """The engine, an identity being all that it can learn of the person: a benchmark has the minutes."""

    def __init__(self, engine: DiffusionEngine) -> None:
        self.name = engine.name
        self._engine = engine

    def warm(self) -> None:
        self._engine.warm()

    def train(self, photos: Sequence[Photo]) -> Trained:
        return trained_by(self._engine.training(photos))

    def training(self, photos: Sequence[Photo]) -> Training:
        yield self.train(photos)

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        return self._engine.generate(job)


def measure_quality(engine: DiffusionEngine, folder: Path, out: Path) -> dict[str, object]:
    """Prints the tables and writes the sheets of benchmarks/portraits.py, "engine" being this one, beside the textbook.

    folder: as that benchmark's `--portraits`.
    """
    studio = Studio(None)
    studio.engine = studio.unscored = Patient(engine)
    args = argparse.Namespace(people=None, portraits=folder, out=out, quick=False)
    subjects, templates = portraits.chosen(args, studio)
    found = portraits.run_swaps(args, studio, subjects, templates)
    framed = portraits.all_presets(studio, subjects)
    portraits.console.print(report.checks_table(framed), report.presets_table(framed))
    portraits.write_preset_sheets(out, framed)
    return found | {"presets": [{k: v for k, v in asdict(photo).items() if k != "image"} for photo in framed]}
