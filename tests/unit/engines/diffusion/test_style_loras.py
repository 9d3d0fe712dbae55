"""A style's LoRA is worn with the person's, counts as its weight says, and is in no other style's picture."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person, StyleLora
from portraitd.errors import SetupError
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    import torch

    from portraitd.engines.diffusion.klein import Klein


@pytest.fixture
def klein(tiny_folder: Path, tiny_klein: Klein) -> Klein:
    """A model of its own that has painted in no style yet."""
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0)
    return load_klein(ModelChoice(tiny_folder, "cpu"), sizes)


def _tensors(klein: Klein, seed: int, rank: int = 4) -> dict[str, torch.Tensor]:
    from tests.fakes.loras import random_tensors

    named = random_tensors(klein._painting.transformer, seed, rank)
    return {f"transformer.{name}": value for name, value in named.items()}


def _file(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Path:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    return path


def _person(klein: Klein, seed: int) -> bytes:
    from tests.fakes.loras import random_lora

    return random_lora(klein._painting.transformer, seed)


def _paint(klein: Klein, person: bytes | None, style: StyleLora | None) -> Image:
    return klein.paint([Draft("a portrait", 7)], Person(lora=person), style)[0]


def test_no_style_is_seen_in_another_s_picture_nor_in_anybody_s(klein: Klein, tmp_path: Path) -> None:
    """In every order of people, styles, both and neither: bit for bit what a model paints that knows nothing else."""
    person = _person(klein, 1)
    # The second has other ranks and other matrices than the first.
    second = {name: value for name, value in _tensors(klein, 3, rank=2).items() if "single" in name}
    first = StyleLora(_file(tmp_path / "first.safetensors", _tensors(klein, 2)))
    styles = (None, first, StyleLora(_file(tmp_path / "second.safetensors", second), 0.5))
    cases = [(who, style) for who in (None, person) for style in styles][1:]
    alone = {(None, None): _paint(klein, None, None)}
    for case in cases:
        klein.adapters.forget()
        alone[case] = _paint(klein, *case)
    assert len({picture.tobytes() for picture in alone.values()}) == 6
    klein.adapters.forget()
    for order in list(permutations(alone))[::37]:
        for case in order:
            assert np.array_equal(_paint(klein, *case), alone[case]), (order, case)


def test_a_file_is_read_once(klein: Klein, tmp_path: Path) -> None:
    style = StyleLora(_file(tmp_path / "look.safetensors", _tensors(klein, 2)))
    picture = _paint(klein, None, style)
    style.path.unlink()
    assert np.array_equal(_paint(klein, None, None), _paint(klein, None, None))
    assert np.array_equal(_paint(klein, None, style), picture)


def test_the_weight_is_how_often_the_numbers_count(klein: Klein, tmp_path: Path) -> None:
    """Half of it is a LoRA of half the size; alpha, where diffusers writes it down, counts as well."""
    tensors = _tensors(klein, 2)
    halved = {name: value * 0.5 if ".lora_B." in name else value for name, value in tensors.items()}
    settings = json.dumps({"transformer.r": 4, "transformer.lora_alpha": 2})
    whole, half, noted = (
        _file(tmp_path / f"{name}.safetensors", *content)
        for name, content in {
            "whole": (tensors,),
            "half": (halved,),
            "noted": (tensors, {"lora_adapter_metadata": settings}),
        }.items()
    )
    expected = _paint(klein, None, StyleLora(half))
    assert np.array_equal(_paint(klein, None, StyleLora(whole, 0.5)), expected)
    assert np.array_equal(_paint(klein, None, StyleLora(noted)), expected)
    assert not np.array_equal(_paint(klein, None, StyleLora(whole)), expected)


def test_the_names_of_other_tools_are_understood(klein: Klein, tmp_path: Path) -> None:
    place = "single_transformer_blocks.0.attn.to_qkv_mlp_proj"
    pair = {which: _tensors(klein, 2)[f"transformer.{place}.lora_{which}.weight"] for which in "AB"}
    ours = {f"transformer.{place}.lora_{which}.weight": value for which, value in pair.items()}
    theirs = {f"diffusion_model.single_blocks.0.linear1.lora_{which}.weight": v for which, v in pair.items()}
    pictures = [
        _paint(klein, None, StyleLora(_file(tmp_path / f"{number}.safetensors", tensors)))
        for number, tensors in enumerate((ours, theirs))
    ]
    assert np.array_equal(*pictures)
    assert not np.array_equal(pictures[0], _paint(klein, None, None))


def test_what_does_not_fit_is_refused_by_file_and_key_and_changes_nothing(klein: Klein, tmp_path: Path) -> None:
    import torch

    tensors = _tensors(klein, 2)
    name = next(name for name in tensors if name.endswith("lora_A.weight"))
    twisted = {"lora_adapter_metadata": json.dumps({"transformer.use_rslora": True})}
    broken = {
        "of another layer": ({name.replace("to_q", "to_r"): tensors[name]}, None, "to_r"),
        "half a pair": ({key: value for key, value in tensors.items() if key != name}, None, "lora_B"),
        "too wide": (tensors | {name: torch.zeros(4, 99)}, None, r"lora_[AB]\.weight does not fit"),
        "not a number": (tensors | {name: torch.full_like(tensors[name], torch.nan)}, None, "numbers that are none"),
        "of the text encoder": ({"text_encoder.x.lora_A.weight": tensors[name]}, None, "text_encoder.x.lora_A.weight"),
        "of nothing": ({}, None, "no tensors"),
        "scaled otherwise": (tensors, twisted, "use_rslora"),
    }
    person = _person(klein, 1)
    bare, worn = _paint(klein, None, None), _paint(klein, person, None)
    for what, (content, metadata, named) in broken.items():
        file = _file(tmp_path / f"{what}.safetensors", content, metadata)
        with pytest.raises(SetupError, match=named) as caught:
            _paint(klein, person, StyleLora(file))
        assert str(file) in caught.value.message
        assert np.array_equal(_paint(klein, None, None), bare), what
        assert np.array_equal(_paint(klein, person, None), worn), what
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04no safetensors")
    with pytest.raises(SetupError, match=r"pickle\.safetensors: cannot be read"):
        _paint(klein, None, StyleLora(tmp_path / "pickle.safetensors"))
