"""Engines that need no weights, good and broken ones. The style of a job says what becomes of it.

Used in this process through `instant()`, and in others through PORTRAITD_ENGINE=engines:instant with this folder on
PYTHONPATH; `judge` then replaces the face check too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portraitd.engines.base import Failure, Job, LeftOut, Photo, Portrait, PresetJob, Progress, Trained, Training
from portraitd.errors import InvalidImageFormat, NoHumanFace, PortraitdError
from portraitd.images import Image
from portraitd.portraits.photos import Purpose

#: Seconds per picture of the slow style.
SLOW_S = float(os.environ.get("FAKE_ENGINE_SLOW_S", "0.3"))

RAISES = "m_springflower_female"
EXITS = "f_business_male"
FAILS_EVERY_SECOND = "f_summersport_female"
BREAKS_AFTER_ONE = "f_autumnleaf_female"
KILLS_ITS_PROCESS = "f_hongkongvintage_female"
HANGS = "m_winterchinese_female"
SLOW = "f_lightportray_female"


class Instant:
    """Flat pictures whose colour is their seed's."""

    name = "instant"

    def __init__(self, trainings: Path | None = None, runs: Path | None = None) -> None:
        #: Files that get this process's id at each training and each generation, if given: they outlive a kill.
        self._trainings = trainings
        self._runs = runs

    def warm(self) -> None:
        """Nothing to load."""

    def train(self, photos: Sequence[Photo]) -> Trained:
        """The identity is the photos' mean colour; a black photo has no face."""
        _note_pid(self._trainings)
        used = tuple(photo for photo in photos if photo.image.any())
        left_out = tuple(LeftOut(photo.name, NoHumanFace()) for photo in photos if not photo.image.any())
        if not used:
            raise left_out[0].error
        mean = np.mean([photo.image.mean(axis=(0, 1)) for photo in used], axis=0)
        return Trained(mean.astype(np.uint8).tobytes(), tuple(photo.name for photo in used), left_out)

    def training(self, photos: Sequence[Photo]) -> Training:
        """In two steps."""
        yield Progress(0.5)
        yield self.train(photos)

    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        style = job.style.id if isinstance(job, PresetJob) else ""
        _note_pid(self._runs)
        for number in range(job.count):
            _misbehave(style, number)
            job.beat()
            if style == FAILS_EVERY_SECOND and number % 2:
                yield Failure(InvalidImageFormat())
            else:
                seed = job.seed + number
                yield Portrait(flat((seed % 256, seed // 256 % 256, 128)), seed, None)


def _note_pid(path: Path | None) -> None:
    if path:
        with path.open("a") as log:
            log.write(f"{os.getpid()}\n")


def _misbehave(style: str, number: int) -> None:
    if style == RAISES or (style == BREAKS_AFTER_ONE and number == 1):
        raise RuntimeError("broken on purpose")
    if style == EXITS:
        sys.exit(17)
    if style == KILLS_ITS_PROCESS:
        os._exit(17)
    if style == HANGS:
        time.sleep(3600)
    if style == SLOW:
        time.sleep(SLOW_S)


def flat(colour: tuple[int, int, int]) -> Image:
    """(1024, 768, 3) of one colour."""
    return np.full((1024, 768, 3), colour, np.uint8)


def instant(_models: object = None) -> Instant:
    logs = [os.environ.get(f"FAKE_ENGINE_{name}") for name in ("TRAININGS", "RUNS")]
    return Instant(*[Path(log) if log else None for log in logs])


@dataclass(frozen=True)
class Opinion:
    reason: str = ""
    error: PortraitdError | None = None


def judge(image: Image, _purpose: Purpose) -> Opinion:
    """A black picture has no face, every other has one."""
    return Opinion() if image.any() else Opinion("no face detected", NoHumanFace())
