"""The face check refuses what it should and nothing else: good portraits, damaged on purpose.

The damages are those of `benchmarks/verdicts.py`, which runs them on every portrait; here a few people stand for all.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, chelsea, coffee

from portraitd import errors
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.verdict import Verdict, VerdictLimits, judge, measure
from portraitd.images import Image, decode, from_linear, to_linear

DETECT, PHOTO, TEMPLATE = VerdictLimits.detect(), VerdictLimits.photo(), VerdictLimits.template()
PEOPLE = ("man_2", "source_woman", "Hong_Kong_night_style", "woman_3")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The benchmark as a module, for its damages."""
    path = Path(__file__).parents[2] / "benchmarks" / "verdicts.py"
    spec = importlib.util.spec_from_file_location("benchmark_verdicts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def person() -> Image:
    """A real photo, twice its size: (1024, 1024, 3)."""
    return np.asarray(cv2.resize(astronaut(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="module")
def judge_damaged(face_models: FaceModels, bench: ModuleType, person: Image) -> Callable[[str], Verdict]:
    """The verdict on the real photo after a damage of the benchmark, by its name."""
    mesh = fit_mesh(face_models, person, detect_faces(face_models, person)[0])
    subject = bench.Subject("astronaut", person, mesh)
    damages = {case.name: case.damage for case in bench.CASES}
    return lambda name: judge(face_models, damages[name](subject, np.random.default_rng(1)), DETECT)


def test_a_good_photo_is_usable_with_true_measures(face_models: FaceModels, person: Image) -> None:
    verdict = judge(face_models, person, DETECT)
    assert verdict == Verdict("", None, verdict.measures)
    assert verdict.usable
    measures = verdict.measures
    assert measures is not None
    assert measures.faces == 1
    assert measures.face_height_px == pytest.approx(216, rel=0.05)
    assert measures.face_width_px == pytest.approx(188, rel=0.05)
    assert max(abs(angle) for angle in vars(measures.pose).values()) < 6
    assert 150 < measures.light.luma_middle < 230
    assert measures.cover.score < 0.6
    half = measure(face_models, astronaut())
    assert half is not None
    assert half.face_height_px == pytest.approx(measures.face_height_px / 2, rel=0.03)
    assert half.detail_px == pytest.approx(measures.detail_px, rel=0.25)  # enlarging adds no detail


@pytest.mark.parametrize("limits", [DETECT, PHOTO, TEMPLATE])
def test_the_photo_of_the_built_in_identity_is_usable(face_models: FaceModels, limits: VerdictLimits) -> None:
    assert judge(face_models, astronaut(), limits).reason == ""


@pytest.mark.parametrize(
    ("case", "reason", "error"),
    [
        ("two faces", "multiple faces detected", errors.MultipleFaces),
        ("tiny", "face too small", errors.FaceTooSmall),
        ("five stops darker", "poor lighting", errors.BadLight),
        ("half in the dark", "poor lighting", errors.BadLight),
        ("out of focus", "image blurred", errors.BadLight),
        ("shaken", "image blurred", errors.BadLight),
        ("cut below the nose", "face occluded", errors.FaceCovered),
        ("sunglasses", "face occluded", errors.FaceCovered),
        ("mirrored sunglasses", "face occluded", errors.FaceCovered),
        ("blue mask", "face occluded", errors.FaceCovered),
        ("hand over the mouth", "face occluded", errors.FaceCovered),
        ("thing over an eye", "face occluded", errors.FaceCovered),
    ],
)
def test_each_damage_has_its_reason_and_error(
    judge_damaged: Callable[[str], Verdict], case: str, reason: str, error: type[errors.PortraitdError]
) -> None:
    verdict = judge_damaged(case)
    assert verdict.reason == reason
    assert type(verdict.error) is error


@pytest.mark.parametrize(
    ("ratio", "steepness", "reason"), [(10.0, 1.2, ""), (4.5, 4.0, ""), (5.5, 4.0, "poor lighting")]
)
def test_a_face_may_be_lit_from_one_side_but_no_half_of_it_lie_in_the_dark(
    face_models: FaceModels, person: Image, ratio: float, steepness: float, reason: str
) -> None:
    """In the photo itself one half has 1.24 times the other's light."""
    mesh = fit_mesh(face_models, person, detect_faces(face_models, person)[0])
    away = (np.arange(person.shape[1]) - mesh.xy[1, 0]) / mesh.box.width
    light = 1 - (1 - 1 / ratio) * np.clip(0.5 + steepness * away, 0, 1)
    lit = from_linear(to_linear(person) * light[None, :, None].astype(np.float32))
    assert judge(face_models, lit, DETECT).reason == reason


@pytest.mark.parametrize("picture", [coffee, chelsea])
def test_where_nobody_is_there_is_no_face(face_models: FaceModels, picture: object) -> None:
    assert callable(picture)
    verdict = judge(face_models, picture(), DETECT)
    assert (verdict.reason, verdict.measures) == ("no face detected", None)
    assert isinstance(verdict.error, errors.NoHumanFace)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3000, 3), (512, 512, 3)])
