"""Strands of brown and blond hair over a face are told from its skin by the hair beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.face.cover import AgainstSkin, cover_zone, hanging_zone
from portraitd.engines.classic.face.region import ROOM, Nearby, cut_out, region_box, region_seen
from portraitd.engines.classic.face.strands import AROUND, _zone, strands, strands_in_region
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image
from tests.fakes.heads import HAIR, MESH, SKIN, WIDTH, fill, head

Flags = NDArray[np.bool_]
Colour = tuple[int, int, int]

BROWN, BLOND, WALL = (150, 105, 75), (225, 195, 130), (200, 200, 205)
BROADER = round(0.06 * WIDTH)


def with_noise(picture: Image) -> Image:
    noise = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def with_strand(picture: Image, hair: Colour) -> tuple[Image, Flags]:
    """The head with a strand from the temple down over the left cheek; and (H, W) where it lies over the face."""
    (x, y), (end_x, end_y) = MESH.xy[127] - [20, 30], MESH.xy[regions.NOSE_TIP] + [-0.24 * WIDTH, 10]
    strand, face = np.zeros(picture.shape[:2], np.uint8), np.zeros(picture.shape[:2], np.uint8)
    cv2.line(strand, (int(x), int(y)), (int(end_x), int(end_y)), 1, BROADER)
    cv2.fillPoly(face, [np.rint(MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], 1)
    out = picture.copy()
    out[strand > 0] = hair
    return out, (strand & face) > 0


def look(picture: Image, person: Flags | None = None) -> tuple[AgainstSkin, Flags]:
    """The face against its skin, and the strands found; person: (H, W), everywhere if not given."""
    _, seen = region_seen(picture, MESH, AROUND)
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, picture.shape, AROUND))
    whole = np.ones(picture.shape[:2], np.bool_) if person is None else person
    small = cv2.resize(whole[y0:y1, x0:x1].astype(np.uint8), seen.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return seen, strands(seen, small > 0)


def hidden_in(picture: Image, mesh: FaceMesh = MESH) -> Flags:
    """(H, W) of the face's region: what strands hide of it, were a person everywhere."""
    everywhere = Nearby(np.ones((8, 8), np.float32), np.array([[0.02, 0, 0], [0, 0.02, 0]], np.float32))
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, picture.shape))
    found = strands_in_region(everywhere, picture, mesh)
    return np.asarray(cv2.resize(found, (x1 - x0, y1 - y0)), np.float32) > 0.5


def fitted(flags: Flags, seen: AgainstSkin) -> Flags:
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, flags.shape, AROUND))
    small = cv2.resize(flags[y0:y1, x0:x1].astype(np.float32), seen.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small > 0.5, np.bool_)


@pytest.mark.parametrize("hair", [BROWN, BLOND])
def test_a_strand_like_the_hair_beside_the_cheek_is_found(hair: Colour) -> None:
    picture, strand = with_strand(head(hair, hair), hair)
    seen, found = look(with_noise(picture))
    truth = fitted(strand, seen)
    assert truth.sum() > 150
    assert (found & truth).sum() > 0.8 * truth.sum()
    assert (found & ~truth).sum() < 0.25 * truth.sum()
    _, none = look(with_noise(head(hair, hair)))
    assert none.sum() < 0.1 * truth.sum()


def test_it_is_looked_for_where_hair_hangs_down_beside_the_cheek() -> None:
    """The other half of the face, beside a wall, keeps what it has."""
    picture, strand = with_strand(head(WALL, BROWN), BROWN)
    person = (picture != WALL).any(axis=2)
    seen, found = look(with_noise(picture), person)
    assert not (found & fitted(strand, seen)).any()


def test_what_is_no_persons_is_no_hair() -> None:
    """A wall of hair's colour."""
    picture, _ = with_strand(head(BROWN, BROWN), BROWN)
    _, found = look(with_noise(picture), np.zeros(picture.shape[:2], np.bool_))
    assert not found.any()


def test_what_does_not_hang_from_the_hair_stays() -> None:
    """A birthmark of its colour."""
    picture = head(BROWN, BROWN)
    x, y = (round(float(v)) for v in MESH.xy[50] + [-8, 0])
    cv2.circle(picture, (x, y), BROADER, BROWN, -1)
    seen, found = look(with_noise(picture))
    mark = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(mark, (x, y), BROADER, 1, -1)
    assert fitted(mark > 0, seen).sum() > 50
    assert (found & fitted(mark > 0, seen)).sum() == 0


def test_the_same_picture_gives_the_same_hair() -> None:
    picture, _ = with_strand(head(BROWN, BROWN), BROWN)
    _, first = look(with_noise(picture))
    cv2.setRNGSeed(99)
    _, again = look(with_noise(picture))
    assert np.array_equal(first, again)


