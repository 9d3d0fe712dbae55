"""A person is really learnt: the loss falls, pictures change, and afterwards the model is what it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from portraitd.engines.base import Photo, Portrait, PresetJob, TemplateJob, trained_by
from portraitd.engines.classic.person.identity import Identity
from portraitd.engines.classic.person.people import People
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.engine import DiffusionEngine
from portraitd.engines.diffusion.painter import Draft, Learnt, Lesson, ModelChoice, Person
from portraitd.errors import SetupError
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Image, as_pillow
from portraitd.portraits.identities import astronaut
from portraitd.styles.catalog import load_catalog

pytest.importorskip("torch", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("diffusers", reason="the extra portraitd[diffusion] is not installed")
pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein, KleinSizes

STEPS = 60


@pytest.fixture(scope="module")
def sizes(tiny_klein: Klein) -> KleinSizes:
    from portraitd.engines.diffusion.klein import KleinSizes
    from portraitd.engines.diffusion.tune import TuningPlan

    plan = TuningPlan(STEPS, batch=2, rank=4, rate=2e-2, warmup=5, checkpoints=3, side_px=64, picture_bytes=1)
    return KleinSizes(tiny_klein.portrait, crop_px=64, reference_px=64, steps=2, room_bytes=0, tuning=plan)


@pytest.fixture(scope="module")
def klein(tiny_folder: Path, sizes: KleinSizes) -> Klein:
    """A model that learns people itself."""
    from portraitd.engines.diffusion.klein import load_klein

    return load_klein(ModelChoice(tiny_folder, "cpu", training_folder=tiny_folder), sizes)


def _noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


LESSONS = [Lesson(_noise(1), "A close photograph."), Lesson(_noise(2), "A photograph.")]


@pytest.fixture(scope="module")
def course(klein: Klein) -> tuple[Learnt, ...]:
    return tuple(klein.learn(LESSONS))


def _paint(klein: Klein, lora: bytes | None) -> Image:
    return klein.paint([Draft("a portrait", 7)], Person(lora=lora))[0]


def test_the_loss_falls(course: tuple[Learnt, ...]) -> None:
    losses = [learnt.loss for learnt in course]
    assert [learnt.step for learnt in course] == list(range(1, STEPS + 1))
    assert np.mean(losses[-15:]) < 0.9 * np.mean(losses[:15])


def test_the_loss_on_the_same_noise_is_lower_with_what_was_learnt(klein: Klein, course: tuple[Learnt, ...]) -> None:
    """Not by chance of the draws: both are measured on the same ones."""
    import torch

    from portraitd.engines.diffusion.tune import flow_loss

    student, examples = klein._enrolled(klein._painting.transformer), klein._examples(LESSONS)

    def loss(lora: bytes | None) -> float:
        with torch.no_grad(), klein.adapters.worn(lora):
            draws = torch.Generator().manual_seed(3)
            return float(np.mean([flow_loss(student, examples, draws).item() for _ in range(8)]))

    assert loss(course[-1].lora) < 0.9 * loss(None)


def test_a_lesson_is_what_a_reference_is_to_the_painter(klein: Klein) -> None:
    """Its latents are normalised as those are."""
    import torch
    from diffusers import Flux2KleinPipeline

    pixels = klein._painting.image_processor.preprocess(as_pillow(LESSONS[0].image))
    with torch.no_grad():
        expected, _ = Flux2KleinPipeline.prepare_image_latents(
            klein._painting, [pixels], 1, None, torch.device("cpu"), torch.float32
        )
    assert klein._painting._pack_latents(klein._examples(LESSONS)[0].latents).equal(expected)
    raw = klein._painting._patchify_latents(klein._painting.vae.encode(pixels).latent_dist.mode())
    assert not klein._painting._pack_latents(raw).allclose(expected, atol=0.1)


def test_what_leads_from_noise_to_the_picture_has_no_loss(klein: Klein) -> None:
    """Direction and time as the painter's own scheduler has them, whatever a model makes of them: that falls short."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler

    from portraitd.engines.diffusion.tune import Example, Student, flow_loss

    latents, noisy = torch.randn(2, 1, 16, 4, 4, generator=torch.Generator().manual_seed(1))
    picture, noisy = (klein._painting._pack_latents(image) for image in (latents, noisy))

    class Oracle:
        """Knows the picture, and gives the flow that ends there."""

        dtype = torch.float32

        def __call__(self, hidden_states: torch.Tensor, timestep: torch.Tensor, **_: object) -> tuple[torch.Tensor]:
            return ((hidden_states - picture) / timestep[:, None, None],)

    scheduler = FlowMatchEulerDiscreteScheduler.from_config(klein._painting.scheduler.config)
    student = Student(Oracle(), scheduler, torch.device("cpu"), 2, recompute=False)
    example = Example(latents, torch.zeros(1, 3, 48))
    assert flow_loss(student, [example, example], torch.Generator().manual_seed(2)).item() < 1e-6
    scheduler.set_timesteps(sigmas=[0.5], mu=0.0)
    flow = Oracle()(noisy, scheduler.timesteps / 1000)[0]
    assert torch.allclose(scheduler.step(flow, scheduler.timesteps[0], noisy).prev_sample, picture, atol=1e-5)


