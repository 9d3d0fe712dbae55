"""A style's classic table: the built-in ones are right, wrong ones are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from portraitd.engines.classic.presets.recipe import IdPhotoRecipe, SceneRecipe, outfit_of, read_recipe, without_outfits
from portraitd.errors import SetupError
from portraitd.styles.catalog import Mode, Style, load_catalog

LOOK = {"light": {"key_deg": 90}}
LIGHT = {
    "key_deg": 120, "key": 0.2, "key_colour": "#ffffff", "rim": 1.0, "rim_deg": 30, "rim_colour": "#ffffff", "skin": 0.4
}  # fmt: skip
SUIT = {"jacket": "#202020", "shirt": "#ffffff"}
SCENE = {"kind": "scene", "scene": "autumn_wood", "light": LIGHT, "looks": [LOOK]}


def _style(classic: dict[str, Any]) -> Style:
    return Style("some_style", "名", "name", Mode.PRESET, classic)


def test_every_preset_has_four_choices() -> None:
    for style in load_catalog():
        if style.mode is Mode.PRESET:
            recipe = read_recipe(style)
            choices = recipe.backdrops if isinstance(recipe, IdPhotoRecipe) else recipe.looks
            assert len(choices) == 4, style.id


def test_a_look_changes_the_common_light() -> None:
    recipe = read_recipe(_style(SCENE))
    assert isinstance(recipe, SceneRecipe)
    assert recipe.looks[0].light.key_deg == 90
    assert recipe.looks[0].light.skin == 0.4


@pytest.mark.parametrize(
    ("classic", "named"),
    [
        ({}, "kind"),
        ({"kind": "oil"}, "kind"),
        ({"kind": "idphoto", "backdrops": ["#ffffff"], "size": 3}, "size"),
        ({"kind": "idphoto"}, "backdrops"),
        ({"kind": "idphoto", "backdrops": []}, "backdrops"),
        ({"kind": "idphoto", "backdrops": ["white"]}, "backdrops[0]"),
        ({"kind": "idphoto", "backdrops": ["#ffffff"], "retouch": "much"}, "retouch"),
        ({**SCENE, "scene": "moon"}, "scene"),
        ({**SCENE, "particles": "bees"}, "particles"),
        ({**SCENE, "looks": []}, "looks"),
        ({**SCENE, "looks": [{"zoom": 2}]}, "zoom"),
        ({**SCENE, "looks": [{"glow_at": [0.5]}]}, "glow_at"),
        ({**SCENE, "light": {"key": 0.2}}, "key_colour"),
        ({**SCENE, "light": {**LIGHT, "lamp": 1}}, "lamp"),
        ({**SCENE, "grade": {"haze": 1}}, "haze"),
        ({**SCENE, "light": 3}, "light"),
        ({"kind": "idphoto", "backdrops": ["#ffffff"], "outfits": [{"jacket": "#000000"}]}, "outfits[0].shirt"),
        ({"kind": "idphoto", "backdrops": ["#ffffff"], "outfits": [{**SUIT, "tie": "red"}]}, "outfits[0].tie"),
        ({**SCENE, "outfits": [{**SUIT, "hat": "#000000"}]}, "hat"),
        ({**SCENE, "outfits": SUIT}, "outfits"),
    ],
)
def test_a_bad_table_is_refused_by_name(classic: dict[str, Any], named: str) -> None:
    with pytest.raises(SetupError) as caught:
        read_recipe(_style(classic))
    assert "some_style/style.toml" in caught.value.message
    assert named in caught.value.message


def test_formal_styles_have_clothes_and_others_have_none() -> None:
    for style in load_catalog():
        if style.mode is Mode.PRESET:
            outfits = read_recipe(style).outfits
            assert bool(outfits) == (style.id.split("_")[1] in {"idcard", "business"}), style.id
            assert all((outfit.tie is not None) == style.id.endswith("_male") for outfit in outfits)


def test_a_tie_may_be_left_out() -> None:
    recipe = read_recipe(_style({**SCENE, "outfits": [SUIT, {**SUIT, "tie": "#ff0000"}]}))
    plain, tied = recipe.outfits
    assert plain.tie is None
    assert plain.shirt == pytest.approx((1, 1, 1))
    assert tied.tie == pytest.approx((1, 0, 0))


def test_outfits_take_turns() -> None:
    recipe = read_recipe(_style({**SCENE, "outfits": [SUIT, {**SUIT, "tie": "#ff0000"}]}))
    assert [outfit_of(recipe.outfits, number) for number in range(4)] == [*recipe.outfits] * 2
    assert outfit_of((), 3) is None


def test_a_style_can_leave_people_as_they_are() -> None:
    style = _style({**SCENE, "outfits": [SUIT]})
    assert read_recipe(without_outfits(style)).outfits == ()
    assert read_recipe(without_outfits(_style(SCENE))) == read_recipe(_style(SCENE))
    assert "outfits" in style.classic
