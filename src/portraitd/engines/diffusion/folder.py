"""A model's folder, looked over before anything of it is loaded: whole, of the right kind, safetensors only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitd.errors import SetupError

#: A safetensors file begins with its header's length; the format allows headers of 100 MB at most.
_LENGTH_BYTES = 8
_MOST_HEADER = 100_000_000


@dataclass(frozen=True)
class Part:
    """One component of a model: its folder and what must be in there."""

    name: str
    #: What model_index.json calls it; any of these.
    classes: tuple[str, ...]
    files: tuple[str, ...]
    #: The weights' file, without ".safetensors"; None for a part without weights.
    weights: str | None = None


@dataclass(frozen=True)
class CheckedFolder:
    """A folder that holds a whole model."""

    path: Path
    #: What model_index.json says.
    index: Mapping[str, Any]
    #: Bytes of weights by the part's name.
    weight_bytes: Mapping[str, int]


def named_folder(path: Path | None, setting: str = "PORTRAITD_DIFFUSION_MODEL") -> Path:
    """The folder, which exists; raises SetupError by the setting's name."""
    if path is None:
        raise SetupError(
            "PORTRAITD_ENGINE=diffusion needs a model: `portraitd weights pull klein-4b` fetches one (16 GB), and "
            f"{setting} names the folder of one that lies elsewhere"
        )
    if not path.is_dir():
        raise SetupError(f"{setting}={path}: there is no such folder")
    return path


def check_folder(
    path: Path | None, parts: tuple[Part, ...], pipeline: str, setting: str = "PORTRAITD_DIFFUSION_MODEL"
) -> CheckedFolder:
    """The folder, all parts of it there; raises SetupError that names what is missing or wrong."""
    path = named_folder(path, setting)
    index = read_json(path / "model_index.json")
    if index.get("_class_name") != pipeline:
        raise SetupError(f"{path / 'model_index.json'}: is for {index.get('_class_name')!r}, expected {pipeline!r}")
    for part in parts:
        entry = index.get(part.name)
        if not isinstance(entry, list) or len(entry) != 2 or entry[1] not in part.classes:
            raise SetupError(f"{path / 'model_index.json'}: {part.name} is {entry!r}, expected {part.classes[0]}")
        for name in part.files:
            if not (path / part.name / name).is_file():
                raise SetupError(f"{path / part.name / name} is missing: fetch the whole model again")
    sizes = {part.name: _weight_bytes(path / part.name, part.weights) for part in parts if part.weights}
    return CheckedFolder(path, index, sizes)


def _weight_bytes(folder: Path, name: str) -> int:
    """Bytes of all the weights' files, in one or in shards, each of them whole."""
    single, listing = folder / f"{name}.safetensors", folder / f"{name}.safetensors.index.json"
    if listing.is_file():
        shards = read_json(listing).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise SetupError(f"{listing}: has no weight_map")
        names = sorted({str(shard) for shard in shards.values()})
        if any(Path(shard).name != shard for shard in names):
            raise SetupError(f"{listing}: names files outside its folder")
        return sum(whole_bytes(folder / shard) for shard in names)
    return whole_bytes(single)


def whole_bytes(file: Path) -> int:
    """A safetensors file's length, which must be what its own header says.

    Raises SetupError: a broken download is refused here, in words.
    """
    if not file.is_file():
        raise SetupError(f"{file} is missing: only weights as safetensors are read; fetch them again")
    length = file.stat().st_size
    with file.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if header_bytes > min(_MOST_HEADER, length - _LENGTH_BYTES):
            raise SetupError(f"{file} is broken: fetch it again")
        try:
            header = json.loads(stream.read(header_bytes))
            ends = [tensor["data_offsets"][1] for key, tensor in header.items() if key != "__metadata__"]
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise SetupError(f"{file} is broken: fetch it again") from error
    if _LENGTH_BYTES + header_bytes + max(ends, default=0) != length:
        raise SetupError(f"{file} is cut short or too long: fetch it again")
    return length


def read_json(file: Path) -> dict[str, Any]:
    """The table in the file; raises SetupError."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SetupError(f"{file} is missing: is this the model's folder?") from error
    except (OSError, ValueError) as error:
        raise SetupError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise SetupError(f"{file}: expected a table")
    return found
