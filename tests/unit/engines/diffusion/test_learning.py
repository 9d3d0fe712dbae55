"""Which of the states of a training becomes the identity, and when none does. Needs no torch."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from portraitd.engines.base import Beat, LeftOut, Photo, Progress, Trained, go_on, trained_by
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.people import People
from portraitd.engines.diffusion.crop import FaceCrop, Square
from portraitd.engines.diffusion.engine import KEPT_ONLY, DiffusionEngine
from portraitd.engines.diffusion.keeping import lora_of, with_lora
from portraitd.engines.diffusion.learning import ALIKE, FRAMES, TRIALS
from portraitd.engines.diffusion.painter import Draft, Learning, Learnt, Lesson, Person, StyleLora
from portraitd.errors import AlgorithmFailed, NoHumanFace, NotAlike, SetupError
from portraitd.faces.embed import RECOGNISER
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Image, Size

#: The black picture has no face.
FACELESS = 0


class Pupil:
    """A painter whose pictures are as bright as what it learnt was good; learns in as many steps as it has states."""

    runs_on = "nothing"
    portrait = Size(48, 64)
    crop_px = large_crop_px = 64
    reference_px = 32
    batch = 1
    lesson_px: int | None = 40

    def __init__(self, goods: Sequence[float]) -> None:
        self._goods = goods
        self.lessons: Sequence[Lesson] = ()
        self.trials: list[tuple[str, int]] = []
        self.ended = False

    def paint(
        self, drafts: Sequence[Draft], person: Person, style: StyleLora | None = None, beat: Beat = go_on
    ) -> list[Image]:
        assert person.lora is not None
        assert not person.references
        self.trials += [(draft.prompt, draft.seed) for draft in drafts]
        return [np.full((64, 48, 3), int(person.lora), np.uint8) for _ in drafts]

    def repaint(self, crop: FaceCrop, drafts: Sequence[Draft], person: Person, beat: Beat = go_on) -> list[Image]:
        raise NotImplementedError

    def learn(self, lessons: Sequence[Lesson]) -> Learning:
        self.lessons = lessons
        steps = 2 * len(self._goods)
        try:
            for number, good in enumerate(self._goods, 1):
                yield Learnt(2 * number - 1, steps, 1.0, None)
                yield Learnt(2 * number, steps, 1.0, b"%d" % round(255 * good))
        finally:
            self.ended = True


class Sure(People):
    """Sees everybody in every picture that is not black, and likes bright ones."""

    def train(self, photos: Sequence[Photo]) -> Trained:
        views = tuple(view_of(photo.name, photo.image, _mesh(), 0.5) for photo in photos)
        identity = Identity(views, mean_face().points, None).to_bytes()
        return Trained(identity, tuple(photo.name for photo in photos), (LeftOut("x.jpg", NoHumanFace()),))

    def mesh(self, image: Image) -> FaceMesh:
        if image.mean() == FACELESS:
            raise NoHumanFace
        return _mesh()

    def likeness(self, identity: Identity, image: Image, mesh: FaceMesh | None) -> float | None:
        return float(image.mean()) / 255


def _mesh() -> FaceMesh:
    return FaceMesh((mean_face().points * 20 + np.array([80, 70, 0])).astype(np.float32), 1.0)


def _photos(count: int) -> list[Photo]:
    noise = np.random.default_rng(1)
    return [Photo(f"{n}.jpg", noise.integers(40, 216, (160, 160, 3), np.uint8)) for n in range(count)]


def _engine(pupil: Pupil, tmp_path: Path) -> DiffusionEngine:
    (tmp_path / RECOGNISER).write_bytes(b"there")
    models = FaceModels(tmp_path)
    return DiffusionEngine(models, lambda: pupil, Sure(models))


def test_the_state_that_paints_the_person_best_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pupil = Pupil([0.6, 0.9, 0.8])
    with caplog.at_level(logging.INFO):
        trained = trained_by(_engine(pupil, tmp_path).training(_photos(2)))
    assert lora_of(trained.identity) == b"%d" % round(255 * 0.9)
    assert (trained.used, len(trained.left_out)) == (("0.jpg", "1.jpg"), 1)
    assert trained.remark == ""
    assert "step 4 of 6: loss 1.0000, likeness 0.90" in caplog.text


def test_every_state_is_judged_by_the_same_pictures(tmp_path: Path) -> None:
    pupil = Pupil([0.6, 0.9])
    trained_by(_engine(pupil, tmp_path).training(_photos(1)))
    assert pupil.trials == [(prompt, seed) for seed, prompt in enumerate(TRIALS)] * 2


@pytest.mark.parametrize("goods", [[0.1, ALIKE - 0.01], [FACELESS, FACELESS]])
def test_a_person_who_was_not_learnt_is_no_identity(goods: list[float], tmp_path: Path) -> None:
    """The client is told what to do about it, under a code that the contract has."""
    pupil = Pupil(goods)
    with pytest.raises(NotAlike, match="Train again with 4 to 10 clear") as caught:
        trained_by(_engine(pupil, tmp_path).training(_photos(1)))
    assert caught.value.code == "InternalError.Algo"
    assert pupil.ended


def test_it_tells_how_far_it_is_and_can_be_stopped_at_every_step(tmp_path: Path) -> None:
    pupil = Pupil([0.9] * 5)
    training = _engine(pupil, tmp_path).training(_photos(1))
    assert [next(training) for _ in range(3)] == [Progress(0.1), Progress(0.2), Progress(0.3)]
    training.close()
    assert len(pupil.trials) == len(TRIALS)
    del training
    assert pupil.ended


def test_a_trial_that_fails_ends_the_lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_asked: object) -> Image:
        raise RuntimeError("broken on purpose")

    pupil = Pupil([0.9, 0.9])
    monkeypatch.setattr(pupil, "paint", broken)
    with pytest.raises(RuntimeError) as caught:
        trained_by(_engine(pupil, tmp_path).training(_photos(1)))
    assert pupil.ended, "even while somebody still looks at the error"
    assert caught.value


def test_a_model_that_does_not_learn_leaves_it_at_the_photos_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pupil = Pupil([])
    pupil.lesson_px = None
    engine = _engine(pupil, tmp_path)
    (trained,) = engine.training(_photos(2))
    assert "PORTRAITD_DIFFUSION_TRAINING_MODEL facechain-finetune makes no LoRA" in caplog.text
    assert isinstance(trained, Trained)
    assert trained.remark == KEPT_ONLY
    assert trained.identity == engine.train(_photos(2)).identity
    assert lora_of(trained.identity) is None


def test_without_the_scorer_s_weights_nobody_is_learnt(tmp_path: Path) -> None:
    pupil = Pupil([0.9])
    engine = _engine(pupil, tmp_path)
    (tmp_path / RECOGNISER).unlink()
    with pytest.raises(SetupError, match=RECOGNISER):
        next(engine.training(_photos(1)))
    assert not pupil.lessons


def test_each_photo_is_a_lesson_from_near_and_from_farther(tmp_path: Path) -> None:
    pupil = Pupil([0.9])
    trained_by(_engine(pupil, tmp_path).training(_photos(3)))
    assert len(pupil.lessons) == 3 * len(FRAMES)
    assert {lesson.image.shape for lesson in pupil.lessons} == {(40, 40, 3)}
    assert [lesson.prompt for lesson in pupil.lessons] == [prompt for _, prompt in FRAMES] * 3
    assert len({lesson.image.tobytes() for lesson in pupil.lessons}) == 6


@pytest.mark.parametrize("room", [1.0, 2.4, 9.0])
@pytest.mark.parametrize(("x", "y"), [(80, 70), (5, 5), (155, 115), (80, 115)])
def test_a_lesson_shows_nothing_that_the_photo_does_not(x: int, y: int, room: float) -> None:
    picture = np.zeros((120, 160, 3), np.uint8)
    mesh = FaceMesh((mean_face().points * 10 + np.array([x, y, 0])).astype(np.float32), 1.0)
    square = Square.within(picture, mesh, room)
    assert 0 <= square.x0 <= square.x0 + square.side <= 160
    assert 0 <= square.y0 <= square.y0 + square.side <= 120
    assert square.side == min(120, Square.around(mesh, room).side)


def _identity() -> bytes:
    return Sure(FaceModels(Path())).train(_photos(1)).identity


def test_an_identity_with_a_lora_is_still_the_identity() -> None:
    plain = _identity()
    both = with_lora(plain, b"a few megabytes")
    assert lora_of(both) == b"a few megabytes"
    assert lora_of(plain) is None
    first, second = Identity.from_bytes(plain), Identity.from_bytes(both)
    assert np.array_equal(first.shape, second.shape)
    assert np.array_equal(first.views[0].image(), second.views[0].image())


def test_the_same_identity_is_the_same_bytes() -> None:
    plain = _identity()
    assert with_lora(plain, b"x") == with_lora(plain, b"x")
    np.load(io.BytesIO(with_lora(plain, b"x")), allow_pickle=False).close()


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK" + bytes(40)])
def test_what_is_no_identity_has_no_lora(data: bytes) -> None:
    with pytest.raises(AlgorithmFailed):
        lora_of(data)
