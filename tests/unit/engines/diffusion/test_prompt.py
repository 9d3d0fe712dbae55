"""A style's diffusion table: the built-in ones are right, wrong ones are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from portraitd.engines.diffusion.prompt import LONGEST, read_prompt
from portraitd.errors import SetupError
from portraitd.styles.catalog import Mode, Style, load_catalog


def _style(diffusion: dict[str, Any]) -> Style:
    return Style("some_style", "名", "name", Mode.PRESET, {}, diffusion=diffusion)


def test_every_preset_has_four_choices() -> None:
    presets = [style for style in load_catalog() if style.mode is Mode.PRESET]
    assert len(presets) == 10
    for style in presets:
        prompts = {read_prompt(style).for_seed(seed) for seed in range(4)}
        assert len(prompts) == 4, style.id


def test_the_seed_picks_the_choice() -> None:
    prompt = read_prompt(_style({"prompt": "A portrait.", "choices": ["Red.", "Blue."]}))
    assert [prompt.for_seed(seed) for seed in (4, 5)] == ["A portrait. Red.", "A portrait. Blue."]


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({}, "diffusion.choices"),
        ({"prompt": "x", "choices": []}, "diffusion.choices"),
        ({"prompt": "x", "choices": "red"}, "diffusion.choices"),
        ({"prompt": "x", "choices": ["red", 3]}, r"diffusion.choices\[1\]"),
        ({"prompt": "x", "choices": [" "]}, r"diffusion.choices\[0\]"),
        ({"choices": ["red"]}, "diffusion.prompt"),
        ({"prompt": "x" * (LONGEST + 1), "choices": ["red"]}, "diffusion.prompt"),
        ({"prompt": "x", "choices": ["red"], "promt": "y"}, "promt"),
    ],
)
def test_a_bad_table_is_refused_by_name(table: dict[str, Any], named: str) -> None:
    with pytest.raises(SetupError, match=named) as caught:
        read_prompt(_style(table))
    assert "some_style/style.toml" in caught.value.message
