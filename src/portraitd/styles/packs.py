"""Style packs: what an operator adds to a style, one folder per style, named by its id: pictures, and a table of the
diffusion engine."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from portraitd.errors import InvalidImageFormat, SetupError
from portraitd.styles.catalog import Style, StyleCatalog

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def with_packs(catalog: StyleCatalog, folders: Iterable[Path]) -> StyleCatalog:
    """The catalog with what is in `<folder>/<style_id>/` added to their styles.

    Pictures in order of name; the keys of `style.toml`'s `[diffusion]` in place of the style's own.
    A folder need not exist. Raises SetupError for one named after no style: a typing error would go unseen.
    """
    found = {style.id: style for style in catalog}
    for folder in folders:
        for inside in sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")):
            if inside.name not in found:
                raise SetupError(f"{inside}: no style is called {inside.name}; see `portraitd styles list`")
            style = _with_table(found[inside.name], inside / "style.toml")
            found[inside.name] = replace(style, templates=style.templates + _pictures(inside))
    return StyleCatalog(found)


def add_to_pack(folder: Path, style_id: str, pictures: Iterable[Path]) -> tuple[Path, ...]:
    """Where the pictures were copied to. Raises SetupError for a file that is no picture; then none is copied."""
    from portraitd import images

    pictures = tuple(pictures)
    for picture in pictures:
        try:
            images.probe(picture.read_bytes())
        except (OSError, InvalidImageFormat) as error:
            raise SetupError(f"{picture}: cannot be read as a picture") from error
    into = folder / style_id
    into.mkdir(parents=True, exist_ok=True)
    return tuple(Path(shutil.copyfile(picture, into / picture.name)) for picture in pictures)


def _with_table(style: Style, file: Path) -> Style:
    """The style with the keys of the file's `[diffusion]` table, if there is a file; it may have nothing else."""
    if not file.is_file():
        return style
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{file}: {error}") from error
    table = raw.get("diffusion")
    if set(raw) != {"diffusion"} or not isinstance(table, dict):
        raise SetupError(f"{file}: a style pack's may have a table [diffusion] and nothing else")
    folder = file.parent if "lora" in table else style.diffusion_folder
    return replace(style, diffusion={**style.diffusion, **table}, diffusion_folder=folder)


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES)
