"""Where a face's colours are read in its photo, how they are brightened, and what another photo lends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.face import expression
from portraitd.engines.classic.face.expression import Mouth, mouth_in_picture, mouth_of, towards
from portraitd.engines.classic.face.geometry import beside_ring, pose_shape, rasterise
from portraitd.engines.classic.face.hair import LENDABLE, hair_in_place, lendable_in_place
from portraitd.engines.classic.face.light import log_light
from portraitd.engines.classic.face.region import FaceRegion, read_region, region_box
from portraitd.engines.classic.face.warp import OFF_THE_EDGE, OFF_WHERE_TURNED, off_the_edge
from portraitd.engines.classic.fusion import fuse as fuse_module
from portraitd.engines.classic.fusion.fuse import (
    BESIDE_LENT,
    LIFT,
    _gained,
    _lent,
    _mixed,
    _texture,
    _with_teeth,
    fuse,
    posed_like,
    ranked_views,
)
from portraitd.engines.classic.fusion.place import Hidden, Placement, place_face
from portraitd.engines.classic.fusion.tone import Sheet, _toned
from portraitd.engines.classic.fusion.trial import draft
from portraitd.engines.classic.looks import LOOKS, Look
from portraitd.engines.classic.person.album import Lender, Texture
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.texture import SHARE, hidden, leaf_of, uv_map
from portraitd.engines.classic.template.outline import with_outline
from portraitd.engines.classic.template.template_face import read_template
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, mean_face
from portraitd.images import Floats, Image, Points, from_linear, to_linear
from tests.fakes import heads

Colour = tuple[int, int, int]

EYES = (regions.LEFT_EYE, regions.RIGHT_EYE)
BROW = (90, 60, 50)
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
        assert [view.name for _, view in ranked_views(identity, own)] == ["like it", "better"]


def test_a_far_better_photo_is_taken_whatever_its_mouth_does() -> None:
    views = [view_of("shut", heads.head(), heads.MESH, 0.1), view_of("open", heads.head(), opened(5), 0.9)]
    ((_, first), _) = ranked_views(Identity(tuple(views), mean_face().points, None), heads.MESH)
    assert first.name == "open"


@pytest.mark.parametrize(
    ("template_deg", "photo_deg", "lower_deg"),
    [(10, 0, 0.32), (-12, 8, -1.12), (5, 0, 0), (-3, 2, 0), (8, -12, 1.12)],
)
def test_what_a_face_seems_to_be_turned_too_little_is_made_up_for_beyond_a_few_degrees(
    template_deg: float, photo_deg: float, lower_deg: float
) -> None:
    def nodding(deg: float) -> FaceMesh:
        c, s = np.cos(np.deg2rad(deg)), np.sin(np.deg2rad(deg))
        turned = mean_face().points @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
        return FaceMesh((turned * 82 + np.array([200, 150, 0])).astype(np.float32), 1.0)

    mesh, photo = nodding(template_deg), view_of("photo", heads.head(), nodding(photo_deg), 0.9)
    assert photo.pose.pitch_deg == pytest.approx(photo_deg, abs=0.1)
    wanted = pose_shape(mean_face().points, mesh.points, lower_deg)
    assert posed_like(mesh, mean_face().points, photo) == pytest.approx(wanted, abs=0.05)


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


def plain(colour: Colour, hair: float) -> FaceRegion:
    """A head of one colour, hair over its left half, this much."""
    face = hairy(hair)
    return replace(face, image=np.full_like(face.image, colour))


def mixed_of(lent: float, seen: float, brighter: float = 0.0) -> tuple[Image, Image, Floats]:
    """What becomes of a photo that is all hair, and a lender that is all skin, so much brighter by what others say."""
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    ones = np.ones(template.ground.size[::-1], np.float32)
    place = Placement(ones, ones * np.float32(seen), ones, ones, ones)
    change = np.zeros((*uv_map().size[::-1], 3), np.float32)
    lender = Lender(plain(heads.SKIN, 0.0), np.zeros(len(heads.MESH.points), np.float32), change + np.float32(brighter))
    face = plain(heads.HAIR, 0.0)
    return _texture(face, Texture(change, lender), ones * np.float32(lent), raster, template, place)


@pytest.mark.parametrize(
    ("lent", "seen", "share"),
    [(0.5, 0.5, 1.0), (0.2, 0.4, 0.5), (0.3, 1.0, 0.3), (0.8, 0.5, 1.0), (0.0, 0.0, 0.0), (0.01, 0.01, 0.2)],
)
def test_of_what_photos_show_together_each_gives_its_share(lent: float, seen: float, share: float) -> None:
    """Where neither shows all, the template fills the rest: the hair of one never shines through the other's skin.

    What is hardly shown at all goes over softly: there a share of nearly nothing would jump.
    """
    warped, before, tone = mixed_of(lent, seen)
    expected = share * np.float32(heads.SKIN) + (1 - share) * np.float32(heads.HAIR)
    assert np.abs(warped - expected).max() < 1.5
    assert np.abs(before - expected).max() < 1.5, "beyond the face's own part, too"
    assert np.abs(tone - log_light(before)).max() < 0.02, "tone of the very pixels that a gain is laid on"


def test_what_is_lent_is_in_the_light_that_all_photos_agree_on() -> None:
    """At full size and small, inside the face's part and beyond."""
    warped, before, tone = mixed_of(0.5, 0.5, brighter=0.3)
    skin = np.full((1, 1, 3), heads.SKIN, np.uint8)
    expected = from_linear(to_linear(skin) * np.float32(np.exp(0.3)))[0, 0].astype(np.float32)
    assert np.abs(warped - expected).max() < 3
    assert np.abs(before - expected).max() < 3
    assert np.abs(tone - (log_light(skin) + 0.3)).max() < 0.02


