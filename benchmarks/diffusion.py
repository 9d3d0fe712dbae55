"""How fast the diffusion engine paints and learns, next to plain diffusers with the same steps, and how good its
pictures are.

Usage: python benchmarks/diffusion.py [--random | --model DIR] [--training-model DIR]
[--tier auto|resident|fp8|offload|fp8-offload|cpu] [--compile auto|on|off] [--card-gib N] [--portraits DIR] [--out DIR]
[--runs N]

Without `--model` the model is a tiny one with random weights, on the processor, at small sizes: it shows that the
benchmark runs, no more. `--random` makes one of the published shapes, with random weights, for a card: seconds and
memory are a real one's, pictures are not (16 GB of memory, 24 of TMPDIR, some minutes). `--training-model`: what people
are learnt on, the base model. `--card-gib 24`: take no more of the card than there is of one of 24 GiB; the tier is
chosen for it, and torch refuses more. `--portraits`: people and templates as benchmarks/portraits.py takes them; with a
real model its quality tables are printed, and everybody is learnt for them where there is a model to learn on.
Writes `diffusion.json` and, with a real model and `--portraits`, every picture below `--out`.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import safetensors.torch
import torch
from diffusers import Flux2KleinInpaintPipeline, Flux2KleinPipeline, Flux2Transformer2DModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from diffusion_fresh import TINY, fresh_seconds
from diffusion_quality import measure_quality
from diffusion_tasks import RESULTS, measure_tasks, peak_gib, tasks, training_seconds
from portraitd.engines.classic.person.people import People
from portraitd.engines.diffusion.adapters import Adapters
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.engine import TEMPLATE_PROMPT, DiffusionEngine
from portraitd.engines.diffusion.klein import MODEL, Klein, KleinSizes, load_klein
from portraitd.engines.diffusion.painter import Draft, Lesson, ModelChoice, Person
from portraitd.engines.diffusion.placement import Tier
from portraitd.engines.diffusion.prompt import NAME, read_prompt
from portraitd.engines.diffusion.tune import TuningPlan
from portraitd.faces.models import FaceModels
from portraitd.images import as_pillow
from portraitd.portraits.identities import astronaut
from portraitd.settings import load_settings
from portraitd.styles.catalog import load_catalog
from portraitd.weights.store import WeightStore
from small_card import pretend_card

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # for the tests' models and LoRAs of nobody
from tests.fakes.loras import random_lora  # noqa: E402
from tests.fakes.tiny_klein import PUBLISHED, make_published_base, make_published_klein, make_tiny_klein  # noqa: E402

#: Steps of training that are timed, after as many that are not.
TIMED_STEPS = 20
STYLE = "f_autumnleaf_female"

console = Console(width=120)


def seconds(make: Callable[[Sequence[int]], object], count: int, runs: int) -> float:
    """Median seconds for `count` pictures, after as many that are not counted."""
    make(range(count))
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        make(range(count))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


Makers: TypeAlias = dict[str, Callable[[Sequence[int]], object]]


def ours(painter: Klein, crop: FaceCrop, loras: Sequence[bytes]) -> Makers:
    """What portraitd does for one candidate a seed, by mode: the person known by a photo, or by a LoRA."""
    prompt = read_prompt(load_catalog().get(STYLE))
    pictured = Person((crop.square.cut_from(crop.picture, painter.reference_px),))
    learnt = [Person(lora=lora) for lora in loras]

    def drafts(seeds: Sequence[int]) -> list[Draft]:
        return [Draft(prompt.for_seed(0), seed) for seed in seeds]

    def template(seeds: Sequence[int], person: Person) -> object:
        squares = painter.repaint(crop, [Draft(TEMPLATE_PROMPT, seed) for seed in seeds], person)
        return [crop.put_back(square) for square in squares]

    return {
        "preset, photo": lambda seeds: painter.paint(drafts(seeds), pictured),
        "preset, LoRA": lambda seeds: painter.paint(drafts(seeds), learnt[0]),
        "template, photo": lambda seeds: template(seeds, pictured),
        "template, photo and LoRA": lambda seeds: template(seeds, replace(pictured, lora=loras[0])),
        "presets, n people's LoRAs": lambda seeds: painter.paint_people(drafts(seeds), learnt[: len(seeds)]),
    }


def loras_of_nobody(transformer: Any, count: int) -> list[bytes]:
    """As large as people's are."""
    return [random_lora(transformer, seed, TuningPlan().rank, dtype=transformer.dtype) for seed in range(count)]


