"""A FLUX.2 [klein] folder that fits a test: the real classes, tiny, with random weights from a fixed seed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import Qwen2TokenizerFast, Qwen3Config, Qwen3ForCausalLM

_TEXT_WIDTH = 16
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


#: FLUX.2 [klein] 4B's transformer, by its publisher's own code (github.com/black-forest-labs/flux2, `Klein4BParams`).
PUBLISHED = {
    "in_channels": 128,
    "num_layers": 5,
    "num_single_layers": 20,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}


def make_tiny_klein(folder: Path, seed: int = 0) -> Path:
    """The folder, filled by the pipeline's own `save_pretrained`."""
    torch.manual_seed(seed)
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * _TEXT_WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    _give_character(vae, transformer)
    return _saved(folder, vae, Qwen3ForCausalLM(_text_config()), transformer)


def _give_character(vae: AutoencoderKLFlux2, transformer: Flux2Transformer2DModel) -> None:
    """Fresh networks hide mistakes: blocks hardly change what goes through them, and normalising latents nothing."""
    with torch.no_grad():
        vae.bn.running_mean.normal_()
        vae.bn.running_var.uniform_(0.5, 2)
        for name, numbers in transformer.named_parameters():
            if "_modulation" in name:  # what a block adds is multiplied by
                numbers.mul_(10)


def make_published_klein(folder: Path, seed: int = 0) -> Path:
    """A folder of the published shapes: 16 GB of random numbers in 16 bits, as many in memory while it is made.

    For speed and memory on a card; the tokenizer is the tiny one, whose prompts are padded to the same length.
    """
    torch.manual_seed(seed)
    return _saved(folder, *published_networks())


def make_published_base(folder: Path, klein: Path, seed: int = 1) -> Path:
    """A folder with what is read of a base model beside `klein`: other random numbers for such a transformer."""
    torch.manual_seed(seed)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        config = Flux2Transformer2DModel.load_config(klein / "transformer")
        Flux2Transformer2DModel.from_config(config).save_pretrained(folder / "transformer")
    finally:
        torch.set_default_dtype(usual)
    shutil.copy(klein / "model_index.json", folder)
    return folder


def published_networks() -> tuple[AutoencoderKLFlux2, Qwen3ForCausalLM, Flux2Transformer2DModel]:
    """VAE, text encoder and transformer of the published shapes, in 16 bits."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        # AutoencoderKLFlux2's defaults are the published ones.
        return AutoencoderKLFlux2(), Qwen3ForCausalLM(_qwen3_4b()), Flux2Transformer2DModel(**PUBLISHED)
    finally:
        torch.set_default_dtype(usual)


def _saved(folder: Path, vae: Any, text_encoder: Any, transformer: Any) -> Path:
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae,
        text_encoder=text_encoder.eval(),
        tokenizer=_tokenizer(),
        transformer=transformer,
        is_distilled=True,
    )
    pipeline.save_pretrained(folder)
    return folder


def _text_config() -> Qwen3Config:
    # The pipeline reads the hidden states after layers 9, 18 and 27.
    return Qwen3Config(
        vocab_size=300,
        hidden_size=_TEXT_WIDTH,
        intermediate_size=16,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )


def _qwen3_4b() -> Qwen3Config:
    return Qwen3Config(
        vocab_size=151_936,
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    )


def _tokenizer() -> Qwen2TokenizerFast:
    """Bytes as tokens, with Qwen's marks and a chat template."""
    vocabulary = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    fast = Qwen2TokenizerFast(
        tokenizer_object=tokenizer, vocab=vocabulary, merges=[], pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    fast.chat_template = _CHAT
    return fast
