"""FLUX.2 [klein] 4B: one set of weights paints presets (text and reference pictures) and repaints faces in templates.

Both of diffusers' pipelines share the parts. A picture is one call with its own generator on the CPU, so that it
depends on its seed and not on its neighbours.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinInpaintPipeline,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from diffusers.utils import logging as diffusers_logging
from transformers import AutoTokenizer, Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from portraitd.engines.classic.framing import PORTRAIT
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.folder import CheckedFolder, Part, check_folder
from portraitd.engines.diffusion.painter import ModelChoice
from portraitd.engines.diffusion.placement import ROOM_BYTES, Memory, Tier, choose_tier
from portraitd.errors import SetupError
from portraitd.images import Image, Size, as_pillow

#: The published repository's parts. Whatever else lies in the folder is not read.
PARTS = (
    Part("scheduler", ("FlowMatchEulerDiscreteScheduler",), ("scheduler_config.json",)),
    Part("text_encoder", ("Qwen3ForCausalLM",), ("config.json",), "model"),
    Part("tokenizer", ("Qwen2TokenizerFast", "Qwen2Tokenizer"), ("tokenizer_config.json",)),
    Part("transformer", ("Flux2Transformer2DModel",), ("config.json",), "diffusion_pytorch_model"),
    Part("vae", ("AutoencoderKLFlux2",), ("config.json",), "diffusion_pytorch_model"),
)
#: Prompts whose embeddings are kept: styles have a few dozen fixed ones.
_PROMPTS = 64


@dataclass(frozen=True)
class KleinSizes:
    """At what sizes and in how many steps it works; sides are multiples of 16, as the pipelines ask."""

    portrait: Size = PORTRAIT
    crop_px: int = 1024
    reference_px: int = 768
    #: The distilled model's own number, and the pipelines' default for the base model.
    steps: int = 4
    base_steps: int = 50
    base_guidance: float = 4.0
    #: Free memory wanted besides the weights.
    room_bytes: int = ROOM_BYTES


def load_klein(choice: ModelChoice, sizes: KleinSizes | None = None) -> Klein:
    """The model in the choice's folder, laid out like the published repository. Raises SetupError."""
    sizes = sizes or KleinSizes()
    folder = check_folder(choice.folder, PARTS, "Flux2KleinPipeline")
    tier = choose_tier(choice.tier, folder.weight_bytes, _memory(), sizes.room_bytes)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    parts = _load_parts(folder, torch.float32 if tier is Tier.CPU else torch.bfloat16)
    return Klein(parts, bool(folder.index.get("is_distilled")), tier, sizes)


def _load_parts(folder: CheckedFolder, dtype: Any) -> dict[str, Any]:
    """Each part by its own class: nothing that the folder names is looked up or run."""
    path, tokenizer = folder.path, folder.path / "tokenizer"
    try:
        return {
            "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(path / "scheduler", local_files_only=True),
            "tokenizer": AutoTokenizer.from_pretrained(tokenizer, local_files_only=True, trust_remote_code=False),
            "text_encoder": _network(Qwen3ForCausalLM, path / "text_encoder", dtype),
            "transformer": _network(Flux2Transformer2DModel, path / "transformer", dtype),
            "vae": _network(AutoencoderKLFlux2, path / "vae", dtype),
        }
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise SetupError(f"{path}: the model cannot be loaded: {first_line}") from error


def _network(kind: Any, folder: Path, dtype: Any) -> Any:
    """The network in the folder, every one of its numbers read from there."""
    network, info = kind.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=dtype
    )
    # The text encoder's last layer is not used: its hidden states are.
    lacking = sorted(name for name in info["missing_keys"] if name != "lm_head.weight")
    if lacking:  # they would be random, and so would the pictures
        raise SetupError(f"{folder}: its weights lack {lacking[0]} and {len(lacking) - 1} more: fetch it again")
    return network.eval()


class Klein:
    """The loaded model; see `painter.Painter`."""

    def __init__(self, parts: dict[str, Any], is_distilled: bool, tier: Tier, sizes: KleinSizes) -> None:
        self.tier = tier
        self.portrait = sizes.portrait
        self.crop_px = sizes.crop_px
        self.reference_px = sizes.reference_px
        self._steps = sizes.steps if is_distilled else sizes.base_steps
        self._guidance = 1.0 if is_distilled else sizes.base_guidance
        self._painting = Flux2KleinPipeline(**parts, is_distilled=is_distilled)
        self._inpainting = Flux2KleinInpaintPipeline(**parts, is_distilled=is_distilled)
        self._embedded: OrderedDict[str, Any] = OrderedDict()
        self._active: Any = None
        for pipeline in (self._painting, self._inpainting):
            pipeline.set_progress_bar_config(disable=True)
            if tier is Tier.RESIDENT:
                pipeline.to("cuda")
        card = "the processor" if tier is Tier.CPU else torch.cuda.get_device_name()
        self.runs_on = f"FLUX.2 [klein] on {card}, {tier.value}"

    def paint(self, prompt: str, references: Sequence[Image], seed: int) -> Image:
        """A whole picture of the person in the references; each (reference_px, reference_px, 3)."""
        pipeline = self._use(self._painting)
        made = pipeline(
            image=[as_pillow(reference) for reference in references] or None,
            prompt_embeds=self._prompt(pipeline, prompt),
            width=self.portrait.width,
            height=self.portrait.height,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
        )
        return _image(made.images[0])

    def repaint(self, crop: FaceCrop, prompt: str, references: Sequence[Image], seed: int) -> Image:
        """(crop_px, crop_px, 3): the crop with the references' person where its mask is 1.

        References are squares of one size: the pipeline would cut them to the first one's. One picture a call: with as
        many references as pictures it would give each picture one of them only.
        """
        pipeline = self._use(self._inpainting)
        made = pipeline(
            image=as_pillow(crop.image),
            mask_image=as_pillow(np.rint(crop.mask * 255).astype(np.uint8)),
            image_reference=[as_pillow(reference) for reference in references],
            prompt_embeds=self._prompt(pipeline, prompt),
            strength=1.0,
            num_inference_steps=self._steps,
            guidance_scale=self._guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
            output_type="np",
        )
        return _image(made.images[0])

    def _use(self, pipeline: Any) -> Any:
        """The pipeline, its parts hooked to come to the card by turns where they wait elsewhere."""
        if self.tier is Tier.OFFLOAD and self._active is not pipeline:
            if self._active is not None:
                self._active.remove_all_hooks()
            pipeline.enable_model_cpu_offload()
            self._active = pipeline
        return pipeline

    def _prompt(self, pipeline: Any, prompt: str) -> Any:
        """The prompt's embeddings, kept in the machine's memory: the text encoder runs once a prompt."""
        if prompt not in self._embedded:
            with torch.no_grad():
                self._embedded[prompt] = pipeline.encode_prompt(prompt)[0].cpu()
            while len(self._embedded) > _PROMPTS:
                self._embedded.popitem(last=False)
        self._embedded.move_to_end(prompt)
        return self._embedded[prompt].to(pipeline._execution_device)


def _memory() -> Memory:
    card = torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None
    return Memory(card, psutil.virtual_memory().available)


def _image(pixels: Any) -> Image:
    """(H, W, 3) uint8 from floats in [0, 1]."""
    return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), np.uint8)
