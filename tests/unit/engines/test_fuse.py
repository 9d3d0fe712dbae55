"""Where a face's colours are read in its photo, and how they are brightened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.album import Lender, Texture
from portraitd.engines.classic.fuse import LIFT, _gained, _lent, _with_teeth, pick_view
from portraitd.engines.classic.geometry import rasterise
from portraitd.engines.classic.identity import Identity, view_of
from portraitd.engines.classic.place import Hidden, Placement, place_face
from portraitd.engines.classic.region import FaceRegion, read_region
from portraitd.engines.classic.template import TemplateFace, read_template
from portraitd.engines.classic.texture import uv_map
from portraitd.engines.classic.tone import _toned
from portraitd.engines.classic.warp import OFF_THE_EDGE, OFF_WHERE_TURNED, off_the_edge
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats
from tests.fakes import heads

EYES = (regions.LEFT_EYE, regions.RIGHT_EYE)
MESH = FaceMesh((mean_face().points * 80 + 300).astype(np.float32), 1.0)


def moved(*indices: int) -> np.ndarray:
    """How far the points are read from where they lie, as a share of their way to the nose's tip."""
    at = list(indices)
    way = np.linalg.norm(MESH.xy[at] - MESH.xy[regions.NOSE_TIP], axis=1)
    return np.asarray(np.linalg.norm(off_the_edge(region(MESH))[at] - MESH.xy[at], axis=1) / way)


def region(mesh: FaceMesh) -> FaceRegion:
    """A dark face with this mesh; nothing but its geometry is looked at."""
    light = np.zeros((9, 3), np.float32)
    return FaceRegion(np.zeros((600, 600, 3), np.uint8), mesh, light, light[0], np.zeros((60, 60), np.float32))


def turned(yaw_deg: float) -> FaceMesh:
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    return FaceMesh(
        (mean_face().points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) * 80 + 300).astype(np.float32), 1.0
    )


def test_a_cheek_that_turns_away_is_read_off_its_outline() -> None:
    """There hair and backdrop are a pixel away. The other cheek is read where it lies."""
    mesh, cheeks = turned(25), [234, 454]  # before the ears
    toward = region(mesh).facing[cheeks, 2]
    away, shown = cheeks[int(np.argmax(toward))], cheeks[int(np.argmin(toward))]
    moved = np.linalg.norm(off_the_edge(region(mesh)) - mesh.xy, axis=1)
    way = np.linalg.norm(mesh.xy - mesh.xy[regions.NOSE_TIP], axis=1)
    assert moved[away] / way[away] == pytest.approx(OFF_WHERE_TURNED, rel=0.15)
    assert moved[shown] / way[shown] < 0.3 * OFF_WHERE_TURNED


def test_the_jaw_is_read_off_its_edge() -> None:
    assert moved(regions.CHIN, 172, 397, 150, 379) == pytest.approx(OFF_THE_EDGE, rel=0.05)
    inward = np.linalg.norm(off_the_edge(region(MESH)) - MESH.xy[regions.NOSE_TIP], axis=1)
    assert inward[regions.CHIN] < np.linalg.norm(MESH.xy[regions.CHIN] - MESH.xy[regions.NOSE_TIP])


def test_features_forehead_and_temples_are_read_where_they_are() -> None:
    rings = (*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LIPS_OUTER, *regions.LEFT_BROW, regions.FOREHEAD_TOP)
    assert moved(*rings, 21, 251, 54, 284).max() < 0.005


def gain(before: float, after: float) -> np.ndarray:
    return np.full((1, 3, 3), (after + LIFT) / (before + LIFT), np.float32)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 40), (20, 4), (120, 180), (255, 90)])
def test_a_gain_makes_what_it_was_worked_out_for(before: int, after: int) -> None:
    image = np.full((1, 3, 3), before, np.uint8)
    assert _gained(image, gain(before, after)) == pytest.approx(after, abs=0.01)


def test_the_noise_of_what_is_nearly_black_does_not_become_specks() -> None:
    noise = np.repeat(np.array([[[0], [1], [2]]], np.uint8), 3, axis=2)
    assert np.ptp(_gained(noise, gain(1, 30))) < 7


def test_teeth_are_laid_between_the_lips() -> None:
    """The face is a part of the region, the mesh is posed in all of it."""
    picture = heads.head()
    heads.fill(picture, regions.LIPS_OUTER, (250, 250, 250))
    template = read_template(picture, heads.MESH)
    posed = template.face.mesh.points.copy()
    posed[list(regions.LIPS_INNER), 1] += np.sign(posed[list(regions.LIPS_INNER), 1] - posed[13, 1] - 0.5) * 6
    left, top, right, bottom = template.ground.part
    raster = rasterise(posed, template.face.image.shape[:2], 2, grow=0.35)
    face = _with_teeth(np.zeros((bottom - top, right - left, 3), np.float32), template, posed, raster, 1.0)
    rows, columns = np.nonzero(face[:, :, 0] > 125)
    middle = posed[list(regions.LIPS_INNER), :2].mean(axis=0) - [left, top]
    assert left > 0
    assert top > 0
    assert [columns.mean(), rows.mean()] == pytest.approx(middle, abs=2)


