"""How much memory is free for a model: on the card, and in the machine or the container that this process is in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from portraitd.engines.diffusion.placement import Memory

#: Where Linux says which control groups this process is in, and where their limits are.
_MEMBERSHIP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def free_memory() -> Memory:
    """What is free now. Imports torch, which takes seconds, and makes this process one that uses the card."""
    import psutil
    import torch

    card = None
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        used = torch.cuda.memory_allocated()
        # What torch holds without using it is free for us; it may have been told to take no more than a share.
        share = getattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)()
        card = min(free + torch.cuda.memory_reserved() - used, int(share * total) - used)
    free = psutil.virtual_memory().available
    return Memory(card, min([free, *_free_in_groups(_MEMBERSHIP, _GROUPS)]))


@dataclass(frozen=True)
class _Files:
    """What a kind of control groups calls its files."""

    limit: str
    used: str
    #: Rows of memory.stat: what of it the kernel gives back when asked, copies of files in the main.
    spare: tuple[str, ...]


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_V2 = _Files("memory.max", "memory.current", ("inactive_file", "active_file"))


def _free_in_groups(membership: Path, groups: Path) -> Iterator[int]:
    """Bytes that each of the control groups with a limit has left; nothing where there are none.

    A container's limit stands there, and psutil does not know it: who goes beyond is killed without a word.
    """
    try:
        lines = membership.read_text("utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if not kinds:
            yield from _free_upwards(groups, path, _V2)
        elif "memory" in kinds.split(","):
            yield from _free_upwards(groups / "memory", path, _V1)


def _free_upwards(root: Path, path: str, files: _Files) -> Iterator[int]:
    """Of the group and of those around it, whose limits hold too. Within a container only the root may be in sight."""
    folder = root / path.strip("/")
    for group in (folder, *folder.parents):
        if (free := _free_in(group, files)) is not None:
            yield free
        if group == root:
            return


def _free_in(group: Path, files: _Files) -> int | None:
    try:
        limit = (group / files.limit).read_text("ascii").strip()
        used = int((group / files.used).read_text("ascii"))
        rows = dict(row.split(maxsplit=1) for row in (group / "memory.stat").read_text("ascii").splitlines())
    except OSError:
        return None
    if limit == "max":
        return None
    return max(0, int(limit) - used + sum(int(rows.get(name, 0)) for name in files.spare))