def test_states_are_handed_out_on_the_way_and_paint_differently(klein: Klein, course: tuple[Learnt, ...]) -> None:
    states = {learnt.step: learnt.lora for learnt in course if learnt.lora}
    assert list(states) == [20, 40, 60]
    pictures = [_paint(klein, lora) for lora in (None, *states.values())]
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_after_learning_the_model_is_what_it_was(klein: Klein, course: tuple[Learnt, ...], tiny_klein: Klein) -> None:
    assert course
    assert np.array_equal(_paint(klein, None), _paint(tiny_klein, None))
    klein.adapters.forget()
    assert not [name for name, _ in klein._painting.transformer.named_parameters() if "lora" in name]


def test_pictures_painted_between_two_steps_show_nothing_of_them(klein: Klein, course: tuple[Learnt, ...]) -> None:
    """And the steps go on as if nobody had painted."""
    bare, somebody = _paint(klein, None), course[19].lora
    worn = _paint(klein, somebody)
    again = []
    for learnt in klein.learn(LESSONS):
        again.append(learnt)
        if learnt.step in {10, 30}:
            assert np.array_equal(_paint(klein, None), bare)
            assert np.array_equal(_paint(klein, somebody), worn)
    assert tuple(again) == course


def test_whoever_stops_in_the_middle_leaves_nothing_behind(klein: Klein) -> None:
    bare = _paint(klein, None)
    lessons = klein.learn(LESSONS)
    for _ in range(3):
        next(lessons)
    lessons.close()
    assert not [name for name, _ in klein._painting.transformer.named_parameters() if ".learning." in name]
    assert np.array_equal(_paint(klein, None), bare)
    assert next(klein.learn(LESSONS)).step == 1


def test_what_is_not_kept_is_computed_again_to_the_same_end(
    tiny_folder: Path, sizes: KleinSizes, course: tuple[Learnt, ...]
) -> None:
    from dataclasses import replace

    from portraitd.engines.diffusion.klein import load_klein

    short = replace(sizes, tuning=replace(sizes.tuning, picture_bytes=2**60, recomputed_bytes=1))
    klein = load_klein(ModelChoice(tiny_folder, "cpu", training_folder=tiny_folder), short)
    assert klein._enrolled(klein._painting.transformer).recompute
    for learnt, expected in zip(klein.learn(LESSONS), course[:10], strict=False):
        assert learnt.loss == pytest.approx(expected.loss, rel=1e-4)
    assert not klein._painting.transformer.is_gradient_checkpointing


