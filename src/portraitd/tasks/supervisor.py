"""Worker processes as children: started, started again when they die, and stopped together."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)

#: Pause before a child that died at once is started again, in seconds; doubled each time up to the longest.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
#: A child that lived this long is taken to have started well.
_HEALTHY_S = 20.0
_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    """One place for a worker, and the process that fills it now."""

    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause_s: float = _FIRST_PAUSE_S


@dataclass
class Brood:
    """`count` processes of one command. Call `tend` often, from the thread that made it, and `stop` at the end."""

    command: Sequence[str]
    count: int
    _children: list[_Child] = field(default_factory=list)

    def tend(self) -> None:
        """Start the processes that are not running, each after its pause."""
        self._children = self._children or [_Child() for _ in range(self.count)]
        for child in self._children:
            self._tend(child)

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            lived_s = now - child.started_at
            child.pause_s = _FIRST_PAUSE_S if lived_s > _HEALTHY_S else min(child.pause_s * 2, _LONGEST_PAUSE_S)
            child.start_again_at = now + child.pause_s
            _log.warning(
                "worker %d ended with status %d; next one in %.0f s",
                child.process.pid,
                child.process.returncode,
                child.pause_s,
            )
            child.process = None
        if child.process is None and now >= child.start_again_at:
            # A session of its own: Ctrl-C in the terminal reaches the parent alone, which then stops its children.
            child.process = subprocess.Popen(self.command, start_new_session=True)  # noqa: S603 - our own command
            child.started_at = now

    def stop(self, patience_s: float) -> None:
        """Ask all processes to end, and end those that have not after `patience_s` seconds."""
        running = [child.process for child in self._children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + patience_s
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("worker %d did not stop in time and is killed", process.pid)
                process.kill()
                process.wait()


def follow_parent(parent_pid: int, stop: threading.Event) -> None:
    """Have this process told to stop (SIGTERM) when its parent dies, or at once if it has died already."""
    if sys.platform == "linux":
        # The parent starts children from its main thread, so that its thread's death is its own.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:
            stop.set()
        return
    threading.Thread(target=_watch_parent, args=(parent_pid, stop), daemon=True, name="parent-watch").start()


def _watch_parent(parent_pid: int, stop: threading.Event) -> None:
    while os.getppid() == parent_pid:
        time.sleep(0.5)
    stop.set()
