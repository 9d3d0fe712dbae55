"""Style packs: pictures that an operator adds to a style, one folder per style, named by its id."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from portraitd.errors import InvalidImageFormat, SetupError
from portraitd.styles.catalog import StyleCatalog

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def with_packs(catalog: StyleCatalog, folders: Iterable[Path]) -> StyleCatalog:
    """The catalog with the pictures in `<folder>/<style_id>/` added to their styles, in order of name.

    A folder need not exist. Raises SetupError for one named after no style: a typing error would go unseen.
    """
    found = {style.id: style for style in catalog}
    for folder in folders:
        for inside in sorted(path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")):
            if inside.name not in found:
                raise SetupError(f"{inside}: no style is called {inside.name}; see `portraitd styles list`")
            style = found[inside.name]
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


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES)
