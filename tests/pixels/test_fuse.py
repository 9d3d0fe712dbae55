"""Template mode, measured on the finished pictures: whose face it is, where it lies, and what stays as it was.

One synthetic man and one woman stand for all; a photo of each that is never given to the engine is the yardstick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import coffee

from portraitd.engines.base import Failure, Photo, Portrait, PresetJob, TemplateJob, Trained, TrainFreeJob
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.engines.classic.face.bare import bare_skin_in
from portraitd.engines.classic.face.expression import mouth_in_picture
from portraitd.engines.classic.face.region import read_region
from portraitd.engines.classic.fusion.trial import Distance, views_by_trial
from portraitd.engines.classic.looks import LOOKS
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.people import People
from portraitd.engines.classic.template.packs import cut
from portraitd.engines.classic.template.template_face import TemplateFace, look_at
from portraitd.errors import AlgorithmFailed, NoHumanFace
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import DlibEmbedder, distance
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels, Network
from portraitd.faces.shape import Pose, pose_of
from portraitd.images import Floats, Image, decode, from_linear, to_linear
from portraitd.styles.catalog import load_catalog

#: Who goes into which template.
PAIRS = (("man", "Gentleman"), ("man", "Soccer"), ("woman", "garden_1"), ("woman", "Retro_style"))
SEED = 24
#: dlib's line between two people is 0.6; photos of one person lie about 0.3 apart.
SAME_PERSON = 0.45


@dataclass(frozen=True)
class Seen:
    """What a stranger to the engine sees in a picture."""

    mesh: FaceMesh
    embedding: Floats

    @property
    def pose(self) -> Pose:
        return pose_of(self.mesh.points)

    def oval(self, shape: tuple[int, ...], grow_px: int = 0) -> NDArray[np.bool_]:
        """(H, W) the face, contour included, grown (or, below 0, shrunk)."""
        return filled(shape, self.mesh.xy[list(regions.FACE_OVAL)], grow_px)

    @property
    def beside_px(self) -> int:
        """How far beyond the contour skin may go along with the face's tone."""
        return round(0.13 * self.mesh.box.width) + 2

    @property
    def yielding_px(self) -> int:
        """How far beyond the contour the picture may give way to another outline."""
        return round(0.24 * self.mesh.box.width) + 2

    def above_brows(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(H, W) what lies above the line along the tops of the brows."""
        tops = []
        for brow in (regions.LEFT_BROW, regions.RIGHT_BROW):
            points = self.mesh.xy[list(brow)]
            tops.append(points[points[:, 1].argmin()])
        (x0, y0), (x1, y1) = tops
        y, x = np.indices(shape[:2])
        return np.asarray((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) < 0)

    def eyes_and_mouth(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        rings = (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_OUTER)
        return np.logical_or.reduce([filled(shape, self.mesh.xy[list(ring)]) for ring in rings])


def grown(mask: NDArray[np.uint8], grow_px: int) -> NDArray[np.bool_]:
    """(H, W) the mask grown (or, below 0, shrunk)."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow_px) + 1,) * 2)
    return np.asarray((cv2.dilate if grow_px > 0 else cv2.erode)(mask, disc) > 0)


def filled(shape: tuple[int, ...], polygon: Floats, grow_px: int = 0) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon).astype(np.int32)], 1)
    return grown(mask, grow_px)


@pytest.fixture(scope="module")
def bare(embedder_folder: Path) -> Callable[[Image, Seen], NDArray[np.bool_]]:
    """(H, W) where a picture shows bare skin."""
    models = FaceModels(embedder_folder)
    return lambda picture, seen: bare_skin_in(models, picture, seen.mesh, read_region(picture, seen.mesh).skin) > 0


Look = Callable[[Image], Seen]
Bare = Callable[[Image, Seen], NDArray[np.bool_]]
Load = Callable[[str], Image]


@pytest.fixture(scope="module")
def engine(embedder_folder: Path) -> ClassicEngine:
    engine = ClassicEngine(FaceModels(embedder_folder))
    engine.warm()
    return engine


@pytest.fixture(scope="module")
def load(portraits_folder: Path) -> Load:
    return lambda name: decode(next(portraits_folder.rglob(f"{name}.*")).read_bytes())


