"""Which pixels a hand's are, from its joints and from where colours change."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face import hands
from portraitd.engines.classic.face.hands import drawn, hand_at, hands_and_shadow, hands_in_region, palm_width
from portraitd.engines.classic.face.region import region_box
from portraitd.faces import regions
from portraitd.faces.hands import Hand
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask
from tests.fakes import heads
from tests.fakes.hands import placed, with_hand

BACKDROP, SKIN = (200, 160, 140), (170, 120, 100)
JOINTS = placed((100, 190), 50)
NO_MODELS = FaceModels.__new__(FaceModels)


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> list[Hand]:
    """What the network finds: what a test puts in here."""
    found: list[Hand] = []
    monkeypatch.setattr(hands, "find_hands", lambda *_: tuple(found))
    return found


def overlap(one: Mask, other: np.ndarray) -> float:
    return float(((one > 0.5) & other).sum() / ((one > 0.5) | other).sum())


def lonely() -> tuple[Image, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 3, (200, 200, 3))
    return with_hand(np.asarray(np.array(BACKDROP) + noise, np.uint8), JOINTS, SKIN)


@pytest.mark.parametrize("off", [(0, 0), (3, -2), (-3, 1)])
def test_the_edge_is_the_pictures(off: tuple[int, int]) -> None:
    picture, truth = lonely()
    truth = truth & drawn(JOINTS, (200, 200), 0.3)  # not the arm
    joints = JOINTS + np.array(off, np.float32)
    shape = drawn(joints, (200, 200), 0.0)
    found = hand_at(picture, joints)
    assert set(np.unique(found)) == {0, 1}
    assert overlap(found, truth) > max(0.8, overlap(shape.astype(np.float32), truth))


def test_the_same_picture_gives_the_same_hand() -> None:
    picture, _ = lonely()
    first = hand_at(picture, JOINTS)
    cv2.setRNGSeed(77)
    assert np.array_equal(hand_at(picture, JOINTS), first)


def test_where_nothing_can_be_compared_the_shape_is_taken() -> None:
    picture = np.full((20, 20, 3), 128, np.uint8)
    joints = placed((10, 60), 50)
    assert np.array_equal(hand_at(picture, joints), drawn(joints, (20, 20), 0.0))
    away = placed((500, 500), 50)
    assert not hand_at(picture, away).any()


def test_a_hand_is_as_broad_as_its_palm() -> None:
    one, twice = drawn(JOINTS, (200, 200), 0.0), drawn(JOINTS * 2, (400, 400), 0.0)
    assert twice.sum() == pytest.approx(4 * one.sum(), rel=0.03)
    narrow, broad = (drawn(JOINTS, (200, 200), grown) for grown in (-0.09, 0.1))
    assert not (narrow & ~one).any()
    assert not (one & ~broad).any()
    assert narrow.sum() < 0.8 * one.sum() < 0.7 * broad.sum()


def test_seen_from_the_side_it_is_no_thinner() -> None:
    assert palm_width(JOINTS * np.array([0.1, 1], np.float32)) == pytest.approx(0.75 * 50)
    broad = JOINTS * np.array([1.5, 1], np.float32)
    assert palm_width(broad) == pytest.approx(np.linalg.norm(broad[5] - broad[17]))


def test_a_hand_before_the_face_is_found_in_its_region(find: list[Hand]) -> None:
    joints = placed((200, 330), 55)
    picture, truth = with_hand(heads.head(), joints, (150, 100, 80))
    assert not hands_in_region(NO_MODELS, picture, heads.MESH).any()
    find.append(Hand(joints, 0.9))
    x0, y0, x1, y1 = (int(v) for v in region_box(heads.MESH, picture.shape))
    found = hands_in_region(NO_MODELS, picture, heads.MESH)
    large = np.asarray(cv2.resize(found, (x1 - x0, y1 - y0)), np.float32)
    assert found.shape[1] == pytest.approx(hands.WORK_PX * (x1 - x0) / heads.WIDTH, abs=1)
    assert overlap(large, (truth & drawn(joints, truth.shape, 0.2))[y0:y1, x0:x1]) > 0.85
    shadow = hands_and_shadow(NO_MODELS, picture, heads.MESH)
    assert (shadow >= found).all()
    reach = hands.SHADOW * hands.WORK_PX
    gap = cv2.distanceTransform(1 - found.astype(np.uint8), cv2.DIST_L2, 5)
    assert shadow[gap < reach - 1].all()
    assert not shadow[gap > reach + 1].any()


def test_two_hands_are_two(find: list[Hand]) -> None:
    find += [Hand(placed((120, 330), 45), 0.9), Hand(placed((280, 330), 45), 0.9)]
    picture = heads.head()
    for hand in find:
        picture, _ = with_hand(picture, hand.joints, (150, 100, 80))
    both = hands_in_region(NO_MODELS, picture, heads.MESH)
    half = both.shape[1] // 2
    assert min(both[:, :half].sum(), both[:, half:].sum()) > 200


@pytest.mark.parametrize(
    ("wrist", "palm_px"),
    [
        pytest.param((200, 200), 30, id="a face mistaken for a hand"),
        pytest.param((30, 390), 40, id="a hand beside the face"),
    ],
)
def test_what_is_no_hand_before_the_face_covers_nothing(
    find: list[Hand], wrist: tuple[float, float], palm_px: float
) -> None:
    find.append(Hand(placed(wrist, palm_px), 0.9))
    assert not hands_in_region(NO_MODELS, heads.head(), heads.MESH).any()


@pytest.mark.parametrize(("away", "score", "before"), [(0.08, 0.99, True), (0.08, 0.9, False), (0.02, 0.99, False)])
def test_a_wrist_right_beside_the_face_is_that_of_a_hand_that_is_certain(
    find: list[Hand], away: float, score: float, before: bool
) -> None:
    """A hand laid on the forehead; a jaw is taken for a hand, too, but not with such certainty."""
    oval = heads.MESH.xy[list(regions.FACE_OVAL)]
    x, y = oval[oval[:, 0].argmin()]
    joints = placed((float(x) - away * heads.WIDTH, float(y)), 40, 60)
    find.append(Hand(joints, score))
    picture, _ = with_hand(heads.head(), joints, (150, 100, 80))
    assert hands_in_region(NO_MODELS, picture, heads.MESH).any() == before


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_of_any_size(find: list[Hand], scale: float) -> None:
    joints = placed((200 * scale, 330 * scale), 55 * scale)
    find.append(Hand(joints, 0.9))
    size = round(400 * scale)
    picture, truth = with_hand(np.asarray(cv2.resize(heads.head(), (size, size)), np.uint8), joints, (150, 100, 80))
    mesh = FaceMesh(heads.MESH.points * np.float32(scale), 1.0)
    x0, y0, x1, y1 = (int(v) for v in region_box(mesh, picture.shape))
    found = hands_in_region(NO_MODELS, picture, mesh)
    assert found.shape[1] <= round(hands.WORK_PX * (x1 - x0) / mesh.box.width) + 1
    large = np.asarray(cv2.resize(found, (x1 - x0, y1 - y0)), np.float32)
    assert overlap(large, (truth & drawn(joints, truth.shape, 0.2))[y0:y1, x0:x1]) > 0.8


def hand_off(px: float) -> Hand:
    """A hand below the face, the nearest of whose joints lies so far outside the chin's left."""
    oval, box = heads.MESH.xy[list(regions.FACE_OVAL)], heads.MESH.box
    for share in np.linspace(0, 1, 400):
        joints = placed((box.x0 + share * (box.x1 - box.x0), box.y1 + 75), 40, 10)
        nearest = max(cv2.pointPolygonTest(oval, (float(x), float(y)), measureDist=True) for x, y in joints)
        if nearest > -px:
            return Hand(joints, 0.9)
    raise AssertionError