def opened(gap_px: float) -> FaceMesh:
    """The head's mesh with its lips so far apart."""
    points = heads.MESH.points.copy()
    points[[14, 17], 1] += np.float32(gap_px)
    return FaceMesh(points, 1.0)


def test_the_photo_whose_mouth_is_held_like_the_template_s_is_taken() -> None:
    shut, wide = heads.MESH, opened(20)
    for own, other in ((shut, wide), (wide, shut)):
        views = (view_of("like it", heads.head(), own, 0.5), view_of("better", heads.head(), other, 0.65))
        identity = Identity(views, mean_face().points, None)
        assert pick_view(identity, own).name == "like it"
        assert pick_view(identity, own, 1).name == "better"


def test_a_far_better_photo_is_taken_whatever_its_mouth_does() -> None:
    views = [view_of("shut", heads.head(), heads.MESH, 0.1), view_of("open", heads.head(), opened(5), 0.9)]
    assert pick_view(Identity(tuple(views), mean_face().points, None), heads.MESH).name == "open"


def hairy(share: float) -> FaceRegion:
    """The head with hair over its left half."""
    face = read_region(heads.head(), heads.MESH)
    hair = np.zeros_like(face.hair)
    hair[:, : hair.shape[1] // 2 - 10] = share
    return replace(face, hair=hair)


def test_what_is_under_hair_is_lent_wherever_the_lender_shows_it() -> None:
    """Between the points of the mesh, too: hair has finer edges than they tell."""
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    nothing = np.zeros(len(heads.MESH.points), np.float32)
    change = np.zeros((*uv_map().size[::-1], 3), np.float32)
    for lender, expected in ((hairy(0.0), 1.0), (hairy(1.0), 0.0)):
        texture = Texture(change, Lender(lender, nothing, change))
        lent = _lent(hairy(1.0), texture, raster, template.ground)
        assert lent is not None
        x, y = np.rint(template.ground.points[[50, 280]]).astype(int).T  # both cheeks
        assert lent[y, x] == pytest.approx([expected, 0.0], abs=0.05)


def test_what_is_lent_counts_as_shown() -> None:
    template, face = read_template(heads.head(), heads.MESH), hairy(1.0)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    none, x, y = np.zeros(template.ground.size[::-1], np.float32), *np.rint(template.ground.points[50]).astype(int)
    alone = place_face(template.ground, face, Hidden(none, None), template.face.mesh.points, raster)
    helped = place_face(template.ground, face, Hidden(none, none + 1), template.face.mesh.points, raster)
    assert alone.seen[y, x] < 0.05
    assert helped.seen[y, x] > 0.95
    turned = place_face(template.ground, hairy(0.0), Hidden(none + 1, none), template.face.mesh.points, raster)
    shown = place_face(template.ground, hairy(0.0), Hidden(none + 1, none + 1), template.face.mesh.points, raster)
    assert turned.seen[y, x] < 0.05
    assert shown.seen[y, x] > 0.95


def test_a_photo_s_region_takes_the_edge_of_hair_for_hair() -> None:
    picture = heads.head()
    x, y = np.rint(heads.MESH.xy[192]).astype(int) - [0, 30]
    picture[y - 60 : y + 15, : x + 3] = heads.HAIR
    picture[y - 60 : y + 15, x + 3 : x + 7] = (150, 118, 104)
    template, photo = read_template(picture, heads.MESH).face, read_region(picture, heads.MESH)
    assert photo.hair.sum() > template.hair.sum() + 20


def test_eyes_lose_the_colour_of_a_lamp_but_not_that_of_their_own() -> None:
    """Against another complexion they keep most of theirs; against a lamp that lights one side of the face, none."""
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    none = np.zeros(template.ground.size[::-1], np.float32)
    place = place_face(template.ground, hairy(0.0), Hidden(none, None), template.face.mesh.points, raster)
    wanted, blue = template.ground.light, np.float32([-0.3, 0.0, 0.3])
    lamp = np.zeros_like(wanted)
    lamp[:, : lamp.shape[1] // 2] = blue
    eyes = [np.rint(template.ground.points[list(ring)].mean(axis=0)).astype(int) for ring in EYES]
    left = [_tint_left(wanted, wanted + light, place, template, eyes[0]) for light in (blue, lamp)]
    assert left[0] > 0.2
    assert left[1] < 0.75 * left[0]


def _tint_left(wanted: Floats, lit: Floats, place: Placement, template: TemplateFace, at: NDArray[np.int_]) -> float:
    """How much bluer than red the toned face stays there, beyond the template."""
    toned = _toned(lit, wanted, place, template.ground.width_px, 0.0)
    off = toned[at[1], at[0]] - wanted[at[1], at[0]]
    return float(off[2] - off[0])