def test_hair_does_not_shine_through_skin_that_a_lender_half_shows() -> None:
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    change = np.zeros((*uv_map().size[::-1], 3), np.float32)
    face, lender = plain(heads.HAIR, 1.0), plain(heads.SKIN, 0.5)
    texture = Texture(change, Lender(lender, np.zeros(len(heads.MESH.points), np.float32), change))
    lent = _lent(face, texture, raster, template.ground)
    assert lent is not None
    away = np.zeros(template.ground.size[::-1], np.float32)
    place = place_face(template.ground, face, Hidden(away, lent), template.face.mesh.points, raster)
    warped, before, tone = _texture(face, texture, lent, raster, template, place)
    x, y = np.rint(template.ground.points[50]).astype(int)
    assert lent[y, x] == pytest.approx(0.5, abs=0.05)
    assert place.seen[y, x] == pytest.approx(0.5, abs=0.05)
    at_x, at_y = np.rint(template.face.mesh.xy[50]).astype(int) - template.ground.part[:2]
    assert warped[at_y, at_x] == pytest.approx(heads.SKIN, abs=3)
    assert before[y, x] == pytest.approx(heads.SKIN, abs=3)
    assert tone[y, x] == pytest.approx(log_light(np.full((1, 1, 3), heads.SKIN, np.uint8))[0, 0], abs=0.03)


def test_beside_what_is_lent_a_photos_own_tone_gives_way() -> None:
    """To what all photos agree on: most where half is lent; what is lent has its own change already."""
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    ones = np.ones(template.ground.size[::-1], np.float32)
    brighter = np.full((*uv_map().size[::-1], 3), 0.2, np.float32)
    face = plain(heads.SKIN, 0.0)
    lender = Lender(face, np.zeros(len(heads.MESH.points), np.float32), brighter)

    def change(lent: float) -> float:
        place = Placement(ones, ones, ones, ones, ones)
        _, before, tone = _texture(face, Texture(brighter, lender), ones * np.float32(lent), raster, template, place)
        return float(np.median(tone - log_light(before)))

    assert change(0.0) == pytest.approx(0.2 * SHARE, abs=0.005)
    assert change(0.5) == pytest.approx(0.5 * 0.2 * (SHARE + (1 - SHARE) * 0.5), abs=0.005)
    assert change(1.0) == pytest.approx(0, abs=0.005)

    # A little beside it, too, where hair has thrown its shadow on the skin; and not far from it.
    row, column = np.indices(ones.shape)
    x, y = template.ground.points[50]
    edge = (column > x).astype(np.float32)
    _, before, tone = _texture(
        face, Texture(brighter, lender), edge, raster, template, Placement(ones, ones, ones, ones, ones)
    )
    added = (tone - log_light(before)).mean(axis=2)
    off = (x - column) / template.ground.width_px
    lower = np.abs(row - y) < 6
    assert added[lower & (off > 0.02) & (off < 0.5 * BESIDE_LENT)].mean() > 0.2 * (SHARE + 0.6 * (1 - SHARE))
    assert added[lower & (off > 2 * BESIDE_LENT) & (off < 3 * BESIDE_LENT)].mean() == pytest.approx(
        0.2 * SHARE, abs=0.01
    )