@pytest.mark.parametrize(("off", "before"), [(5.0, True), (13.0, False)])
def test_a_fingers_flesh_counts_but_not_what_lies_beside_the_face(find: list[Hand], off: float, before: bool) -> None:
    hand = hand_off(off)
    find.append(hand)
    picture, truth = with_hand(heads.head(), hand.joints, (150, 100, 80))
    x0, y0, x1, y1 = (int(v) for v in region_box(heads.MESH, picture.shape))
    assert truth[y0:y1, x0:x1].sum() > 50, "in the face's region it is"
    assert hands_in_region(NO_MODELS, picture, heads.MESH).any() == before


def test_a_small_face_is_not_enlarged_and_its_hands_shadow_is_small(find: list[Hand]) -> None:
    scale = 0.3
    find.append(Hand(placed((200 * scale, 330 * scale), 55 * scale), 0.9))
    picture, _ = with_hand(np.asarray(cv2.resize(heads.head(), (120, 120)), np.uint8), find[0].joints, (150, 100, 80))
    mesh = FaceMesh(heads.MESH.points * np.float32(scale), 1.0)
    box = region_box(mesh, picture.shape)
    found = hands_in_region(NO_MODELS, picture, mesh)
    assert found.shape == (box.height, box.width)
    gap = cv2.distanceTransform(1 - found.astype(np.uint8), cv2.DIST_L2, 5)
    assert not hands_and_shadow(NO_MODELS, picture, mesh)[gap > hands.SHADOW * mesh.box.width + 1].any()


def test_all_bones_and_the_whole_palm_are_the_hands() -> None:
    hand = drawn(JOINTS, (200, 200), -0.05)
    fingers = [JOINTS[4 * finger + 1 : 4 * finger + 5] for finger in range(5)]
    bones = [(one + other) / 2 for finger in fingers for one, other in pairwise(finger)]
    x, y = np.rint(np.concatenate([JOINTS, bones])).astype(int).T
    assert hand[y, x].all()
    palm = np.zeros(hand.shape, np.uint8)
    cv2.fillConvexPoly(palm, cv2.convexHull(np.rint(JOINTS[[0, 1, 5, 9, 13, 17]]).astype(np.int32)), 1)
    assert hand[cv2.erode(palm, np.ones((3, 3), np.uint8)) > 0].all()


def test_of_every_finger_something_is_sure() -> None:
    """What only looks likely, skin's colours can take away again: half of a bent finger was lost."""
    core = drawn(JOINTS, (200, 200), -hands.INSIDE)
    x, y = np.rint(JOINTS).astype(int).T
    assert core[y, x].all()
    whole = drawn(JOINTS, (200, 200), 0.0)
    assert 0.4 * whole.sum() < core.sum() < 0.9 * whole.sum()
