"""What a diffusion task costs, counted: floating point operations of the transformer at its published shape.

Usage: python benchmarks/diffusion_flops.py [--tflops RATE]

Nothing is computed and no weights are needed. Left out are the VAE, the text encoder and the networks that look at
faces. `--tflops` is what the card is taken to do in a second, for the last columns: a reckoning, not a measurement.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import Flux2Transformer2DModel
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from portraitd.engines.diffusion.klein import KleinSizes

sys.path.insert(0, str(Path(__file__).parent.parent))  # for the published shape
from tests.fakes.tiny_klein import PUBLISHED

#: One token for so many pixels a side.
TOKEN_PX = 16
PROMPT_TOKENS = 512
RESULTS = 4


def tokens_by_mode(sizes: KleinSizes) -> dict[str, int]:
    """Image tokens of one picture: what is painted, and what it is shown."""
    portrait = sizes.portrait.width * sizes.portrait.height // TOKEN_PX**2
    usual, large, reference = (
        (side_px // TOKEN_PX) ** 2 for side_px in (sizes.crop_px, sizes.large_crop_px, sizes.reference_px)
    )
    shown = {"1 photo": reference, "3 photos or more": 3 * reference}
    return {
        "preset, LoRA": portrait,
        **{f"preset, {photos}": portrait + tokens for photos, tokens in shown.items()},
        **{f"template, {photos}": 2 * usual + tokens for photos, tokens in shown.items()},
        **{f"template with a large face, {photos}": 2 * large + tokens for photos, tokens in shown.items()},
    }


def step_operations(transformer: Any, tokens: int) -> int:
    """Floating point operations of one step of one picture."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), torch.device("meta"):
        transformer(
            hidden_states=torch.empty(1, tokens, PUBLISHED["in_channels"]),
            encoder_hidden_states=torch.empty(1, PROMPT_TOKENS, PUBLISHED["joint_attention_dim"]),
            timestep=torch.empty(1),
            img_ids=torch.empty(1, tokens, 4),
            txt_ids=torch.empty(1, PROMPT_TOKENS, 4),
            guidance=None,
            return_dict=False,
        )
    return counter.get_total_flops()


def costs() -> Iterator[tuple[str, tuple[float, float]]]:
    """Each mode, and the PFLOP of four results with one candidate each and with two."""
    sizes = KleinSizes()
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel(**PUBLISHED)
    for mode, tokens in tokens_by_mode(sizes).items():
        once = RESULTS * sizes.steps * step_operations(transformer, tokens) / 1e15
        yield mode, (once, 2 * once)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a diffusion task costs, counted.")
    parser.add_argument("--tflops", type=float, default=600.0)
    args = parser.parse_args()
    table = Table(
        "", "PFLOP, one each", "PFLOP, two each", "s, one each", "s, two each",
        title=f"{RESULTS} results, one or two candidates each; seconds reckoned at {args.tflops:.0f} TFLOP/s",
    )  # fmt: skip
    for mode, petas in costs():
        table.add_row(mode, *(f"{peta:.2f}" for peta in petas), *(f"{1000 * peta / args.tflops:.1f}" for peta in petas))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
