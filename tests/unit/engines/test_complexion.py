"""What a photo's eyes say of whether its skin is dark, or the photo; and which colours the model's skin may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.complexion import (
    MOST_DIM,
    YELLOWER,
    complexion_of,
    shift_between,
    step_between,
    with_complexion,
)
from portraitd.engines.classic.identity import Identity, view_of
from portraitd.engines.classic.light import MELANIN
from portraitd.engines.classic.region import FaceRegion, read_region
from portraitd.engines.classic.template import TemplateFace, read_template
from portraitd.faces import regions
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, to_linear
from tests.fakes import heads

EYES = (regions.LEFT_EYE, regions.RIGHT_EYE)


def face(whites: int, dim: float = 1.0, *, shut: bool = False) -> FaceRegion:
    """A head whose eyes are this white, in a picture that is so much darker in linear light."""
    picture, mesh = heads.head(), heads.MESH
    for ring in EYES:
        heads.fill(picture, ring, (whites, whites, whites))
    picture = np.asarray(np.rint(picture * dim ** (1 / 2.2)), np.uint8)
    region = read_region(picture, mesh)
    if shut:
        for ring in EYES:
            middle = region.mesh.points[list(ring), 1].mean()
            region.mesh.points[list(ring), 1] = middle + 0.2 * (region.mesh.points[list(ring), 1] - middle)
    return region


def lifted(region: FaceRegion) -> float:
    """By how much the complexion is brighter than the skin in the photo, natural log."""
    return float((complexion_of(region) - region.skin).mean())


def test_dark_skin_in_good_light_is_dark() -> None:
    """The whites are bright: so is the light."""
    region = face(230)
    dark = FaceRegion(region.image, region.mesh, region.light, region.skin - np.float32(1.5), region.hair)
    assert lifted(dark) == 0


def test_an_eye_beyond_the_edge_says_nothing() -> None:
    picture, mesh = heads.head(), heads.MESH
    middle = int(mesh.xy[:, 0].mean())
    half = read_region(np.ascontiguousarray(picture[:, :middle]), mesh)
    assert half.mesh.xy[list(regions.RIGHT_EYE), 0].min() > half.image.shape[1]
    assert np.isfinite(complexion_of(half)).all()


@pytest.mark.parametrize("dim", [0.2, 0.1])
def test_a_dim_photo_does_not_make_skin_dark(dim: float) -> None:
    assert lifted(face(230, dim)) > 0.3
    assert lifted(face(230, dim)) <= MOST_DIM
    assert lifted(face(230, 0.1)) > lifted(face(230, 0.25))


def test_the_brighter_eye_counts() -> None:
    region = face(230, 0.15)
    x, y, width, height = cv2.boundingRect(np.rint(region.mesh.xy[list(regions.LEFT_EYE)]).astype(np.int32))
    region.image[y : y + height, x : x + width] = 235
    assert lifted(region) == 0


def test_shut_eyes_say_nothing() -> None:
    assert lifted(face(230, 0.15, shut=True)) == 0


def test_a_person_s_complexion_is_kept_and_not_what_a_dim_photo_shows() -> None:
    region = face(230, 0.15)
    view = view_of("dim", region.image, region.mesh, 0.5)
    assert view.skin().mean() > view.face().skin.mean() + 0.3
    kept = Identity.from_bytes(Identity((view,), mean_face().points, None).to_bytes())
    assert kept.skin == pytest.approx(view.skin(), abs=1e-5)


@pytest.fixture(scope="module")
def fair() -> TemplateFace:
    return read_template(heads.head(), heads.MESH)


def tint_for(template: TemplateFace, colour: Floats, darker: float = 1.0) -> Floats:
    """(3,) what the model's skin takes of this difference in colour (natural log) from somebody so much darker."""
    person = np.asarray(template.face.skin - np.float32(darker) * MELANIN + colour, np.float32)
    return step_between(person, template) - np.float32(shift_between(person, template)) * MELANIN