def test_beyond_a_photos_edge_nothing_of_the_face_is_shown() -> None:
    """Its last row drawn out would be a band of hair across the forehead."""
    whole = plain(heads.SKIN, 0.0)
    cut = int(whole.mesh.xy[10, 1]) + 20
    lower = FaceMesh(whole.mesh.points - np.float32([0, cut, 0]), whole.mesh.score)
    face = replace(
        whole, image=np.ascontiguousarray(whole.image[cut:]), mesh=lower, hair=np.zeros((60, 60), np.float32)
    )
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    none = np.zeros(template.ground.size[::-1], np.float32)
    place = place_face(template.ground, face, Hidden(none, None), template.face.mesh.points, raster)
    (top_x, top_y), (nose_x, nose_y) = (np.rint(template.ground.points[at]).astype(int) for at in (10, 1))
    assert place.seen[top_y + 1, top_x] < 0.1
    assert place.seen[nose_y, nose_x] > 0.95
    gone = hidden(face, leaf_of(face))
    assert gone[10] == 1
    assert gone[1] < 0.1


def test_a_mix_is_a_picture() -> None:
    over = np.float32([-40, 300, 100, 100, 100]).reshape(1, 5, 1).repeat(3, axis=2)
    under = np.full((1, 5, 3), 50, np.uint8)
    mixed = _mixed(over, under, np.float32([[1, 1, 1, 0, 0.5]]))
    assert mixed.dtype == np.uint8
    assert (mixed == np.uint8([0, 255, 100, 50, 75]).reshape(1, 5, 1)).all()


def test_another_photo_s_skin_takes_over_earlier_and_more_softly_than_the_template_s() -> None:
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    ground, face = template.ground, hairy(1.0)
    row = round(float(ground.points[50, 1]))
    must, may = (at(face, raster, ground.size, ground.width_px)[row] for at in (hair_in_place, lendable_in_place))
    until = [np.flatnonzero(mask > 0.5).max() for mask in (must, may)]
    assert until[1] - until[0] == pytest.approx((LENDABLE[0] - 0.02) * ground.width_px, abs=1)
    widths = [((mask > 0.05) & (mask < 0.95)).sum() for mask in (must, may)]
    assert widths[1] > widths[0]
    assert may[:40].min() > 0.999
    assert may[70:].max() < 0.001


def test_no_more_than_all_can_be_lent() -> None:
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    face = hairy(1.0)
    covered = replace(face, hair=np.ones_like(face.hair))
    for width_px in np.linspace(40, 400, 60):
        assert lendable_in_place(covered, raster, template.ground.size, float(width_px)).max() <= 1


def test_beside_the_hair_skin_is_lent_before_it_is_hidden() -> None:
    template = read_template(heads.head(), heads.MESH)
    raster = rasterise(template.face.mesh.points, template.face.image.shape[:2], 2, grow=0.35)
    ground, face = template.ground, hairy(1.0)
    change = np.zeros((*uv_map().size[::-1], 3), np.float32)
    texture = Texture(change, Lender(hairy(0.0), np.zeros(len(heads.MESH.points), np.float32), change))
    lent = _lent(face, texture, raster, ground)
    assert lent is not None
    row = round(float(ground.points[50, 1]))
    hidden = hair_in_place(face, raster, ground.size, ground.width_px)[row]
    beside = np.flatnonzero(hidden > 0.02).max() + 1
    assert lent[row, beside - 1] > 0.1 > hidden[beside - 1] + 0.05


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
    sheet = Sheet(wanted, wanted, place, template.ground.width_px, template.ground.points, None)
    left = [_tint_left(sheet, wanted + light, eyes[0]) for light in (blue, lamp)]
    assert left[0] > 0.2
    assert left[1] < 0.75 * left[0]


def _tint_left(sheet: Sheet, lit: Floats, at: NDArray[np.int_]) -> float:
    """How much bluer than red the toned face stays there, beyond the template."""
    off = (_toned(lit, sheet, 0.0) - sheet.wanted)[at[1], at[0]]
    return float(off[2] - off[0])


