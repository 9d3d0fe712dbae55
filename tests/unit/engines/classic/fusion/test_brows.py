"""Which tails of the template's brows go, and what comes in their place."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.face import cover
from portraitd.engines.classic.fusion.brows import without_tails
from portraitd.engines.classic.template.template_face import Ground, TemplateFace, read_template
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Mask, Points
from tests.fakes import heads

BROW = (90, 60, 50)
LEFT, RIGHT = regions.LEFT_BROW, regions.RIGHT_BROW
#: How much of a brow is shown where it is more than half of it, and where it is less.
MOST, LITTLE = 0.65, 0.3


def template(scale: float = 1.0) -> TemplateFace:
    """A head with brows, drawn so many times as large."""
    picture = heads.head()
    for ring in (LEFT, RIGHT):
        heads.fill(picture, ring, BROW)
    size = round(400 * scale)
    points = (heads.MESH.points + np.float32([0.5, 0.5, 0])) * np.float32(scale) - np.float32([0.5, 0.5, 0])
    drawn = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return read_template(np.asarray(drawn, np.uint8), FaceMesh(np.asarray(points, np.float32), 1.0))


def shown_in(ground: Ground, left: float = 1.0, right: float = 1.0) -> Mask:
    """(h, w) 1 where the photo shows the person: all but brows' outer ends, of which this much is shown."""
    xs, columns = ground.points[:, 0], np.arange(ground.size[0])
    ends = [xs[list(ring)] for ring in (LEFT, RIGHT)]
    from_x = ends[0].max() - left * np.ptp(ends[0]) if left < 1 else -1
    to_x = ends[1].min() + right * np.ptp(ends[1]) if right < 1 else ground.size[0]
    row = ((columns >= from_x) & (columns <= to_x)).astype(np.float32)
    return np.repeat(row[None], ground.size[1], axis=0)


def shortened(points: Points, ring: tuple[int, ...], share: float) -> Points:
    """The mesh, its brow only so long from the inner end on."""
    own, at = points.copy(), list(ring)
    inner = own[at, 0].max() if ring is LEFT else own[at, 0].min()
    own[at, 0] = inner + share * (own[at, 0] - inner)
    return own


def painted(face: TemplateFace, ring: tuple[int, ...]) -> Mask:
    """(H, W) of the region: how much of each pixel is this brow."""
    share = (heads.SKIN[0] - face.face.image[:, :, 0].astype(np.float32)) / (heads.SKIN[0] - BROW[0])
    near = cover.features(face.face.mesh.points, share.shape, (ring,), 0.1) > 0
    return np.asarray(np.clip(share, 0, 1) * near, np.float32)


