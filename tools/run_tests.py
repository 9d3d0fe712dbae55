#!/usr/bin/env python3
"""Run the whole test suite, rooms side by side: `tools/run_tests.py`; with arguments, one pytest with these.

Some rooms wait for databases and other processes, mostly, and some compute: one pytest more than there are processors
keeps these busy. Each room has a pytest of its own, whose databases, ports and servers are its own too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
PYTEST = [sys.executable, "-m", "pytest"]
#: Longest first, so that none is left alone at the end. What is not named here is one more room.
ROOMS = (
    "tests/crash/test_kill.py",
    "tests/ports",
    "tests/sdk",
    "tests/crash/test_webhooks.py",
    "tests/crash/test_outages.py",
    "tests/crash/test_stop.py",
    "tests/e2e",
    "tests/unit/engines/diffusion",
    "tests/crash/test_erase.py",
    "tests/pixels",
    "tests/api",
)
#: More at once would be more than PostgreSQL has connections for, as it comes.
MOST_AT_ONCE = 4
#: What pytest says where there are no tests at all, as those that follow processes are for Linux alone.
NO_TESTS = 5
PASSED = {0} if sys.platform == "linux" else {0, NO_TESTS}


@dataclass(frozen=True)
class Running:
    """A room's tests on their way, and what they print."""

    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    began: float


def all_rooms() -> list[tuple[str, list[str]]]:
    """Names of the rooms, and what pytest is told for each."""
    rest = [word for room in ROOMS for word in ("--ignore", room)]
    return [(room, [room]) for room in ROOMS] + [("the rest", rest)]


def start(name: str, arguments: Sequence[str]) -> Running:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with its room
    # The services that tests start, dozens of them, would each compile the whole source anew.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(  # noqa: S603 - pytest, and names from above
        [*PYTEST, *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C reaches it through `stop` alone: a second interrupt would cut off what takes its servers down.
        process_group=0,
    )
    return Running(name, process, log, time.monotonic())


def ended(running: Running) -> bool:
    """Prints what a room has to say, and whether its tests passed."""
    running.log.seek(0)
    print(running.log.read().decode("utf-8", "replace"), end="")
    running.log.close()
    passed = running.process.returncode in PASSED
    seconds = time.monotonic() - running.began
    print(f"{running.name}: {'passed' if passed else 'FAILED'} after {seconds:.0f} s\n", flush=True)
    return passed


def run_all(at_once: int) -> list[str]:
    """The rooms that failed."""
    waiting = all_rooms()
    running: list[Running] = []
    failed: list[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                running.append(start(*waiting.pop(0)))
            for room in [room for room in running if room.process.poll() is not None]:
                running.remove(room)
                failed += [] if ended(room) else [room.name]
            time.sleep(0.2)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience must leave none of them behind
        stop(running)
    return failed


def stop(running: Sequence[Running]) -> None:
    """Interrupt the rooms: they take down the servers that they started, and tell how far they came."""
    for room in running:
        room.process.send_signal(signal.SIGINT)
    for room in running:
        room.process.wait()
        ended(room)


def main() -> None:
    if sys.argv[1:]:
        os.execv(PYTEST[0], [*PYTEST, *sys.argv[1:]])  # noqa: S606 - pytest
    # Both are handled, as pytest handles them, also where a shell had them ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        failed = run_all(min((os.cpu_count() or 1) + 1, MOST_AT_ONCE))
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"FAILED: {', '.join(failed)}" if failed else "all tests passed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
