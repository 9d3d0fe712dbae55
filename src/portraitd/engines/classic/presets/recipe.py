"""A style's `[classic]` table, read and checked: unknown keys, wrong types and bad colours are refused by name."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from portraitd.engines.classic.presets.clothes.tailor import Outfit
from portraitd.engines.classic.presets.compose import Light
from portraitd.engines.classic.presets.grade import Grade
from portraitd.engines.classic.presets.scenes.paint import Colour, colour
from portraitd.errors import SetupError
from portraitd.styles.catalog import Style

SCENES = ("spring_garden", "running_track", "autumn_wood", "chinese_winter", "hong_kong_night", "bright_room")
PARTICLES = ("none", "petals", "leaves", "snow")


@dataclass(frozen=True)
class IdPhotoRecipe:
    """An even backdrop, one colour a choice, and the standard's geometry."""

    backdrops: tuple[Colour, ...]
    #: Strength of the skin retouch, 0 to 1.
    retouch: float = 0.8
    #: Drawn onto who wears nothing formal; none: they keep what they wear.
    outfits: tuple[Outfit, ...] = ()


@dataclass(frozen=True)
class Look:
    """One choice of a studio or scene style."""

    light: Light
    #: Width of the face, px of the 768 px wide portrait, and where its middle is.
    face_px: float = 230.0
    centre_x: float = 384.0
    #: Room above the hair, px.
    headroom: float = 110.0
    #: Studio only: the backdrop's colour where its lamp shines, and away from it; where that is, shares of the picture.
    glow: Colour = (0.2, 0.2, 0.2)
    edge: Colour = (0.02, 0.02, 0.02)
    glow_at: tuple[float, float] = (0.5, 0.45)


@dataclass(frozen=True)
class SceneRecipe:
    """A rendered backdrop (or "studio"), and the looks a customer can choose from."""

    scene: str
    looks: tuple[Look, ...]
    grade: Grade = field(default_factory=Grade)
    particles: str = "none"
    retouch: float = 0.5
    #: Drawn onto who wears nothing formal, look by look; none: they keep what they wear.
    outfits: tuple[Outfit, ...] = ()


Recipe: TypeAlias = IdPhotoRecipe | SceneRecipe


def read_recipe(style: Style) -> Recipe:
    """The style's recipe; raises SetupError naming the style's file and the key."""
    table = dict(style.classic)
    where = f"{style.id}/style.toml: classic"
    kind = table.pop("kind", None)
    if kind == "idphoto":
        return _nonempty(_build(IdPhotoRecipe, table, where), "backdrops", where)
    if kind == "scene":
        recipe = _build(SceneRecipe, _with_common_light(table, where), where)
        if recipe.scene not in (*SCENES, "studio"):
            raise SetupError(f"{where}.scene: no scene {recipe.scene!r}")
        if recipe.particles not in PARTICLES:
            raise SetupError(f"{where}.particles: no particles {recipe.particles!r}")
        return _nonempty(recipe, "looks", where)
    raise SetupError(f"{where}.kind: must be 'idphoto' or 'scene', not {kind!r}")


def without_outfits(style: Style) -> Style:
    """The style with everybody in what they wear."""
    return replace(style, classic={key: value for key, value in style.classic.items() if key != "outfits"})


def outfit_of(outfits: Sequence[Outfit], number: int) -> Outfit | None:
    """One of the outfits, in turn; None where there are none."""
    return outfits[number % len(outfits)] if outfits else None


_R = typing.TypeVar("_R", IdPhotoRecipe, SceneRecipe)
_T = typing.TypeVar("_T")


def _nonempty(recipe: _R, key: str, where: str) -> _R:
    if not getattr(recipe, key):
        raise SetupError(f"{where}.{key}: is empty")
    return recipe


def _with_common_light(table: dict[str, Any], where: str) -> dict[str, Any]:
    """The table with its `light` laid under every look's own."""
    common = table.pop("light", {})
    looks = table.get("looks", [])
    if not isinstance(common, Mapping) or not all(isinstance(look, Mapping) for look in looks):
        raise SetupError(f"{where}: light and looks must be tables")
    table["looks"] = [{**look, "light": {**common, **look.get("light", {})}} for look in looks]
    return table


def _build(kind: type[_T], table: Mapping[str, Any], where: str) -> _T:
    """A dataclass from a table of its fields."""
    hints = typing.get_type_hints(kind)
    fields = {entry.name: entry for entry in dataclasses.fields(typing.cast(Any, kind))}
    unknown = set(table) - set(fields)
    if unknown:
        raise SetupError(f"{where}: unknown keys {sorted(unknown)}")
    for name, entry in fields.items():
        missing = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if missing and name not in table:
            raise SetupError(f"{where}.{name}: is missing")
    return kind(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in table.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    """`value` as the type a field asks for."""
    if isinstance(kind, types.UnionType):  # what may be left out
        kind = typing.get_args(kind)[0]
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _build(typing.cast(type[Any], kind), value, where)
    if isinstance(kind, types.GenericAlias) and typing.get_origin(kind) is tuple:
        return _tuple(typing.get_args(kind), value, where)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, str):
        return value
    raise SetupError(f"{where}: {value!r} is no {getattr(kind, '__name__', kind)}")


def _tuple(parts: tuple[Any, ...], value: Any, where: str) -> Any:
    if parts == (float, float, float) and isinstance(value, str):
        return _colour(value, where)
    if not isinstance(value, list):
        raise SetupError(f"{where}: {value!r} is no list")
    if parts[-1] is Ellipsis:
        return tuple(_value(parts[0], entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if len(value) != len(parts):
        raise SetupError(f"{where}: must have {len(parts)} entries")
    return tuple(_value(part, entry, where) for part, entry in zip(parts, value, strict=True))


def _colour(value: str, where: str) -> Colour:
    try:
        if len(value) == 7 and value.startswith("#"):
            return colour(value)
    except ValueError:
        pass
    raise SetupError(f"{where}: {value!r} is no colour like '#438edb'")
