"""Every preset for every person: ID photo checks, framing, likeness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from measures import Seen, see
from portraitd.engines.base import Portrait, PresetJob
from portraitd.engines.classic.presets.framing import CHEEK_SIDES, roll_of
from portraitd.engines.classic.presets.idchecks import id_checks
from portraitd.faces.embed import distance
from portraitd.images import Floats, Image
from portraitd.styles.catalog import Mode, Style, load_catalog
from subjects import Studio

ID_STYLES = ("f_idcard_female", "f_idcard_male")


@dataclass(frozen=True)
class Framed:
    """One preset portrait and what was measured on it."""

    style: str
    person: str
    seed: int
    image: Image
    #: Identity distance to the person's mean embedding; None where no face was found.
    distance: float | None
    #: Figures by name; for ID photos every check, with its limits.
    figures: dict[str, float]
    failed_checks: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def preset_styles() -> tuple[Style, ...]:
    """The ten presets."""
    return tuple(style for style in load_catalog() if style.mode is Mode.PRESET)


@dataclass(frozen=True)
class Sitter:
    """A trained person."""

    name: str
    identity: bytes
    #: (128,) mean embedding of the photos.
    mean: Floats


def make(studio: Studio, style: Style, sitter: Sitter, count: int) -> Iterator[Framed]:
    """`count` choices of a style, measured."""
    for outcome in studio.unscored.generate(PresetJob(style, sitter.identity, count, 0)):
        if not isinstance(outcome, Portrait):
            raise outcome.error
        key = (style.id, sitter.name, outcome.seed, outcome.image)
        seen = see(studio.models, outcome.image)
        if seen is None:
            yield Framed(*key, None, {}, ("face found",))
            continue
        apart = distance(studio.embed(seen), sitter.mean)
        checks = id_checks(seen.image, seen.mesh) if style.id in ID_STYLES else ()
        failed = tuple(found.check.value for found in checks if not found.passed)
        yield Framed(*key, apart, {found.check.value: found.value for found in checks} or framing(seen), failed)


def framing(seen: Seen) -> dict[str, float]:
    """Where the face stands in the picture: shares of its width and height, degrees."""
    height, width = seen.image.shape[:2]
    xy, eyes = seen.mesh.xy, seen.mesh.eye_centres.mean(axis=0)
    return {
        "face width, share": float(xy[CHEEK_SIDES[1], 0] - xy[CHEEK_SIDES[0], 0]) / width,
        "eye line, share from the top": float(eyes[1]) / height,
        "middle of the eyes, share from the left": float(eyes[0]) / width,
        "tilt, degrees": roll_of(xy),
    }
