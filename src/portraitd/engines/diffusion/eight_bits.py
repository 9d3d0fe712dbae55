"""A model's two large parts stored in 8 bits: half the memory, each layer widened again while it computes.

The numbers are float8 e4m3: Micikevicius et al. 2022, "FP8 Formats for Deep Learning". LoRAs' layers, which come later,
stay in the precision that is computed in.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import Flux2Transformer2DModel
from diffusers.hooks import apply_layerwise_casting

_NARROW = torch.float8_e4m3fn
#: Of the text encoder these stay as they are: the pipelines take the embeddings' precision for the whole part's, and
#: the last layer shares its numbers with them.
_WIDE = ("norm", "embed_tokens", "lm_head")


def store_in_8_bits(network: Any) -> Any:
    """The transformer or the text encoder, its matrices narrowed for good: widened they are not what they were."""
    if isinstance(network, Flux2Transformer2DModel):
        network.enable_layerwise_casting(storage_dtype=_NARROW, compute_dtype=network.dtype)
    else:
        apply_layerwise_casting(network, _NARROW, network.dtype, skip_modules_pattern=_WIDE)
    return network