def plain(folder: Path, tier: Tier, sizes: KleinSizes, crop: FaceCrop, loras: Sequence[bytes]) -> Makers:
    """The same pictures by diffusers alone, called once a picture with the text of the prompt, the LoRA put on once."""
    dtype = torch.float32 if tier is Tier.CPU else torch.bfloat16
    reference = crop.square.cut_from(crop.picture, sizes.reference_px)
    painting = Flux2KleinPipeline.from_pretrained(folder, local_files_only=True, dtype=dtype)
    inpainting = Flux2KleinInpaintPipeline(**painting.components, is_distilled=True)
    for pipeline in (painting, inpainting):
        pipeline.set_progress_bar_config(disable=True)
        if tier is Tier.RESIDENT:
            pipeline.to("cuda")
    prompt = read_prompt(load_catalog().get(STYLE)).for_seed(0)
    mask = as_pillow(np.rint(crop.mask * 255).astype(np.uint8))
    people = [f"person{number}" for number in range(len(loras))]

    def preset(seed: int, image: object) -> object:
        generator = torch.Generator("cpu").manual_seed(seed)
        return painting(
            image=image, prompt=prompt, width=sizes.portrait.width, height=sizes.portrait.height,
            num_inference_steps=sizes.steps, guidance_scale=1.0, generator=generator, output_type="np",
        )  # fmt: skip

    def template(seed: int) -> object:
        generator = torch.Generator("cpu").manual_seed(seed)
        return inpainting(
            image=as_pillow(crop.image), mask_image=mask, image_reference=[as_pillow(reference)],
            prompt=TEMPLATE_PROMPT, strength=1.0, num_inference_steps=sizes.steps, guidance_scale=1.0,
            generator=generator, output_type="np",
        )  # fmt: skip

    def wearing(person: str | None, paint: Callable[[int], object]) -> Callable[[int], object]:
        def painted(seed: int) -> object:
            # Layers that are only switched off cost a picture time too.
            if person is None:
                painting.unload_lora_weights()
                return paint(seed)
            if not painting.get_list_adapters():
                for name, lora in zip(people, loras, strict=True):
                    painting.load_lora_weights(safetensors.torch.load(lora), adapter_name=name)
            painting.set_adapters([person])
            return paint(seed)

        return painted

    def each(paint: Callable[[int], object]) -> Callable[[Sequence[int]], object]:
        return lambda seeds: [paint(seed) for seed in seeds]

    shown = [as_pillow(reference)]
    return {
        "preset, photo": each(wearing(None, lambda seed: preset(seed, shown))),
        "preset, LoRA": each(wearing(people[0], lambda seed: preset(seed, None))),
        "template, photo": each(wearing(None, template)),
        "template, photo and LoRA": each(wearing(people[0], template)),
        "presets, n people's LoRAs": lambda seeds: [
            wearing(person, lambda seed: preset(seed, None))(seed) for seed, person in zip(seeds, people, strict=False)
        ],
    }


