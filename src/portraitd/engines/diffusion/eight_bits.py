"""A model's two large parts stored in 8 bits: half the memory, each layer widened again while it computes.

The numbers are float8 e4m3: Micikevicius et al. 2022, "FP8 Formats for Deep Learning". LoRAs' layers, which come later,
stay in the precision that is computed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.hooks import apply_layerwise_casting

#: Of the text encoder these stay as they are: the pipelines take the embeddings' precision for the whole part's, and
#: the last layer shares its numbers with them.
_WIDE = ("norm", "embed_tokens", "lm_head")


def store_in_8_bits(parts: Mapping[str, Any]) -> None:
    """Narrow the matrices of `transformer` and `text_encoder`, for good: widened they are not what they were."""
    transformer, text_encoder = parts["transformer"], parts["text_encoder"]
    narrow = torch.float8_e4m3fn
    transformer.enable_layerwise_casting(storage_dtype=narrow, compute_dtype=transformer.dtype)
    apply_layerwise_casting(text_encoder, narrow, text_encoder.dtype, skip_modules_pattern=_WIDE)
