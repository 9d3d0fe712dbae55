"""The engine around a model: candidates and seeds, references, failures, paste-back. Most of it needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from portraitd import wiring
from portraitd.engines.base import Beat, Failure, Job, Photo, Portrait, PresetJob, TemplateJob, TrainFreeJob, go_on
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.people import People
from portraitd.engines.classic.presets.recipe import IdPhotoRecipe, read_recipe
from portraitd.engines.diffusion import engine as engine_module
from portraitd.engines.diffusion import painter
from portraitd.engines.diffusion.candidates import CandidatePlan, candidate_seed
from portraitd.engines.diffusion.crop import FaceCrop
from portraitd.engines.diffusion.engine import DiffusionEngine
from portraitd.engines.diffusion.keeping import with_lora
from portraitd.engines.diffusion.painter import Draft, Learning, Lesson, ModelChoice, Person, StyleLora
from portraitd.engines.diffusion.prompt import NAME
from portraitd.errors import AlgorithmFailed, NoHumanFace, SetupError
from portraitd.faces.embed import RECOGNISER
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Image, Size, from_linear
from portraitd.portraits.identities import astronaut
from portraitd.settings import Settings, load_settings
from portraitd.styles.catalog import Mode, Style, load_catalog
from portraitd.weights.shelf import Shelf

if TYPE_CHECKING:
    from portraitd.engines.diffusion.klein import Klein

SCENE = "f_autumnleaf_female"
#: Two candidates for each result, however alike the first one is.
BOTH = CandidatePlan(2, enough=2.0)


class Flat:
    """A painter of one grey, which follows from the seed; notes what it was asked for."""

    runs_on = "nothing"
    portrait = Size(48, 64)
    crop_px = 64
    large_crop_px = 96
    reference_px = 32
    batch = 1
    lesson_px: int | None = None

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, Person]] = []
        self.styles: list[StyleLora | None] = []
        self.calls: list[int] = []

    def paint(
        self, drafts: Sequence[Draft], person: Person, style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        self.styles += [style for _ in drafts]
        self._note(drafts, person)
        return [np.full((64, 48, 3), self.grey(draft.seed), np.uint8) for draft in drafts]

    def paint_people(
        self, drafts: Sequence[Draft], people: Sequence[Person], style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        self.calls.append(len(drafts))
        self.styles += [style for _ in drafts]
        self.asked += [(draft.prompt, draft.seed, person) for draft, person in zip(drafts, people, strict=True)]
        return [np.full((64, 48, 3), self.grey(draft.seed), np.uint8) for draft in drafts]

    def repaint(self, crop: FaceCrop, drafts: Sequence[Draft], person: Person, beat: Beat = go_on) -> list[Image]:
        self._note(drafts, person)
        return [np.full_like(crop.image, self.grey(draft.seed)) for draft in drafts]

    def _note(self, drafts: Sequence[Draft], person: Person) -> None:
        self.calls.append(len(drafts))
        self.asked += [(draft.prompt, draft.seed, person) for draft in drafts]

    def learn(self, lessons: Sequence[Lesson]) -> Learning:
        raise NotImplementedError

    @staticmethod
    def grey(seed: int) -> int:
        return seed % 251


def _mesh(side: int) -> FaceMesh:
    points = mean_face().points * side / 8 + np.array([side / 2, side / 2.2, 0])
    return FaceMesh(points.astype(np.float32), 1.0)


class Sure(People):
    """Sees a face in the middle of every picture that is brighter than DARK, and likes bright ones."""

    DARK = 0

    def mesh(self, image: Image) -> FaceMesh:
        if image.mean() < self.DARK:
            raise NoHumanFace
        return _mesh(min(image.shape[:2]))

    def likeness(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        return round(float(image.mean()) / 255, 4)

    def of_photos(self, photos: Sequence[Photo], retouched: bool) -> Identity:
        views = [view_of(photo.name, photo.image, _mesh(len(photo.image)), 0.5) for photo in photos]
        return Identity(tuple(views), mean_face().points, None)


def _noise(seed: int, side: int = 160) -> Image:
    return np.random.default_rng(seed).integers(40, 216, (side, side, 3), np.uint8)


def _person(count: int) -> bytes:
    views = [view_of(f"{n}.jpg", _noise(n), _mesh(160), 0.5) for n in range(count)]
    return Identity(tuple(views), mean_face().points, None).to_bytes()


@pytest.fixture
def flat() -> Flat:
    return Flat()


@pytest.fixture
def engine(flat: Flat, tmp_path: Path) -> DiffusionEngine:
    models = FaceModels(tmp_path)
    return DiffusionEngine(models, lambda: flat, Sure(models), BOTH)


def _preset(count: int, seed: int, people: int = 2) -> PresetJob:
    return PresetJob(load_catalog().get(SCENE), _person(people), count, seed)


def test_a_result_is_the_best_of_its_own_candidates(engine: DiffusionEngine) -> None:
    outcomes = list(engine.generate(_preset(4, seed=100)))
    for seed, outcome in zip(range(100, 104), outcomes, strict=True):
        assert isinstance(outcome, Portrait)
        greys = [Flat.grey(candidate_seed(seed, number)) for number in range(2)]
        assert outcome.seed == seed
        assert (outcome.image == max(greys)).all()
        assert outcome.similarity == round(max(greys) / 255, 4)


@pytest.mark.parametrize(("lead", "chosen"), [(0.01, "sharp"), (0.2, "blurred")])
def test_of_two_about_as_alike_the_sharper_one_is_taken(
    engine: DiffusionEngine, flat: Flat, monkeypatch: pytest.MonkeyPatch, lead: float, chosen: str
) -> None:
    """But never for somebody else: the blurred one is more like the person, by so much."""
    noise = _noise(1)
    pictures = {"sharp": noise, "blurred": np.asarray(cv2.GaussianBlur(noise, (0, 0), 4), np.uint8)}
    left = list(pictures.values())
    monkeypatch.setattr(flat, "paint", lambda *_asked: [left.pop()])
    monkeypatch.setattr(
        engine._people, "likeness", lambda _who, image, _mesh: 0.6 + (0 if image is pictures["sharp"] else lead)
    )
    (outcome,) = engine.generate(_preset(1, seed=1))
    assert isinstance(outcome, Portrait)
    assert np.array_equal(outcome.image, pictures[chosen])


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_no_more_candidates_are_painted_than_it_takes(flat: Flat, tmp_path: Path, batch: int) -> None:
    """Where the first is alike enough it is the result, whatever the second had been, and whatever is beside it."""
    flat.batch, models = batch, FaceModels(tmp_path)
    engine = DiffusionEngine(models, lambda: flat, Sure(models), CandidatePlan(2, enough=0.5))
    outcomes = list(engine.generate(_preset(12, seed=110)))
    greys = {seed: [Flat.grey(candidate_seed(seed, number)) for number in range(2)] for seed in range(110, 122)}
    quick = [seed for seed, (first, _) in greys.items() if round(first / 255, 4) >= 0.5]
    assert 0 < len(quick) < 12
    assert any(greys[seed][1] > greys[seed][0] for seed in quick)
    assert len(flat.asked) == 24 - len(quick)
    for (seed, both), outcome in zip(greys.items(), outcomes, strict=True):
        assert isinstance(outcome, Portrait)
        assert outcome.seed == seed
        assert (outcome.image == (both[0] if seed in quick else max(both))).all()


def test_result_k_needs_seed_and_k_alone(engine: DiffusionEngine) -> None:
    together = list(engine.generate(_preset(4, seed=100)))
    (alone,) = engine.generate(_preset(1, seed=102))
    assert isinstance(alone, Portrait)
    assert isinstance(together[2], Portrait)
    assert np.array_equal(alone.image, together[2].image)


def test_as_many_results_as_the_model_paints_at_once_are_asked_for_together(
    engine: DiffusionEngine, flat: Flat
) -> None:
    one_by_one = list(engine.generate(_preset(4, seed=100)))
    flat.calls.clear()
    for batch, calls in ((1, [1] * 8), (2, [2, 2, 2, 2]), (3, [3, 3, 1, 1]), (4, [4, 4]), (8, [4, 4])):
        flat.batch = batch
        together = list(engine.generate(_preset(4, seed=100)))
        assert flat.calls == calls, batch
        for one, other in zip(one_by_one, together, strict=True):
            assert isinstance(one, Portrait)
            assert isinstance(other, Portrait)
            assert (one.seed, one.similarity) == (other.seed, other.similarity)
            assert np.array_equal(one.image, other.image)
        flat.calls.clear()


def test_seeds_of_neighbours_have_no_candidate_in_common() -> None:
    seeds = {candidate_seed(seed, number) for seed in range(500) for number in range(4)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_picture_without_a_face_fails_alone(engine: DiffusionEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    best = {seed: max(Flat.grey(candidate_seed(seed, n)) for n in range(2)) for seed in range(100, 116)}
    monkeypatch.setattr(Sure, "DARK", sorted(best.values())[8])
    outcomes = list(engine.generate(_preset(16, seed=100)))
    for (_, grey), outcome in zip(sorted(best.items()), outcomes, strict=True):
        if grey < Sure.DARK:
            assert isinstance(outcome, Failure)
            assert isinstance(outcome.error, AlgorithmFailed)
        else:
            assert isinstance(outcome, Portrait)
    assert {type(outcome) for outcome in outcomes} == {Failure, Portrait}


def test_whoever_stops_asking_stops_the_painting(engine: DiffusionEngine, flat: Flat) -> None:
    outcomes = engine.generate(_preset(4, seed=100))
    list(islice(outcomes, 1))
    assert len(flat.asked) == 2
    del outcomes
    assert len(flat.asked) == 2


def test_the_style_s_prompt_changes_with_the_seed(engine: DiffusionEngine, flat: Flat) -> None:
    list(engine.generate(_preset(4, seed=100)))
    prompts = [prompt for prompt, _, _ in flat.asked]
    assert len(set(prompts)) == 4
    assert all("autumn wood" in prompt for prompt in prompts)


def test_a_style_s_lora_is_for_that_style_alone(engine: DiffusionEngine, flat: Flat, tmp_path: Path) -> None:
    (tmp_path / "look.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    plain = load_catalog().get(SCENE)
    table = {**plain.diffusion, "lora": "look.safetensors", "lora_weight": 0.5}
    looking = replace(plain, diffusion=table, diffusion_folder=tmp_path)
    for style in (looking, plain, looking):
        list(engine.generate(PresetJob(style, _person(1), 1, 5)))
    look = StyleLora(tmp_path / "look.safetensors", 0.5)
    assert flat.styles[::2] == [look, None, look]


def test_every_result_sees_the_same_references(engine: DiffusionEngine, flat: Flat) -> None:
    """As many of them as there are pictures, too: none is paired off."""
    list(engine.generate(_preset(3, seed=100, people=3)))
    first = flat.asked[0][2].references
    assert len(first) == 3
    assert all(reference.shape == (32, 32, 3) for reference in first)
    assert not np.array_equal(first[0], first[1])
    for _, _, person in flat.asked[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(person.references, first, strict=True))


def test_no_more_references_than_are_worth_their_time(engine: DiffusionEngine, flat: Flat) -> None:
    list(engine.generate(_preset(1, seed=100, people=7)))
    assert len(flat.asked[0][2].references) == 3


def test_one_person_s_photos_are_not_seen_by_the_next(engine: DiffusionEngine, flat: Flat) -> None:
    style = load_catalog().get(SCENE)
    other = Identity((view_of("x", _noise(77), _mesh(160), 0.5),), mean_face().points, None).to_bytes()
    for identity in (_person(1), other, _person(1)):
        list(engine.generate(PresetJob(style, identity, 1, 5)))
    first, second, third = (asked[2].references[0] for asked in flat.asked[::2])
    assert np.array_equal(first, third)
    assert not np.array_equal(first, second)


def test_what_was_learnt_of_a_person_is_used_for_that_person_alone(engine: DiffusionEngine, flat: Flat) -> None:
    """In presets in place of the references, in templates beside them; the prompt calls the person by name then."""
    style, photos_only = load_catalog().get(SCENE), _person(1)
    learnt = with_lora(photos_only, b"somebody")
    jobs = [PresetJob(style, identity, 1, 5) for identity in (learnt, photos_only)]
    for job in (*jobs, TemplateJob(_noise(1), learnt, 1, 5), TemplateJob(_noise(1), photos_only, 1, 5)):
        list(engine.generate(job))
    list(engine.generate(TrainFreeJob(_noise(1), (Photo("user_urls[0]", _noise(2)),), False, 1, 5)))
    asked = [(person.lora, len(person.references), NAME in prompt) for prompt, _, person in flat.asked[::2]]
    assert asked == [
        (b"somebody", 0, True),
        (None, 1, False),
        (b"somebody", 1, True),
        (None, 1, False),
        (None, 1, False),
    ]


def test_the_skin_retouch_is_of_the_references(engine: DiffusionEngine, flat: Flat) -> None:
    template, photo = _noise(1), Photo("user_urls[0]", _noise(2))
    for retouch in (False, True, True):
        list(engine.generate(TrainFreeJob(template, (photo,), retouch, 1, 5)))
    plain, smooth, again = (asked[2].references[0] for asked in flat.asked[::2])
    assert not np.array_equal(plain, smooth)
    assert np.array_equal(smooth, again)


def test_a_template_keeps_every_pixel_outside_the_mask(engine: DiffusionEngine) -> None:
    template = _noise(1, 240)
    share = FaceCrop.of(template, _mesh(240), 64)
    touched = np.zeros((240, 240), bool)
    x0, y0, side = share.square.x0, share.square.y0, share.square.side
    assert min(x0, y0) >= 0
    touched[y0 : y0 + side, x0 : x0 + side] = share.share > 0
    jobs = (
        TemplateJob(template, _person(2), 2, 5),
        TrainFreeJob(template, (Photo("user_urls[0]", _noise(2)),), True, 2, 5),
    )
    for job in jobs:
        for outcome in engine.generate(job):
            assert isinstance(outcome, Portrait)
            assert np.array_equal(outcome.image[~touched], template[~touched])
            assert not np.array_equal(outcome.image[touched], template[touched])


def test_a_template_without_a_face_fails_before_the_first_result(
    engine: DiffusionEngine, flat: Flat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sure, "DARK", 256)
    with pytest.raises(NoHumanFace):
        next(engine.generate(TemplateJob(_noise(1), _person(1), 2, 5)))
    assert not flat.asked


def test_bytes_that_are_no_identity_are_refused(engine: DiffusionEngine) -> None:
    with pytest.raises(AlgorithmFailed):
        next(engine.generate(PresetJob(load_catalog().get(SCENE), b"no identity", 1, 5)))


def test_warming_loads_the_model_once_and_asks_for_the_scorer(tmp_path: Path, flat: Flat) -> None:
    models, loads = FaceModels(tmp_path), []

    def load() -> Flat:
        loads.append(1)
        return flat

    engine = DiffusionEngine(models, load, Sure(models))
    with pytest.raises(SetupError, match=RECOGNISER):
        engine.warm()
    assert not loads
    (tmp_path / RECOGNISER).write_bytes(b"there")
    engine.warm()
    list(engine.generate(_preset(1, seed=1)))
    assert loads == [1]


def _gives(outcomes: Sequence[Portrait | Failure]) -> list[tuple[bytes, int, float | None]]:
    assert all(isinstance(outcome, Portrait) for outcome in outcomes)
    return [(o.image.tobytes(), o.seed, o.similarity) for o in outcomes if isinstance(o, Portrait)]


def test_jobs_made_together_come_out_as_alone(engine: DiffusionEngine, flat: Flat) -> None:
    """Each with its own person, seeds and number; those whose people have as many references in one call."""
    flat.batch = 16
    jobs = [_preset(2, 100, people=2), _preset(1, 200, people=1), _preset(3, 300, people=2)]
    alone = [_gives(list(engine.generate(job))) for job in jobs]
    asked = flat.asked[:]
    flat.calls, flat.asked = [], []
    together = engine.generate_together(jobs)
    assert [_gives(outcomes) for outcomes in together] == alone
    assert flat.calls == [5, 5, 1, 1]
    assert {(prompt, seed) for prompt, seed, _ in flat.asked} == {(prompt, seed) for prompt, seed, _ in asked}
    references = {seed: len(person.references) for _, seed, person in flat.asked}
    assert references == {seed: len(person.references) for _, seed, person in asked}


def test_a_picture_without_a_face_fails_alone_in_its_job(engine: DiffusionEngine, flat: Flat, tmp_path: Path) -> None:
    flat.batch, seeds = 16, range(100, 120)
    dark = [seed for seed in seeds if max(Flat.grey(candidate_seed(seed, n)) for n in range(2)) < 90]
    assert dark
    people = Sure(FaceModels(tmp_path))
    people.DARK = 90
    engine = DiffusionEngine(FaceModels(tmp_path), lambda: flat, people, BOTH)
    outcomes = engine.generate_together([_preset(1, dark[0]), _preset(1, 300)])
    assert isinstance(outcomes[0][0], Failure)
    assert isinstance(outcomes[1][0], Portrait)


def test_what_goes_together(engine: DiffusionEngine, flat: Flat) -> None:
    """Presets of one style, as many pictures as are painted at once, no more people than the model takes."""
    flat.batch = 4
    one, two = _preset(2, 100), _preset(2, 200, people=1)
    assert not engine.go_together([one, two])  # the model is not even loaded
    list(engine.generate(one))
    assert engine.go_together([one, two])
    assert not engine.go_together([one, two, _preset(1, 300)])
    other = next(style for style in load_catalog() if style.mode is Mode.PRESET and style.id != SCENE)
    assert not engine.go_together([one, replace(two, style=other)])
    assert not engine.go_together([one, TemplateJob(_noise(1), _person(1), 1, 0)])
    flat.batch = 100
    assert engine.go_together([_preset(1, 0, people) for people in (1, 2, 3, 4)])
    assert not engine.go_together([_preset(1, 0, people) for people in (1, 2, 3, 4, 5)])


class Copyist(Flat):
    """Paints the astronaut whatever it is asked for: a face that the real networks find."""

    def paint(
        self, drafts: Sequence[Draft], person: Person, style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        return [astronaut() for _ in drafts]


@pytest.mark.parametrize("style_id", ["f_idcard_female", "f_idcard_male"])
def test_an_id_photo_is_cut_out_and_set_before_its_backdrop(face_models: FaceModels, style_id: str) -> None:
    engine = DiffusionEngine(face_models, Copyist)
    identity = engine.train((Photo("photo 1", astronaut()),)).identity
    style = load_catalog().get(style_id)
    recipe = read_recipe(style)
    assert isinstance(recipe, IdPhotoRecipe)
    for seed, outcome in zip((0, 1), engine.generate(PresetJob(style, identity, 2, 0)), strict=True):
        assert isinstance(outcome, Portrait)
        assert outcome.image.shape == (1024, 768, 3)
        colour = from_linear(np.asarray(recipe.backdrops[seed], np.float32))
        assert np.abs(outcome.image[4, 4].astype(int) - colour).max() <= 1
        face = People(face_models).mesh(outcome.image).box
        assert abs((face.x0 + face.x1) / 2 - 384) < 40


def test_a_painting_wears_what_was_painted(face_models: FaceModels, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clothes are drawn over it."""
    engine, asked = DiffusionEngine(face_models, Copyist), []
    monkeypatch.setattr(
        "portraitd.engines.diffusion.engine.make_preset",
        lambda person, style, seed: asked.append(style) or astronaut(),
    )
    identity = engine.train((Photo("photo 1", astronaut()),)).identity
    list(engine.generate(PresetJob(load_catalog().get("f_idcard_male"), identity, 1, 0)))
    assert asked
    assert not any(read_recipe(style).outfits for style in asked)


