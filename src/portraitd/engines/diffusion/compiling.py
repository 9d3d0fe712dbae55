"""A transformer's blocks compiled: the regions that a model runs over and over, once for all blocks of a kind.

What is compiled is the kind of picture, with or without a person's LoRA and a style's: the first one of each kind waits
for it. Sizes and numbers of references are no kinds of their own.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

_log = logging.getLogger(__name__)

#: What a failure to compile is raised as, when a block is first run.
CompileError = TorchDynamoException
#: Kinds that are compiled at most: each rank of a style's LoRA is another. Those beyond run as they are.
_KINDS = 32


def wants_compiling(wanted: str, on_card: bool) -> bool:
    """Whether to compile. wanted: the setting's word; "auto" means on a card, for its pictures repay the minutes."""
    return wanted == "on" or (wanted == "auto" and on_card)


def compile_blocks(transformer: Any) -> None:
    """Have the transformer's repeated blocks compiled when they are first run."""
    torch._dynamo.config.recompile_limit = _KINDS
    transformer.compile_repeated_blocks(dynamic=True)


def leave_uncompiled(transformer: Any, error: Exception) -> bool:
    """Run the blocks as they are from now on, and say why; False where they already did."""
    compiled = [module for module in transformer.modules() if module._compiled_call_impl is not None]
    if not compiled:
        return False
    # Who failed, and why; then comes advice on debugging, some pages of it.
    reason = " ".join(str(error).strip().splitlines()[:2])
    _log.warning("the model runs uncompiled, which is slower: %s: %s", type(error).__name__, reason)
    for module in compiled:
        # Where `torch.nn.Module.compile` puts what it makes; nothing public takes it back.
        module._compiled_call_impl = None
    return True
