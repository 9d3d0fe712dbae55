"""The files that FLUX.2 [klein] 4B is made of: which parts, nothing lacking. Looked at without torch or diffusers."""

from __future__ import annotations

from pathlib import Path

from portraitd.engines.diffusion.folder import CheckedFolder, Part, check_folder, read_json
from portraitd.engines.diffusion.painter import ModelChoice
from portraitd.engines.diffusion.placement import Load
from portraitd.errors import SetupError

#: The published repository's parts. Whatever else lies in the folder is not read.
PARTS = (
    Part("scheduler", ("FlowMatchEulerDiscreteScheduler",), ("scheduler_config.json",)),
    Part("text_encoder", ("Qwen3ForCausalLM",), ("config.json",), "model"),
    Part("tokenizer", ("Qwen2TokenizerFast", "Qwen2Tokenizer"), ("tokenizer_config.json",)),
    Part("transformer", ("Flux2Transformer2DModel",), ("config.json",), "diffusion_pytorch_model"),
    Part("vae", ("AutoencoderKLFlux2",), ("config.json",), "diffusion_pytorch_model"),
)
TRANSFORMER = PARTS[3]
_PIPELINE = "Flux2KleinPipeline"
#: What must be alike in two transformers for the LoRA of one to fit the other.
_SHAPE = (
    "in_channels",
    "num_layers",
    "num_single_layers",
    "attention_head_dim",
    "num_attention_heads",
    "joint_attention_dim",
    "mlp_ratio",
)


def check_klein(choice: ModelChoice) -> tuple[CheckedFolder, Load]:
    """The painting model's folder and what is to lie in memory; raises SetupError unless all files are whole."""
    folder = check_folder(choice.folder, PARTS, _PIPELINE)
    learns = choice.training_folder
    if learns is None:
        return folder, Load(folder.weight_bytes)
    _check_student(learns, folder.path)
    return folder, Load(folder.weight_bytes, folder.weight_bytes[TRANSFORMER.name], learns.samefile(folder.path))


def check_load(choice: ModelChoice) -> Load:
    """As `check_klein`."""
    return check_klein(choice)[1]


def _check_student(training_folder: Path, folder: Path) -> None:
    """Raises SetupError unless the transformer in there is whole, and shaped as the one that paints."""
    check_folder(training_folder, (TRANSFORMER,), _PIPELINE, "PORTRAITD_DIFFUSION_TRAINING_MODEL")
    mine, other = (read_json(path / TRANSFORMER.name / "config.json") for path in (folder, training_folder))
    unlike = [key for key in _SHAPE if mine.get(key) != other.get(key)]
    if unlike:
        raise SetupError(
            f"PORTRAITD_DIFFUSION_TRAINING_MODEL={training_folder}: its {unlike[0]} is {other.get(unlike[0])}, the "
            f"painting model's is {mine.get(unlike[0])}: what one learns does not fit the other"
        )