class Cutting(DiffusionEngine):
    """Cuts nobody out, and fails where the picture's grey is refused; what it makes is darker with an odd seed."""

    refused: frozenset[int] = frozenset()

    def _id_photo(self, image: Image, style: Style) -> Callable[[int], Image]:
        if int(image[0, 0, 0]) in self.refused:
            raise AlgorithmFailed
        return lambda seed: np.asarray(image - np.uint8(seed % 2), np.uint8)


@pytest.fixture
def cutting(flat: Flat, tmp_path: Path) -> Cutting:
    models = FaceModels(tmp_path)
    return Cutting(models, lambda: flat, Sure(models), CandidatePlan(2, enough=0.5))


@pytest.mark.parametrize("batch", [1, 8])
def test_all_backdrops_of_an_id_photo_are_one_picture(cutting: Cutting, flat: Flat, batch: int) -> None:
    """Of consecutive seeds; which picture it is hangs on the seed alone."""
    flat.batch, style = batch, load_catalog().get("f_idcard_female")
    recipe = read_recipe(style)
    assert isinstance(recipe, IdPhotoRecipe)
    each, outcomes = len(recipe.backdrops), dict[int, Portrait]()
    assert each > 1
    for first, count in ((each, each), (each + 1, each), (each, 2 * each), (2 * each, 1)):
        for outcome in cutting.generate(PresetJob(style, _person(1), count, first)):
            assert isinstance(outcome, Portrait)
            assert np.array_equal(outcomes.setdefault(outcome.seed, outcome).image, outcome.image)
    assert list(outcomes) == list(range(each, 3 * each))
    grey = [int(outcome.image[0, 0, 0]) + seed % 2 for seed, outcome in outcomes.items()]
    assert len(set(grey[:each])) == len(set(grey[each:])) == 1
    assert grey[0] != grey[-1]
    flat.asked.clear()
    list(cutting.generate(PresetJob(style, _person(1), 2 * each, each)))
    assert len({seed for _, seed, _ in flat.asked}) == len(flat.asked) <= 4


