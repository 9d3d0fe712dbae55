"""What the diffusion engine's benchmark times is what it says, on both sides. Its figures mean nothing here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.painter import ModelChoice
from portraitd.engines.diffusion.placement import Tier
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.portraits.identities import astronaut

for package in ("torch", "diffusers", "peft"):
    pytest.importorskip(package, reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

ROOT = Path(__file__).parents[4]


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/diffusion.py, which finds its neighbours beside it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = set(sys.modules)
    module = importlib.import_module("diffusion")
    for name in set(sys.modules) - before:
        monkeypatch.setitem(sys.modules, name, sys.modules.pop(name))
    return module


@pytest.fixture
def loras(benchmark_module: ModuleType, tiny_folder: Path) -> list[bytes]:
    from diffusers import Flux2Transformer2DModel

    bare = Flux2Transformer2DModel.from_pretrained(tiny_folder, subfolder="transformer", local_files_only=True)
    return list(benchmark_module.loras_of_nobody(bare, 2))


def test_tasks_are_timed_as_they_are_served(
    benchmark_module: ModuleType, tiny_klein: Klein, loras: list[bytes], embedder_folder: Path
) -> None:
    """Candidates are judged, and the second ones' cost is a column of its own."""
    models = FaceModels(embedder_folder)
    steps: list[int] = []
    hook = tiny_klein._painting.transformer.register_forward_pre_hook(lambda *_: steps.append(1))
    try:
        jobs = benchmark_module.tasks(models, loras[0], benchmark_module.STYLE)
        taken, _ = benchmark_module.measure_tasks(tiny_klein, models, jobs, 1)
    finally:
        hook.remove()
    assert [list(modes) for modes in taken.values()] == [list(jobs)] * 2
    assert {job.count for job in jobs.values()} == {4}
    # Each twice, the first time for nothing: four results of one and of two candidates, in two steps.
    assert len(steps) == len(jobs) * 2 * (4 + 8) * 2


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")  # people's layers lie side by side
def test_plain_diffusers_paints_by_photos_without_anybody_s_layers(
    benchmark_module: ModuleType, tiny_folder: Path, loras: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import Flux2KleinInpaintPipeline, Flux2KleinPipeline
    from peft.tuners.lora.layer import LoraLayer

    layers: list[int] = []
    for kind in (Flux2KleinPipeline, Flux2KleinInpaintPipeline):
        monkeypatch.setattr(
            kind,
            "__call__",
            lambda self, **_: layers.append(sum(isinstance(one, LoraLayer) for one in self.transformer.modules())),
        )
    mesh = FaceMesh((mean_face().points * 40 + [256, 150, 0]).astype("float32"), 1.0)
    crop = FaceCrop.of(astronaut(), mesh, 128)
    makers: dict[str, Any] = benchmark_module.plain(tiny_folder, Tier.CPU, benchmark_module.TINY, crop, loras)
    found = {}
    for mode in [*makers, *makers]:
        layers.clear()
        makers[mode]([0])
        found[mode] = bool(layers[0])
    assert found == {mode: "LoRA" in mode for mode in makers}


def test_the_networks_are_those_that_the_setting_names(
    benchmark_module: ModuleType, embedder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").symlink_to(embedder_folder)
    monkeypatch.setenv("PORTRAITD_WEIGHTS", str(tmp_path / "here"))
    assert benchmark_module.face_models().folder == tmp_path / "here"


def test_random_weights_learn_on_others_as_real_ones_do(
    benchmark_module: ModuleType, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portraitd.engines.diffusion.klein_files import check_klein

    base = benchmark_module.base_beside(tiny_folder, tmp_path / "base")
    _, load = check_klein(ModelChoice(tiny_folder, training_folder=base))
    assert load.student
    assert not load.on_itself
    one, other = (path / "transformer" / "diffusion_pytorch_model.safetensors" for path in (base, tiny_folder))
    assert one.read_bytes() != other.read_bytes()
    monkeypatch.setattr(benchmark_module.shutil, "disk_usage", lambda _: type("Disk", (), {"free": 10}))
    assert benchmark_module.base_beside(tiny_folder, tmp_path / "no") == tiny_folder
