"""What a task takes as it is served: by the engine itself, references chosen, faces found, candidates judged."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median

import numpy as np
import torch

from portraitd.engines.base import Job, Photo, PresetJob, TemplateJob, TrainFreeJob
from portraitd.engines.diffusion.candidates import CandidatePlan
from portraitd.engines.diffusion.engine import DiffusionEngine
from portraitd.engines.diffusion.keeping import with_lora
from portraitd.engines.diffusion.klein import Klein
from portraitd.errors import NotAlike
from portraitd.faces.models import FaceModels
from portraitd.portraits.identities import astronaut
from portraitd.styles.catalog import load_catalog

RESULTS = 4
#: A task costs something between these: random weights paint nobody, and a second candidate is painted for each result.
PLANS = {
    "one candidate each": CandidatePlan(most=1),
    "two candidates each": CandidatePlan(most=2, enough=2.0),
}
GIB = 2**30


def peak_gib(make: Callable[[], object]) -> dict[str, float]:
    """GiB of the card at most while it is made: in tensors, and with what torch keeps beside them; none without one."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    make()
    if not torch.cuda.is_available():
        return {}
    return {
        "in use": torch.cuda.max_memory_allocated() / GIB,
        "held by torch": torch.cuda.max_memory_reserved() / GIB,
    }


def tasks(models: FaceModels, lora: bytes, style_id: str) -> dict[str, Job]:
    """Four results in every mode, of a person known by photos or by a LoRA."""
    picture = astronaut()
    photos = tuple(
        Photo(f"user_urls[{number}]", np.ascontiguousarray(picture[:, :: (-1) ** number])) for number in range(5)
    )
    by_photos = DiffusionEngine(models, _no_model).train(photos).identity
    style, learnt = load_catalog().get(style_id), with_lora(by_photos, lora)
    return {
        "preset, LoRA": PresetJob(style, learnt, RESULTS, 0),
        "preset, 5 photos": PresetJob(style, by_photos, RESULTS, 0),
        "template, train-free, 1 photo": TrainFreeJob(picture, photos[:1], True, RESULTS, 0),
        "template, train-free, 5 photos": TrainFreeJob(picture, photos, True, RESULTS, 0),
        "template, LoRA and photos": TemplateJob(picture, learnt, RESULTS, 0),
    }


def measure_tasks(
    klein: Klein, models: FaceModels, jobs: dict[str, Job], runs: int
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Seconds by plan and mode, after one that does not count, and the card's GiB at most by mode."""
    taken: dict[str, dict[str, float]] = {}
    peaks: dict[str, dict[str, float]] = {"in use": {}, "held by torch": {}}
    for plan, candidates in PLANS.items():
        engine = DiffusionEngine(models, lambda: klein, candidates=candidates)
        taken[plan] = {}
        for mode, job in jobs.items():
            for what, gib in peak_gib(lambda engine=engine, job=job: list(engine.generate(job))).items():
                peaks[what][mode] = max(gib, peaks[what].get(mode, 0.0))
            taken[plan][mode] = median(_seconds(engine, job) for _ in range(runs))
    return taken, peaks


def training_seconds(klein: Klein, models: FaceModels) -> float:
    """A whole job of `facechain-finetune` on four photos: what learns is loaded, trial portraits are painted."""
    engine = DiffusionEngine(models, lambda: klein)
    photos = [Photo(f"photo {number}", astronaut()) for number in range(4)]
    started = time.perf_counter()
    with suppress(NotAlike):  # random weights learn nobody: that is found at the end
        for _ in engine.training(photos):
            pass
    return time.perf_counter() - started


def _seconds(engine: DiffusionEngine, job: Job) -> float:
    started = time.perf_counter()
    for _ in engine.generate(job):
        pass
    return time.perf_counter() - started


def _no_model() -> Klein:
    raise AssertionError("photos need no model")