def test_where_the_best_painting_cannot_be_cut_out_the_next_best_is(cutting: Cutting) -> None:
    """A further one is painted for it where there is none; only where none is left does the result fail."""
    style, number = load_catalog().get("f_idcard_female"), 58
    recipe = read_recipe(style)
    assert isinstance(recipe, IdPhotoRecipe)
    first, second = (Flat.grey(candidate_seed(number, n)) for n in range(2))
    assert first > second > 128
    for refused, shown in ((set(), first), ({first}, second), ({second}, first), ({first, second}, None)):
        cutting.refused = frozenset(refused)
        (outcome,) = cutting.generate(PresetJob(style, _person(1), 1, number * len(recipe.backdrops)))
        if shown is None:
            assert isinstance(outcome, Failure)
            assert isinstance(outcome.error, AlgorithmFailed)
        else:
            assert isinstance(outcome, Portrait)
            assert (outcome.image == shown).all()


def test_the_model_itself_paints_every_scene_and_both_templates(face_models: FaceModels, tiny_klein: Klein) -> None:
    """Real pipelines, tiny and random: sizes, seeds and pixels outside the mask, not likeness."""
    people = Sure(face_models)
    engine = DiffusionEngine(face_models, lambda: tiny_klein, people)
    identity = DiffusionEngine(face_models, Flat).train((Photo("photo 1", astronaut()),)).identity
    for style in load_catalog():
        if style.mode is Mode.PRESET and "idcard" not in style.id:
            outcomes = list(engine.generate(PresetJob(style, identity, 1, 3)))
            assert isinstance(outcomes[0], Portrait), style.id
            assert outcomes[0].image.shape == (96, 64, 3)
    template = astronaut()
    seeing = DiffusionEngine(face_models, lambda: tiny_klein)
    crop = FaceCrop.of(template, People(face_models).mesh(template), 64)
    photos = tuple(Photo(f"user_urls[{n}]", astronaut()) for n in range(3))
    for job in (TemplateJob(template, identity, 2, 3), TrainFreeJob(template, photos, True, 2, 3)):
        first, second = seeing.generate(job)
        assert isinstance(first, Portrait)
        assert isinstance(second, Portrait)
        assert not np.array_equal(first.image, second.image)
        changed = np.argwhere((first.image != template).any(axis=2))
        assert crop.square.x0 <= changed[:, 1].min() <= changed[:, 1].max() < crop.square.x0 + crop.square.side
        assert crop.square.y0 <= changed[:, 0].min() <= changed[:, 0].max() < crop.square.y0 + crop.square.side


