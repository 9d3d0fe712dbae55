"""A template's beard below the chin: how far it goes on, and that it can be shaved off."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.beard import MOST, beard_below, is_bearded
from portraitd.engines.classic.face.geometry import outward
from portraitd.engines.classic.face.region import read_region
from portraitd.engines.classic.person.texture import hidden, leaf_of, shaded, turned_away
from portraitd.engines.classic.template.shave import shaved
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image
from tests.fakes import heads

NECK, WALL, BLACK, WHITE = (180, 140, 120), (90, 110, 120), (45, 36, 32), (240, 240, 245)
CHIN, MOUTH = heads.MESH.xy[regions.CHIN], heads.MESH.xy[list(regions.LIPS_OUTER)].mean(axis=0)
#: The chin on the contour, counted along it.
LOWEST = regions.FACE_OVAL.index(regions.CHIN)


def man(beard: tuple[int, int, int] | None, length: float = 0.0) -> Image:
    """(460, 400, 3) a head on a neck, with a beard from the nose to so many face widths below the chin."""
    image = np.full((460, 400, 3), WALL, np.uint8)
    image[220:, 145:255] = NECK
    whole = image.copy()
    heads.fill(whole, regions.FACE_OVAL, heads.SKIN)
    if beard is not None:
        oval = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(oval, [np.rint(heads.MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
        reach = round(length * heads.WIDTH)
        grown = cv2.dilate(oval, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        grown[: int(MOUTH[1]) - 24] = 0
        grown[: int(MOUTH[1]) + 12] &= oval[: int(MOUTH[1]) + 12]
        whole[grown > 0] = beard
    heads.fill(whole, regions.LIPS_OUTER, heads.LIPS)
    return whole


def read(image: Image) -> TemplateFace:
    return read_template(image, heads.MESH)


@pytest.mark.parametrize(("colour", "length"), [(BLACK, 0.1), (BLACK, 0.05), (WHITE, 0.05)])
def test_how_far_a_beard_goes_on_is_seen(colour: tuple[int, int, int], length: float) -> None:
    template = read(man(colour, length))
    assert template.beard is not None
    assert template.beard.shape == (36,)
    assert template.beard[LOWEST] == pytest.approx(length, abs=0.025)
    assert template.beard[:4].max() == 0  # the forehead
    assert template.beard[-4:].max() == 0


def test_a_beard_that_ends_with_the_chin_and_a_bare_chin_go_on_nowhere() -> None:
    assert read(man(BLACK)).beard is None
    assert read(man(None)).beard is None


def test_a_beard_whose_end_is_out_of_sight_stays() -> None:
    assert read(man(BLACK, 0.3)).beard is None


def test_what_is_before_the_chin_is_no_beard() -> None:
    """A white scarf goes on far below."""
    scarf = man(WHITE, 0.05)
    assert read(scarf).bearded
    scarf[int(MOUTH[1]) + 14 :, 110:290] = WHITE
    template = read(scarf)
    assert not template.bearded
    assert shaved(template, None) is template


def test_no_more_is_shaved_off_than_is_good_for_a_neck() -> None:
    template = read(man(BLACK, 0.19))
    assert template.beard is not None
    assert template.beard.max() <= MOST + 1e-6


@pytest.mark.parametrize("colour", [BLACK, WHITE])
def test_below_a_shaved_chin_is_the_neck(colour: tuple[int, int, int]) -> None:
    before = man(colour, 0.05)
    template = read(before)
    smooth = shaved(template, None)
    below = np.rint(CHIN + np.array([0, 0.03 * heads.WIDTH])).astype(int)
    assert before[below[1], below[0]] == pytest.approx(colour, abs=3)
    assert smooth.picture[below[1], below[0]] == pytest.approx(NECK, abs=12)
    assert np.array_equal(template.picture, before)
    assert smooth.whole_mesh.points == pytest.approx(template.whole_mesh.points, abs=1e-3)
    x0, y0, x1, y1 = (int(v) for v in smooth.box)
    assert np.array_equal(smooth.face.image, smooth.picture[y0:y1, x0:x1])
    changed = np.argwhere((smooth.picture != before).any(axis=2))
    assert changed[:, 0].min() > heads.MESH.xy[list(regions.LEFT_EYE), 1].max()
    assert changed[:, 0].max() < CHIN[1] + 0.4 * heads.WIDTH


def test_a_beard_like_one_s_own_goes_on_below_it() -> None:
    template = read(man(BLACK, 0.05))
    assert template.beard is not None
    for own, kept in ((man(BLACK), True), (man((62, 44, 36)), True), (man(WHITE), False)):
        worn = shaved(template, read(own).face)
        assert not worn.shaven
        assert np.array_equal(worn.picture, template.picture) == kept


def test_a_beard_is_one_s_own_in_dimmer_light_too() -> None:
    template = read(man((70, 56, 50), 0.05))
    assert template.beard is not None
    dim = np.asarray(man((70, 56, 50)) * 0.6, np.uint8)
    assert np.array_equal(shaved(template, read(dim).face).picture, template.picture)


def test_a_face_without_a_contour_below_its_mouth_is_not_shaved() -> None:
    points = heads.MESH.points.copy()
    points[:, 1] = np.minimum(points[:, 1], MOUTH[1])
    assert beard_below(man(BLACK, 0.1), FaceMesh(points, 1.0), np.zeros(3, np.float32), None) is None


def test_a_gap_in_a_beard_is_shaved_with_what_is_beside_it() -> None:
    image = man(BLACK, 0.08)
    x, y = np.rint(CHIN).astype(int)
    image[y + 2 :, x - 3 : x + 4] = NECK
    template = read(image)
    assert template.beard is not None
    assert template.beard[LOWEST] > 0.06


def test_a_neck_in_shade_is_no_beard() -> None:
    image = man(BLACK, 0.08)
    beard = (image == BLACK).all(axis=2)
    image[220:][(image[220:] == NECK).all(axis=2)] = (102, 76, 63)
    assert beard.any()
    template = read(image)
    assert template.beard is not None
    assert template.beard[LOWEST] == pytest.approx(0.08, abs=0.03)


def test_the_neck_is_pulled_from_far_enough_not_to_be_drawn_out() -> None:
    """What makes up for the beard lies as far beyond it as the outline's move reaches beyond the face."""
    image = man(BLACK, 0.12)
    fading = np.linspace(1.0, 0.6, 180)[:, None, None]
    image[280:] = np.where((image[280:] == NECK).all(axis=2)[:, :, None], image[280:] * fading, image[280:])
    template = read(image)
    assert template.beard is not None
    changed = np.argwhere((shaved(template, read(man(WHITE, 0.12)).face).picture != image).any(axis=2))
    assert changed[:, 0].max() > CHIN[1] + 0.27 * heads.WIDTH


