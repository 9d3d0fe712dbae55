"""What becomes of a body that the photo's side cuts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.person.identity import View, view_of
from portraitd.engines.classic.presets.cutout import cut_out
from portraitd.engines.classic.presets.framing import Wish
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Mask
from tests.fakes import heads

#: A face of 180 px becomes one of 400, as in an ID photo: more is shown than the photo has to either side.
WISH = Wish((400.0, 390.0, 410.0), (384.0, 4.0), (60.0, 40.0, 80.0))
#: What each side of the photo lacks, px.
CUT = 40
CHIN = float(heads.MESH.xy[regions.CHIN, 1])


def person(shoulder: float, hair: tuple[float, float] | None = None) -> View:
    """A head whose shoulders both sides of the photo cut from this row down, and whose hair they cut between two."""
    alpha = np.zeros((400, 400), np.float32)
    cv2.circle(alpha, (200, 160), 120, 1.0, -1)
    alpha[int(shoulder) :] = 1
    if hair is not None:
        alpha[int(hair[0]) : int(hair[1])] = 1
    sides = np.s_[:, CUT:-CUT]
    mesh = FaceMesh(heads.MESH.points - np.array([CUT, 0, 0], np.float32), 1.0)
    view = view_of("cut", np.ascontiguousarray(heads.head()[sides]), mesh, 0.9)
    return replace(view, alpha=lambda: np.ascontiguousarray(alpha[sides]))


def beside(view: View) -> tuple[Mask, Mask]:
    """The left and the right rim of the cutout."""
    alpha = cut_out(view, WISH, 0.0).alpha
    return alpha[:, 2:5].min(axis=1), alpha[:, -5:-2].min(axis=1)


@pytest.mark.parametrize("above", [-40.0, 0.0, 50.0])
def test_a_shoulder_goes_on_to_the_picture_s_side(above: float) -> None:
    for rim in beside(person(CHIN - above)):
        begins = int(np.argmax(rim > 0.5))
        assert begins > 0
        assert rim[begins + 12 :].min() > 0.95
        assert rim[: begins - 12].max() < 0.05


@pytest.mark.parametrize("mirrored", [False, True])
def test_each_side_is_judged_by_itself(mirrored: bool) -> None:
    alpha = np.zeros((400, 320), np.float32)
    cv2.circle(alpha, (160, 160), 120, 1.0, -1)
    alpha[int(CHIN) - 50 :, :160] = 1
    alpha[int(CHIN) + 60 :] = 1
    alpha = np.ascontiguousarray(alpha[:, ::-1]) if mirrored else alpha
    rims = beside(replace(person(CHIN), alpha=lambda: alpha))
    high, low = rims[::-1] if mirrored else rims
    begins = int(np.argmax(high > 0.5))
    assert int(np.argmax(low > 0.5)) - begins > 100
    assert begins < 545, "50 px above the chin"
    assert high[begins + 12 :].min() > 0.95


def test_hair_ends_in_a_soft_curve() -> None:
    for rim in beside(person(CHIN + 40, hair=(100.0, 180.0))):
        assert rim[300:560].max() < 0.05
        assert rim[-60:].min() > 0.95


def test_hair_that_falls_on_a_cut_shoulder_does_too() -> None:
    for rim in beside(person(100.0)):
        assert rim[300:500].max() < 0.05