def test_an_id_photo_of_no_face_is_a_failure(face_models: FaceModels) -> None:
    engine = DiffusionEngine(face_models, Flat)
    identity = engine.train((Photo("photo 1", astronaut()),)).identity
    (outcome,) = engine.generate(PresetJob(load_catalog().get("f_idcard_male"), identity, 1, 0))
    assert isinstance(outcome, Failure)


def _settings(tmp_path: Path, model: Path | str, training_model: str = "") -> Settings:
    return load_settings(
        {
            "PORTRAITD_HOME": str(tmp_path / "home"),
            "PORTRAITD_ENGINE": "diffusion",
            "PORTRAITD_DIFFUSION_MODEL": str(model),
            "PORTRAITD_DIFFUSION_TIER": "cpu",
            "PORTRAITD_DIFFUSION_TRAINING_MODEL": training_model,
        }
    )


def test_the_setting_s_engine_is_made_and_loads_its_model_later(tmp_path: Path, tiny_folder: Path) -> None:
    assert wiring.load_engine(_settings(tmp_path, tiny_folder)).name == "diffusion"
    with pytest.raises(SetupError, match="PORTRAITD_DIFFUSION_MODEL"):
        wiring.load_engine(_settings(tmp_path, tmp_path / "nowhere"))
    with pytest.raises(SetupError, match=r"PORTRAITD_DIFFUSION_TRAINING_MODEL=.*no such folder"):
        wiring.load_engine(_settings(tmp_path, tiny_folder, str(tmp_path / "nowhere")))


