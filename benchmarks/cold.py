"""A fresh worker's first portrait, and its memory; started by speed.py. Prints one line of JSON.

Usage: python cold.py WEIGHTS OUT TEMPLATE PHOTO [PHOTO ...] [--day]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    from portraitd.engines.base import Photo, PresetJob, TrainFreeJob
    from portraitd.engines.classic.engine import ClassicEngine
    from portraitd.faces.models import FaceModels
    from portraitd.images import decode, encode_jpeg

    day = "--day" in sys.argv
    weights, out, template, *files = (Path(a) for a in sys.argv[1:] if a != "--day")
    engine = ClassicEngine(FaceModels(weights))
    photos = tuple(Photo(file.stem, decode(file.read_bytes())) for file in files)
    job = TrainFreeJob(decode(template.read_bytes()), photos[:1], True, 1, 0)
    for outcome in engine.generate(job):
        out.mkdir(parents=True, exist_ok=True)
        (out / "cold.jpg").write_bytes(encode_jpeg(outcome.image))
    first = time.time()
    if day:
        from portraitd.styles.catalog import Mode, load_catalog

        identity = engine.train(photos).identity
        for style in load_catalog():
            if style.mode is Mode.PRESET:
                for _ in engine.generate(PresetJob(style, identity, 4, 0)):
                    pass
    print(json.dumps({"first_portrait_at": first, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """Most resident memory this process has had."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count the parent's memory too, from before this program was loaded
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere


if __name__ == "__main__":
    main()