def test_lips_and_the_edge_of_a_jaw_keep_their_tone_under_a_beard() -> None:
    template = read(man(BLACK, 0.05))
    before = template.ground
    lips, edge = np.rint(before.points[[0, 13]].mean(axis=0)).astype(int), (before.depth > 0) & (before.depth < 0.004)
    own = replace(template, shaven=True).ground
    assert own.light[lips[1], lips[0]] == pytest.approx(before.light[lips[1], lips[0]], abs=0.05)
    assert np.abs(own.light - before.light)[edge].max() < 0.5
    chin = np.rint(before.points[199]).astype(int)
    assert own.light[chin[1], chin[0]].mean() > before.light[chin[1], chin[0]].mean() + 0.8


def test_who_has_no_beard_is_not_shaved() -> None:
    template = read(man(None))
    assert shaved(template, None) is template


def test_skin_is_thought_under_a_beard_only_for_who_has_none() -> None:
    template = read(man(BLACK, 0.1))
    assert not template.shaven
    assert shaved(template, None).shaven
    own = shaved(template, read(man(WHITE)).face)
    assert not own.shaven
    assert (own.picture != template.picture).any()
    short = read(man(BLACK))
    assert shaved(short, None).shaven
    assert np.array_equal(shaved(short, None).picture, short.picture)


@pytest.mark.parametrize(("colour", "bearded"), [(BLACK, True), (WHITE, True), (None, False)])
def test_a_beard_is_seen_on_a_face(colour: tuple[int, int, int] | None, bearded: bool) -> None:
    assert is_bearded(read_region(man(colour, 0.05), heads.MESH)) == bearded


@pytest.mark.parametrize("colour", [BLACK, WHITE])
def test_points_of_a_bearded_face_lie_in_the_beard_below_the_nose(colour: tuple[int, int, int]) -> None:
    beard = read_region(man(colour, 0.05), heads.MESH).beard
    assert beard.shape == (468,)
    assert beard[[199, 200, 175]].min() == 1
    assert beard[[10, 151, 50, 280, 4, 1]].max() == 0
    assert not read_region(man(None), heads.MESH).beard.any()


def test_a_beard_hides_no_skin_however_uneven_it_is() -> None:
    """Half of it twice as dark: no shadow in which the mirror image would lend the other half."""
    image = man((120, 88, 75), 0.0)
    left = (image == (120, 88, 75)).all(axis=2)
    left[:, 200:] = False
    image[left] = (45, 33, 28)
    face = read_region(image, heads.MESH)
    inner = (face.beard > 0.95) & (turned_away(face) == 0)
    assert shaded(leaf_of(face))[inner].max() > 0.5
    assert hidden(face, leaf_of(face))[inner].max() < 0.05


def test_outward_is_away_from_the_face() -> None:
    away = outward(heads.MESH.xy)
    middle = heads.MESH.xy[list(regions.FACE_OVAL)].mean(axis=0)
    assert ((heads.MESH.xy[list(regions.FACE_OVAL)] - middle) * away).sum(axis=1).min() > 0
    assert np.linalg.norm(away, axis=1) == pytest.approx(1, abs=1e-5)
    assert away[LOWEST] == pytest.approx([0, 1], abs=0.1)