def test_a_few_pictures_do_not_wait_for_the_compiler_unless_it_is_asked_for(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ModelChoice] = []
    monkeypatch.setattr(engine_module, "load_painter", asked.append)
    for setting, for_once in (("auto", False), ("auto", True), ("on", True), ("off", False)):
        settings = replace(_settings(tmp_path, tiny_folder), diffusion_compile=setting)
        engine = wiring.load_engine(settings, for_once)
        assert isinstance(engine, DiffusionEngine)
        engine._painter()
    assert [choice.compile for choice in asked] == ["auto", "off", "on", "off"]


def test_the_model_that_was_pulled_serves_unless_another_is_named(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "holds", lambda *_: False)
    with pytest.raises(SetupError, match="`portraitd weights pull klein-4b`"):
        wiring.load_engine(_settings(tmp_path, ""))
    monkeypatch.setattr(Shelf, "holds", lambda *_: True)
    monkeypatch.setattr(Shelf, "path", lambda *_: tiny_folder)
    assert wiring.load_engine(_settings(tmp_path, "")).name == "diffusion"


def test_without_the_extra_the_engine_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painter, "PACKAGES", ("json", "a_package_that_nobody_has"))
    with pytest.raises(SetupError, match=r"needs a_package_that_nobody_has: .*portraitd\[diffusion\]"):
        wiring.load_engine(_settings(tmp_path, tmp_path))