def test_a_beard_is_no_hair_of_the_head_nor_is_the_middle_of_a_forehead() -> None:
    bare, bearded = _zone(0.0), _zone(1.0)
    low = hanging_zone()[:, 0] > cover_zone() + 0.5
    assert bare[low].max() > 0.9
    assert bearded[low & (cover_zone() < 0.01)].max() < 0.01
    assert bare[[regions.FOREHEAD_TOP, 151, regions.NOSE_TIP, regions.CHIN]].max() == 0.0


def test_it_is_given_in_the_faces_region() -> None:
    picture, strand = with_strand(head(BROWN, BROWN), BROWN)
    large = hidden_in(with_noise(picture))
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, picture.shape))
    truth = strand[y0:y1, x0:x1]
    assert (large & truth).sum() > 0.85 * truth.sum()
    assert (large & ~truth).sum() < 0.6 * truth.sum()


def test_hair_that_lies_away_from_where_a_strand_may_be_is_no_measure() -> None:
    """GrabCut sees what is near; it fails where nothing there is hair."""
    picture, _ = with_strand(head(BROWN, BROWN), BROWN)
    _, seen = region_seen(with_noise(picture), MESH, AROUND)
    column = np.indices(seen.shape)[1]
    far = column < 3  # of the picture
    for person in (far, ~far & (column < 6)):
        assert not strands(seen, person).any()


@pytest.mark.parametrize("cut", [(0, 0, 400, 400), (95, 0, 400, 400), (0, 0, 305, 400), (60, 110, 340, 290)])
def test_a_mask_of_one_box_is_cut_out_where_it_lies_in_another(cut: tuple[int, int, int, int]) -> None:
    """Also where the picture's edge cuts one of them: to a fifth of a small pixel."""
    x0, y0, x1, y1 = cut
    spot = np.array([MESH.xy[50, 0], MESH.xy[50, 1]]) - [x0, y0]
    mesh = FaceMesh(MESH.points - np.array([x0, y0, 0], np.float32), 1.0)
    wide, own = (region_box(mesh, (y1 - y0, x1 - x0), room) for room in (AROUND, ROOM))
    small = np.zeros((round(wide.height * 0.71), round(wide.width * 0.71)), np.float32)
    scale = np.array([small.shape[1] / wide.width, small.shape[0] / wide.height])
    row, column = np.indices(small.shape)
    at = (spot - [wide.x0, wide.y0] + 0.5) * scale - 0.5
    small = np.asarray(np.exp(-((column - at[0]) ** 2 + (row - at[1]) ** 2) / 18), np.float32)
    found = cut_out(small, wide, own)
    there = np.array([found.shape[1] / own.width, found.shape[0] / own.height])
    rows, columns = np.indices(found.shape)
    middle = np.array([(found * columns).sum(), (found * rows).sum()]) / found.sum()
    assert middle == pytest.approx((spot - [own.x0, own.y0] + 0.5) * there - 0.5, abs=0.2)


def test_where_nobody_is_beside_the_face_it_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("portraitd.engines.classic.face.strands.region_seen", lambda *_: asked.append(1) or 1 / 0)
    matrix = np.array([[0.1, 0, 0], [0, 0.1, 0]], np.float32)
    alone = np.zeros((40, 40), np.float32)
    x0, x1 = (round(float(v) / 10) for v in (MESH.box.x0, MESH.box.x1))
    alone[:, x0 : x1 + 1] = 1
    assert not strands_in_region(Nearby(alone, matrix), head(), MESH).any()
    for side in (slice(0, x0), slice(x1, 40)):
        company = alone.copy()
        company[:, side] = 1
        with pytest.raises(ZeroDivisionError):
            strands_in_region(Nearby(company, matrix), head(), MESH)
    assert len(asked) == 2


@pytest.mark.parametrize(("share", "hangs"), [(0.35, False), (0.75, True)])
def test_hair_hangs_where_it_is_beside_most_of_the_cheek(share: float, hangs: bool) -> None:
    """From the eyes down to the mouth; below that there is a wall."""
    picture, strand = with_strand(head(BROWN, BROWN), BROWN)
    eyes, mouth = (
        float(MESH.xy[[*ring], 1].mean()) for ring in ((*regions.LEFT_EYE, *regions.RIGHT_EYE), regions.LIPS_OUTER)
    )
    wall = np.zeros(picture.shape[:2], np.bool_)
    wall[round(eyes + share * (mouth - eyes)) :, :200] = True
    wall &= (picture == BROWN).all(axis=2) & ~strand
    picture[wall] = WALL
    seen, found = look(with_noise(picture), ~wall)
    truth = fitted(strand, seen)
    assert ((found & truth).sum() > 0.6 * truth.sum()) == hangs
    assert (found & truth).any() == hangs


