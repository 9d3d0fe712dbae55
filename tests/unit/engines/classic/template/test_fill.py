"""A template in its fill light: the neck is brighter, and all else keeps its bytes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.region import Nearby
from portraitd.engines.classic.template.fill import with_fill
from portraitd.engines.classic.template.neck import skin_around, surroundings
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.faces import regions
from portraitd.images import Image, Mask, to_linear
from tests.fakes import heads

NECK, WALL = (168, 125, 105), (40, 90, 160)
#: x0, x1, y0 of the neck.
AT = (150, 250, 200)


def picture(neck: tuple[int, ...] = NECK) -> Image:
    """(460, 401, 3) a head on a neck before a blue wall."""
    image = np.full((460, 401, 3), WALL, np.uint8)
    image[AT[2] :, AT[0] : AT[1]] = neck
    heads.fill(image, regions.FACE_OVAL, heads.SKIN)
    heads.fill(image, regions.LIPS_OUTER, heads.LIPS)
    return image


def somebody() -> Nearby:
    return Nearby(np.ones((256, 256), np.float32), np.array([[1, 0, 0], [0, 1, 0]], np.float32))


def read(image: Image) -> TemplateFace:
    return read_template(image, heads.MESH, somebody)


def inside(shape: tuple[int, ...]) -> Mask:
    """(H, W) 1 in the face's contour."""
    face = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(face, [np.rint(heads.MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
    return face


def test_the_neck_is_brighter_by_what_was_found() -> None:
    template = read(picture())
    assert template.fill is not None
    lit = with_fill(template)
    neck = np.s_[310:330, 180:220]
    expected = np.array(NECK) * np.exp((template.fill.lift.max() + template.fill.tint) / 2.2)
    assert lit.picture[neck].mean(axis=(0, 1)) == pytest.approx(expected, abs=1.5)
    assert template.around is not None
    assert lit.around == pytest.approx(template.around + template.fill.moved, abs=1e-6)
    assert template.fill.moved.min() > 0.05


def test_face_wall_and_the_template_itself_keep_their_bytes() -> None:
    before = picture()
    template = read(before)
    lit = with_fill(template)
    assert np.array_equal(template.picture, picture())
    changed = (lit.picture != before).any(axis=2)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    # Edges are drawn along the picture's own, a little softly.
    assert columns.min() >= AT[0] - 3
    assert columns.max() <= AT[1] + 2
    assert rows.min() > heads.MESH.xy[regions.NOSE_TIP, 1]
    assert not changed[cv2.erode(inside(before.shape), np.ones((9, 9), np.uint8)) > 0].any()


def test_its_region_is_cut_out_of_it_anew() -> None:
    lit = with_fill(read(picture()))
    x0, y0, x1, y1 = (int(v) for v in lit.box)
    assert np.array_equal(lit.face.image, lit.picture[y0:y1, x0:x1])
    assert lit.face.image.flags.c_contiguous


def test_a_template_that_needs_none_is_as_it_is() -> None:
    bright = read(picture(heads.SKIN))
    assert bright.fill is None
    assert with_fill(bright) is bright
    unasked = read_template(picture(), heads.MESH)
    assert unasked.fill is None
    assert with_fill(unasked) is unasked
    wall = read_template(picture(), heads.MESH, lambda: replace(somebody(), probability=np.zeros((8, 8), np.float32)))
    assert wall.fill is None


def test_a_neck_as_bright_as_the_face_changes_in_colour_alone() -> None:
    sallow = (203, 160, 126)
    before = picture(sallow)
    template = read(before)
    assert template.fill is not None
    assert template.fill.lift.max() == 0
    lit = with_fill(template)
    neck = np.s_[310:330, 180:220]
    red, _, blue = (lit.picture[neck].astype(float) - before[neck]).mean(axis=(0, 1))
    assert blue > 4
    assert red < 0
    weights = np.array([0.2126, 0.7152, 0.0722])
    light = [float((to_linear(image[neck]) @ weights).mean()) for image in (before, lit.picture)]
    assert light[1] == pytest.approx(light[0], rel=0.02)
    assert not (lit.picture[:, :100] != before[:, :100]).any()


@pytest.mark.parametrize("neck", [NECK, (203, 160, 126)])
def test_the_skin_around_the_face_moves_as_was_found(neck: tuple[int, ...]) -> None:
    """The middle of it, where not all is lit."""
    before = picture(neck)
    band = before[280:300]
    band[(band == neck).all(axis=2)] = heads.SKIN
    template = read(before)
    lit = with_fill(template)
    assert lit.around is not None
    around = skin_around(surroundings(lit.picture, template.whole_mesh, template.face.skin))
    assert around == pytest.approx(lit.around, abs=0.03)


def test_grey_stays_grey() -> None:
    grey = np.repeat(cv2.cvtColor(picture(), cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    template = read(grey)
    lit = with_fill(template)
    assert (lit.picture > grey).any()
    assert np.ptp(lit.picture.astype(int), axis=2).max() == 0


@pytest.mark.parametrize("cut", [(0, 345), (12, 400)])
def test_a_picture_that_ends_within_the_neck(cut: tuple[int, int]) -> None:
    """Or beside it: what is brightened ends where the picture does."""
    image = np.ascontiguousarray(picture()[: cut[1], cut[0] : 250])
    mesh = replace(heads.MESH, points=heads.MESH.points - np.array([cut[0], 0, 0], np.float32))
    lit = with_fill(read_template(image, mesh, somebody))
    assert lit.picture.shape == image.shape
    assert (lit.picture[-1, 180:220].astype(int) > image[-1, 180:220]).all()


def test_bare_shoulders_from_edge_to_edge() -> None:
    image = picture()
    image[330:] = NECK
    template = read(image)
    assert template.fill is not None
    assert template.fill.lift.any(axis=0).all()
    lit = with_fill(template)
    assert (lit.picture[340:350, 5:-5].astype(int) > image[340:350, 5:-5]).all()


@pytest.mark.parametrize(("sure", "share"), [(0.13, 0.0), (0.55, 0.58), (1.0, 1.0)])
def test_what_is_half_surely_skin_is_brightened_half_and_what_hardly_is_keeps_its_bytes(
    sure: float, share: float
) -> None:
    template = read(picture())
    assert template.fill is not None
    everywhere = np.full_like(template.fill.bare, sure)
    lit = with_fill(replace(template, fill=replace(template.fill, bare=everywhere)))
    neck = np.s_[310:330, 180:220]
    gain = 1 + share * (np.exp((template.fill.lift.max() + template.fill.tint) / 2.2) - 1)
    assert lit.picture[neck].mean(axis=(0, 1)) == pytest.approx(np.array(NECK) * gain, abs=0.0 if not share else 1.0)


def test_a_necks_edge_is_the_pictures_own() -> None:
    """And not that of the small copy."""
    before = picture()
    gained = with_fill(read(before)).picture[310:330].astype(int) - before[310:330]
    across = gained[:, :, 0].mean(axis=0)
    middle = across[200]
    assert min(across[AT[0]], across[AT[1] - 1]) > 0.4 * middle
    assert max(across[AT[0] - 1], across[AT[1]]) == 0
