"""Seconds, engine and textbook in turns in one process, and a fresh process for cold start and memory."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from baseline import textbook_swap
from portraitd.engines.base import Job, PresetJob, TemplateJob, TrainFreeJob
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.images import Image, Size
from portraitd.styles.catalog import Style
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


class Sitters:
    """Trained people who take turns in each engine, so that no job finds what the last one left of the same person."""

    def __init__(self, studio: Studio, groups: Sequence[Sequence[Subject]]) -> None:
        self.studio = studio
        #: Photos of the person with the most.
        self.photos = max(groups, key=len)
        trained = [studio.engine.train([s.photo for s in group]).identity for group in (*groups, self.photos[:1])[:2]]
        self._turns = {engine: itertools.cycle(trained) for engine in (studio.engine, studio.unscored)}

    def task(self, job: Callable[[bytes], Job], *, scored: bool = False) -> Callable[[], object]:
        """Does the job for whoever's turn it is."""
        engine = self.studio.engine if scored else self.studio.unscored
        return lambda: list(engine.generate(job(next(self._turns[engine]))))


def template_seconds(sitters: Sitters, templates: Sequence[Subject], rounds: int) -> dict[str, Timing]:
    """Seconds for portraits of 768 x 1024, by task; the rounds of all templates."""
    found: dict[str, Timing] = {}
    for template in templates:
        for name, timing in in_turns(_template_tasks(sitters, portrait_sized(template)), rounds).items():
            before = found[name].rounds_s if name in found else ()
            found[name] = Timing(before + timing.rounds_s)
    return found


def _template_tasks(sitters: Sitters, picture: Image) -> Tasks:
    photos = sitters.photos
    four = (photos * 4)[:4]
    numbers = itertools.count()

    def unseen() -> Image:
        """The picture, one of its pixels new: the engine remembers the templates of its last jobs."""
        picture[0, 0] = tuple(next(numbers).to_bytes(3, "big"))
        return picture

    def of_identity(count: int, *, scored: bool = False) -> Callable[[], object]:
        return sitters.task(lambda identity: TemplateJob(unseen(), identity, count, 0), scored=scored)

    def seen_before(count: int) -> Callable[[], object]:
        again = picture.copy()
        return sitters.task(lambda identity: TemplateJob(again, identity, count, 0))

    def of_photo(*, retouch: bool, scored: bool = False) -> Callable[[], object]:
        return sitters.task(lambda _: TrainFreeJob(unseen(), (photos[0].photo,), retouch, 1, 0), scored=scored)

    return {
        "textbook, 1": lambda: textbook(sitters.studio, photos[:1], picture),
        "identity, 1": of_identity(1),
        "identity, 1, template seen before": seen_before(1),
        "photo, 1": of_photo(retouch=False),
        "photo, 1, retouched": of_photo(retouch=True),
        "identity, 1, scored": of_identity(1, scored=True),
        "photo, 1, retouched, scored": of_photo(retouch=True, scored=True),
        "textbook, 4": lambda: textbook(sitters.studio, four, picture),
        "identity, 4": of_identity(4),
        "identity, 4, template seen before": seen_before(4),
        "identity, 4, scored": of_identity(4, scored=True),
    }


def textbook(studio: Studio, photos: Sequence[Subject], template: Image) -> list[Image]:
    """One swap a photo, faces found anew: the template's once, each photo's once."""
    target = _mesh(studio, template)
    return [textbook_swap(p.seen.image, _mesh(studio, p.seen.image), template, target) for p in photos]


def _mesh(studio: Studio, image: Image) -> FaceMesh:
    return fit_mesh(studio.models, image, detect_faces(studio.models, image)[0])


def preset_seconds(sitters: Sitters, pack: Sequence[Path], rounds: int) -> dict[str, Timing]:
    """Seconds of training, of each preset, of four ID photos and spring gardens, and of presets in a pack's clothes."""
    studio, pictures = sitters.studio, [photo.photo for photo in sitters.photos]
    tasks: Tasks = {
        f"training on {len(pictures)}": lambda: studio.unscored.train(pictures),
        f"training on {len(pictures)}, embedded": lambda: studio.engine.train(pictures),
    }

    def preset(style: Style, count: int, *, scored: bool = False) -> Callable[[], object]:
        return sitters.task(lambda identity: PresetJob(style, identity, count, 0), scored=scored)

    for style in preset_styles():
        tasks[style.id] = preset(style, 1)
    for style in preset_styles():
        if style.id in ("f_idcard_female", "m_springflower_female"):
            tasks[f"{style.id}, 4"] = preset(style, 4)
            tasks[f"{style.id}, 4, scored"] = preset(style, 4, scored=True)
    for style in preset_styles():
        if style.id in ("f_idcard_female", "f_business_female"):
            packed = replace(style, templates=tuple(pack))
            tasks[f"{style.id}, pack"] = preset(packed, 1)
            tasks[f"{style.id}, pack, 4"] = preset(packed, 4)
    return in_turns(tasks, rounds)


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