@pytest.fixture(scope="module")
def look(embedder_folder: Path) -> Look:
    models = FaceModels(embedder_folder)
    embedder = DlibEmbedder(models)

    def see(image: Image) -> Seen:
        mesh = fit_mesh(models, image, detect_faces(models, image)[0])
        return Seen(mesh, embedder.embed(image, mesh))

    return see


@pytest.fixture(scope="module")
def people(engine: ClassicEngine, load: Load) -> dict[str, Trained]:
    """Trained from three photos each; `man_4` and `woman_4` are held back."""
    return {who: engine.train([Photo(f"{who}_{i}", load(f"{who}_{i}")) for i in (1, 2, 3)]) for who in ("man", "woman")}


@pytest.fixture(scope="module")
def held_back(load: Load, look: Look) -> dict[str, Seen]:
    return {who: look(load(f"{who}_4")) for who in ("man", "woman")}


@pytest.fixture(scope="module")
def results(engine: ClassicEngine, load: Load, people: dict[str, Trained]) -> dict[tuple[str, str], list[Image]]:
    """Four pictures of every pair."""
    made = {}
    for who, template in PAIRS:
        outcomes = engine.generate(TemplateJob(load(template), people[who].identity, 4, SEED))
        made[who, template] = [image_of(outcome) for outcome in outcomes]
    return made


def image_of(outcome: Portrait | Failure) -> Image:
    assert isinstance(outcome, Portrait)
    return outcome.image


def only(outcomes: object) -> Image:
    (outcome,) = outcomes  # type: ignore[misc]
    return image_of(outcome)


def luma(image: Image) -> NDArray[np.float64]:
    return image.astype(np.float64).mean(axis=2)


def change(a: Image, b: Image) -> NDArray[np.float64]:
    """(H, W) mean absolute difference of the colours."""
    return np.abs(a.astype(np.float64) - b).mean(axis=2)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_result_is_the_template_but_for_the_face(
    results: dict[tuple[str, str], list[Image]], load: Load, look: Look, bare: Bare, pair: tuple[str, str]
) -> None:
    """Outside the template's face every byte stays but for its bare skin and what is right beside it, below the brows
    what gives way to another jaw. Inside, another face is seen."""
    template = load(pair[1])
    face = look(template)
    outside = ~face.oval(template.shape, face.yielding_px) & ~bare(template, face)
    for image in results[pair]:
        assert image.shape == template.shape
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert (image[outside] == template[outside]).all()
        assert change(image, template)[face.oval(template.shape, -10)].mean() > 3


def test_hair_and_backdrop_above_the_brows_stay(
    results: dict[tuple[str, str], list[Image]], load: Load, look: Look
) -> None:
    """No jaw moves there, and what is much darker or brighter than skin is none."""
    seen = 0
    for pair, images in results.items():
        template = load(pair[1])
        face = look(template)
        grey = cv2.GaussianBlur(luma(template), (0, 0), 2)
        skin = np.median(luma(template)[face.oval(template.shape, -15)])
        strange = grown(((grey < 0.35 * skin) | (grey > skin + 70)).astype(np.uint8), -3)
        beside = face.oval(template.shape, face.beside_px) & ~face.oval(template.shape, 2)
        stays = strange & beside & face.above_brows(template.shape)
        seen += int(stays.sum())
        for image in images:
            # The edge of what gives way further down may touch it.
            assert np.abs(image[stays].astype(int) - template[stays]).max() <= 2
    assert seen > 500


def test_the_fringe_stays_the_templates(results: dict[tuple[str, str], list[Image]], load: Load, look: Look) -> None:
    """Dark hair over the forehead of `Retro_style` is as it was, the skin beside it is not."""
    template = load("Retro_style")
    face = look(template)
    brows = face.mesh.xy[list(regions.LEFT_BROW + regions.RIGHT_BROW), 1].min()
    forehead = face.oval(template.shape, -2)
    forehead[int(brows) - 6 :] = False
    skin = np.median(luma(template)[face.oval(template.shape, -15)])
    hair = forehead & (cv2.blur(luma(template), (3, 3)) < 0.5 * skin)
    assert hair.sum() > 150
    for image in results["woman", "Retro_style"]:
        assert change(image, template)[hair].mean() < 3
        assert np.percentile(change(image, template)[hair], 95) < 12


