"""FLUX.2 [klein] 4B: one set of weights paints presets (text and reference pictures) and repaints faces in templates.

Both of diffusers' pipelines share the parts. Several pictures of a person are one call, each with its own generator on
the CPU, so that it depends on its seed and not on its neighbours; LoRAs are worn for one call.

People are learnt on a transformer of the same shape, the published base model's as a rule: the distilled one has lost
what training needs. It is in memory while somebody is learnt; all other parts are shared.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from typing import Any, cast

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from portraitd.engines.base import Beat, go_on
from portraitd.engines.classic.presets.framing import PORTRAIT
from portraitd.engines.diffusion.adapters import Adapters
from portraitd.engines.diffusion.compiling import CompileError, compile_blocks, leave_uncompiled, wants_compiling
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.klein_files import TRANSFORMER, check_klein
from portraitd.engines.diffusion.klein_parts import load_network, load_parts
from portraitd.engines.diffusion.lora import LoraCard, LoraTensors, pack
from portraitd.engines.diffusion.memory import free_memory
from portraitd.engines.diffusion.painter import (
    LEARNS_NOBODY,
    Draft,
    Learning,
    Learnt,
    Lesson,
    ModelChoice,
    Person,
    StyleLora,
)
from portraitd.engines.diffusion.placement import (
    ROOM_BYTES,
    Tier,
    choose_tier,
    lesson_room,
    pictures_at_once,
)
from portraitd.engines.diffusion.prompt import NAME
from portraitd.engines.diffusion.references import OwnReferences, SharedReferences
from portraitd.engines.diffusion.tune import Example, Student, TuningPlan, blank, tune
from portraitd.errors import SetupError
from portraitd.images import Image, Size, as_pillow

_log = logging.getLogger(__name__)

#: What torch calls the card.
CARD = "cuda"
#: What a LoRA's card says that it fits.
MODEL = "klein-4b"
#: How much noise lies over what a painting starts from: three of four steps are left. Not tried on the real weights.
START_STRENGTH = 0.75
#: Prompts whose embeddings are kept: styles have a few dozen fixed ones.
_PROMPTS = 64


@dataclass(frozen=True)
class KleinSizes:
    """At what sizes and in how many steps it works; sides are multiples of 16, as the pipelines ask."""

    portrait: Size = PORTRAIT
    #: Tokens are what time goes for, one for 16 x 16 px, and a template's crop is there twice: painted, and shown.
    crop_px: int = 768
    reference_px: int = 512
    large_crop_px: int = 1024
    #: The distilled model's own number, and the pipelines' default for the base model.
    steps: int = 4
    base_steps: int = 50
    base_guidance: float = 4.0
    #: Free memory wanted besides the weights, for each picture painted at once.
    room_bytes: int = ROOM_BYTES
    #: Pictures painted at once; None: as many as the card has room for.
    batch: int | None = None
    tuning: TuningPlan = field(default_factory=TuningPlan)


def load_klein(choice: ModelChoice, sizes: KleinSizes | None = None) -> Klein:
    """The model in the choice's folder, laid out like the published repository. Raises SetupError."""
    sizes = sizes or KleinSizes()
    folder, load = check_klein(choice)
    memory, learns = free_memory(), choice.training_folder
    tier = choose_tier(choice.tier, load, memory, sizes.room_bytes)
    if sizes.batch is None:
        sizes = replace(sizes, batch=pictures_at_once(tier, load, memory, sizes.room_bytes))
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    dtype = torch.float32 if tier is Tier.CPU else torch.bfloat16
    parts = load_parts(folder, dtype, tier.is_narrow, None if tier is Tier.CPU or tier.waits else CARD)
    student, on_itself = None, False
    if learns is not None:
        # What was in 16 bits is no longer there once it is narrow: then even a model that learns on itself is copied.
        on_itself = load.on_itself and not tier.is_narrow
        narrow, path = tier is Tier.FP8_OFFLOAD, learns / TRANSFORMER.name
        other = partial(load_network, Flux2Transformer2DModel, path, dtype, narrow)
        student = (lambda: parts[TRANSFORMER.name]) if on_itself else other
    klein = Klein(parts, bool(folder.index.get("is_distilled")), tier, sizes, student)
    # What learns is not compiled: every step would have to be as well, and backwards. In 8 bits weights change their
    # type at every layer, which is not for a compiler.
    if not on_itself and not tier.is_narrow and wants_compiling(choice.compile, tier is not Tier.CPU):
        compile_blocks(parts[TRANSFORMER.name])
        klein.rehearse()
    return klein