def test_a_brow_in_a_strand_is_hidden_in_part() -> None:
    """Its outer end, between hair above it and below."""
    picture, brow = head(BROWN, BROWN), MESH.xy[list(regions.LEFT_BROW)]
    (x, y), height = brow[brow[:, 0].argmin()], float(np.ptp(brow[:, 1]))
    cv2.line(picture, (round(x), round(y - 4 * height)), (round(x), round(y + 4 * height)), BROWN, 2 * BROADER)
    large = hidden_in(with_noise(picture))
    x0, y0 = (int(v) for v in region_box(MESH, picture.shape)[:2])
    mask = np.zeros(large.shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(brow - [x0, y0]).astype(np.int32)], 1)
    mask[:, round(x - x0) + BROADER :] = 0
    assert large[mask > 0].mean() > 0.25


@pytest.mark.parametrize(
    "hair", [(139, 111, 96), (253, 203, 178), (225, 195, 130)], ids=["darker", "brighter", "tinted"]
)
def test_hair_is_darker_than_skin_or_brighter_or_of_another_colour(hair: Colour) -> None:
    picture, strand = with_strand(head(hair, hair), hair)
    seen, found = look(with_noise(picture))
    truth = fitted(strand, seen)
    assert (found & truth).sum() > 0.8 * truth.sum()
    assert (found & ~truth).sum() < 0.25 * truth.sum()


def test_a_strands_soft_edge_is_hidden_with_it() -> None:
    picture, strand = with_strand(head(BROWN, BROWN), BROWN)
    large = hidden_in(with_noise(picture))
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, picture.shape))
    assert large[strand[y0:y1, x0:x1]].mean() > 0.95


def test_it_is_given_in_the_region_of_a_face_at_a_pictures_edge() -> None:
    """Where there is less room above a face than beside it."""
    picture, strand = with_strand(head(BROWN, BROWN), BROWN)
    cut = int(MESH.box.y0) - 10
    mesh = FaceMesh(MESH.points - np.float32([0, cut, 0]), 1.0)
    picture, strand = with_noise(picture)[cut:], strand[cut:]
    large = hidden_in(picture, mesh)
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, picture.shape))
    truth = strand[y0:y1, x0:x1]
    assert (large & truth).sum() > 0.85 * truth.sum()
    assert (large & ~truth).sum() < 0.6 * truth.sum()


@pytest.mark.parametrize(("sure", "found"), [(0.5, False), (0.9, True)])
def test_hair_is_surely_a_persons(sure: float, found: bool) -> None:
    picture, _ = with_strand(head(BROWN, BROWN), BROWN)
    nearby = Nearby(np.full((8, 8), sure, np.float32), np.array([[0.02, 0, 0], [0, 0.02, 0]], np.float32))
    assert strands_in_region(nearby, with_noise(picture), MESH).any() == found


def test_beside_bare_skin_nothing_is_hair() -> None:
    """An ear or a neck beside the cheek, and a mark that reaches the contour."""
    picture, _ = with_strand(head(BROWN, BROWN), BROWN)
    bare = (picture == BROWN).all(axis=2) & (np.indices(picture.shape[:2])[1] < MESH.xy[127, 0] + 2)
    picture[bare] = SKIN
    seen, found = look(with_noise(picture))
    assert not found[:, : seen.shape[1] // 2].any()


def test_hair_may_lie_over_temples_of_the_bearded_too() -> None:
    temples = [127, 356, 54, 284]
    assert _zone(1.0)[temples].min() > 0.9


def test_an_eye_beside_hair_of_its_colour_is_none() -> None:
    picture = head(BROWN, BROWN)
    ring = MESH.xy[list(regions.LEFT_EYE)]
    outer = ring[ring[:, 0].argmin()]
    cv2.line(
        picture,
        tuple(np.rint(outer - [60, 0]).astype(int).tolist()),
        tuple(np.rint(outer).astype(int).tolist()),
        BROWN,
        BROADER,
    )
    fill(picture, regions.LEFT_EYE, BROWN)
    seen, found = look(with_noise(picture))
    eye = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(eye, [np.rint(ring).astype(np.int32)], 1)
    assert not (found & fitted(eye > 0, seen)).any()


@pytest.mark.parametrize("strand", [(40, 30, 25), (62, 46, 38), (90, 66, 52)])
def test_black_hair_is_like_hair_that_is_not_quite_so_black(strand: Colour) -> None:
    picture, over = with_strand(head(HAIR, HAIR), strand)
    seen, found = look(with_noise(picture))
    truth = fitted(over, seen)
    assert (found & truth).sum() > 0.8 * truth.sum()
    assert (found & ~truth).sum() < 0.25 * truth.sum()
