"""What several photos of a person say of their skin together."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.geometry import at_points
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.person.album import texture_of
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.person.texture import (
    HAIR_SHADE,
    WORTH_POINTS,
    agreed,
    best_lender,
    glare,
    hidden,
    leaf_of,
    leaf_seen,
    lent_by,
    lent_by_mirror,
    shaded,
    turned_away,
    uv_map,
)
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image
from tests.fakes import heads

SHAPE = (120, 110)
MIDDLE = np.array([55, 45, 0])
NOSE, CHEEK = 1, 50
#: Of the UV map.
WIDE, HIGH = uv_map().size


def points_turned(yaw_deg: float) -> Floats:
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.asarray(mean_face().points @ turn.T * 41 + MIDDLE, np.float32)


def face(yaw_deg: float = 0.0) -> FaceRegion:
    """An evenly lit face with nothing over it."""
    image = np.full((*SHAPE, 3), 150, np.uint8)
    dark = np.zeros((9, 3), np.float32)
    return FaceRegion(image, FaceMesh(points_turned(yaw_deg), 1.0), dark, dark[0], np.zeros(SHAPE, np.float32))


def near(point: int, radius_px: float) -> NDArray[np.bool_]:
    """(h, w) of the UV map: what lies around a point of the mesh."""
    x, y = uv_map().points[point]
    rows, columns = np.indices((HIGH, WIDE))
    return np.asarray(np.hypot(columns - x, rows - y) < radius_px)


def at(values: Floats, point: int) -> Floats:
    x, y = np.rint(uv_map().points[point]).astype(int)
    return np.asarray(values[y, x], np.float32)


def changes(spots: tuple[float, ...], level: float = 0.0) -> list[float]:
    """What is added at the cheek when each photo has a patch there that is so much brighter; the first one's first."""
    leaves = []
    for number, spot in enumerate(spots):
        seen = np.full((HIGH, WIDE, 3), -1.0 + level * number, np.float32)
        seen[near(CHEEK, 9)] += np.float32(spot)
        leaves.append(leaf_seen(face(), seen))
    return [float(at(change, CHEEK).mean()) for change in agreed(leaves)]


def tints(spot: tuple[float, float, float]) -> Floats:
    """(3,) colour of what is added at the cheek when the first of three photos has a patch there of that colour."""
    seen = np.full((3, HIGH, WIDE, 3), -1.0, np.float32)
    seen[0, near(CHEEK, 9)] += np.float32(spot)
    change = at(agreed([leaf_seen(face(), shade) for shade in seen])[0], CHEEK)
    return np.asarray(change - change.mean(), np.float32)


def test_the_uv_map_knows_its_points_in_another_pose() -> None:
    """The mesh is drawn finely enough on it, small as it is: each point of skin is where a turned photo has it."""
    turned = points_turned(25)[:, :2]
    off = np.linalg.norm(at_points(uv_map().raster.interpolate(turned), uv_map().points) - turned, axis=1)
    off = off[light.skin_points() > 0]
    assert off.size > 100
    assert np.median(off) < 0.4
    assert np.percentile(off, 90) < 1.2


def test_the_uv_map_is_its_own_mirror_image() -> None:
    mirrored = uv_map().points[mean_face().mirror] * np.float32([-1, 1]) + np.float32([WIDE - 1, 0])
    assert mirrored == pytest.approx(uv_map().points, abs=0.3)


def test_a_photo_is_laid_on_the_uv_map_by_its_mesh() -> None:
    """A turned photo's dark cheek lies where the cheek is, its mirror image's where the other is."""
    photo = face(25)
    x, y = np.rint(photo.mesh.xy[CHEEK]).astype(int)
    photo.image[y - 8 : y + 9, x - 6 : x + 7] = 60
    leaf, other = leaf_of(photo), int(mean_face().mirror[CHEEK])
    assert at(leaf.tone, CHEEK).mean() < at(leaf.tone, other).mean() - 0.8
    assert at(leaf.mirrored().tone, other).mean() < at(leaf.mirrored().tone, CHEEK).mean() - 0.8
    assert at(leaf.mirrored().weight, CHEEK) == pytest.approx(at(leaf.weight, other), abs=0.1)


def test_beside_hair_a_photo_is_believed_less() -> None:
    """Hair shades skin."""
    photo, bare = face(), leaf_of(face()).weight
    hair = np.zeros(photo.image.shape[:2], np.float32)
    x = round(float(photo.mesh.xy[CHEEK, 0]))
    width = photo.mesh.box.width
    hair[:, : x - round(0.5 * HAIR_SHADE * width)] = 1
    weight = leaf_of(replace(photo, hair=hair)).weight
    assert at(weight, CHEEK) < 0.35 * at(bare, CHEEK)
    hair[:] = 0
    hair[:, : x - round(3 * HAIR_SHADE * width)] = 1
    assert at(leaf_of(replace(photo, hair=hair)).weight, CHEEK) == pytest.approx(at(bare, CHEEK), rel=0.05)


