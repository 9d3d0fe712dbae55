"""FLUX.2 [klein]'s real classes, tiny: loading from a folder, both ways of painting, seeds, prompts."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.people import People
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.painter import Draft, ModelChoice, Person, load_painter
from portraitd.errors import SetupError
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Image

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein


def _noise(seed: int, side: int = 64) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def _person(*references: Image) -> Person:
    return Person(references)


@pytest.fixture(scope="module")
def crop() -> FaceCrop:
    mesh = FaceMesh((mean_face().points * 20 + np.array([64, 60, 0])).astype(np.float32), 1.0)
    return FaceCrop.of(_noise(9, 128), mesh, 64)


def test_a_portrait_depends_on_its_seed_its_prompt_and_its_references(tiny_klein: Klein) -> None:
    picture = tiny_klein.paint([Draft("a portrait", 7)], _person(_noise(1)))[0]
    assert picture.shape == (96, 64, 3)
    assert picture.dtype == np.uint8
    tiny_klein.paint([Draft("something else in between", 8)], _person(_noise(2)))[0]
    assert np.array_equal(tiny_klein.paint([Draft("a portrait", 7)], _person(_noise(1)))[0], picture)
    assert not np.array_equal(tiny_klein.paint([Draft("a portrait", 8)], _person(_noise(1)))[0], picture)
    assert not np.array_equal(tiny_klein.paint([Draft("a landscape", 7)], _person(_noise(1)))[0], picture)
    assert not np.array_equal(tiny_klein.paint([Draft("a portrait", 7)], _person(_noise(2)))[0], picture)
    assert not np.array_equal(tiny_klein.paint([Draft("a portrait", 7)], _person())[0], picture)


def test_a_portrait_can_be_judged(tiny_klein: Klein, face_models: FaceModels) -> None:
    """The recogniser takes no picture whose pixels lie otherwise than a picture's do, and raised a TypeError."""
    picture = tiny_klein.paint([Draft("a portrait", 7)], Person())[0]
    mesh = FaceMesh((mean_face().points * 10 + np.array([32, 40, 0])).astype(np.float32), 1.0)
    identity = Identity((view_of("1.jpg", _noise(1), mesh, 0.5),), mean_face().points, np.zeros(128, np.float32))
    assert People(face_models).likeness(identity, picture, mesh) is not None


def test_a_repainted_face_shows_every_reference(tiny_klein: Klein, crop: FaceCrop) -> None:
    """One picture with m references: each of them counts, none is paired off or dropped."""
    for count in range(1, 6):
        references = tuple(_noise(10 + number) for number in range(count))
        picture = tiny_klein.repaint(crop, [Draft("the face", 7)], Person(references))[0]
        assert picture.shape == (64, 64, 3)
        assert np.array_equal(tiny_klein.repaint(crop, [Draft("the face", 7)], Person(references))[0], picture)
        for changed in range(count):
            others = (*references[:changed], _noise(99), *references[changed + 1 :])
            assert not np.array_equal(tiny_klein.repaint(crop, [Draft("the face", 7)], Person(others))[0], picture), (
                count,
                changed,
            )


def test_a_face_is_painted_over_what_it_starts_from(tiny_klein: Klein, crop: FaceCrop) -> None:
    """Each start gives another picture, and is still to be seen in it: three quarters of it are noise."""
    drafts, person = [Draft("the face", 7)], _person(_noise(1))
    black, white = (
        tiny_klein.repaint(crop.started_from(np.full((128, 128, 3), grey, np.uint8)), drafts, person)[0]
        for grey in (0, 255)
    )
    bare = tiny_klein.repaint(crop, drafts, person)[0]
    assert not any(np.array_equal(one, other) for one, other in ((black, white), (black, bare), (white, bare)))


def test_a_prompt_is_encoded_once(tiny_klein: Klein, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    encode = tiny_klein._painting.encode_prompt

    def counted(*args: object, **kwargs: object) -> object:
        calls.extend(str(arg) for arg in (*args, *kwargs.values()) if isinstance(arg, str))
        return encode(*args, **kwargs)

    monkeypatch.setattr(tiny_klein._painting, "encode_prompt", counted)
    first = tiny_klein.paint([Draft("a prompt not seen before", 1)], _person(_noise(1)))[0]
    assert np.array_equal(tiny_klein.paint([Draft("a prompt not seen before", 1)], _person(_noise(1)))[0], first)
    assert calls.count("a prompt not seen before") == 1


def test_the_model_says_what_it_runs_on(tiny_klein: Klein) -> None:
    said = "FLUX.2 [klein] on the processor, cpu; learns nobody: without PORTRAITD_DIFFUSION_TRAINING_MODEL "
    assert tiny_klein.runs_on.startswith(said)


def test_the_benchmark_s_random_model_is_of_the_published_size() -> None:
    """By the sizes of the published files; their headers and the VAE's few counters are the difference."""
    import torch

    import portraitd.weights.models
    from tests.fakes.tiny_klein import published_networks

    listing = Path(portraitd.weights.models.__file__).parent / "klein-4b.toml"
    files = tomllib.loads(listing.read_text())["files"]
    with torch.device("meta"):
        networks = dict(zip(("vae", "text_encoder", "transformer"), published_networks(), strict=True))
    for part, network in networks.items():
        mine = 2 * sum(parameter.numel() for parameter in network.parameters())
        theirs = [file["bytes"] for name, file in files.items() if re.fullmatch(rf"{part}/.*\.safetensors", name)]
        assert 0 <= sum(theirs) - mine < 100_000, part


@pytest.fixture
def copy(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "copy"))


