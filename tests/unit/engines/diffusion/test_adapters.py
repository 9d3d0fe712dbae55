"""A LoRA is worn for one picture: it changes that one, and nobody is ever seen in another's."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person
from portraitd.errors import AlgorithmFailed
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein


@pytest.fixture
def klein(tiny_folder: Path, tiny_klein: Klein) -> Klein:
    """A model of its own that no test has painted anybody with yet."""
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0)
    return load_klein(ModelChoice(tiny_folder, "cpu"), sizes)


def _lora(klein: Klein, seed: int, rank: int = 4) -> bytes:
    from tests.fakes.loras import random_lora

    return random_lora(klein._painting.transformer, seed, rank)


def _paint(klein: Klein, lora: bytes | None) -> Image:
    return klein.paint([Draft("a portrait", 7)], Person(lora=lora))[0]


def test_nobody_is_seen_in_another_s_picture(klein: Klein, tiny_klein: Klein) -> None:
    """In every order of two people and none, each picture is, bit for bit, that of a model which knows no one else."""
    loras = {"nobody": None, "one": _lora(klein, 1), "two": _lora(klein, 2)}
    alone = {"nobody": _paint(tiny_klein, None)}
    for name in ("one", "two"):
        klein.adapters.forget()
        alone[name] = _paint(klein, loras[name])
    assert len({picture.tobytes() for picture in alone.values()}) == 3
    for order in permutations(loras):
        for name in (*order, *order):
            assert np.array_equal(_paint(klein, loras[name]), alone[name]), (order, name)


def test_a_picture_that_fails_leaves_the_bare_model(klein: Klein, monkeypatch: pytest.MonkeyPatch) -> None:
    bare, lora = _paint(klein, None), _lora(klein, 1)

    def broken(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("broken on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(klein._painting.scheduler, "step", broken)
        with pytest.raises(RuntimeError):
            _paint(klein, lora)
    assert np.array_equal(_paint(klein, None), bare)


def test_both_ways_of_painting_wear_it(klein: Klein) -> None:
    from portraitd.engines.diffusion.crop import FaceCrop
    from portraitd.faces.mesh import FaceMesh
    from portraitd.faces.shape import mean_face

    picture = np.random.default_rng(9).integers(0, 256, (128, 128, 3), np.uint8)
    mesh = FaceMesh((mean_face().points * 20 + np.array([64, 60, 0])).astype(np.float32), 1.0)
    crop, reference, lora = FaceCrop.of(picture, mesh, 64), picture[:64, :64], _lora(klein, 1)
    bare, worn, again = (
        klein.repaint(crop, [Draft("the face", 7)], Person((reference,), worn))[0] for worn in (None, lora, None)
    )
    assert np.array_equal(bare, again)
    assert not np.array_equal(bare, worn)


def test_of_many_people_a_few_are_kept_unpacked(klein: Klein, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(klein.adapters.people, "_kept", 2)
    people = [_lora(klein, seed) for seed in range(4)]
    first = [_paint(klein, lora) for lora in people]
    assert list(klein.adapters.people.unpacked) == people[2:]
    assert all(np.array_equal(_paint(klein, lora), picture) for lora, picture in zip(people, first, strict=True))


def test_loras_of_different_ranks_take_turns(klein: Klein) -> None:
    thin, thick = _lora(klein, 1, rank=2), _lora(klein, 2, rank=8)
    first = {lora: _paint(klein, lora) for lora in (thin, thick)}
    assert all(np.array_equal(_paint(klein, lora), picture) for lora, picture in reversed(first.items()))


def test_after_forgetting_there_is_nothing_of_anybody(klein: Klein) -> None:
    bare = _paint(klein, None)
    _paint(klein, _lora(klein, 1))
    klein.adapters.forget()
    assert not [name for name, _ in klein._painting.transformer.named_parameters() if "lora" in name]
    assert np.array_equal(_paint(klein, None), bare)


def test_diffusers_itself_reads_the_file_and_paints_the_same(klein: Klein, tiny_folder: Path, tmp_path: Path) -> None:
    import torch
    from diffusers import Flux2KleinPipeline

    lora = _lora(klein, 1)
    (tmp_path / "lora.safetensors").write_bytes(lora)
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    made = pipeline(
        prompt="a portrait",
        width=64,
        height=96,
        num_inference_steps=2,
        guidance_scale=1.0,
        generator=torch.Generator("cpu").manual_seed(7),
        output_type="np",
    )
    assert np.array_equal(np.rint(made.images[0] * 255).astype(np.uint8), _paint(klein, lora))


def test_the_card_says_what_it_is_of(klein: Klein) -> None:
    from portraitd.engines.diffusion.lora import read_card

    card = read_card(_lora(klein, 1))
    assert (card["model"], card["name"], card["rank"]) == ("klein-4b", "ohwx person", 4)


def _broken(klein: Klein) -> dict[str, bytes]:
    import torch
    from safetensors.torch import save

    from tests.fakes.loras import random_lora, random_tensors

    transformer = klein._painting.transformer
    tensors = random_tensors(transformer, 1)
    name = next(name for name in tensors if name.endswith("lora_A.weight"))
    card = {"portraitd": json.dumps({"format": 1, "model": "klein-4b"})}

    def saved(changed: dict[str, torch.Tensor], prefix: str = "transformer.") -> bytes:
        return save({prefix + key: value.contiguous() for key, value in changed.items()}, card)

    return {
        "no file": b"no safetensors",
        "cut short": random_lora(transformer, 1)[:-9],
        "no card": save({"transformer." + key: value for key, value in tensors.items()}),
        "another model's": random_lora(transformer, 1, model="z-image"),
        "of the text encoder": saved(tensors, "text_encoder."),
        "of a layer that is not there": saved({name.replace("to_q", "to_r"): tensors[name]}),
        "half a pair": saved({key: value for key, value in tensors.items() if key != name}),
        "too wide": saved(tensors | {name: torch.zeros(4, 99)}),
        "of two ranks": saved(tensors | {name: torch.zeros(5, tensors[name].shape[1])}),
        "not a number": saved(tensors | {name: torch.full_like(tensors[name], torch.nan)}),
    }


def test_what_is_no_lora_of_this_model_is_refused_and_changes_nothing(klein: Klein) -> None:
    bare, good = _paint(klein, None), _lora(klein, 5)
    worn = _paint(klein, good)
    for what, data in _broken(klein).items():
        with pytest.raises(AlgorithmFailed):
            _paint(klein, data)
        assert np.array_equal(_paint(klein, None), bare), what
        assert np.array_equal(_paint(klein, good), worn), what