def test_nobody_s_skin_turns_greener_nor_yellow_alone(fair: TemplateFace) -> None:
    """Whatever lamp lit the photo: skin gains yellow with red, as golden skin has it."""
    colours = np.random.default_rng(0).uniform(-0.25, 0.25, (300, 3)).astype(np.float32)
    tints = np.array([tint_for(fair, colour) for colour in colours])
    redder, yellower = tints[:, 0] - tints[:, 1], tints[:, 1] - tints[:, 2]
    assert redder.min() > -1e-5
    assert yellower.min() > -1e-5, "nor bluer"
    assert (yellower <= YELLOWER * redder + 1e-5).all()
    assert np.percentile(redder, 90) > 0.05, "some of them are ruddy"


@pytest.mark.parametrize(
    "lamp", [(-0.1, 0.2, -0.1), (0.05, 0.12, -0.2), (-0.2, 0.0, 0.2)], ids=["green", "yellow", "blue"]
)
def test_a_lamp_s_colour_is_not_taken_for_the_person_s(fair: TemplateFace, lamp: tuple[float, float, float]) -> None:
    assert tint_for(fair, np.float32(lamp)) == pytest.approx(0, abs=1e-5)


def test_a_golden_and_ruddy_person_keeps_both(fair: TemplateFace) -> None:
    """Half of what they are redder, and of what they are yellower; of too much yellow, what goes with the red."""
    golden = tint_for(fair, np.float32((0.2, -0.05, -0.2)))
    assert golden[0] - golden[1] == pytest.approx(0.5 * 0.25, abs=0.03)
    assert golden[1] - golden[2] == pytest.approx(0.5 * 0.15, abs=0.015)
    assert golden.mean() == pytest.approx(0, abs=1e-5)
    yellow = tint_for(fair, np.float32((0.1, 0.0, -0.4)))
    assert yellow[0] - yellow[1] > 0.03
    assert yellow[1] - yellow[2] == pytest.approx(YELLOWER * (yellow[0] - yellow[1]), abs=1e-5)


def test_a_ruddy_person_does_not_turn_blue(fair: TemplateFace) -> None:
    pink = tint_for(fair, np.float32((0.2, -0.1, 0.1)))
    assert pink[0] > 0.07
    assert pink[2] == pytest.approx(pink[1], abs=1e-5)


class Seeing:
    """Models that see a person everywhere, or nowhere."""

    def __init__(self, shown: float) -> None:
        self._shown = np.float32(shown)

    def network(self, _: str) -> Callable[[Floats], list[Floats]]:
        return lambda batch: [np.full((*batch.shape[:3], 1), self._shown, np.float32)]


def test_the_face_takes_the_step_where_it_lies_in_the_picture() -> None:
    template = read_template(heads.head((40, 90, 160), (40, 90, 160)), heads.MESH)
    worn = with_complexion(cast("FaceModels", Seeing(0.0)), template, -1.0 * MELANIN)
    changed = np.argwhere((worn.picture != template.picture).any(axis=2))
    oval = heads.MESH.xy[list(regions.FACE_OVAL)]
    assert changed.min(axis=0) == pytest.approx(oval.min(axis=0)[::-1], abs=9)
    assert changed.max(axis=0) == pytest.approx(oval.max(axis=0)[::-1], abs=9)


def test_skin_is_what_has_the_faces_own_colour_and_not_the_new_one() -> None:
    template = read_template(heads.head(), heads.MESH)
    worn = with_complexion(cast("FaceModels", Seeing(1.0)), template, -1.0 * MELANIN)
    neck = np.s_[360:390, 180:220]
    moved = np.log(to_linear(worn.picture[neck]) / to_linear(template.picture[neck])).mean(axis=(0, 1))
    assert moved == pytest.approx(-MELANIN, abs=0.12)
