"""Which colours the skin of a model may take for somebody's sake."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from portraitd.engines.classic.face.light import MELANIN
from portraitd.engines.classic.template.recolour import (
    YELLOWER,
    shift_between,
    step_between,
    with_complexion,
)
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.faces import regions
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, to_linear
from tests.fakes import heads


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
