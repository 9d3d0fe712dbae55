"""Figures as tables: 10, 50 and 90 % of each, engine beside textbook, targets beside both."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.table import Table

from presets import ID_STYLES, Framed
from speed import Timing
from swaps import BASELINE, ENGINE, FROM_OTHERS, Swap

METHODS = (ENGINE, FROM_OTHERS, BASELINE)
Values: TypeAlias = Callable[[Swap], Iterable[float | None]]


@dataclass(frozen=True)
class Figure:
    """A figure of a swap, and what it should be."""

    name: str
    of: Values
    target: str = ""
    digits: int = 3


def _named(key: str) -> Values:
    return lambda swap: (swap.figures[key],)


FIGURES = (
    Figure("distance to another photo of the person", lambda s: s.to_others, "50 % 0.23, 90 % 0.29"),
    Figure("distance to the source", lambda s: (s.to_source,), "50 % 0.22, 90 % 0.30"),
    Figure("distance to the template's own person", lambda s: (s.to_template,)),
    Figure("(person to template's person, before)", lambda s: (s.at_start,)),
    Figure("pose error, degrees", _named("pose_worst"), "50 % 2, 90 % 4", 2),
    Figure("  yaw", _named("pose_yaw"), "", 2),
    Figure("  pitch", _named("pose_pitch"), "", 2),
    Figure("  roll", _named("pose_roll"), "", 2),
    Figure("expression error: eyes' opening", _named("eyes_opening")),
    Figure("expression error: mouth's opening", _named("mouth_opening")),
    Figure("expression error: smile", _named("smile")),
    Figure("seam, CIEDE2000", _named("seam"), "50 % 1.0, 90 % 2.0", 2),
    Figure("seam at the face's contour", _named("contour_seam"), "", 2),
    Figure("seam, twice as far apart", _named("wide_seam"), "", 2),
    Figure("face against neck and ears, CIEDE2000", _named("neck"), "50 % 4, 90 % 7", 2),
    Figure("  (in the template itself)", _named("neck_of_template"), "", 2),
    Figure("  tone: beyond the template's own difference", _named("neck_tone"), "", 2),
    Figure("cheeks brighter than the template's, L*", _named("brighter"), "", 1),
    Figure("cheeks yellower than the template's, b*", _named("yellower"), "", 1),
    Figure("sharpness over the template's", _named("sharpness"), "0.8 to 1.25 in 90 %", 2),
    Figure("fine detail over the template's", _named("detail"), "", 2),
)


def spread(values: Sequence[float]) -> dict[str, float]:
    """10, 50 and 90 %."""
    if not values:
        return {}
    return {f"{q}": round(float(np.percentile(values, q)), 4) for q in (10, 50, 90)}


def collected(swaps: Sequence[Swap], figure: Figure) -> list[float]:
    """All values of a figure that there are."""
    return [value for swap in swaps if not swap.failed for value in figure.of(swap) if value is not None]


def counts(swaps: Sequence[Swap]) -> dict[str, float]:
    """What is counted, over the swaps of one method."""
    good = [swap for swap in swaps if not swap.failed]
    in_range = [0.8 <= (swap.figures["sharpness"] or 0.0) <= 1.25 for swap in good]
    unlike = [swap for swap in good if swap.at_start >= 0.6]
    return {
        "pictures": len(swaps),
        "failed": len(swaps) - len(good),
        "nearer to the template's person than to the source": sum(
            swap.to_source is not None and swap.to_template <= swap.to_source for swap in good
        ),
        "nearer to the template's person than to another photo of the person": sum(
            any(swap.to_template <= other for other in swap.to_others) for swap in good
        ),
        "under 0.55 from the template's person, of those 0.6 or more before": sum(s.to_template < 0.55 for s in unlike),
        "  0.6 or more before": len(unlike),
        "with pixels changed outside": sum(bool(swap.figures["outside"]) for swap in good),
        "sharpness within 0.8 to 1.25, share": round(float(np.mean(in_range or [False])), 3),
    }


def of_method(swaps: Sequence[Swap], method: str) -> list[Swap]:
    return [swap for swap in swaps if swap.method == method]


def summary(swaps: Sequence[Swap]) -> dict[str, dict[str, object]]:
    """By method: every figure's spread, and the counts."""
    found: dict[str, dict[str, object]] = {}
    for method in METHODS:
        mine = of_method(swaps, method)
        if mine:
            figures = {figure.name.strip(): spread(collected(mine, figure)) for figure in FIGURES}
            found[method] = {"figures": figures, "counts": counts(mine)}
    return found


