"""A style's diffusion table: the built-in ones are right, wrong ones are refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portraitd import wiring
from portraitd.engines.diffusion.painter import StyleLora
from portraitd.engines.diffusion.prompt import LONGEST, read_prompt
from portraitd.errors import SetupError
from portraitd.settings import load_settings
from portraitd.styles.catalog import Mode, Style, load_catalog
from portraitd.styles.packs import with_packs


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
        ({"prompt": "x", "choices": ["red"], "lora_weight": 1}, "diffusion.lora_weight: there is no lora"),
        ({"prompt": "x", "choices": ["red"], "lora": 3}, "diffusion.lora: must be"),
        ({"prompt": "x", "choices": ["red"], "lora": "look.bin"}, "diffusion.lora: must be"),
        ({"prompt": "x", "choices": ["red"], "lora": "../look.safetensors"}, "diffusion.lora: must be"),
        ({"prompt": "x", "choices": ["red"], "lora": "/srv/look.safetensors"}, "diffusion.lora: must be"),
        ({"prompt": "x", "choices": ["red"], "lora": "a/look.safetensors"}, "diffusion.lora: must be"),
        ({"prompt": "x", "choices": ["red"], "lora": "l.safetensors"}, r"diffusion.lora: l\.safetensors is missing"),
        ({"prompt": "x", "choices": ["red"], "lora": "l.safetensors", "lora_weight": 0}, "diffusion.lora_weight"),
        ({"prompt": "x", "choices": ["red"], "lora": "l.safetensors", "lora_weight": 2.1}, "diffusion.lora_weight"),
        ({"prompt": "x", "choices": ["red"], "lora": "l.safetensors", "lora_weight": True}, "diffusion.lora_weight"),
        ({"prompt": "x", "choices": ["red"], "lora": "l.safetensors", "lora_weight": float("nan")}, "lora_weight"),
    ],
)
def test_a_bad_table_is_refused_by_name(table: dict[str, Any], named: str) -> None:
    with pytest.raises(SetupError, match=named) as caught:
        read_prompt(_style(table))
    assert "some_style/style.toml" in caught.value.message


#: A safetensors file without tensors.
EMPTY = (2).to_bytes(8, "little") + b"{}"


def _pack(folder: Path, table: str) -> Path:
    inside = folder / "f_business_female"
    inside.mkdir(parents=True)
    (inside / "style.toml").write_text(table)
    return inside


def test_the_lora_lies_beside_the_table_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "look.safetensors").write_bytes(EMPTY)
    table = {"prompt": "A portrait.", "choices": ["Red."], "lora": "look.safetensors"}
    style = replace(_style(table), diffusion_folder=tmp_path)
    assert read_prompt(style).lora == StyleLora(tmp_path / "look.safetensors", 1.0)
    (tmp_path / "look.safetensors").write_bytes(EMPTY + b"too long")
    with pytest.raises(SetupError, match=r"some_style/style\.toml: diffusion\.lora: .*look\.safetensors is cut short"):
        read_prompt(style)


def test_a_pack_gives_a_style_a_lora_and_leaves_its_prompt(tmp_path: Path) -> None:
    inside = _pack(tmp_path / "pack", '[diffusion]\nlora = "look.safetensors"\nlora_weight = 0.8\n')
    (inside / "look.safetensors").write_bytes(EMPTY)
    own = load_catalog()
    style = with_packs(own, (tmp_path / "pack",)).get("f_business_female")
    assert read_prompt(style).lora == StyleLora(inside / "look.safetensors", 0.8)
    assert read_prompt(style).choices == read_prompt(own.get("f_business_female")).choices
    # Another pack may change the prompt; the LoRA stays where it is.
    _pack(tmp_path / "other", '[diffusion]\nprompt = "Something else."\n')
    both = with_packs(own, (tmp_path / "pack", tmp_path / "other")).get("f_business_female")
    assert read_prompt(both).lora == read_prompt(style).lora
    assert read_prompt(both).prompt == "Something else."


@pytest.mark.parametrize("table", ["[diffusion\n", 'name = "x"\n', "[diffusion]\n[classic]\n", "diffusion = 3\n", ""])
def test_a_pack_s_table_with_anything_else_in_it_is_refused(tmp_path: Path, table: str) -> None:
    _pack(tmp_path, table)
    with pytest.raises(SetupError, match=r"f_business_female/style\.toml"):
        with_packs(load_catalog(), (tmp_path,))


def test_a_wrong_table_stops_the_start_of_the_engine_that_reads_it(tmp_path: Path) -> None:
    _pack(tmp_path / "pack", '[diffusion]\nlora = "look.safetensors"\n')
    values = {"PORTRAITD_HOME": str(tmp_path / "home"), "PORTRAITD_STYLE_PACKS": str(tmp_path / "pack")}
    wiring.styles_of(load_settings(values))
    with pytest.raises(SetupError, match=r"look\.safetensors is missing"):
        wiring.styles_of(load_settings(values | {"PORTRAITD_ENGINE": "diffusion"}))