def measure_speed(folder: Path, args: argparse.Namespace, sizes: KleinSizes, models: FaceModels) -> dict[str, object]:
    """Seconds and memory by mode: of tasks as they are served, and of pictures next to plain diffusers."""
    painter: Klein | None = load_klein(ModelChoice(folder, args.tier, compile=args.compile), sizes)
    assert painter is not None
    picture = astronaut()
    crop = FaceCrop.of(picture, People(models).mesh(picture), sizes.crop_px)
    loras = loras_of_nobody(painter._painting.transformer, 4)
    runs_on, tier, batch = painter.runs_on.partition(";")[0], painter.tier, painter.batch
    served, served_peaks = measure_tasks(painter, models, tasks(models, loras[0], STYLE), args.runs)
    show(f"seconds a task of {RESULTS} results, everything included; {runs_on}", served)
    makers = ours(painter, crop, loras)
    tables: dict[str, dict[str, float]] = {}
    peaks: dict[str, dict[str, float]] = {}
    for method in ("portraitd", "plain diffusers"):
        if method != "portraitd":
            if tier.waits or tier.is_narrow:
                console.print("skipped: plain diffusers, which wants all of the model on the card in 16 bits")
                break
            makers = plain(folder, tier, sizes, crop, loras)
        tables[method], peaks[method] = {}, {}
        for mode, make in makers.items():
            for count in (1, 4):
                tables[method][f"{mode}, n = {count}"] = seconds(make, count, args.runs)
            peaks[method] |= {f"{mode}, {what}": gib for what, gib in peak_gib(partial(make, range(4))).items()}
        painter, makers = None, {}  # a second copy of the weights might not fit
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    show(f"seconds, one candidate a picture, up to {batch} at once; {runs_on}", tables)
    if torch.cuda.is_available():
        show("GiB of the card at most, tasks as they are served", served_peaks)
        show("GiB of the card at most, n = 4", peaks)
    hour = 3600 * RESULTS / served["one candidate each"]["preset, LoRA"]
    console.print(f"portraits of learnt people in a preset an hour, a candidate each: {hour:.0f}")
    return {
        "runs on": runs_on,
        "pictures at once": batch,
        "seconds a task": served,
        "GiB a task": served_peaks,
        "seconds": tables,
        "GiB": peaks,
        "portraits an hour": hour,
    }


def measure_learning(choice: ModelChoice, sizes: KleinSizes, models: FaceModels) -> dict[str, float]:
    """How fast a person is learnt, and how long it takes to change the person that the model paints."""
    short = replace(sizes.tuning, steps=2 * TIMED_STEPS, checkpoints=2)
    klein = load_klein(choice, replace(sizes, tuning=short))
    noise = np.random.default_rng(0).integers(0, 256, (8, short.side_px, short.side_px, 3), np.uint8)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    ends, loras = [], []
    for learnt in klein.learn([Lesson(image, f"A photograph of {NAME}.") for image in noise]):
        ends.append(time.perf_counter())  # the loss was read: the card is done with the step
        loras += [learnt.lora] if learnt.lora else []
    step_s = (ends[-1] - ends[TIMED_STEPS - 1]) / TIMED_STEPS
    figures = {
        "steps a second": 1 / step_s,
        "MB of a person's LoRA": len(loras[-1]) / 1e6,
    }
    figures |= measure_switches(klein.adapters, loras)
    if torch.cuda.is_available():
        klein._tuning = sizes.tuning
    job = f"seconds for a job of {klein._tuning.steps} steps, loading and trial portraits included"
    figures[job] = training_seconds(klein, models)
    if torch.cuda.is_available():
        figures["GiB of the card at most, in use"] = torch.cuda.max_memory_allocated() / 2**30
        figures["GiB of the card at most, held by torch"] = torch.cuda.max_memory_reserved() / 2**30
    show(f"learning a person; {klein.runs_on}", {"portraitd": figures})
    return figures


def switches_at_full_size() -> dict[str, float]:
    """The switches of a transformer of the published shape, on the processor: they touch none of its own weights.

    Its memory is reserved and never written to, so that it takes none.
    """
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel(**PUBLISHED)
    torch.nn.Module.to(transformer, torch.bfloat16)  # diffusers' own `to` warns of weights, and there are none
    transformer.to_empty(device="cpu").requires_grad_(False)
    loras = loras_of_nobody(transformer, 2)
    figures = {"MB of a person's LoRA": len(loras[-1]) / 1e6}
    figures |= measure_switches(Adapters(transformer, MODEL, Flux2KleinPipeline.lora_state_dict), loras)
    show("changing the person of a model of the published size, on the processor", {"portraitd": figures})
    return figures