def test_shards_load_as_one_file_does(copy: Path, tiny_klein: Klein) -> None:
    from diffusers import Flux2Transformer2DModel

    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0)
    whole = load_klein(ModelChoice(copy, "cpu"), sizes)  # its own, for the one of all tests may wear LoRAs
    model = Flux2Transformer2DModel.from_pretrained(copy, subfolder="transformer", local_files_only=True)
    (copy / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    model.save_pretrained(copy / "transformer", max_shard_size="100KB")
    assert len(list((copy / "transformer").glob("*.safetensors"))) > 1
    again = load_klein(ModelChoice(copy, "cpu"), sizes)
    numbers = whole._painting.transformer.state_dict()
    loaded = again._painting.transformer.state_dict()
    assert loaded.keys() == numbers.keys()
    assert all(loaded[name].equal(number) for name, number in numbers.items())
    expected = whole.paint([Draft("a portrait", 7)], _person(_noise(1)))[0]
    found = again.paint([Draft("a portrait", 7)], _person(_noise(1)))[0]
    # Sums may be rounded otherwise where the same numbers lie at other places in memory.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def test_code_in_the_folder_is_never_run(copy: Path, tmp_path: Path, tiny_klein: Klein) -> None:
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    trap = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    for place in ("pipeline.py", "transformer/model.py", "text_encoder/modeling_qwen3.py", "tokenizer/tokens.py"):
        (copy / place).write_text(trap)
    config = json.loads((copy / "text_encoder" / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_qwen3.Qwen3ForCausalLM", "AutoConfig": "modeling_qwen3.X"}
    (copy / "text_encoder" / "config.json").write_text(json.dumps(config))
    sizes = KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0)
    load_klein(ModelChoice(copy, "cpu"), sizes).paint([Draft("a portrait", 7)], _person(_noise(1)))[0]
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_their_config_are_refused(copy: Path) -> None:
    config = json.loads((copy / "transformer" / "config.json").read_text())
    config["num_attention_heads"] = 4
    (copy / "transformer" / "config.json").write_text(json.dumps(config))
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    with pytest.raises(SetupError, match="cannot be loaded"):
        load_klein(ModelChoice(copy, "cpu"), KleinSizes(room_bytes=0))


@pytest.mark.parametrize(
    "file", ["transformer/diffusion_pytorch_model", "text_encoder/model", "vae/diffusion_pytorch_model"]
)
def test_weights_that_lack_a_tensor_are_refused(copy: Path, file: str) -> None:
    """The libraries would fill it with random numbers and carry on."""
    from safetensors.torch import load_file, save_file

    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    path = copy / f"{file}.safetensors"
    tensors = load_file(path)
    gone = next(name for name in sorted(tensors) if name.endswith(".weight") and name != "lm_head.weight")
    del tensors[gone]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(SetupError, match=f"lack {re.escape(gone)}"):
        load_klein(ModelChoice(copy, "cpu"), KleinSizes(room_bytes=0))


def test_short_memory_is_refused_before_loading(tiny_folder: Path) -> None:
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    with pytest.raises(SetupError, match="GiB free on the machine"):
        load_klein(ModelChoice(tiny_folder, "cpu"), KleinSizes(room_bytes=2**60))


def test_each_part_goes_on_to_the_card_before_the_next_comes(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all of them would be in the machine's memory at once, which asks it for twice what it has to hold."""
    import torch

    from portraitd.engines.diffusion import klein_parts
    from portraitd.engines.diffusion.klein_files import check_klein

    load, loaded = klein_parts.load_network, list[torch.nn.Module]()

    def one_more(*asked: Any) -> Any:
        assert {number.device.type for network in loaded for number in network.parameters()} <= {"meta"}
        loaded.append(load(*asked))
        return loaded[-1]

    monkeypatch.setattr(klein_parts, "load_network", one_more)
    for narrow in (False, True):
        loaded.clear()
        klein_parts.load_parts(check_klein(ModelChoice(tiny_folder))[0], torch.bfloat16, narrow, "meta")
        assert len(loaded) == 3
        assert {number.device.type for network in loaded for number in network.parameters()} == {"meta"}


def test_the_table_loads_the_model_by_name(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"model_index\.json is missing"):
        load_painter(ModelChoice(tmp_path, "cpu"))
