"""A person learnt by a FLUX.2 transformer: low-rank layers, trained by flow matching, a step at a time.

Between two steps the layers are switched off, so that whoever asks for a step may paint other people before the next.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import cast_training_params, compute_density_for_timestep_sampling
from peft import LoraConfig
from peft.tuners.lora.layer import LoraLayer
from peft.utils import get_peft_model_state_dict

from portraitd.engines.diffusion.lora import LoraTensors
from portraitd.engines.diffusion.placement import GIB
from portraitd.engines.diffusion.slot import quiet_peft

#: The attention's matrices in both kinds of blocks; those of the second kind hold the feed-forward part as well.
MATRICES = r".*\.attn\.(to_q|to_k|to_v|to_out\.0|to_qkv_mlp_proj)|single_transformer_blocks\.\d+\.attn\.to_out"
#: The low-rank layers' name in the transformer while they are trained.
_LEARNING = "learning"
_MOST_GRADIENT = 1.0


@dataclass(frozen=True)
class TuningPlan:
    """How long and how finely a person is learnt. The defaults have not been tried on the real weights yet."""

    steps: int = 500
    #: Pictures a step, where the memory allows.
    batch: int = 4
    #: What diffusers' own training script takes: a person is 8 MB then.
    rank: int = 4
    rate: float = 2e-4
    warmup: int = 20
    #: How many states are handed out, evenly over the steps; the last step's is one of them.
    checkpoints: int = 4
    #: Side of the pictures, px, a multiple of 16.
    side_px: int = 512
    #: What one picture takes in 16 bits, all of a step's intermediate results kept, or computed again where they are
    #: needed (gradient checkpointing). What a picture of this side keeps was counted on the published shape, 5.4 and
    #: 0.5 GiB; the rest is for what a card's memory loses by the way, which was not measured.
    picture_bytes: int = 7 * GIB
    recomputed_bytes: int = GIB
    seed: int = 0

    @property
    def marks(self) -> frozenset[int]:
        """The steps after which the state is handed out."""
        return frozenset(max(1, self.steps * number // self.checkpoints) for number in range(1, self.checkpoints + 1))


@dataclass(frozen=True)
class Student:
    """The transformer that learns, its scheduler, and what its memory allows."""

    transformer: Any
    scheduler: FlowMatchEulerDiscreteScheduler
    device: torch.device
    batch: int
    #: Compute intermediate results again rather than keep them.
    recompute: bool


@dataclass(frozen=True)
class Example:
    """A picture and its prompt, encoded once."""

    #: (1, channels, height, width), normalised as the transformer takes them.
    latents: torch.Tensor
    #: (1, tokens, width).
    prompt: torch.Tensor


@dataclass(frozen=True)
class Tuned:
    """After one step."""

    step: int
    loss: float
    #: The layers' tensors, after some steps only.
    tensors: LoraTensors | None


def tune(student: Student, examples: Sequence[Example], plan: TuningPlan) -> Generator[Tuned, None, None]:
    """Step by step through the plan; the layers are gone when the iterator ends or is closed."""
    transformer, generator = student.transformer, torch.Generator("cpu").manual_seed(plan.seed)
    with _fresh_layers(transformer, plan), _recomputing(transformer, student.recompute):
        parameters = [parameter for parameter in transformer.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=plan.rate)
        schedule = get_cosine_schedule_with_warmup(optimizer, plan.warmup, plan.steps)
        turns = _turns(len(examples), generator)
        for step in range(1, plan.steps + 1):
            batch = [examples[index] for index in islice(turns, student.batch)]
            transformer.to(student.device)  # whoever painted meanwhile may have needed its room
            with _awake(transformer):
                loss = flow_loss(student, batch, generator)
                loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, _MOST_GRADIENT)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            tensors = _copied(transformer) if step in plan.marks else None
            yield Tuned(step, float(loss.detach()), tensors)


def flow_loss(student: Student, batch: Sequence[Example], generator: torch.Generator) -> torch.Tensor:
    """() float32: how far the predicted flow is from the straight line between picture and noise.

    With picture x, noise e and share s: z = (1 - s) x + s e, and the flow is e - x. Esser et al. 2024, "Scaling
    Rectified Flow Transformers", equations 13 and 14; s is logit-normal, section 3.1 there.
    """
    scheduler, device, dtype = student.scheduler, student.device, student.transformer.dtype
    latents = torch.cat([example.latents for example in batch]).to(device, dtype)
    prompt = torch.cat([example.prompt for example in batch]).to(device, dtype)
    noise = torch.randn(latents.shape, generator=generator).to(device, dtype)
    share = compute_density_for_timestep_sampling("logit_normal", len(batch), 0.0, 1.0, generator=generator)
    timesteps = scheduler.timesteps[((1 - share) * len(scheduler.timesteps)).long()].to(device)
    noisy = scheduler.scale_noise(latents, timesteps, noise)
    # The layers being trained are in 32 bits even where the model is in 16.
    with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        predicted = student.transformer(
            hidden_states=Flux2KleinPipeline._pack_latents(noisy),
            encoder_hidden_states=prompt,
            timestep=timesteps / 1000,  # as the pipelines scale it
            img_ids=Flux2KleinPipeline._prepare_latent_ids(latents).to(device),
            txt_ids=Flux2KleinPipeline._prepare_text_ids(prompt).to(device),
            guidance=None,
            return_dict=False,
        )[0]
    wanted = Flux2KleinPipeline._pack_latents(noise - latents)
    return torch.nn.functional.mse_loss(predicted.float(), wanted.float())


def blank(transformer: Any, rank: int) -> LoraTensors:
    """Tensors as training gives them, all zeros: they change nothing."""
    matrices = {name: module for name, module in transformer.named_modules() if re.fullmatch(MATRICES, name)}
    return {
        f"{name}.{half}.weight": torch.zeros(shape)
        for name, matrix in matrices.items()
        for half, shape in (("lora_A", (rank, matrix.in_features)), ("lora_B", (matrix.out_features, rank)))
    }


@contextmanager
def _fresh_layers(transformer: Any, plan: TuningPlan) -> Iterator[None]:
    """Low-rank layers that change nothing yet, the only parameters that learn."""
    transformer.requires_grad_(False)
    # alpha = rank: the layers count once, which is also what loaders assume where a file does not say.
    config = LoraConfig(r=plan.rank, lora_alpha=plan.rank, target_modules=MATRICES, init_lora_weights="gaussian")
    try:
        with torch.random.fork_rng(devices=[]), quiet_peft():
            transformer.add_adapter(config, _LEARNING)
            cast_training_params(transformer, torch.float32)
            # Drawn again: peft rounds what it draws to the matrices' own type, which may have 8 bits.
            torch.manual_seed(plan.seed)
            for layer in transformer.modules():
                if isinstance(layer, LoraLayer):
                    layer.reset_lora_parameters(_LEARNING, config.init_lora_weights)
        yield
    finally:
        transformer.disable_adapters()
        with quiet_peft():
            transformer.delete_adapters(_LEARNING)


@contextmanager
def _awake(transformer: Any) -> Iterator[None]:
    """Within it the transformer wears the layers that learn, and no one's beside."""
    try:
        transformer.set_adapter(_LEARNING)
        transformer.enable_adapters()
        yield
    finally:
        transformer.disable_adapters()


@contextmanager
def _recomputing(transformer: Any, wanted: bool) -> Iterator[None]:
    if wanted:
        transformer.enable_gradient_checkpointing()
    try:
        yield
    finally:
        transformer.disable_gradient_checkpointing()


def _copied(transformer: Any) -> LoraTensors:
    tensors = get_peft_model_state_dict(transformer, adapter_name=_LEARNING)
    return {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}


def _turns(count: int, generator: torch.Generator) -> Iterator[int]:
    """Indices without end, each of them once before any comes again."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
