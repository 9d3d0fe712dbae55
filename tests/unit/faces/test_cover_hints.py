"""Lips that are seen are not covered, whatever nose and mouth look like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from skimage.data import astronaut

from portraitd.faces import regions
from portraitd.faces.cover import CoverHints, EyeHints, measure_cover
from portraitd.faces.detect import detect_faces
from portraitd.faces.look import FaceCrop, face_crop
from portraitd.faces.mesh import main_mesh
from portraitd.faces.models import FaceModels

EYE = EyeHints(likeness=0.7, under=0.9, lightest=1.0, contrast=0.5)
#: A smile in odd light: nose and mouth look little like average ones.
SMILE = CoverHints(EYE, EYE, 0.24, 0.38, 0.85, 28.0, 24.0, 0.0, 12.0, 0.0)
#: Pale lips of somebody who speaks, lit from the side.
SPEAKING = replace(SMILE, lips_redder=2.0, teeth=12.0)


def test_red_lips_below_a_doubtful_nose_are_seen() -> None:
    assert not SMILE.mouth_hidden


@pytest.mark.parametrize(
    "change",
    [
        {"lips_redder": 3.0, "lips_apart": 4.0},  # a cloth is of one colour
        {"nose_likeness": 0.05},  # nothing like a nose above them: something painted
    ],
)
def test_a_cloth_or_a_thing_before_the_mouth_hides_it(change: dict[str, float]) -> None:
    assert replace(SMILE, **change).mouth_hidden


def test_teeth_between_the_lips_are_seen() -> None:
    assert not SPEAKING.mouth_hidden
    assert replace(SPEAKING, teeth=6.0).mouth_hidden
    assert replace(SPEAKING, nose_likeness=0.05).mouth_hidden  # a laugh painted on a cloth


@pytest.mark.parametrize(
    ("eye", "hidden"),
    [
        ({"likeness": 0.15, "lightest": 1.5, "contrast": 1.1}, False),  # dark skin, a white eye in a laugh
        ({"likeness": 0.15, "lightest": 1.5, "contrast": 0.9}, True),  # hair over it
        ({"likeness": 0.15, "lightest": 1.2, "contrast": 1.1}, True),
        ({"likeness": 0.15, "lightest": 1.5, "contrast": 1.1, "under": 0.7}, True),  # a mirrored glass
        ({"likeness": 0.15}, True),
        ({"likeness": 0.3}, False),
    ],
)
def test_an_eye_unlike_others_is_hidden_unless_its_white_is_seen(eye: dict[str, float], hidden: bool) -> None:
    for sides in ({"left_eye": replace(EYE, **eye)}, {"right_eye": replace(EYE, **eye)}):
        assert replace(SMILE, **sides).eyes_hidden == hidden


def _teeth_in(crop: FaceCrop) -> float:
    return measure_cover(crop, 0.0).teeth


def test_teeth_are_what_is_light_between_open_lips(face_models: FaceModels) -> None:
    mesh = main_mesh(face_models, astronaut(), detect_faces(face_models, astronaut()))
    assert mesh is not None
    crop = face_crop(astronaut(), mesh)
    assert _teeth_in(crop) > 10
    between = crop.polygon(regions.LIPS_INNER)
    dark = crop.image.copy()
    dark[between] = 20
    assert _teeth_in(replace(crop, image=dark)) < 0
    inner = list(regions.LIPS_INNER)
    shut = crop.points.copy()
    shut[inner, 1] = shut[inner, 1].mean()
    assert _teeth_in(replace(crop, points=shut)) == 0
