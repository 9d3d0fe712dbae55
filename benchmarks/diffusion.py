"""How fast the diffusion engine paints and learns, next to plain diffusers with the same steps, and how alike its
pictures are.

Usage: python benchmarks/diffusion.py [--random | --model DIR] [--training-model DIR]
[--tier auto|resident|fp8|offload|fp8-offload|cpu] [--compile auto|on|off] [--photos DIR] [--out DIR] [--runs N]

Without `--model` the model is a tiny one with random weights, on the processor, at small sizes: it shows that the
benchmark runs, no more. `--random` makes one of the published shapes, with random weights, for a card: seconds and
memory are a real one's, pictures are not (16 GB of memory and of TMPDIR, some minutes). `--training-model`: what people
are learnt on, the base model. `--photos`: a folder of three or more photos of one person.
Writes `diffusion.json` and, with a real model, every picture below `--out`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import Flux2KleinInpaintPipeline, Flux2KleinPipeline, Flux2Transformer2DModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from portraitd.engines.base import Photo, Portrait, PresetJob, TemplateJob, trained_by
from portraitd.engines.classic.people import People
from portraitd.engines.diffusion.adapters import Adapters
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.engine import TEMPLATE_PROMPT, DiffusionEngine
from portraitd.engines.diffusion.klein import MODEL, KleinSizes, load_klein
from portraitd.engines.diffusion.painter import Draft, Lesson, ModelChoice, Painter, Person
from portraitd.engines.diffusion.placement import Tier
from portraitd.engines.diffusion.prompt import NAME, read_prompt
from portraitd.engines.diffusion.tune import TuningPlan
from portraitd.faces.embed import distance
from portraitd.faces.models import FaceModels
from portraitd.images import Size, as_pillow, decode, encode_jpeg
from portraitd.portraits.identities import astronaut
from portraitd.styles.catalog import Mode, load_catalog
from portraitd.weights.store import WeightStore

HERE = Path(__file__).parent
TINY = KleinSizes(
    Size(96, 128),
    crop_px=128,
    reference_px=64,
    steps=4,
    room_bytes=0,
    tuning=TuningPlan(side_px=64, picture_bytes=1),
)
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


def ours(painter: Painter, crop: FaceCrop) -> dict[str, Callable[[Sequence[int]], object]]:
    """What portraitd does for one candidate a seed, by mode."""
    prompt = read_prompt(load_catalog().get(STYLE))
    person = Person((crop.square.cut_from(crop.picture, painter.reference_px),))

    def preset(seeds: Sequence[int]) -> object:
        return painter.paint([Draft(prompt.for_seed(0), seed) for seed in seeds], person)

    def template(seeds: Sequence[int]) -> object:
        squares = painter.repaint(crop, [Draft(TEMPLATE_PROMPT, seed) for seed in seeds], person)
        return [crop.put_back(square) for square in squares]

    return {"preset": preset, "template": template}


def plain(folder: Path, tier: Tier, sizes: KleinSizes, crop: FaceCrop) -> dict[str, Callable[[Sequence[int]], object]]:
    """The same pictures by diffusers alone, called once a picture with the text of the prompt."""
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

    def preset(seed: int) -> object:
        generator = torch.Generator("cpu").manual_seed(seed)
        return painting(
            image=[as_pillow(reference)], prompt=prompt, width=sizes.portrait.width, height=sizes.portrait.height,
            num_inference_steps=sizes.steps, guidance_scale=1.0, generator=generator, output_type="np",
        )  # fmt: skip

    def template(seed: int) -> object:
        generator = torch.Generator("cpu").manual_seed(seed)
        return inpainting(
            image=as_pillow(crop.image), mask_image=mask, image_reference=[as_pillow(reference)],
            prompt=TEMPLATE_PROMPT, strength=1.0, num_inference_steps=sizes.steps, guidance_scale=1.0,
            generator=generator, output_type="np",
        )  # fmt: skip

    return {
        "preset": lambda seeds: [preset(seed) for seed in seeds],
        "template": lambda seeds: [template(seed) for seed in seeds],
    }


def likeness(engine: DiffusionEngine, people: People, photos: Sequence[Photo], out: Path) -> dict[str, list[float]]:
    """Distances of every preset's and the template's pictures to the photo that the identity was not made from."""
    *known, held_back = photos
    identity = trained_by(engine.training(known)).identity
    target = people.embedder.embed(held_back.image, people.mesh(held_back.image))
    jobs = {s.id: PresetJob(s, identity, 4, 0) for s in load_catalog() if s.mode is Mode.PRESET}
    found: dict[str, list[float]] = {}
    for name, job in {**jobs, "template": TemplateJob(astronaut(), identity, 4, 0)}.items():
        found[name] = []
        for outcome in engine.generate(job):
            if isinstance(outcome, Portrait):
                # Looked for anew in every picture, as the classic engine's benchmark does.
                (out / f"{name}-{outcome.seed}.jpg").write_bytes(encode_jpeg(outcome.image))
                mine = people.embedder.embed(outcome.image, people.mesh(outcome.image))
                found[name].append(round(distance(mine, target), 3))
    return found


def measure_speed(folder: Path, args: argparse.Namespace, sizes: KleinSizes, models: FaceModels) -> dict[str, object]:
    """Seconds by mode, method and number of pictures."""
    painter = load_klein(ModelChoice(folder, args.tier, compile=args.compile), sizes)
    picture = astronaut()
    crop = FaceCrop.of(picture, People(models).mesh(picture), sizes.crop_px)
    runs_on, tier, batch = painter.runs_on, painter.tier, painter.batch
    tables: dict[str, dict[str, float]] = {}
    for method in ("portraitd", "plain diffusers"):
        if painter is None and (tier.waits or tier.is_narrow):
            console.print("skipped: plain diffusers, whose two pipelines want all of the model on the card in 16 bits")
            break
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        makers = ours(painter, crop) if painter else plain(folder, tier, sizes, crop)
        tables[method] = {
            f"{mode}, n = {count}": seconds(make, count, args.runs) for mode, make in makers.items() for count in (1, 4)
        }
        if torch.cuda.is_available():
            tables[method]["peak GiB on the card"] = torch.cuda.max_memory_allocated() / 2**30
        painter = None  # a second copy of the weights might not fit
        del makers
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    show(f"seconds, one candidate a picture, up to {batch} at once; {runs_on}", tables)
    return {"runs on": runs_on, "pictures at once": batch, "seconds": tables}


def measure_learning(choice: ModelChoice, sizes: KleinSizes) -> dict[str, float]:
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
        f"minutes for {sizes.tuning.steps} steps, trial portraits aside": sizes.tuning.steps * step_s / 60,
        "MB of a person's LoRA": len(loras[-1]) / 1e6,
    }
    if torch.cuda.is_available():
        figures["peak GiB on the card"] = torch.cuda.max_memory_allocated() / 2**30
    figures |= measure_switches(klein.adapters, loras)
    show(f"learning a person; {klein.runs_on}", {"portraitd": figures})
    return figures


def switches_at_full_size() -> dict[str, float]:
    """The switches of a transformer of the published shape, on the processor: they touch none of its own weights.

    Its memory is reserved and never written to, so that it takes none.
    """
    from tests.fakes.loras import random_lora
    from tests.fakes.tiny_klein import PUBLISHED

    with torch.device("meta"):
        transformer = Flux2Transformer2DModel(**PUBLISHED)
    torch.nn.Module.to(transformer, torch.bfloat16)  # diffusers' own `to` warns of weights, and there are none
    transformer.to_empty(device="cpu").requires_grad_(False)
    loras = [random_lora(transformer, seed, TuningPlan().rank, dtype=torch.bfloat16) for seed in (1, 2)]
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
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "diffusion")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    store = WeightStore()
    store.ensure(("classic", "embedder"))
    models = FaceModels(store.folder)
    sys.path.insert(0, str(HERE.parent))  # for the tests' models and LoRAs of nobody
    with tempfile.TemporaryDirectory() as scratch:
        folder, sizes = args.model, KleinSizes()
        if args.random:
            from tests.fakes.tiny_klein import make_published_klein

            args.training_model = folder = make_published_klein(Path(scratch) / "klein")
        elif folder is None:
            from tests.fakes.tiny_klein import make_tiny_klein

            folder, sizes, args.tier = make_tiny_klein(Path(scratch) / "klein"), TINY, "cpu"
            args.training_model = folder
        figures = measure_speed(folder, args, sizes, models)
        figures["switches at full size"] = switches_at_full_size()
        if args.training_model:
            choice = ModelChoice(folder, args.tier, training_folder=args.training_model)
            figures["learning"] = measure_learning(choice, sizes)
        else:
            console.print("skipped: training, which needs a model to train on (--training-model)")
    if args.model and args.photos:
        people = People(models)
        choice = ModelChoice(args.model, args.tier, training_folder=args.training_model)
        engine = DiffusionEngine(models, lambda: load_klein(choice), people)
        photos = [Photo(file.name, decode(file.read_bytes())) for file in sorted(args.photos.iterdir())]
        figures["distance to a photo held back"] = found = likeness(engine, people, photos, args.out)
        for name, distances in found.items():
            console.print(f"{name}: distance to the photo held back {distances}")
    else:
        console.print("skipped: likeness, which needs real weights (--model) and photos of one person (--photos)")
    (args.out / "diffusion.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
