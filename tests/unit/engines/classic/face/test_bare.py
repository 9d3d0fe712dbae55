"""Which pixels of a picture are bare skin: drawn heads, and networks that see what they are told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face import bare, light
from portraitd.engines.classic.face.bare import bare_skin, bare_skin_in
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, Image, Mask, Points
from tests.fakes import heads

WALL = (40, 90, 160)
TONE = light.log_light(np.array([[heads.SKIN]], np.uint8))[0, 0]
#: The face's contour on a picture 400 px wide and 460 high, 180 px from side to side.
OVAL: Points = np.asarray(heads.MESH.xy[list(regions.FACE_OVAL)], np.float32)


class Seeing:
    """Models that see a person everywhere, or nowhere."""

    def __init__(self, shown: float) -> None:
        self._shown = np.float32(shown)

    def network(self, _: str) -> Callable[[Floats], list[Floats]]:
        return lambda batch: [np.full((*batch.shape[:3], 1), self._shown, np.float32)]


def seen(picture: Image, shown: float, mesh: FaceMesh = heads.MESH) -> Mask:
    return bare_skin_in(cast("FaceModels", Seeing(shown)), picture, mesh, TONE)


def skin_at(person: float = 1.0, patch: tuple[slice, slice] | None = None) -> Mask:
    """(460, 400) a picture of nothing but skin, or of a wall with a patch of skin."""
    tone = np.tile(TONE, (460, 400, 1)).astype(np.float32)
    if patch is not None:
        tone[:] = light.log_light(np.array([[WALL]], np.uint8))[0, 0]
        tone[patch] = TONE
    return bare_skin(tone, OVAL, TONE, np.full((460, 400), person, np.float32))


def test_the_face_is_bare_skin_even_where_nobody_is_seen() -> None:
    picture = np.full((460, 401, 3), WALL, np.uint8)
    heads.fill(picture, regions.FACE_OVAL, heads.SKIN)
    mask = seen(picture, 0.0)
    assert mask.shape == (460, 401)
    face = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(face, [np.rint(heads.MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
    assert mask[cv2.erode(face, np.ones((7, 7), np.uint8)) > 0].min() > 0.9
    assert mask[cv2.dilate(face, np.ones((13, 13), np.uint8)) == 0].max() < 0.1
    rows, columns = np.nonzero(mask > 0.5)
    at = np.nonzero(face)
    assert (rows.mean(), columns.mean()) == pytest.approx((at[0].mean(), at[1].mean()), abs=0.6)


def test_skin_shows_near_the_face_and_below_it_but_not_above_nor_far_beside() -> None:
    mask, width = skin_at(), float(np.ptp(OVAL[:, 0]))
    middle, eyes = int(OVAL[:, 0].mean()), int(OVAL[:, 1].min() + 0.4 * np.ptp(OVAL[:, 1]))
    left = float(OVAL[np.abs(OVAL[:, 1] - eyes) < 10, 0].min())
    assert mask[eyes, round(left - 0.03 * width)] > 0.9
    assert mask[eyes, round(left - 0.11 * width)] == pytest.approx(1.25 - 0.11 / 0.16, abs=0.07)
    assert mask[eyes, : int(left - 0.24 * width)].max() == 0
    assert mask[: int(OVAL[:, 1].min() - 0.24 * width), middle].max() == 0
    assert mask[int(OVAL[:, 1].max() + 0.05 * width) :].min() == 1


@pytest.mark.parametrize(("side", "kept"), [(16, False), (36, True)])
def test_what_is_smaller_than_an_ear_is_no_skin(side: int, kept: bool) -> None:
    """Of a face 180 px from side to side."""
    mask = skin_at(patch=np.s_[400 : 400 + side, 160 : 160 + side])
    assert (mask.max() == 1) == kept


def test_skin_is_as_sure_as_that_it_is_somebodys() -> None:
    assert skin_at(0.7)[440, 200] == pytest.approx(0.7, abs=0.01)
    assert skin_at(0.0).max() == 0


@pytest.mark.parametrize("size", [1.0, 0.2])
def test_skin_is_looked_for_on_a_small_copy_never_a_larger_one(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    scale = min(1.0, bare.WORK_PX / (heads.WIDTH * size))
    asked: list[tuple[int, ...]] = []

    def noted(tone: Floats, oval: Points, skin: Floats, person: Mask) -> Mask:
        asked.append(tone.shape)
        assert person.shape == tone.shape[:2]
        assert oval == pytest.approx((OVAL * size + 0.5) * scale - 0.5, abs=1e-3)
        return bare_skin(tone, oval, skin, person)

    monkeypatch.setattr(bare, "bare_skin", noted)
    picture = np.full((460, 401, 3), heads.SKIN, np.uint8)
    seen(picture, 1.0, FaceMesh(heads.MESH.points * np.float32(size), 1.0))
    assert asked == [(round(460 * scale), round(401 * scale), 3)]