def test_whether_a_photo_is_black_and_white_is_known() -> None:
    assert leaf_of(face()).grey
    coloured = face()
    coloured.image[:] = (200, 150, 120)
    assert not leaf_of(coloured).grey


def test_photos_alike_change_nothing() -> None:
    assert changes((-0.3, -0.3, -0.3)) == pytest.approx([0, 0, 0], abs=0.02)


def test_a_shadow_that_one_photo_has_goes_and_a_mark_that_all_have_stays() -> None:
    assert changes((-0.6, 0.0, 0.0))[0] == pytest.approx(0.6, abs=0.08)
    assert changes((-0.6, -0.6, 0.0))[0] == pytest.approx(0.0, abs=0.08)


def test_a_tint_is_held_back() -> None:
    assert np.abs(tints((0.0, 0.6, -0.6))).max() < 0.13


def test_exposure_is_no_disagreement_and_ends_as_the_first_one_s() -> None:
    assert changes((0.0, 0.0), level=0.5) == pytest.approx([0.0, -0.5], abs=0.02)


def test_photos_that_have_nothing_in_common_change_little_everywhere() -> None:
    """Also past the rim, where the mesh is carried on, and where every photo is far off every other."""
    noise = np.random.default_rng(3).uniform(-3, 0, (4, HIGH, WIDE, 1)).astype(np.float32).repeat(3, axis=3)
    seen = [leaf_seen(face(yaw), shade) for yaw, shade in zip((40, -40, 5, -15), noise, strict=True)]
    assert np.abs(np.stack(agreed(seen))).max() < 3
    assert np.isfinite(changes((8.0, -8.0))).all()


def gone(face: FaceRegion) -> Floats:
    """(468,) what the photo hides."""
    return hidden(face, leaf_of(face))


def test_what_is_turned_out_of_sight_is_lent_by_the_photo_that_shows_it() -> None:
    left, right = gone(face(40)), gone(face(-40))
    away = turned_away(face(40))
    assert away.max() == 1
    assert away[NOSE] == 0
    found = best_lender(left, [left, right])
    assert found is not None
    best, lent = found
    assert best == 1
    assert lent[away > 0.9].mean() > 0.85, "all but what lies beyond the lender's own edge"
    assert best_lender(left, [left]) is None
    assert best_lender(left, []) is None


def test_hair_is_not_lent() -> None:
    hairy = replace(face(-40), hair=np.ones(SHAPE, np.float32))
    assert lent_by(gone(face(40)), gone(face(-40))).sum() > WORTH_POINTS
    assert lent_by(gone(face(40)), gone(hairy)) == pytest.approx(0)


