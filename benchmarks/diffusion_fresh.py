"""A fresh process' first portrait; started by diffusion.py, which looks at the clock when a line comes.

Usage: python diffusion_fresh.py MODEL [--tier TIER] [--compile WHEN] [--card-gib N] [--tiny]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from portraitd.engines.diffusion.klein import KleinSizes, load_klein
from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person
from portraitd.engines.diffusion.tune import TuningPlan
from portraitd.images import Size
from small_card import pretend_card

#: Sizes of a model that shows no more than that the benchmark runs.
TINY = KleinSizes(
    Size(96, 128),
    crop_px=128,
    reference_px=64,
    large_crop_px=128,
    steps=4,
    room_bytes=0,
    tuning=TuningPlan(side_px=64, picture_bytes=1),
)
_MARK = "done: "


def fresh_seconds(arguments: Sequence[str]) -> dict[str, float]:
    """Seconds since a new process was started, by what it had done then."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        marks = [(line, time.perf_counter() - started) for line in process.stdout if line.startswith(_MARK)]
    if process.returncode:
        raise SystemExit(f"{__file__} ended with {process.returncode}")
    return {line.removeprefix(_MARK).strip(): since for line, since in marks}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--tier", default="auto")
    parser.add_argument("--compile", default="auto")
    parser.add_argument("--card-gib", type=float)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    _tell("torch and the rest imported")
    if args.card_gib:
        pretend_card(args.card_gib)
    if args.tiny:
        torch.set_num_threads(1)
    klein = load_klein(ModelChoice(args.model, args.tier, compile=args.compile), TINY if args.tiny else None)
    _tell("the model loaded, and rehearsed where compiled")
    reference = np.zeros((klein.reference_px, klein.reference_px, 3), np.uint8)
    klein.paint([Draft("A portrait.", 1)], Person((reference,)))
    _tell("the first portrait painted")


def _tell(what: str) -> None:
    print(f"{_MARK}{what}", flush=True)


if __name__ == "__main__":
    main()