def figures_table(swaps: Sequence[Swap]) -> Table:
    """10 / 50 / 90 % by figure and method."""
    table = Table("figure, 10 / 50 / 90 %", *METHODS, "target", title="Person in template")
    for figure in FIGURES:
        cells = [_cell(spread(collected(of_method(swaps, method), figure)), figure.digits) for method in METHODS]
        table.add_row(figure.name, *cells, figure.target)
    return table


def _cell(found: dict[str, float], digits: int) -> str:
    return " / ".join(f"{value:.{digits}f}" for value in found.values()) or "-"


def counts_table(swaps: Sequence[Swap]) -> Table:
    """Counts by method."""
    table = Table("count", *METHODS, title="Counted")
    by_method = [counts(of_method(swaps, method)) for method in METHODS]
    for key in by_method[0]:
        table.add_row(key, *(f"{found[key]:g}" for found in by_method))
    return table


def worst_table(swaps: Sequence[Swap], number: int = 10) -> Table:
    """The engine's pictures farthest from the other photos of the person."""
    table = Table(
        "source", "template", "to others", "to template", "pose", "seam", "neck tone", "sharpness", title="Worst"
    )
    good = [swap for swap in of_method(swaps, ENGINE) if not swap.failed]
    for swap in sorted(good, key=lambda s: -float(np.mean(s.to_others or (0.0,))))[:number]:
        f = {key: value if value is not None else float("nan") for key, value in swap.figures.items()}
        table.add_row(
            swap.source, swap.template, f"{np.mean(swap.to_others or (np.nan,)):.3f}", f"{swap.to_template:.3f}",
            f"{f['pose_worst']:.1f}", f"{f['seam']:.2f}", f"{f['neck_tone']:.1f}", f"{f['sharpness']:.2f}",
        )  # fmt: skip
    return table


def checks_table(framed: Sequence[Framed]) -> Table:
    """ID photo checks: spread and how many passed."""
    photos = [photo for photo in framed if photo.style in ID_STYLES]
    table = Table("ID photo check", "least", "median", "most", "passed", title="ID photos")
    for name in photos[0].figures if photos else ():
        values = [photo.figures[name] for photo in photos if name in photo.figures]
        passed = sum(name not in photo.failed_checks for photo in photos if photo.figures)
        row = (f"{f(values):.2f}" for f in (min, np.median, max))
        table.add_row(name, *row, f"{passed} of {len(photos)}")
    whole = sum(not photo.failed_checks for photo in photos)
    table.add_row("all of them", "", "", "", f"{whole} of {len(photos)}")
    return table


def presets_table(framed: Sequence[Framed]) -> Table:
    """Framing and likeness by preset."""
    table = Table("preset", "pictures", "distance 50 / 90 %", "face width", "eye line", "tilt", title="Presets")
    for style in dict.fromkeys(photo.style for photo in framed):
        mine = [photo for photo in framed if photo.style == style]
        apart = [photo.distance for photo in mine if photo.distance is not None]
        seen = [photo.figures for photo in mine if "tilt, degrees" in photo.figures]
        keys = ("face width, share", "eye line, share from the top", "tilt, degrees")
        cells = [f"{min(f[k] for f in seen):.2f} to {max(f[k] for f in seen):.2f}" if seen else "-" for k in keys]
        likeness = " / ".join(f"{np.percentile(apart, q):.3f}" for q in (50, 90)) if apart else "-"
        table.add_row(style, str(len(mine)), likeness, *cells)
    return table


def seconds_table(seconds: dict[str, Timing], title: str) -> Table:
    """Milliseconds by task, and against the textbook's where it has done as many."""
    table = Table("task", "median ms", "least ms", "share of the textbook's", title=title)
    for name, timing in seconds.items():
        textbook = seconds.get(f"textbook, {4 if ', 4' in name else 1}")
        share = f"{timing.share_of(textbook):.2f}" if textbook else ""
        table.add_row(name, f"{timing.median_s * 1000:.0f}", f"{min(timing.rounds_s) * 1000:.0f}", share)
    return table


def seconds_record(seconds: dict[str, Timing]) -> dict[str, dict[str, object]]:
    """What goes into the JSON file."""
    return {name: {"median_s": t.median_s, "rounds_s": t.rounds_s} for name, t in seconds.items()}


def machine() -> dict[str, object]:
    """Where the figures were seen."""
    packages = ("portraitd", "numpy", "opencv-python-headless", "ai-edge-litert", "dlib-bin")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
