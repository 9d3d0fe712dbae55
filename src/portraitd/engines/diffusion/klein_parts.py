"""The parts of FLUX.2 [klein] 4B, each loaded by its own class, no number lacking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from transformers import AutoTokenizer, Qwen3ForCausalLM

from portraitd.engines.diffusion.eight_bits import store_in_8_bits
from portraitd.engines.diffusion.folder import CheckedFolder
from portraitd.errors import SetupError


def load_parts(folder: CheckedFolder, dtype: Any, narrow: bool = False, device: str | None = None) -> dict[str, Any]:
    """Each part by its own class: nothing that the folder names is looked up or run.

    narrow: the large ones in 8 bits. device: where they go. Either as soon as a part is there, so that no two lie in
    the machine's memory as they came.
    """
    path, tokenizer = folder.path, folder.path / "tokenizer"
    try:
        return {
            "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(path / "scheduler", local_files_only=True),
            "tokenizer": AutoTokenizer.from_pretrained(tokenizer, local_files_only=True, trust_remote_code=False),
            "text_encoder": load_network(Qwen3ForCausalLM, path / "text_encoder", dtype, narrow).to(device),
            "transformer": load_network(Flux2Transformer2DModel, path / "transformer", dtype, narrow).to(device),
            "vae": load_network(AutoencoderKLFlux2, path / "vae", dtype).to(device),
        }
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise SetupError(f"{path}: the model cannot be loaded: {first_line}") from error


def load_network(kind: Any, folder: Path, dtype: Any, narrow: bool = False) -> Any:
    """The network in the folder, every one of its numbers read from there; narrow: its matrices in 8 bits."""
    network, info = kind.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=dtype
    )
    # The text encoder's last layer is not used: its hidden states are.
    lacking = sorted(name for name in info["missing_keys"] if name != "lm_head.weight")
    if lacking:  # they would be random, and so would the pictures
        raise SetupError(f"{folder}: its weights lack {lacking[0]} and {len(lacking) - 1} more: fetch it again")
    return store_in_8_bits(network.eval()) if narrow else network.eval()
