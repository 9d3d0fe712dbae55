"""All that lies over a photo's face is asked for: walls, hands with their shadow, strands of hair."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.engines.classic.face import hands
from portraitd.engines.classic.face.region import Nearby, covered_by, read_region, region_box
from portraitd.engines.classic.person import over
from portraitd.engines.classic.person.over import over_face
from portraitd.faces.hands import Hand
from portraitd.faces.models import FaceModels
from portraitd.images import Image, Mask
from tests.fakes.hands import placed, with_hand
from tests.fakes.heads import MESH, WIDTH, head

NO_MODELS = FaceModels.__new__(FaceModels)
BROWN = (150, 105, 75)
NOBODY = Nearby(np.zeros((400, 400), np.float32), np.eye(2, 3, dtype=np.float32))
SOMEBODY = Nearby(np.ones((400, 400), np.float32), np.eye(2, 3, dtype=np.float32))


def covered(picture: Image, monkeypatch: pytest.MonkeyPatch, near: Nearby = SOMEBODY, *found: Hand) -> Mask:
    """(H, W) what covers the face, by the networks that see this."""
    monkeypatch.setattr(over, "look_nearby", lambda *_: near)
    monkeypatch.setattr(hands, "find_hands", lambda *_: found)
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, picture.shape))
    hair = covered_by(read_region(noisy, MESH), over_face(NO_MODELS, noisy, MESH)).hair
    whole = np.zeros(picture.shape[:2], np.float32)
    whole[y0:y1, x0:x1] = cv2.resize(hair, (x1 - x0, y1 - y0))
    return whole


def test_a_wall_covers_a_face_and_a_bare_face_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tuple(np.rint(MESH.xy[[1, 50, 280, 151]]).astype(int).T[::-1])
    assert covered(head(), monkeypatch)[inside].max() < 0.1
    assert covered(head(), monkeypatch, NOBODY)[inside].min() > 0.9


def test_a_strand_covers_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, strand = head(BROWN, BROWN), np.zeros((400, 400), np.uint8)
    start, end = MESH.xy[127] - [20, 30], MESH.xy[1] + [-0.24 * WIDTH, 10]
    cv2.line(strand, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 1, round(0.06 * WIDTH))
    picture[strand > 0] = BROWN
    over_cheek = (strand > 0) & (np.indices(strand.shape)[1] > MESH.xy[127, 0] + 0.08 * WIDTH)
    assert covered(picture, monkeypatch)[over_cheek].mean() > 0.75


def test_a_hand_covers_a_face_and_so_does_its_shadow(monkeypatch: pytest.MonkeyPatch) -> None:
    joints = placed((200, 330), 55)
    picture, hand = with_hand(head(), joints, (150, 100, 80))
    hidden = covered(picture, monkeypatch, SOMEBODY, Hand(joints, 0.9))
    face: NDArray[np.bool_] = np.indices(hand.shape)[0] < MESH.xy[152, 1] - 20
    off = cv2.distanceTransform((~hand).astype(np.uint8), cv2.DIST_L2, 5) / WIDTH
    assert hidden[hand & face].mean() > 0.9
    assert hidden[face & (off > 0) & (off < 0.8 * hands.SHADOW)].mean() > 0.8
