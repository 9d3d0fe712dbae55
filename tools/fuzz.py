#!/usr/bin/env python3
"""Look for input that a parser of portraitd cannot take: `tools/fuzz.py [--seconds N] [TARGET ...]`.

Each target of tests/fuzz/targets.py runs in a process of its own, from its corpus on, with atheris (pip install --group
fuzz). What breaks one is written to fuzz-findings/; minimised, it belongs into tests/fuzz/corpus/<target>/.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
FINDINGS = ROOT / "fuzz-findings"
#: Longest input in bytes: long ones find nothing that short ones do not, and take their time.
LONGEST = 4096


def run_one(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris

    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    with atheris.instrument_imports(include=["portraitd", "PIL", "zipfile", "multipart", "starlette.formparsers"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def run_apart(name: str, seconds: int) -> str:
    """What is wrong with one target, fuzzed in a process of its own; "" where nothing is."""
    with tempfile.TemporaryDirectory() as grown:
        options = [grown, str(CORPUS / name), f"-max_total_time={seconds}", f"-max_len={LONGEST}"]
        options += [f"-artifact_prefix={FINDINGS}/{name}-", "-timeout=20", "-rss_limit_mb=2048", "-verbosity=0"]
        done = subprocess.run(  # noqa: S603 - this file
            [sys.executable, __file__, "--one", name, "--", *options], capture_output=True, text=True, check=False
        )
    return f"FAILED\n{done.stdout}{done.stderr[-6000:]}" if done.returncode else ""


def run_all(names: list[str], seconds: int) -> int:
    """How many targets failed. As many run at once as there are processors: each keeps one busy."""
    FINDINGS.mkdir(exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as apart:
        found = apart.map(run_apart, names, [seconds] * len(names))
        wrong = []
        for name, what in zip(names, found, strict=True):
            print(f"{name}: {what or 'nothing found'}", flush=True)
            wrong += [name] if what else []
    if not any(FINDINGS.iterdir()):
        FINDINGS.rmdir()
    return len(wrong)


def main() -> None:
    targets = sorted(path.name for path in CORPUS.iterdir())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=targets, help=", ".join(targets))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.one:
        run_one(wanted.one, wanted.targets)
    else:
        sys.exit(run_all(wanted.targets, wanted.seconds))


if __name__ == "__main__":
    main()