def tail_and_rest(
    face: TemplateFace, ring: tuple[int, ...], shown: Mask
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(H, W) of the region: what of the brow is not shown, and what is; neither of them where they meet."""
    meeting = np.ones((3, 3), np.uint8)
    least, most = (
        cv2.resize(part, face.face.image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        for part in (cv2.erode(shown, meeting), cv2.dilate(shown, meeting))
    )
    brow = painted(face, ring) > 0.99
    return brow & (most < 0.01), brow & (least > 0.99)


def changed(before: Image, after: Image) -> NDArray[np.bool_]:
    return np.asarray((before != after).any(axis=2), np.bool_)


def off(image: Image, where: NDArray[np.bool_], colour: tuple[int, int, int]) -> float:
    """How far codes there lie from that colour, all but those of the very tip."""
    assert where.sum() > 20
    return float(np.percentile(np.abs(image[where].astype(int) - colour), 95))


@pytest.mark.parametrize("ring", [LEFT, RIGHT])
def test_a_tail_beside_the_person_s_brow_becomes_skin_and_the_rest_stays(ring: tuple[int, ...]) -> None:
    face = template()
    region, ground = face.face.image, face.ground
    shown = shown_in(ground, **{"left" if ring is LEFT else "right": MOST})
    out = without_tails(region, ground, ground.points, shown)
    tail, rest = tail_and_rest(face, ring, shown)
    assert off(region, tail, BROW) < 5
    assert off(out, tail, heads.SKIN) < 16
    assert (out[rest] == region[rest]).all()


def test_who_shows_little_of_a_brow_keeps_the_template_s() -> None:
    face = template()
    shown = shown_in(face.ground, LITTLE, LITTLE)
    assert without_tails(face.face.image, face.ground, face.ground.points, shown) is face.face.image


def test_it_is_the_person_s_brow_that_must_be_shown() -> None:
    """A short one ends where the template's goes on: all of it is shown, and little of the template's."""
    face = template()
    ground, shown = face.ground, shown_in(face.ground, left=LITTLE)
    own = shortened(ground.points, LEFT, LITTLE)
    out = without_tails(face.face.image, ground, own, shown)
    tail, _ = tail_and_rest(face, LEFT, shown)
    assert off(out, tail, heads.SKIN) < 16
    # And the other way round: a person's brow out of sight, beside most of the template's.
    away = ground.points.copy()
    away[list(LEFT), 0] -= np.float32(0.9 * np.ptp(away[list(LEFT), 0]))
    shown = shown_in(ground, left=MOST)
    assert without_tails(face.face.image, ground, away, shown) is face.face.image


def test_each_side_is_for_itself() -> None:
    face = template()
    region, ground = face.face.image, face.ground
    half = changed(region, without_tails(region, ground, ground.points, shown_in(ground, MOST, LITTLE)))
    other = changed(region, without_tails(region, ground, ground.points, shown_in(ground, LITTLE, MOST)))
    both = changed(region, without_tails(region, ground, ground.points, shown_in(ground, MOST, MOST)))
    middle = round(float(face.face.mesh.xy[regions.NOSE_TIP, 0]))
    assert half[:, :middle].any()
    assert not half[:, middle:].any()
    assert other[:, middle:].any()
    assert not other[:, :middle].any()
    assert (both == (half | other)).all()


def test_nothing_else_changes() -> None:
    """Neither what lies around a tail nor the region that was given."""
    face = template()
    region, ground = face.face.image, face.ground
    before = region.copy()
    out = without_tails(region, ground, ground.points, shown_in(ground, MOST, MOST))
    assert out.dtype == region.dtype
    assert (region == before).all()
    brows = np.maximum(painted(face, LEFT), painted(face, RIGHT)) > 0.01
    reach = round(0.06 * heads.WIDTH)
    near = cv2.dilate(brows.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    assert not (changed(region, out) & ~near).any()


def test_a_region_that_is_not_the_sheet_s_picture_keeps_its_own_bytes() -> None:
    """The person's hair may lie beside the brow by then: only the tail is painted over."""
    face = template()
    ground, shown = face.ground, shown_in(face.ground, left=MOST)
    region = np.random.default_rng(0).integers(0, 256, face.face.image.shape).astype(np.uint8)
    out = without_tails(region, ground, ground.points, shown)
    tail, rest = tail_and_rest(face, LEFT, shown)
    assert off(out, tail, heads.SKIN) < 25
    assert (out[rest] == region[rest]).all()
    assert changed(region, out).mean() < 0.02


@pytest.mark.parametrize("scale", [0.45, 0.8, 1.0, 2.3])
def test_a_tail_is_found_at_any_size(scale: float) -> None:
    """It is looked for on the small sheet: what is filled lies where the tail is, and is as large."""
    face = template(scale)
    region, ground = face.face.image, face.ground
    shown = shown_in(ground, left=MOST)
    out = without_tails(region, ground, ground.points, shown)
    gone = np.abs(out.astype(np.float32) - region).mean(axis=2)
    tail = painted(face, LEFT) * cv2.resize(1 - shown, region.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert (ground.shrink == 1) == (scale < 0.5)
    assert middle_of(gone) == pytest.approx(middle_of(tail), abs=0.2 / ground.shrink)
    assert gone.sum() / gone.max() == pytest.approx(float(tail.sum()), rel=0.15)


def middle_of(weight: Floats) -> tuple[float, float]:
    rows, columns = np.indices(weight.shape)
    return float(np.average(columns, weights=weight)), float(np.average(rows, weights=weight))


def test_a_tail_becomes_skin_and_not_the_hair_beside_it() -> None:
    face = template()
    ground, shown = face.ground, shown_in(face.ground, left=MOST)
    tip = round(float(ground.points[list(LEFT), 0].min()))
    image, bare = ground.image.copy(), ground.bare.copy()
    image[:, : tip - 1], bare[:, : tip - 1] = heads.HAIR, 0
    out = without_tails(face.face.image, replace(ground, image=image, bare=bare), ground.points, shown)
    tail, _ = tail_and_rest(face, LEFT, shown)
    assert off(out, tail, heads.SKIN) < 16


def test_what_is_hardly_hidden_is_no_tail() -> None:
    face = template()
    region, ground = face.face.image, face.ground
    for shown in (1.0, 0.95):
        everywhere = np.full(ground.size[::-1], shown, np.float32)
        assert without_tails(region, ground, ground.points, everywhere) is region


def test_what_is_half_shown_goes_half() -> None:
    face = template()
    ground, shown = face.ground, np.maximum(shown_in(face.ground, left=MOST), 0.5)
    tail, _ = tail_and_rest(face, LEFT, shown_in(ground, left=MOST))
    out = without_tails(face.face.image, ground, ground.points, shown)
    half = tuple((a + b) // 2 for a, b in zip(BROW, heads.SKIN, strict=True))
    assert np.abs(np.median(out[tail].astype(int), axis=0) - half).max() < 12


def test_hair_over_the_template_s_brow_keeps_its_own_bytes() -> None:
    """It lies before the face, whoever's that is."""
    face = template()
    shown = shown_in(face.ground, left=MOST, right=MOST)
    bare = face.ground.bare.copy()
    bare[:, : face.ground.size[0] // 2] = 0
    covered = replace(face.ground, bare=bare)
    found = without_tails(face.face.image, covered, face.ground.points, shown)
    half = face.face.image.shape[1] // 2
    assert (found[:, : half - 4] == face.face.image[:, : half - 4]).all()
    assert changed(face.face.image, found).any()


def test_a_person_whose_brows_lie_outside_the_sheet_keeps_the_template_s() -> None:
    face = template()
    far = np.asarray(face.ground.points + 1000, np.float32)
    assert without_tails(face.face.image, face.ground, far, shown_in(face.ground, left=MOST)) is face.face.image