def test_in_16_bits_it_learns_in_32(tiny_folder: Path, sizes: KleinSizes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a card: the model and the file are in 16 bits, the layers that learn are not."""
    import torch

    from portraitd.engines.diffusion import klein as module
    from portraitd.engines.diffusion.lora import unpack

    load = module.load_parts
    monkeypatch.setattr(module, "load_parts", lambda folder, *_how: load(folder, torch.bfloat16))
    klein = module.load_klein(ModelChoice(tiny_folder, "cpu", training_folder=tiny_folder), sizes)
    bare, losses, lora = _paint(klein, None), [], None
    for learnt in klein.learn(LESSONS):
        losses.append(learnt.loss)
        lora = learnt.lora or lora
        named = klein._painting.transformer.named_parameters()
        assert {value.dtype for name, value in named if "lora" in name} == {torch.float32}
    assert np.mean(losses[-15:]) < 0.9 * np.mean(losses[:15])
    assert lora is not None
    assert {value.dtype for value in unpack(lora, "klein-4b").values()} == {torch.bfloat16}
    assert not np.array_equal(_paint(klein, lora), bare)
    assert np.array_equal(_paint(klein, None), bare)


def _offloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next models loaded at the tier `offload`, with the processor in the card's place."""
    import torch

    from portraitd.engines.diffusion import klein as module
    from portraitd.engines.diffusion.placement import Memory, Tier

    load = module.load_parts
    monkeypatch.setattr(module, "CARD", "cpu")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "no card")
    monkeypatch.setattr(module, "choose_tier", lambda *_asked: Tier.OFFLOAD)
    monkeypatch.setattr(module, "free_memory", lambda: Memory(2**40, 2**40))
    monkeypatch.setattr(module, "load_parts", lambda folder, *_how: load(folder, torch.float32))