def browed(hair_until: int = 0) -> Image:
    """The head with brows, and hair that hangs over both its sides up to that column."""
    picture = heads.head()
    for ring in (regions.LEFT_BROW, regions.RIGHT_BROW):
        heads.fill(picture, ring, BROW)
    if hair_until:
        picture[60:220, :hair_until] = picture[60:220, 400 - hair_until :] = heads.HAIR
    return picture


def test_beside_hair_before_a_temple_the_template_s_brow_does_not_go_on() -> None:
    """Where no hair hangs the brow is the person's own, to its tip."""
    template = read_template(browed(), heads.MESH)
    tip, rest = np.s_[124:132, 128:134, 0], np.s_[121:125, 155:165, 0]
    painted = template.picture[tip] == BROW[0]
    assert painted.sum() > 20
    for hair_until, skin in ((145, True), (0, False)):
        view = view_of("hair over the temples", browed(hair_until), heads.MESH, 0.5)
        identity = Identity((view,), mean_face().points, None)
        made = fuse(template, identity, view, Look(), np.random.default_rng(0))
        assert (made[tip][painted].mean() > 150) == skin
        assert (made[tip][painted].mean() < 110) != skin
        assert made[rest].max() < 120


def creased(depth_px: float, darker: float) -> Image:
    """The head with a face that darkens towards its contour, over that many pixels."""
    picture, inside = heads.head(heads.SKIN, heads.SKIN), np.zeros((400, 400), np.uint8)
    cv2.fillPoly(inside, [np.rint(heads.MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    shade = np.where(inside > 0, darker + (1 - darker) * np.clip(depth / depth_px, 0, 1), darker)
    return np.asarray(np.rint(picture * shade[:, :, None]), np.uint8)


def test_a_cheek_bright_to_its_edge_leaves_no_line_in_a_template_that_darkens_there() -> None:
    """At the contour the two meet in one brightness; a little inside it the person's skin is what it is."""
    picture = creased(12, 0.6)
    template = read_template(picture, heads.MESH)
    view = view_of("even", heads.head(heads.SKIN, heads.SKIN), heads.MESH, 1.0)
    identity = Identity((view,), mean_face().points, None)
    made = fuse(template, identity, view, Look(), np.random.default_rng(0)).astype(float).mean(axis=2)
    signed = depth_of(heads.MESH, made.shape)
    low = np.indices(made.shape)[0] > heads.MESH.xy[regions.NOSE_TIP, 1]
    rings = np.array([np.median(made[low & (signed > d) & (signed <= d + 2)]) for d in range(-4, 20, 2)])
    assert np.diff(rings).min() > -2.5  # brighter and brighter
    assert rings[-1] > rings[0] + 15


def depth_of(mesh: FaceMesh, shape: tuple[int, ...]) -> Floats:
    """(H, W) px inside the contour, below 0 outside."""
    inside, outside = beside_ring(mesh.xy[list(regions.FACE_OVAL)], (shape[1], shape[0]))
    return inside - outside


@pytest.mark.parametrize("colour", [(60, 45, 40), (255, 235, 225)])
def test_of_what_lies_over_a_photos_cheek_no_shading_comes_along(colour: Colour) -> None:
    photo, strand = heads.head(), np.zeros((400, 400), np.uint8)
    x, y = np.rint(heads.MESH.xy[50]).astype(int)
    cv2.circle(strand, (int(x), int(y)), 6, 1, -1)
    photo[strand > 0] = colour
    x0, y0, x1, y1 = (int(v) for v in region_box(heads.MESH, photo.shape))
    over = cv2.dilate(strand, np.ones((9, 9), np.uint8))[y0:y1, x0:x1].astype(np.float32)
    template = read_template(heads.head(), heads.MESH)
    made = []
    for picture in (heads.head(), photo):
        view = view_of("a view", picture, heads.MESH, 1.0, [over])
        identity = Identity((view,), mean_face().points, None)
        made.append(fuse(template, identity, view, Look(), np.random.default_rng(0)).astype(int))
    assert np.abs(made[0] - made[1])[strand > 0].max() <= 2


def test_a_fleck_at_a_photos_contour_shows_in_neither_detail_nor_shading() -> None:
    template, marks = read_template(heads.head(heads.SKIN, heads.SKIN), heads.MESH), []
    for point in (172, 58, 132, 136):
        photo, fleck = heads.head(), np.zeros((400, 400), np.uint8)
        way = heads.MESH.xy[6] - heads.MESH.xy[point]
        x, y = np.rint(heads.MESH.xy[point] + 3 * way / np.linalg.norm(way)).astype(int)
        cv2.circle(fleck, (int(x), int(y)), 3, 1, -1)
        photo[fleck > 0] = (120, 95, 80)
        views = [view_of("a view", picture, heads.MESH, 1.0) for picture in (heads.head(), photo)]
        bare, marked = (
            fuse(template, Identity((view,), mean_face().points, None), view, Look(), np.random.default_rng(0))
            for view in views
        )
        marks.append(np.abs(marked.astype(int) - bare)[fleck > 0].max())
    assert np.mean(marks) < 35


def test_a_black_and_white_photo_has_red_lips_in_a_template_in_colour_alone() -> None:
    photo = heads.head().mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)
    view = view_of("black and white", photo, heads.MESH, 1.0)
    identity, x, y = Identity((view,), mean_face().points, None), *np.rint(heads.MESH.xy[[17, 50]]).astype(int).T
    for picture, red in ((heads.head(heads.SKIN, heads.SKIN), True), (photo, False)):
        template = read_template(picture, heads.MESH)
        made = fuse(template, identity, view, Look(), np.random.default_rng(0)).astype(float)
        lip, cheek = made[y - [3, 0], x]
        assert (lip[0] / lip[1] > 1.1 * cheek[0] / cheek[1]) == red
        assert (np.ptp(lip) > 10) == red


class Seen(Exception):
    """What a test wanted to see has been seen."""


@pytest.mark.parametrize(
    ("module", "made"),
    [
        (fuse_module, lambda template, who, view: fuse(template, who, view, LOOKS[0], np.random.default_rng(0))),
        (expression, draft),
        (expression, lambda template, who, _: with_outline(template, who.shape)),
    ],
)
def test_portrait_draft_and_outline_hold_one_mouth(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, made: Callable[..., object]
) -> None:
    """The person's own, on its way to the template's."""
    held: list[tuple[Mouth, Mouth]] = []

    def with_mouth(shape: Points, wanted: Mouth) -> Points:
        held.append((mouth_of(shape), wanted))
        raise Seen

    monkeypatch.setattr(module, "with_mouth", with_mouth)
    view, template = view_of("a view", heads.head(), heads.MESH, 1.0), read_template(heads.head(), opened(20))
    with pytest.raises(Seen):
        made(template, Identity((view,), mean_face().points, None), view)
    (own, wanted), theirs = held[0], mouth_in_picture(template.face.mesh.points)
    assert theirs.opening > own.opening + 0.2
    assert wanted == towards(own, theirs, LOOKS[0].expression)


def test_the_template_is_told_how_hard_the_photo_s_light_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def relight(sheet: Sheet, *_: object) -> Floats:
        told.append(sheet.glare)
        return sheet.face

    monkeypatch.setattr(fuse_module, "relight", relight)
    sunny = heads.head()
    x, y = np.rint(heads.MESH.xy[50]).astype(int)
    cv2.circle(sunny, (int(x), int(y)), round(0.12 * heads.WIDTH), (255, 255, 255), -1)
    for picture in (heads.head(), sunny):
        view = view_of("a view", picture, heads.MESH, 1.0)
        identity = Identity((view,), mean_face().points, None)
        fuse(read_template(heads.head(), heads.MESH), identity, view, Look(), np.random.default_rng(0))
    assert told == [0.0, 1.0]


@pytest.mark.parametrize(("theirs", "own", "shown"), [(20, 0, True), (0, 1.5, False), (20, 20, False), (20, 4, False)])
def test_the_template_s_teeth_show_where_it_shows_some_and_the_photo_none(
    monkeypatch: pytest.MonkeyPatch, theirs: float, own: float, shown: bool
) -> None:
    laid: list[float] = []
    monkeypatch.setattr(fuse_module, "_with_teeth", lambda face, *rest: laid.append(rest[-1]) or face)
    view = view_of("a view", heads.head(), opened(own), 1.0)
    identity = Identity((view,), shape_of(opened(own)), None)
    template = read_template(heads.head(), opened(theirs))
    fuse(template, identity, view, Look(expression=0.0), np.random.default_rng(0))
    assert not laid, "nobody opens this mouth"
    fuse(template, identity, view, Look(), np.random.default_rng(0))
    assert bool(laid) == shown
    assert all(share > 0.9 for share in laid), "teeth half seen would be half lip"


def shape_of(mesh: FaceMesh) -> Points:
    return np.asarray(align_to_mean(mesh.points).inverse().apply(mesh.points), np.float32)
