"""Styles are data: `<style_id>/style.toml`, read and checked at start-up."""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portraitd.errors import InvalidStyle, SetupError

BUILT_IN = Path(__file__).parent


class Mode(enum.Enum):
    """What a style needs: PRESET an identity; TEMPLATE an identity and a template; TRAIN_FREE a template and photos."""

    PRESET = "preset"
    TEMPLATE = "template"
    TRAIN_FREE = "train_free"


@dataclass(frozen=True)
class Style:
    """One style of the contract, with its recipe for each engine."""

    id: str
    #: The contract's Chinese name and ours in English.
    name: str
    english: str
    mode: Mode
    #: The classic engine's recipe (its own keys, checked by that engine), empty for template modes.
    classic: Mapping[str, Any]
    #: Pictures of a style pack that serve this style, possibly none.
    templates: tuple[Path, ...] = ()
    #: What the diffusion engine paints, checked by that engine too.
    diffusion: Mapping[str, Any] = field(default_factory=dict)
    #: Where the files lie that the diffusion table names; None for a style that was read from no file.
    diffusion_folder: Path | None = None


class StyleCatalog:
    """All styles by id."""

    def __init__(self, styles: Mapping[str, Style]) -> None:
        self._styles = dict(styles)

    def get(self, style_id: str) -> Style:
        """The style; raises InvalidStyle."""
        if style_id not in self._styles:
            raise InvalidStyle
        return self._styles[style_id]

    def __iter__(self) -> Iterator[Style]:
        return iter(self._styles.values())


_KEYS = {"name", "english", "mode", "classic", "diffusion"}


def read_style(folder: Path) -> Style:
    """The style described by `folder/style.toml`; raises SetupError that names the file and what is wrong in it."""
    path = folder / "style.toml"
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        unknown = set(raw) - _KEYS
        if unknown:
            raise SetupError(f"{path}: unknown keys {sorted(unknown)}")
        return Style(
            folder.name,
            raw["name"],
            raw["english"],
            Mode(raw["mode"]),
            raw.get("classic", {}),
            diffusion=raw.get("diffusion", {}),
            diffusion_folder=folder,
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise SetupError(f"{path}: {error}") from error


def load_catalog(folder: Path = BUILT_IN) -> StyleCatalog:
    """Every `<style_id>/style.toml` below `folder`; raises SetupError on the first bad one."""
    found = (read_style(path.parent) for path in sorted(folder.glob("*/style.toml")))
    return StyleCatalog({style.id: style for style in found})