def test_blank_pictures_of_any_shape_have_no_face(face_models: FaceModels, shape: tuple[int, int, int]) -> None:
    assert judge(face_models, np.full(shape, 127, np.uint8), DETECT).reason == "no face detected"


def test_a_small_face_in_a_large_picture_is_found(face_models: FaceModels) -> None:
    canvas = np.full((3000, 4000, 3), 90, np.uint8)
    canvas[1000:1512, 2500:3012] = astronaut()
    verdict = judge(face_models, canvas, DETECT)
    assert verdict.reason == ""
    assert verdict.measures is not None
    assert verdict.measures.face_height_px == pytest.approx(108, rel=0.05)


def test_a_portrait_may_be_turned_further_in_a_template(face_models: FaceModels, portraits_folder: Path) -> None:
    image = decode((portraits_folder / "templates" / "Retro_style.jpg").read_bytes())
    measures = measure(face_models, image)
    assert measures is not None
    assert 20 < abs(measures.pose.yaw_deg) < TEMPLATE.yaw_deg
    assert judge(face_models, image, TEMPLATE).reason == ""
    strict = VerdictLimits(yaw_deg=15.0)
    verdict = judge(face_models, image, strict)
    assert verdict.reason == "face angle too large"
    assert isinstance(verdict.error, errors.BadFacePose)


def test_dark_glasses_are_refused_in_a_template(face_models: FaceModels, portraits_folder: Path) -> None:
    image = decode((portraits_folder / "templates" / "Fashion_glasses.jpg").read_bytes())
    assert judge(face_models, image, TEMPLATE).reason == "face occluded"


def test_every_good_portrait_is_usable(face_models: FaceModels, portraits_folder: Path) -> None:
    refused = {
        path.stem: reason
        for path in sorted([*portraits_folder.glob("*.png"), *portraits_folder.glob("templates/*.jpg")])
        if (reason := judge(face_models, decode(path.read_bytes()), DETECT).reason)
    }
    assert refused == {"Fashion_glasses": "face occluded"}


def test_damaged_portraits_are_judged_rightly(
    face_models: FaceModels, portraits_folder: Path, bench: ModuleType
) -> None:
    chosen = [subject for subject in bench.subjects(face_models, [portraits_folder]) if subject.name in PEOPLE]
    outcomes = [bench.judge_case(face_models, subject, case, DETECT) for subject in chosen for case in bench.CASES]
    wrong = [f"{o.subject}, {o.case}: {o.reason or 'accepted'}" for o in outcomes if not o.right]
    assert len(outcomes) == len(PEOPLE) * len(bench.CASES)
    assert len(wrong) <= 0.02 * len(outcomes), wrong
