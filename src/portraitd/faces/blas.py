"""Matrix products on the calling thread alone.

OpenBLAS, which numpy brings along, shares every product of more than 64 x 64 x 64 among as many threads as the machine
has cores, and its threads wait for each other by spinning. Where the cores are shared with others, a chain of small
products so takes ten times as long as on one thread.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: What the numpy of the package index, of the distributions and of conda call OpenBLAS's two functions.
_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")

_lock = threading.Lock()
_users = 0
_threads_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, numpy's matrix products run on one thread; without OpenBLAS it does nothing.

    The number is the process's, not the thread's: it comes back when the last of several users at once has left.
    """
    global _users, _threads_before  # noqa: PLW0603 - the library's own number is global
    found = _openblas()
    if found is None:
        yield
        return
    read, write = found
    with _lock:
        if _users == 0:
            _threads_before = read()
            write(1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                write(_threads_before)


@functools.cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The two functions that read and write OpenBLAS's number of threads, if numpy is built with it."""
    try:
        library = ctypes.CDLL(str(importlib.import_module("numpy._core._multiarray_umath").__file__))
    except (ImportError, OSError):
        return None
    for name in _NAMES:
        try:
            read, write = library[name.format("get")], library[name.format("set")]
        except AttributeError:
            continue
        read.restype, write.argtypes, write.restype = ctypes.c_int, [ctypes.c_int], None
        return read, write
    return None