class Klein:
    """The loaded model; see `painter.Painter`."""

    def __init__(
        self,
        parts: dict[str, Any],
        is_distilled: bool,
        tier: Tier,
        sizes: KleinSizes,
        student: Callable[[], Any] | None = None,
    ) -> None:
        """`student`: gives the transformer that learns, which may be the one in the parts; None: nobody is learnt."""
        self.tier = tier
        self.portrait = sizes.portrait
        self.crop_px = sizes.crop_px
        self.large_crop_px = sizes.large_crop_px
        self.reference_px = sizes.reference_px
        self.batch = sizes.batch or 1
        self._steps = sizes.steps if is_distilled else sizes.base_steps
        self._guidance = 1.0 if is_distilled else sizes.base_guidance
        self._painting = OwnReferences(**parts, is_distilled=is_distilled)
        self._inpainting = SharedReferences(**parts, is_distilled=is_distilled)
        #: Whose LoRA it wears.
        self.adapters = Adapters(parts[TRANSFORMER.name], MODEL, Flux2KleinPipeline.lora_state_dict)
        self._student = student
        #: The transformer that learns just now.
        self._learning: Any = None
        self._tuning = sizes.tuning
        self.lesson_px = sizes.tuning.side_px if student else None
        self._embedded: OrderedDict[str, Any] = OrderedDict()
        #: The pipeline whose hooks bring the parts to the card, where they wait elsewhere.
        self._active: Any = None
        for pipeline in (self._painting, self._inpainting):
            pipeline.set_progress_bar_config(disable=True)
        card = "the processor" if tier is Tier.CPU else torch.cuda.get_device_name()
        self.runs_on = f"FLUX.2 [klein] on {card}, {tier.value}; {'learns people' if student else LEARNS_NOBODY}"

    def paint(
        self, drafts: Sequence[Draft], person: Person, style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        """Whole pictures of the person, one a draft; `beat` is called between two steps, and what it raises ends it.

        Raises AlgorithmFailed for a person's LoRA that is not of this model, SetupError for such a style's.
        """
        return self.paint_people(drafts, [person] * len(drafts), style, beat)

    def paint_people(
        self, drafts: Sequence[Draft], people: Sequence[Person], style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        """As `paint`, each draft of its own person: MOST_PEOPLE different ones at most, as many references each."""

        def ask(batch: Sequence[Person]) -> partial[Any]:
            apart = {id(person): person for person in batch}
            pipeline = self._use(self._painting)
            pipeline.whose = [list(apart).index(id(person)) for person in batch]
            return partial(
                pipeline,
                image=[as_pillow(reference) for person in apart.values() for reference in person.references] or None,
                width=self.portrait.width,
                height=self.portrait.height,
            )

        return self._painted(ask, drafts, people, style, beat)

    def repaint(self, crop: FaceCrop, drafts: Sequence[Draft], person: Person, beat: Beat = go_on) -> list[Image]:
        """The crop's (side, side, 3) image with the person where its mask is 1, one a draft; else as `paint`.

        References are squares of one size: the pipeline would cut them to the first one's.
        """

        def ask(_batch: Sequence[Person]) -> partial[Any]:
            return partial(
                self._use(self._inpainting),
                image=as_pillow(crop.image if crop.start is None else crop.start),
                mask_image=as_pillow(np.rint(crop.mask * 255).astype(np.uint8)),
                image_reference=[as_pillow(reference) for reference in person.references],
                strength=1.0 if crop.start is None else START_STRENGTH,
            )

        return self._painted(ask, drafts, [person] * len(drafts), None, beat)

    def rehearse(self) -> None:
        """Paint for nobody, as many pictures as at once: the first to ask shall not wait for the compiler.

        Where people are learnt, with LoRAs as well, one person's and several people's. Raises SetupError where there is
        no memory for a single picture.
        """
        started = time.monotonic()
        crowds: list[list[bytes | None]] = [[None]]
        if self.lesson_px is not None:
            one, other = (self._packed(blank(self._painting.transformer, self._tuning.rank), step) for step in (0, 1))
            # What is compiled knows which layers there are: first all of them are made, and then painted with.
            self.adapters.make_layers([one, other])
            crowds = [[None], [one], [one, other]] if self.batch > 1 else [[None], [one]]
        try:
            for loras in crowds:
                drafts = [Draft("", seed) for seed in range(self.batch)]
                self.paint_people(drafts, [Person(lora=lora) for _, lora in zip(drafts, cycle(loras), strict=False)])
        except torch.OutOfMemoryError as error:
            raise SetupError(
                f"the card has no memory for a picture beside the model at tier {self.tier.value}, which others may be "
                "using too; PORTRAITD_DIFFUSION_TIER=fp8-offload needs least"
            ) from error
        _log.info("the rehearsal took %.0f s", time.monotonic() - started)

    def _painted(
        self,
        ask: Callable[[Sequence[Person]], partial[Any]],
        drafts: Sequence[Draft],
        people: Sequence[Person],
        style: StyleLora | None,
        beat: Beat,
    ) -> list[Image]:
        """A picture a draft, as many at once as there is room for.

        `ask`: for the people of a batch, a pipeline that knows all but the drafts.
        """
        made: list[Image] = []
        while len(made) < len(drafts):
            batch = drafts[len(made) : len(made) + self.batch]
            shown = people[len(made) : len(made) + self.batch]
            try:
                pipeline = ask(shown)
                with self.adapters.worn_by([person.lora for person in shown], style):
                    made += self._painted_at_once(pipeline, batch, beat)
                continue
            except CompileError as error:
                if leave_uncompiled(self._painting.transformer, error):
                    continue
                raise
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
            # What a picture takes is an estimate, and others may use the card.
            self.batch = len(batch) // 2
            _log.warning("no memory for %d pictures at once; from now on %d are painted", len(batch), self.batch)
        return made

    def _painted_at_once(self, ask: partial[Any], batch: Sequence[Draft], beat: Beat) -> list[Image]:
        prompts = [self._prompt(draft.prompt) for draft in batch]
        # Left to itself the pipeline would encode one for all of them, which fits none but a batch of one.
        against = [self._prompt("")] * len(batch) if self._guidance > 1 else None

        def between_steps(_pipeline: object, _step: int, _time: object, tensors: dict[str, Any]) -> dict[str, Any]:
            beat()
            return tensors

        try:
            pictures = ask(
                prompt_embeds=torch.cat(prompts),
                negative_prompt_embeds=torch.cat(against) if against else None,
                num_inference_steps=self._steps,
                guidance_scale=self._guidance,
                generator=[torch.Generator("cpu").manual_seed(draft.seed) for draft in batch],
                callback_on_step_end=between_steps,
                output_type="np",
            )
        except BaseException:
            # What the pipeline does at its end: no part stays on the card.
            cast("Any", ask.func).maybe_free_model_hooks()
            raise
        return [_image(pixels) for pixels in pictures.images]

    def learn(self, lessons: Sequence[Lesson]) -> Learning:
        """Learns a person, step by step; see `painter.Painter`. Raises SetupError where memory is short."""
        if self._student is None:
            raise SetupError("no model to train on was named: PORTRAITD_DIFFUSION_TRAINING_MODEL")
        plan = self._tuning
        examples = self._examples(lessons)
        try:
            self._learning = self._student()
            with closing(tune(self._enrolled(self._learning), examples, plan)) as steps:
                for tuned in steps:
                    lora = None
                    if tuned.tensors is not None:
                        lora = self._packed(tuned.tensors, tuned.step, len(lessons))
                    yield Learnt(tuned.step, plan.steps, tuned.loss, lora)
        except torch.OutOfMemoryError as error:
            raise SetupError("training ran out of the card's memory, which others may be using too") from error
        finally:
            self._learning = None
            # Hooks hold what is in 8 bits in circles: gigabytes, on the card still if the training was stopped.
            gc.collect()

    def _packed(self, tensors: LoraTensors, step: int, pictures: int = 0) -> bytes:
        card = LoraCard(MODEL, NAME, self._tuning.rank, step, self._tuning.steps, pictures)
        return pack(tensors, card, self._painting.transformer.dtype)

    def _examples(self, lessons: Sequence[Lesson]) -> list[Example]:
        """The lessons, encoded once for all steps."""
        pipeline = self._use(self._painting)
        examples = []
        for lesson in lessons:
            pixels = pipeline.image_processor.preprocess(as_pillow(lesson.image))
            with torch.no_grad():
                on_card = pixels.to(pipeline._execution_device, pipeline.vae.dtype)
                latents = pipeline._encode_vae_image(on_card, generator=None)
            examples.append(Example(latents.cpu(), self._prompt(lesson.prompt).cpu()))
        pipeline.maybe_free_model_hooks()
        return examples

    def _enrolled(self, transformer: Any) -> Student:
        """The transformer where it can work, and what the memory beside it allows."""
        device = self._painting._execution_device
        transformer.to(device)  # before the memory is looked at
        plan, memory = self._tuning, free_memory()
        # On the processor a number takes twice the bytes.
        free = memory.machine // 2 if self.tier is Tier.CPU else memory.card or 0
        room = lesson_room(free, plan.batch, plan.picture_bytes, plan.recomputed_bytes)
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(self._painting.scheduler.config)
        return Student(transformer, scheduler, device, room.batch, room.recompute)

    def _use(self, pipeline: Any) -> Any:
        """The pipeline, its parts hooked to come to the card by turns where they wait elsewhere."""
        if self.tier.waits and self._learning is not None:
            self._learning.to("cpu")  # makes room; its next step fetches it back
        if self.tier.waits and self._active is not pipeline:
            if self._active is not None:
                self._active.remove_all_hooks()
            pipeline.enable_model_cpu_offload(device=CARD)
            self._active = pipeline
        return pipeline

    def _prompt(self, prompt: str) -> Any:
        """The prompt's embeddings, kept in the machine's memory: the text encoder runs once a prompt."""
        pipeline = self._active or self._painting
        if prompt not in self._embedded:
            with torch.no_grad():
                self._embedded[prompt] = pipeline.encode_prompt(prompt)[0].cpu()
            while len(self._embedded) > _PROMPTS:
                self._embedded.popitem(last=False)
        self._embedded.move_to_end(prompt)
        return self._embedded[prompt].to(pipeline._execution_device)


def _image(pixels: Any) -> Image:
    """(H, W, 3) uint8 from floats in [0, 1], which lie channel by channel: dlib takes no picture that does."""
    return np.ascontiguousarray(np.rint(np.clip(pixels, 0, 1) * 255), np.uint8)
