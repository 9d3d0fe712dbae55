"""A model's folder is looked over before anything of it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portraitd.engines.diffusion.folder import Part, check_folder
from portraitd.errors import SetupError

PARTS = (
    Part("scheduler", ("Clock",), ("scheduler_config.json",)),
    Part("net", ("Net",), ("config.json",), "model"),
)
INDEX = {"_class_name": "Pipe", "scheduler": ["diffusers", "Clock"], "net": ["diffusers", "Net"]}


def _safetensors(values: bytes) -> bytes:
    header = json.dumps({"x": {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, len(values)]}}).encode()
    return len(header).to_bytes(8, "little") + header + values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model_index.json").write_text(json.dumps(INDEX))
    for part, file in (("scheduler", "scheduler_config.json"), ("net", "config.json")):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / file).write_text("{}")
    (tmp_path / "net" / "model.safetensors").write_bytes(_safetensors(bytes(100)))
    return tmp_path


def _shard(folder: Path, weight_map: Any) -> None:
    weights = folder / "net" / "model.safetensors"
    weights.rename(folder / "net" / "model-00001-of-00002.safetensors")
    (folder / "net" / "model-00002-of-00002.safetensors").write_bytes(_safetensors(bytes(7)))
    (folder / "net" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_a_whole_folder_is_taken(folder: Path) -> None:
    checked = check_folder(folder, PARTS, "Pipe")
    assert checked.weight_bytes == {"net": (folder / "net" / "model.safetensors").stat().st_size}


def test_weights_may_come_in_shards(folder: Path) -> None:
    _shard(folder, {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"})
    files = sum(file.stat().st_size for file in (folder / "net").glob("*.safetensors"))
    assert check_folder(folder, PARTS, "Pipe").weight_bytes == {"net": files}


def _remove(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def _write(name: str, data: bytes) -> Any:
    return lambda folder: (folder / name).write_bytes(data)


def _pickle_instead(folder: Path) -> None:
    (folder / "net" / "model.safetensors").rename(folder / "net" / "pytorch_model.bin")


WRONG = [
    (_remove("model_index.json"), "model_index.json is missing"),
    (_remove("scheduler/scheduler_config.json"), "scheduler_config.json is missing"),
    (_pickle_instead, "only weights as safetensors are read"),
    (_write("model_index.json", b"[]"), "expected a table"),
    (_write("model_index.json", b"{"), "cannot be read"),
    (_write("model_index.json", json.dumps({**INDEX, "_class_name": "Other"}).encode()), "is for 'Other'"),
    (_write("model_index.json", json.dumps({**INDEX, "net": ["evil", "Run"]}).encode()), "expected Net"),
    (_write("model_index.json", json.dumps({**INDEX, "net": "Net"}).encode()), "expected Net"),
    (_write("net/model.safetensors", _safetensors(bytes(100))[:-1]), "cut short"),
    (_write("net/model.safetensors", _safetensors(bytes(100)) + b"x"), "too long"),
    (_write("net/model.safetensors", b""), "is broken"),
    (_write("net/model.safetensors", b"\xff" * 40), "is broken"),
    (_write("net/model.safetensors", (4).to_bytes(8, "little") + b"[[]]"), "is broken"),
    (lambda folder: _shard(folder, {"a": "model-00001-of-00002.safetensors", "b": "gone.safetensors"}), "is missing"),
    (lambda folder: _shard(folder, {"a": "../model.safetensors"}), "outside its folder"),
    (lambda folder: _shard(folder, {}), "no weight_map"),
]


@pytest.mark.parametrize(("spoil", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_folder_is_refused_in_words(folder: Path, spoil: Any, said: str) -> None:
    spoil(folder)
    with pytest.raises(SetupError) as caught:
        check_folder(folder, PARTS, "Pipe")
    assert said in caught.value.message


def test_no_folder_is_refused_by_the_setting_s_name(tmp_path: Path) -> None:
    for path in (None, tmp_path / "nowhere"):
        with pytest.raises(SetupError, match="PORTRAITD_DIFFUSION_MODEL"):
            check_folder(path, PARTS, "Pipe")
