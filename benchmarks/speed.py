"""Seconds, engine and textbook in turns in one process, and a fresh process for cold start and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from baseline import textbook_swap
from portraitd.engines.base import Job, PresetJob, TemplateJob, TrainFreeJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.images import Image, Size
from presets import preset_styles
from subjects import Studio, Subject

PORTRAIT = Size(768, 1024)


def portrait_sized(template: Subject) -> Image:
    """The template cut to 3 : 4 around its face and enlarged to 768 x 1024."""
    image, box = template.seen.image, template.seen.mesh.box
    height, width = image.shape[:2]
    cut = min(width, round(height * 0.75))
    x = int(np.clip((box.x0 + box.x1) / 2 - cut / 2, 0, width - cut))
    tall = round(cut / 0.75)
    part = image[:tall, x : x + cut]
    return np.asarray(cv2.resize(part, PORTRAIT, interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True)
class Timing:
    """One task's seconds, round by round."""

    rounds_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return float(np.median(self.rounds_s))

    def share_of(self, other: Timing) -> float:
        """Median over the rounds of this task's seconds in the other's."""
        return float(np.median(np.divide(self.rounds_s, other.rounds_s)))


Tasks: TypeAlias = dict[str, Callable[[], object]]


def in_turns(tasks: Tasks, rounds: int) -> dict[str, Timing]:
    """Each task's seconds, all of them in every round so that a busy machine is busy for all."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(times)) for name, times in seconds.items()}


def template_seconds(
    studio: Studio, photos: Sequence[Subject], templates: Sequence[Subject], rounds: int
) -> dict[str, Timing]:
    """Seconds for portraits of 768 x 1024, by task; the rounds of all templates."""
    identity = studio.engine.train([photo.photo for photo in photos]).identity
    found: dict[str, Timing] = {}
    for template in templates:
        tasks = _template_tasks(studio, photos, portrait_sized(template), identity)
        for name, timing in in_turns(tasks, rounds).items():
            before = found[name].rounds_s if name in found else ()
            found[name] = Timing(before + timing.rounds_s)
    return found


def _template_tasks(studio: Studio, photos: Sequence[Subject], picture: Image, identity: bytes) -> Tasks:
    one = (photos[0].photo,)

    def job(engine: ClassicEngine, what: Job) -> Callable[[], object]:
        return lambda: list(engine.generate(what))

    return {
        "textbook, 1": lambda: textbook(studio, photos[:1], picture),
        "identity, 1": job(studio.unscored, TemplateJob(picture, identity, 1, 0)),
        "photo, 1": job(studio.unscored, TrainFreeJob(picture, one, False, 1, 0)),
        "photo, 1, retouched": job(studio.unscored, TrainFreeJob(picture, one, True, 1, 0)),
        "identity, 1, scored": job(studio.engine, TemplateJob(picture, identity, 1, 0)),
        "photo, 1, retouched, scored": job(studio.engine, TrainFreeJob(picture, one, True, 1, 0)),
        "textbook, 4": lambda: textbook(studio, (*photos, *photos, *photos, *photos)[:4], picture),
        "identity, 4": job(studio.unscored, TemplateJob(picture, identity, 4, 0)),
        "identity, 4, scored": job(studio.engine, TemplateJob(picture, identity, 4, 0)),
    }


def textbook(studio: Studio, photos: Sequence[Subject], template: Image) -> list[Image]:
    """One swap a photo, faces found anew: the template's once, each photo's once."""
    target = _mesh(studio, template)
    return [textbook_swap(p.seen.image, _mesh(studio, p.seen.image), template, target) for p in photos]


def _mesh(studio: Studio, image: Image) -> FaceMesh:
    return fit_mesh(studio.models, image, detect_faces(studio.models, image)[0])


def preset_seconds(studio: Studio, photos: Sequence[Subject], rounds: int) -> dict[str, Timing]:
    """Seconds of training, of each preset, and of four ID photos."""
    pictures = [photo.photo for photo in photos]
    identity = studio.engine.train(pictures).identity
    tasks: Tasks = {
        f"training on {len(pictures)}": lambda: studio.unscored.train(pictures),
        f"training on {len(pictures)}, embedded": lambda: studio.engine.train(pictures),
    }
    for style in preset_styles():
        tasks[style.id] = _preset(studio.unscored, PresetJob(style, identity, 1, 0))
    for style_id in ("f_idcard_female", "m_springflower_female"):
        style = next(style for style in preset_styles() if style.id == style_id)
        tasks[f"{style_id}, 4"] = _preset(studio.unscored, PresetJob(style, identity, 4, 0))
        tasks[f"{style_id}, 4, scored"] = _preset(studio.engine, PresetJob(style, identity, 4, 0))
    return in_turns(tasks, rounds)


def _preset(engine: ClassicEngine, job: PresetJob) -> Callable[[], object]:
    return lambda: list(engine.generate(job))


def cold(studio: Studio, photos: Sequence[Path], template: Path, out: Path) -> dict[str, float]:
    """A fresh process: seconds from its start to the first portrait's file, and peak resident memory, MB.

    `first_*`: one photo and one template. `day_*`: then training on all photos and four portraits of every preset.
    """
    script = Path(__file__).with_name("cold.py")
    found = {}
    for name, more in (("first", ()), ("day", ("--day",))):
        command = [sys.executable, str(script), str(studio.folder), str(out), str(template), *map(str, photos), *more]
        start = time.time()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        found[f"{name}_portrait_s"] = told["first_portrait_at"] - start
        found[f"{name}_peak_mb"] = told["peak_mb"]
    return found