def measure_switches(adapters: Adapters, loras: Sequence[bytes]) -> dict[str, float]:
    """Milliseconds to put a person's LoRA on and off again, in the order that makes each the case it is called."""

    def milliseconds(lora: bytes) -> float:
        started = time.perf_counter()
        with adapters.worn(lora):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
        return (time.perf_counter() - started) * 1000

    adapters.forget()
    first, unknown = (milliseconds(lora) for lora in loras)
    known = statistics.median(milliseconds(lora) for lora in (*loras, *loras, *loras))
    same = statistics.median(milliseconds(loras[-1]) for _ in range(5))
    return {
        "ms to switch, the first person since the start": first,
        "ms to switch, a person not seen lately": unknown,
        "ms to switch, one of the last few people": known,
        "ms to switch, the same person again": same,
    }


def face_models() -> FaceModels:
    """The networks in the folder that PORTRAITD_WEIGHTS names, fetched if need be."""
    store = WeightStore(load_settings().weights)
    store.ensure(("classic", "embedder"))
    return FaceModels(store.folder)


def base_beside(folder: Path, base: Path) -> Path:
    """Random weights to train on beside those that paint, as the published base model's are, if the disk has room."""
    needed = sum(file.stat().st_size for file in (folder / "transformer").iterdir())
    if shutil.disk_usage(folder).free < 1.1 * needed:
        console.print(f"no room for {needed / 1e9:.0f} GB more: the model learns on itself, and in less memory")
        return folder
    return make_published_base(base, folder)


def fresh_arguments(folder: Path, args: argparse.Namespace, tiny: bool) -> list[str]:
    card = [f"--card-gib={args.card_gib}"] if args.card_gib else []
    return [str(folder), f"--tier={args.tier}", f"--compile={args.compile}", *card, *(["--tiny"] if tiny else [])]


def show(title: str, tables: dict[str, dict[str, float]]) -> None:
    """The figures as a table, a column a method."""
    table = Table("", *tables, title=escape(title))
    for row in next(iter(tables.values())):
        table.add_row(row, *(f"{figures[row]:.3f}" for figures in tables.values()))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the diffusion engine paints.")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--training-model", type=Path)
    parser.add_argument("--tier", default="auto")
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--card-gib", type=float)
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "diffusion")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.card_gib:
        pretend_card(args.card_gib)
    models = face_models()
    with tempfile.TemporaryDirectory() as scratch:
        folder, sizes = args.model, KleinSizes()
        if args.random:
            folder = make_published_klein(Path(scratch) / "klein")
            args.training_model = base_beside(folder, Path(scratch) / "klein-base")
        elif folder is None:
            # Threads of a model this small wait for each other, the longer the busier the machine is.
            torch.set_num_threads(1)
            folder, sizes, args.tier = make_tiny_klein(Path(scratch) / "klein"), TINY, "cpu"
            args.training_model = make_tiny_klein(Path(scratch) / "klein-base", seed=1)
        fresh = fresh_seconds(fresh_arguments(folder, args, sizes is TINY))
        show("seconds since a process was started", {"portraitd": fresh})
        figures = {"fresh": fresh, **measure_speed(folder, args, sizes, models)}
        figures["switches at full size"] = switches_at_full_size()
        if args.training_model:
            choice = ModelChoice(folder, args.tier, training_folder=args.training_model)
            figures["learning"] = measure_learning(choice, sizes, models)
        else:
            console.print("skipped: training, which needs a model to train on (--training-model)")
    if args.model and args.portraits:
        choice = ModelChoice(args.model, args.tier, training_folder=args.training_model)
        engine = DiffusionEngine(models, lambda: load_klein(choice))
        figures["quality"] = measure_quality(engine, args.portraits, args.out)
    else:
        console.print("skipped: quality, which needs real weights (--model), people and templates (--portraits)")
    (args.out / "diffusion.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