@pytest.mark.parametrize("pair", PAIRS)
def test_the_face_is_the_persons(
    results: dict[tuple[str, str], list[Image]],
    load: Load,
    look: Look,
    held_back: dict[str, Seen],
    pair: tuple[str, str],
) -> None:
    """Measured on a photo the engine has never seen, and against whoever was in the template."""
    model = look(load(pair[1])).embedding
    person = held_back[pair[0]].embedding
    assert distance(model, person) > SAME_PERSON - 0.05, "the pair must be two people for this to mean anything"
    for image in results[pair]:
        own = look(image).embedding
        assert distance(own, person) < SAME_PERSON
        assert distance(own, person) < distance(own, model)


@pytest.mark.parametrize("pair", PAIRS)
def test_the_head_is_held_as_in_the_template(
    results: dict[tuple[str, str], list[Image]], load: Load, look: Look, pair: tuple[str, str]
) -> None:
    wanted = look(load(pair[1]))
    for image in results[pair]:
        found = look(image)
        assert found.pose.yaw_deg == pytest.approx(wanted.pose.yaw_deg, abs=5)
        assert found.pose.pitch_deg == pytest.approx(wanted.pose.pitch_deg, abs=5)
        assert found.pose.roll_deg == pytest.approx(wanted.pose.roll_deg, abs=3)
        eyes_apart = np.linalg.norm(wanted.mesh.eye_centres[1] - wanted.mesh.eye_centres[0])
        assert np.abs(found.mesh.eye_centres - wanted.mesh.eye_centres).max() < 0.12 * eyes_apart


@pytest.mark.parametrize("pair", PAIRS[1:3])
def test_four_results_are_four_choices_of_one_person(
    results: dict[tuple[str, str], list[Image]], load: Load, look: Look, pair: tuple[str, str]
) -> None:
    face = look(load(pair[1])).oval(results[pair][0].shape, -8)
    for a, b in combinations(results[pair], 2):
        assert change(a, b)[face].mean() > 2.5
        assert distance(look(a).embedding, look(b).embedding) < SAME_PERSON


def test_a_result_depends_on_its_seed_alone(
    engine: ClassicEngine, results: dict[tuple[str, str], list[Image]], load: Load, people: dict[str, Trained]
) -> None:
    """Result k of four is the one result of seed + k, bit for bit, whatever the engine did before."""
    pair = PAIRS[0]
    for number in (3, 0):
        again = list(engine.generate(TemplateJob(load(pair[1]), people[pair[0]].identity, 1, SEED + number)))
        assert [outcome.seed for outcome in again if isinstance(outcome, Portrait)] == [SEED + number]
        assert (image_of(again[0]) == results[pair][number]).all()


def test_the_photo_that_the_trial_puts_first_is_taken(
    engine: ClassicEngine, load: Load, people: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float | None] = []

    def reversed_views(template: TemplateFace, identity: Identity, apart: Distance | None) -> tuple[View, ...]:
        assert apart is not None
        told.append(apart(template.picture, template.whole_mesh))
        return tuple(reversed(views_by_trial(template, identity, apart)))

    job = TemplateJob(load("Gentleman"), people["man"].identity, 1, 0)
    (best,) = engine.generate(job)
    monkeypatch.setattr("portraitd.engines.classic.engine.views_by_trial", reversed_views)
    (other,) = engine.generate(job)
    (before,) = told
    assert before is not None
    assert before > 0.5  # the model
    assert isinstance(best, Portrait)
    assert isinstance(other, Portrait)
    assert not np.array_equal(best.image, other.image)
    assert best.similarity is not None
    assert other.similarity is not None
    assert best.similarity > other.similarity


