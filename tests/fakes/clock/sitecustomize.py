"""Python imports this by itself where its folder is on PYTHONPATH: the time of day goes by what a file says.

The file that FAKE_CLOCK names holds how many seconds the clock is ahead; it is looked at with each call.
"""

import os
import time

_real = time.time


def _time() -> float:
    try:
        with open(os.environ["FAKE_CLOCK"]) as file:  # noqa: PTH123 - every call passes here
            return _real() + float(file.read() or 0)
    except FileNotFoundError:
        return _real()


if "FAKE_CLOCK" in os.environ:
    time.time = _time