def test_a_mirror_lends_what_one_side_shows() -> None:
    """Hair over one cheek: the other cheek's mirror image is under it. Over both, there is nothing to lend."""
    half, left = np.zeros(SHAPE, np.float32), mean_face().points[:, 0] < -0.3
    half[:, : SHAPE[1] // 2 - 5] = 1
    lent = lent_by_mirror(gone(replace(face(), hair=half)))
    assert lent[left].mean() > 0.85
    assert lent[left[mean_face().mirror]].max() < 0.05
    assert lent_by_mirror(gone(replace(face(), hair=np.ones(SHAPE, np.float32)))) == pytest.approx(0)
    assert lent_by_mirror(gone(face())).sum() < WORTH_POINTS


def spotted(code: int, *points: int) -> FaceRegion:
    """The face with a spot of this grey code beside each of these points."""
    plain = face()
    image = plain.image.copy()
    for point in points:
        x, y = (round(float(v)) for v in plain.mesh.xy[point])
        cv2.circle(image, (x, y), round(0.12 * plain.mesh.box.width), (code, code, code), -1)
    return replace(plain, image=image)


def test_a_hard_shadow_is_hidden_and_the_other_half_of_the_face_lends() -> None:
    twin = int(mean_face().mirror[CHEEK])
    deep, faint, both = (shaded(leaf_of(spotted(*spots))) for spots in ((60, CHEEK), (125, CHEEK), (60, CHEEK, twin)))
    assert deep[CHEEK] > 0.9
    assert deep[twin] == 0
    assert faint[CHEEK] < 0.1  # a soft shade is light: it is exchanged
    assert both[CHEEK] < 0.1  # a beard is dark on both sides
    lent = lent_by_mirror(gone(spotted(60, CHEEK)))
    assert lent[CHEEK] > 0.9
    assert lent[twin] < 0.1


def test_the_soft_edge_of_a_hard_shadow_is_shaded_too() -> None:
    """What is left of it would be a line around what another photo lends."""
    dark = spotted(60, CHEEK)
    away = np.linalg.norm(dark.mesh.xy - dark.mesh.xy[CHEEK], axis=1) / dark.mesh.box.width
    edge = (away > 0.12) & (away < 0.15)  # the spot ends at 0.12
    edge &= dark.mesh.xy[:, 1] > dark.mesh.xy[CHEEK, 1]  # above there is the eye
    assert edge.sum() > 3
    assert shaded(leaf_of(dark))[edge].min() > 0.5


def test_an_eye_is_shaded_as_a_whole_or_not_at_all() -> None:
    """Half of one eye laid over half of the other is neither."""
    left, outer = list(regions.LEFT_EYE), regions.LEFT_EYE_CORNERS[0]
    assert shaded(leaf_of(spotted(60, outer)))[left].max() == 0
    beside = face()
    image = beside.image.copy()
    image[:, : round(float(beside.mesh.xy[NOSE, 0]))] = 60
    half = shaded(leaf_of(replace(beside, image=image)))
    assert half[left].min() > 0.99
    assert half[list(regions.RIGHT_EYE)].max() == 0


def test_a_twin_out_of_sight_says_nothing_of_a_shadow() -> None:
    """Nor does one under hair: what is bright there is no skin."""
    twin = int(mean_face().mirror[CHEEK])
    dark = spotted(60, CHEEK)
    hair = dark.hair.copy()
    x, y = (round(float(v)) for v in dark.mesh.xy[twin])
    cv2.circle(hair, (x, y), round(0.2 * dark.mesh.box.width), 1.0, -1)
    assert shaded(leaf_of(dark))[CHEEK] > 0.9
    assert shaded(leaf_of(replace(dark, hair=hair)))[CHEEK] < 0.1


def test_sun_on_part_of_a_face_is_glare() -> None:
    def of(face: FaceRegion) -> float:
        return glare(face, leaf_of(face))

    assert of(face()) == 0
    assert of(spotted(255, CHEEK)) == 1
    assert of(spotted(165, CHEEK)) == 0  # a shine
    assert of(spotted(60, CHEEK)) == 0  # a shadow


def test_hair_and_beards_that_shine_are_no_glare_and_no_skin_is_none() -> None:
    sunny = spotted(255, CHEEK)
    hair = sunny.hair.copy()
    x, y = (round(float(v)) for v in sunny.mesh.xy[CHEEK])
    cv2.circle(hair, (x, y), round(0.2 * sunny.mesh.box.width), 1.0, -1)
    under = replace(sunny, hair=hair)
    assert glare(under, leaf_of(under)) == 0
    vars(sunny)["beard"] = np.ones(regions.POINT_COUNT, np.float32)  # a white one
    assert glare(sunny, leaf_of(sunny)) == 0
    bald = replace(sunny, hair=np.ones_like(hair))
    assert glare(bald, leaf_of(bald)) == 0


def test_a_photo_without_the_shadow_lends_too() -> None:
    shadowed = gone(spotted(60, CHEEK))
    found = best_lender(shadowed, [shadowed, gone(face())])
    assert found is not None
    assert found[0] == 1
    assert found[1][CHEEK] > 0.9


def test_a_lender_s_tint_goes() -> None:
    """A coloured lamp at the one's side must not colour the other's cheek."""
    seen = np.full((3, HIGH, WIDE, 3), -1.0, np.float32)
    seen[1, near(CHEEK, 9)] += np.float32((0.0, 0.4, -0.4))
    change = at(agreed([leaf_seen(face(), shade) for shade in seen])[1], CHEEK)
    held_back = tints((0.0, 0.4, -0.4))
    assert (change - change.mean())[1] < 1.8 * held_back[1] < -0.15


def under_hair(picture: Image, *sides: int) -> Image:
    """The head with hair over its cheek on these sides, -1 left and 1 right."""
    for side in sides:
        x = round(200 + 60 * side)
        picture[100:250, min(x, 200 + 130 * side) : max(x, 200 + 130 * side)] = heads.HAIR
    return picture


def test_a_person_s_own_mirror_image_lends_before_the_template_does() -> None:
    one, both = person(under_hair(heads.head(), -1)), person(under_hair(heads.head(), -1, 1))
    texture = texture_of(one, one.views[0], one.views[0].face())
    assert texture.lender is not None
    assert np.array_equal(texture.lender.face.image, one.views[0].face().image[:, ::-1])
    assert texture_of(both, both.views[0], both.views[0].face()).lender is None


def test_another_photo_lends_before_the_mirror_image() -> None:
    covered = under_hair(heads.head(), -1)
    two = person(covered, heads.head())
    texture = texture_of(two, two.views[0], two.views[0].face())
    assert texture.lender is not None
    assert np.array_equal(texture.lender.face.image, two.views[1].face().image)


def person(*pictures: Image) -> Identity:
    views = tuple(view_of(str(number), picture, heads.MESH, 0.5) for number, picture in enumerate(pictures))
    return Identity(views, mean_face().points, None)


def test_black_and_white_photos_say_nothing_beside_one_in_colour() -> None:
    shown, shaded = heads.head(), heads.head()
    x, y = np.rint(heads.MESH.xy[CHEEK]).astype(int)
    shaded[y - 15 : y + 16, x - 12 : x + 13] = 90
    grey = cv2.cvtColor(cv2.cvtColor(shaded, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    alone, beside, other = person(shown), person(shown, np.asarray(grey, np.uint8)), person(shown, shaded)
    told = [texture_of(who, who.views[0], who.views[0].face()).change for who in (alone, beside, other)]
    assert np.array_equal(told[0], told[1])
    assert not np.array_equal(told[0], told[2])