def test_each_look_takes_the_photo_of_its_rank_and_what_was_tried_is_what_is_fused(
    engine: ClassicEngine, load: Load, people: dict[str, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[TemplateFace, tuple[View, ...]]] = []
    fused: list[tuple[TemplateFace, View]] = []

    def trying(template: TemplateFace, identity: Identity, apart: Distance | None) -> tuple[View, ...]:
        tried.append((template, views_by_trial(template, identity, apart)))
        return tried[0][1]

    def fusing(template: TemplateFace, identity: Identity, view: View, *rest: object) -> Image:
        fused.append((template, view))
        return template.picture

    monkeypatch.setattr("portraitd.engines.classic.engine.views_by_trial", trying)
    monkeypatch.setattr("portraitd.engines.classic.engine.fuse", fusing)
    monkeypatch.setattr("portraitd.engines.classic.engine.cores", lambda: 1)
    assert len(list(engine.generate(TemplateJob(load("Gentleman"), people["man"].identity, len(LOOKS), 0)))) == len(
        LOOKS
    )
    ((template, views),) = tried
    assert all(worn is template for worn, _ in fused)
    assert [view.name for _, view in fused] == [views[look.view_rank % 3].name for look in LOOKS]


def test_training_twice_gives_the_same_bytes(engine: ClassicEngine, load: Load) -> None:
    photos = [Photo("a", load("man_1"))]
    assert engine.train(photos) == engine.train(photos)


def test_similarity_tells_likeness(engine: ClassicEngine, load: Load, people: dict[str, Trained]) -> None:
    (right,) = engine.generate(TemplateJob(load("Gentleman"), people["man"].identity, 1, SEED))
    assert isinstance(right, Portrait)
    assert right.similarity is not None
    assert 0.8 < right.similarity <= 1


def test_a_picture_without_a_face_is_like_nobody(embedder_folder: Path, people: dict[str, Trained]) -> None:
    known = People(FaceModels(embedder_folder))
    identity, nobody = known.read(people["man"].identity), np.full((300, 300, 3), 128, np.uint8)
    assert known.gap(identity, nobody, None) is None
    assert known.likeness(identity, nobody, None) is None


def test_without_the_embedder_s_weights_nobody_can_tell(
    embedder_folder: Path, people: dict[str, Trained], tmp_path: Path
) -> None:
    identity = Identity.from_bytes(people["man"].identity)
    assert People(FaceModels(embedder_folder)).can_tell(identity)
    assert not People(FaceModels(embedder_folder)).can_tell(replace(identity, embedding=None))
    assert not People(FaceModels(tmp_path)).can_tell(identity)


def test_one_photo_is_enough_and_photos_differ(engine: ClassicEngine, load: Load, look: Look) -> None:
    """One photo and four photos of a person both give that person, without training."""
    template = load("Flowers")
    model, person = look(template).embedding, look(load("woman_4")).embedding
    for names in (["woman_1"], ["woman_1", "woman_2", "woman_3", "source_woman"][:3]):
        photos = tuple(Photo(name, load(name)) for name in names)
        image = only(engine.generate(TrainFreeJob(template, photos, retouch=False, count=1, seed=SEED)))
        assert image.shape == template.shape
        assert distance(look(image).embedding, person) < SAME_PERSON
        assert distance(look(image).embedding, person) < distance(look(image).embedding, model)


def test_a_stranger_among_the_photos_is_left_out_and_named(engine: ClassicEngine, load: Load) -> None:
    names = ["woman_1", "man_1", "woman_2", "woman_3"]
    trained = engine.train([Photo(name, load(name)) for name in names])
    assert trained.used == ("woman_1", "woman_2", "woman_3")
    assert [(left.name, left.why) for left in trained.left_out] == [
        ("man_1", "it shows somebody else than the other photos")
    ]
    assert {view.name for view in Identity.from_bytes(trained.identity).views} == set(trained.used)


def test_a_photo_without_a_face_is_left_out_and_named(engine: ClassicEngine, load: Load) -> None:
    trained = engine.train([Photo("mug", coffee()), Photo("me", load("man_1"))])
    assert trained.used == ("me",)
    assert [(left.name, type(left.error)) for left in trained.left_out] == [("mug", NoHumanFace)]
    assert trained.left_out[0].why == NoHumanFace().message


def test_where_nobody_is_there_is_no_human_face(engine: ClassicEngine, load: Load, people: dict[str, Trained]) -> None:
    nobody = coffee()
    me = (Photo("me", load("man_1")),)
    with pytest.raises(NoHumanFace):
        engine.train([Photo("mug", nobody)])
    for job in (
        TemplateJob(nobody, people["man"].identity, 2, SEED),
        TrainFreeJob(nobody, me, retouch=True, count=2, seed=SEED),
        TrainFreeJob(load("Gentleman"), (Photo("mug", nobody),), retouch=True, count=2, seed=SEED),
    ):
        with pytest.raises(NoHumanFace):
            list(engine.generate(job))


def test_retouching_changes_skin_only(engine: ClassicEngine, load: Load, look: Look) -> None:
    template = load("Gentleman")
    photos = (Photo("me", load("man_2")),)
    plain, smooth = (
        only(engine.generate(TrainFreeJob(template, photos, retouch=retouch, count=1, seed=SEED)))
        for retouch in (False, True)
    )
    seen = look(plain)
    face = seen.oval(template.shape, -6)
    features = seen.eyes_and_mouth(template.shape)
    moved = change(plain, smooth)
    target = look(template)
    assert moved[~target.oval(template.shape, target.beside_px)].max() == 0
    assert moved[face & ~features].mean() > 0.4
    assert moved[features].mean() < moved[face & ~features].mean()
    pores = [np.abs(luma(x) - cv2.GaussianBlur(luma(x), (0, 0), 2))[face & ~features] for x in (plain, smooth)]
    assert np.median(pores[1]) < 0.98 * np.median(pores[0])


@pytest.mark.parametrize("who", ["man", "woman"])
def test_in_a_laughing_template_people_laugh(
    engine: ClassicEngine, people: dict[str, Trained], load: Load, look: Look, who: str
) -> None:
    earnest, laughing = (
        mouth_in_picture(
            look(only(engine.generate(TemplateJob(load(name), people[who].identity, 1, SEED)))).mesh.points
        )
        for name in ("Gentleman", "Soccer")
    )
    assert laughing.smile > earnest.smile + 0.03
    assert laughing.opening > earnest.opening


def test_a_look_that_smiles_smiles(engine: ClassicEngine, people: dict[str, Trained], load: Load, look: Look) -> None:
    smiling = LOOKS.index(replace(LOOKS[0], smile=0.06))
    plain, other = (
        only(engine.generate(TemplateJob(load("Gentleman"), people["man"].identity, 1, SEED + number)))
        for number in (0, smiling)
    )
    smiles = [mouth_in_picture(look(image).mesh.points).smile for image in (plain, other)]
    assert smiles[1] > smiles[0] + 0.02


@pytest.fixture(scope="module")
def put(engine: ClassicEngine, people: dict[str, Trained]) -> Callable[[Image], Image]:
    def put(template: Image) -> Image:
        image = only(engine.generate(TemplateJob(template, people["man"].identity, 1, SEED)))
        assert image.shape == template.shape
        assert image.dtype == np.uint8
        return image

    return put


def test_a_neck_in_shade_is_brightened(
    put: Callable[[Image], Image], load: Load, look: Look, embedder_folder: Path
) -> None:
    template = load("Flowers")
    face = look(template)
    fill = look_at(FaceModels(embedder_folder), template, face.mesh).fill
    assert fill is not None
    lift = np.zeros(template.shape[:2], np.float32)
    x0, y0, x1, y1 = (int(v) for v in fill.box)
    lift[y0:y1, x0:x1] = cv2.resize(fill.bare * fill.lift, (x1 - x0, y1 - y0))
    neck = (lift > 0.12) & ~face.oval(template.shape, face.yielding_px)
    assert neck.sum() > 1000
    image = put(template)
    gain = np.log(to_linear(image[neck]).mean() / to_linear(template[neck]).mean())
    assert gain == pytest.approx(lift[neck].mean(), rel=0.4)


def test_of_two_things_wrong_the_identity_is_named(engine: ClassicEngine) -> None:
    """The template is looked at meanwhile; what is said does not depend on which is done first."""
    nothing = np.full((300, 300, 3), 128, np.uint8)
    with pytest.raises(AlgorithmFailed):
        list(engine.generate(TemplateJob(nothing, b"no identity", 1, 0)))


class TestHardPictures:
    """Nothing here is refused or comes out broken, though not all of it can be beautiful."""

    @pytest.mark.parametrize("angle", [-40, 30])
    def test_a_tilted_head(self, put: Callable[[Image], Image], load: Load, look: Look, angle: float) -> None:
        upright = load("Gentleman")
        height, width = upright.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
        template = cv2.warpAffine(upright, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        wanted = look(template)
        assert wanted.pose.roll_deg == pytest.approx(look(upright).pose.roll_deg + angle, abs=4)
        image = put(template)
        assert look(image).pose.roll_deg == pytest.approx(wanted.pose.roll_deg, abs=3)
        assert distance(look(image).embedding, look(load("man_4")).embedding) < SAME_PERSON

    @pytest.mark.parametrize("light", [0.2, 0.05])
    def test_a_dark_template(self, put: Callable[[Image], Image], load: Load, look: Look, light: float) -> None:
        """The face takes the template's darkness and warmth instead of glowing in it."""
        bright = load("Gentleman")
        template = from_linear(to_linear(bright) * np.float32(light))
        face = look(bright).oval(template.shape, -12)
        image = put(template)
        assert np.median(luma(image)[face]) == pytest.approx(np.median(luma(template)[face]), rel=0.2)
        warmth = [float(x[face][:, 0].mean() / x[face][:, 2].mean()) for x in (image, template)]
        assert warmth[0] == pytest.approx(warmth[1], rel=0.15)

    def test_a_black_and_white_photo_takes_the_templates_colour(
        self, engine: ClassicEngine, load: Load, look: Look
    ) -> None:
        grey = cv2.cvtColor(load("woman_1"), cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2)
        template = load("Flowers")
        job = TrainFreeJob(template, (Photo("grey", grey),), retouch=False, count=1, seed=SEED)
        image = only(engine.generate(job))
        face = look(template).oval(template.shape, -12)
        red, _, blue = (image[face].astype(float).mean(axis=0)) / image[face].mean()
        wanted_red, _, wanted_blue = (template[face].astype(float).mean(axis=0)) / template[face].mean()
        assert red == pytest.approx(wanted_red, abs=0.06)
        assert blue == pytest.approx(wanted_blue, abs=0.06)
        assert distance(look(image).embedding, look(load("woman_4")).embedding) < 0.5

    def test_a_black_and_white_template_stays_black_and_white(self, put: Callable[[Image], Image], load: Load) -> None:
        template = cv2.cvtColor(load("Gentleman"), cv2.COLOR_RGB2GRAY)[:, :, None].repeat(3, axis=2)
        assert np.ptp(put(template).astype(int), axis=2).max() <= 2

    def test_a_tiny_face(self, put: Callable[[Image], Image], load: Load, look: Look, bare: Bare) -> None:
        small = cv2.resize(load("Gentleman"), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
        template = np.full((512, 512, 3), 128, np.uint8)
        template[150 : 150 + small.shape[0], 100 : 100 + small.shape[1]] = small
        face = look(template)
        assert face.mesh.box.height < 70
        image = put(template)
        outside = ~face.oval(template.shape, face.yielding_px) & ~bare(template, face)
        assert (image[outside] == template[outside]).all()
        assert change(image, template)[face.oval(template.shape, -4)].mean() > 2

    def test_a_microphone_before_the_chin_stays_in_front(
        self, put: Callable[[Image], Image], load: Load, look: Look
    ) -> None:
        template = load("T-shirt").copy()
        face = look(template)
        width = round(face.mesh.box.width)
        x, y = (round(float(v)) for v in face.mesh.xy[regions.CHIN])
        cv2.line(template, (x, y), (x + width // 4, y + width), (45, 45, 50), width // 6, cv2.LINE_AA)
        cv2.circle(template, (x, y - width // 10), width // 6, (70, 70, 75), -1, cv2.LINE_AA)
        image = put(template)
        head = np.zeros(template.shape[:2], np.uint8)
        cv2.circle(head, (x, y - width // 10), width // 6 - 5, 1, -1)
        assert change(image, template)[head > 0].max() < 12
        assert change(image, template)[face.oval(template.shape, -10) & (luma(template) > 120)].mean() > 3

    @pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
    def test_a_face_cut_by_the_picture(self, put: Callable[[Image], Image], load: Load, look: Look, side: str) -> None:
        """A tenth of the face lies outside; what is left is filled up to the edge."""
        whole = load("Soccer")
        box = look(whole).mesh.box
        x0, y0, x1, y1 = (int(v) for v in box)
        dx, dy = int(0.1 * box.width), int(0.1 * box.height)
        parts = {
            "left": whole[:, x0 + dx :],
            "right": whole[:, : x1 - dx],
            "top": whole[y0 + dy :],
            "bottom": whole[: y1 - dy],
        }
        template = np.ascontiguousarray(parts[side])
        image = put(template)
        face = look(template).oval(template.shape, -8)
        assert change(image, template)[face].mean() > 3
        strips = {"left": face[:, :12], "right": face[:, -12:], "top": face[:12], "bottom": face[-12:]}
        edges = {"left": np.s_[:, :12], "right": np.s_[:, -12:], "top": np.s_[:12], "bottom": np.s_[-12:]}
        if strips[side].sum() > 200:
            assert change(image, template)[edges[side]][strips[side]].mean() > 1

    def test_a_large_template_takes_a_small_photo(self, put: Callable[[Image], Image], load: Load, look: Look) -> None:
        template = cv2.resize(load("Gentleman"), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        image = put(template)
        assert distance(look(image).embedding, look(load("man_4")).embedding) < SAME_PERSON


PACK = ("Men_suit", "Gentleman")


@pytest.fixture(scope="module")
def made(engine: ClassicEngine, people: dict[str, Trained], portraits_folder: Path) -> list[Image]:
    """Two results of a style that has a pack of two pictures."""
    paths = tuple(portraits_folder / "templates" / f"{name}.jpg" for name in PACK)
    style = replace(load_catalog().get("f_business_male"), templates=paths)
    outcomes = engine.generate(PresetJob(style, people["man"].identity, 2, SEED))
    return [image_of(outcome) for outcome in outcomes]


class TestStylePack:
    def test_results_are_of_the_presets_size(self, made: list[Image]) -> None:
        assert [image.shape for image in made] == [(1024, 768, 3)] * 2
        assert {image.dtype for image in made} == {np.dtype(np.uint8)}

    def test_the_person_is_in_the_packs_pictures(
        self, made: list[Image], load: Load, look: Look, held_back: dict[str, Seen]
    ) -> None:
        """Each picture of the pack serves once, its surroundings kept, and the face in it is the person's."""
        cuts = {}
        for name in PACK:
            template = load(name)
            cuts[name] = cut(template, look(template).mesh)[0]
        used = []
        for image in made:
            gaps = {name: float(np.median(change(image, template))) for name, template in cuts.items()}
            used.append(min(gaps, key=lambda name: gaps[name]))
            assert min(gaps.values()) < 1
            own = look(image).embedding
            assert distance(own, held_back["man"].embedding) < SAME_PERSON
            assert distance(own, held_back["man"].embedding) < distance(own, look(cuts[used[-1]]).embedding)
        assert set(used) == set(PACK)


class TestTheEngineItself:
    """What is built elsewhere is of no use until the engine asks for it."""

    def test_a_broad_jaw_makes_a_broader_face(
        self, engine: ClassicEngine, people: dict[str, Trained], load: Load, look: Look
    ) -> None:
        known, template = Identity.from_bytes(people["man"].identity), load("Gentleman")
        low = np.clip(known.shape[:, 1] / 0.8, 0, 1)
        widths = []
        for factor in (0.85, 1.15):
            shape = known.shape.copy()
            shape[:, 0] *= 1 + (factor - 1) * low
            job = TemplateJob(template, replace(known, shape=shape).to_bytes(), 1, SEED)
            corners = look(only(engine.generate(job))).mesh.xy[[172, 397]]  # of the jaw
            widths.append(float(np.linalg.norm(corners[0] - corners[1])))
        assert widths[1] > 1.06 * widths[0]

    def test_likeness_is_read_where_the_face_has_come_to(
        self, embedder_folder: Path, people: dict[str, Trained], load: Load, look: Look
    ) -> None:
        class Recorder(DlibEmbedder):
            def embed(self, image: Image, mesh: FaceMesh) -> Floats:
                self.asked = mesh
                return super().embed(image, mesh)

        models = FaceModels(embedder_folder)
        engine, recorder = ClassicEngine(models), Recorder(models)
        engine._people.embedder = recorder
        known, template = Identity.from_bytes(people["man"].identity), load("Gentleman")
        shape = known.shape.copy()
        shape[:, 1] += 0.2 * np.clip((shape[:, 1] - 0.9) / 0.4, 0, 1)
        only(engine.generate(TemplateJob(template, replace(known, shape=shape).to_bytes(), 1, SEED)))
        chin = float(recorder.asked.xy[regions.CHIN, 1] - look(template).mesh.xy[regions.CHIN, 1])
        assert chin > 3

    def test_a_template_is_looked_at_once(self, embedder_folder: Path, people: dict[str, Trained], load: Load) -> None:
        class Counted(FaceModels):
            asked = 0

            def network(self, name: str) -> Network:
                self.asked += name == "face_landmark.tflite"
                return super().network(name)

        models = Counted(embedder_folder)
        engine, made = ClassicEngine(models), []
        for expected in (2, 2):  # the mesh is fitted in two passes
            made.append(only(engine.generate(TemplateJob(load("Gentleman"), people["man"].identity, 1, SEED))))
            assert models.asked == expected
        assert np.array_equal(*made)