@pytest.mark.parametrize("on_itself", [True, False])
def test_it_learns_between_the_hooks_that_fetch_parts_to_a_card(
    on_itself: bool, tiny_folder: Path, base_folder: Path, sizes: KleinSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portraitd.engines.diffusion.klein import load_klein

    _offloaded(monkeypatch)
    student = tiny_folder if on_itself else base_folder
    choice = ModelChoice(tiny_folder, training_folder=student, compile="off")
    klein = load_klein(choice, sizes)
    bare, losses, lora = _paint(klein, None), [], None
    for learnt in klein.learn(LESSONS):
        losses.append(learnt.loss)
        lora = learnt.lora or lora
        if learnt.step in {1, 30}:
            assert np.array_equal(_paint(klein, None), bare)
    assert np.mean(losses[-15:]) < 0.9 * np.mean(losses[:15])
    worn = _paint(klein, lora)
    assert not np.array_equal(worn, bare)
    klein.adapters.forget()
    assert np.array_equal(_paint(klein, lora), worn)
    assert np.array_equal(_paint(klein, None), bare)


@pytest.mark.parametrize("mode", ["portrait", "template"])
def test_a_cancel_leaves_no_part_on_the_card(
    mode: str, tiny_folder: Path, sizes: KleinSizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By where each part was last sent: the processor's own number, 0, stands for the card here."""
    import torch

    from portraitd.engines.diffusion.klein import load_klein

    _offloaded(monkeypatch)
    klein = load_klein(ModelChoice(tiny_folder, compile="off"), sizes)
    parts = {name: part for name, part in klein._painting.components.items() if isinstance(part, torch.nn.Module)}
    sent: dict[str, torch.device] = {}
    for kind in {type(part) for part in parts.values()}:
        monkeypatch.setattr(kind, "to", _noting(kind.to, parts, sent))
    on_card: list[str] = []

    def beat() -> None:
        on_card.extend(name for name, device in sent.items() if device.index == 0)
        raise KeyError("canceled")

    mesh = FaceMesh((mean_face().points * 20 + np.array([64, 60, 0])).astype(np.float32), 1.0)
    crop = FaceCrop.of(np.full((128, 128, 3), 90, np.uint8), mesh, 64)
    paint = klein.paint if mode == "portrait" else partial(klein.repaint, crop)
    with pytest.raises(KeyError, match="canceled"):
        paint([Draft("a portrait", 7)], Person((np.zeros((64, 64, 3), np.uint8),)), beat=beat)
    assert "transformer" in on_card
    assert sent == dict.fromkeys(parts, torch.device("cpu"))


def _noting(send: Callable[..., object], parts: dict[str, Any], sent: dict[str, Any]) -> Callable[..., object]:
    """`send`, the `to` of some parts' class; where it sends them is noted by their names."""

    def noted(sending: Any, *args: Any, **kwargs: Any) -> object:
        import torch

        names = [name for name, part in parts.items() if part is sending]
        for value in (*args, *kwargs.values()):
            if isinstance(value, str | torch.device):
                sent.update(dict.fromkeys(names, torch.device(value)))
        return send(sending, *args, **kwargs)

    return noted


def test_people_are_learnt_on_another_model_and_painted_by_this_one(
    tiny_folder: Path, base_folder: Path, sizes: KleinSizes, course: tuple[Learnt, ...]
) -> None:
    from portraitd.engines.diffusion.klein import load_klein

    klein = load_klein(ModelChoice(tiny_folder, "cpu", training_folder=base_folder), sizes)
    last = [learnt.lora for learnt in klein.learn(LESSONS)][-1]
    assert last is not None
    assert last != course[-1].lora
    assert not np.array_equal(_paint(klein, last), _paint(klein, None))


def test_it_says_that_it_learns(klein: Klein) -> None:
    assert klein.runs_on == "FLUX.2 [klein] on the processor, cpu; learns people"


def test_a_model_of_another_shape_cannot_teach(tiny_folder: Path, base_folder: Path, tmp_path: Path) -> None:
    from portraitd.engines.diffusion.klein import KleinSizes, load_klein

    other = Path(shutil.copytree(base_folder, tmp_path / "other"))
    config = json.loads((other / "transformer" / "config.json").read_text())
    config["num_single_layers"] = 2
    (other / "transformer" / "config.json").write_text(json.dumps(config))
    with pytest.raises(SetupError, match=r"PORTRAITD_DIFFUSION_TRAINING_MODEL=.*num_single_layers is 2"):
        load_klein(ModelChoice(tiny_folder, "cpu", training_folder=other), KleinSizes(room_bytes=0))


def test_where_memory_is_short_nobody_is_learnt(tiny_folder: Path, sizes: KleinSizes) -> None:
    from dataclasses import replace

    from portraitd.engines.diffusion.klein import load_klein

    short = replace(sizes, tuning=replace(sizes.tuning, picture_bytes=2**60, recomputed_bytes=2**60))
    klein = load_klein(ModelChoice(tiny_folder, "cpu", training_folder=tiny_folder), short)
    with pytest.raises(SetupError, match="training needs"):
        next(klein.learn(LESSONS))


def test_without_a_model_to_train_on_it_does_not_learn(tiny_klein: Klein) -> None:
    assert tiny_klein.lesson_px is None
    with pytest.raises(SetupError, match="PORTRAITD_DIFFUSION_TRAINING_MODEL"):
        next(tiny_klein.learn(LESSONS))


class Anyone(People):
    """Sees a face in the middle of every picture, and the person in each."""

    def mesh(self, image: Image) -> FaceMesh:
        side = min(image.shape[:2])
        points = mean_face().points * side / 8 + np.array([side / 2, side / 2.2, 0])
        return FaceMesh(points.astype(np.float32), 1.0)

    def likeness(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        return 0.9


def test_from_photos_to_portraits_of_the_learnt_person_and_of_others(klein: Klein, face_models: FaceModels) -> None:
    """The whole way with the real pipelines: whoever comes after the person gets what they got before."""
    engine = DiffusionEngine(face_models, lambda: klein, Anyone(face_models))
    photos = [Photo("photo 1", astronaut())]
    others = engine.train(photos).identity
    style, template = load_catalog().get("f_autumnleaf_female"), astronaut()

    def portraits(identity: bytes) -> list[bytes]:
        jobs = (PresetJob(style, identity, 1, 3), TemplateJob(template, identity, 1, 3))
        outcomes = [outcome for job in jobs for outcome in engine.generate(job)]
        return [outcome.image.tobytes() for outcome in outcomes if isinstance(outcome, Portrait)]

    before = portraits(others)
    person = trained_by(engine.training(photos)).identity
    learnt = portraits(person)
    assert len(before) == len(learnt) == 2
    assert all(one != other for one, other in zip(before, learnt, strict=True))
    assert portraits(others) == before
    assert portraits(person) == learnt