@pytest.mark.parametrize("mode", ["preset", "template", "photos"])
def test_a_job_is_ended_between_two_steps_and_leaves_nothing(
    face_models: FaceModels, tiny_klein: Klein, mode: str
) -> None:
    """The real pipelines, in the midst of a picture: what comes next is what it would have been."""
    engine = DiffusionEngine(face_models, lambda: tiny_klein, Sure(face_models), BOTH)
    photos = (Photo("photo 1", astronaut()),)
    identity = engine.train(photos).identity
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:  # the second candidate's first step of two
            raise KeyError("ended on purpose")

    job: PresetJob | TemplateJob | TrainFreeJob = {
        "preset": PresetJob(load_catalog().get(SCENE), identity, 2, 3),
        "template": TemplateJob(astronaut(), identity, 2, 3),
        "photos": TrainFreeJob(astronaut(), photos, False, 2, 3),
    }[mode]
    undisturbed = _gives(list(engine.generate(job)))
    with pytest.raises(KeyError, match="ended on purpose"):
        list(engine.generate(replace(job, beat=beat)))
    assert len(beats) == 3
    assert _gives(list(engine.generate(job))) == undisturbed


class First(Flat):
    """Notes where its paintings start from."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[Image | None] = []

    def repaint(self, crop: FaceCrop, drafts: Sequence[Draft], person: Person, beat: Beat = go_on) -> list[Image]:
        self.starts.append(crop.start)
        return super().repaint(crop, drafts, person, beat)


class Refusing(ClassicEngine):
    def generate(self, job: Job) -> Iterator[Portrait | Failure]:
        raise NoHumanFace


def test_a_template_s_face_is_painted_over_the_other_engine_s(face_models: FaceModels) -> None:
    """Over the same look for every result, so that none hangs on another; from noise where that engine refuses."""
    painter, classic = First(), ClassicEngine(face_models)
    photos = (Photo("photo 1", np.ascontiguousarray(astronaut()[:, ::-1])),)
    identity = classic.train(photos).identity
    engine = DiffusionEngine(face_models, lambda: painter, first=classic)
    for job in (TemplateJob(astronaut(), identity, 2, 5), TrainFreeJob(astronaut(), photos, False, 2, 5)):
        painter.starts.clear()
        assert len(list(engine.generate(job))) == 2
        (look,) = classic.generate(replace(job, count=1, seed=0))
        assert isinstance(look, Portrait)
        # So large a face would come back soft from the usual side.
        whole = FaceCrop.of(astronaut(), engine._people.mesh(astronaut()), painter.large_crop_px)
        crop = whole.started_from(look.image)
        assert crop.start is not None
        assert not np.array_equal(crop.start, crop.image)
        for start in painter.starts:
            assert start is not None
            assert np.array_equal(start, crop.start)
    painter.starts.clear()
    refused = DiffusionEngine(face_models, lambda: painter, first=Refusing(face_models))
    assert len(list(refused.generate(TemplateJob(astronaut(), identity, 1, 5)))) == 1
    assert set(painter.starts) == {None}


def test_the_setting_names_the_start(tiny_folder: Path) -> None:
    environ = {"PORTRAITD_ENGINE": "diffusion", "PORTRAITD_DIFFUSION_MODEL": str(tiny_folder)}
    assert _engine_of(environ)._first is None
    assert isinstance(_engine_of({**environ, "PORTRAITD_DIFFUSION_START": "classic"})._first, ClassicEngine)


def _engine_of(environ: dict[str, str]) -> DiffusionEngine:
    engine = wiring.load_engine(load_settings(environ))
    assert isinstance(engine, DiffusionEngine)
    return engine
