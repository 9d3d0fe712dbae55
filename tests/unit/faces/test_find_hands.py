"""Where a hand's joints lie in the picture, given what the two networks say of their squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portraitd.faces import hands
from portraitd.faces.hands import JOINTS, JOINTS_INPUT, PALMS, PALMS_INPUT, find_hands
from portraitd.images import Floats, Image, Points
from tests.fakes.hands import JOINTS as SHAPE
from tests.fakes.heads import MESH, head

#: The first anchor in the middle of the second grid, (6, 6) of 12 x 12: at 104 px.
MIDDLE = 24 * 24 * 2 + (6 * 12 + 6) * 6


class Networks:
    """Says that palms lie here, and that each one's hand has these joints and this score."""

    def __init__(self, palms: list[tuple[int, float, Points]], joints: Points, score: float = 0.9) -> None:
        self.palms, self.joints, self.score = palms, joints, score
        self.asked: list[Image] = []

    def network(self, name: str) -> Any:
        return {PALMS: self._find, JOINTS: self._look}[name]

    def _find(self, batch: Floats) -> list[Floats]:
        assert batch.shape == (1, PALMS_INPUT, PALMS_INPUT, 3)
        regressors, logits = np.zeros((1, 2016, 18), np.float32), np.full((1, 2016, 1), -9, np.float32)
        for anchor, logit, raw in self.palms:
            regressors[0, anchor], logits[0, anchor] = raw.ravel(), logit
        return [regressors, logits]

    def _look(self, batch: Floats) -> list[Floats]:
        assert batch.shape == (1, JOINTS_INPUT, JOINTS_INPUT, 3)
        self.asked.append(batch[0])
        flat = np.column_stack([self.joints, np.zeros(21, np.float32)]).reshape(1, 63)
        return [flat, np.float32([[self.score]]), np.float32([[0.1]]), np.zeros((1, 63), np.float32)]


def palm(towards: tuple[float, float], side: float = 30.0) -> Points:
    """(9, 2) centre, size and points of a palm around its anchor, its middle finger in this direction."""
    points = np.zeros((9, 2), np.float32)
    points[1] = side, 0.8 * side
    points[2] = -0.5 * side * np.array(towards)
    points[4] = 0.5 * side * np.array(towards)
    return points


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hands are looked at once."""
    monkeypatch.setattr(hands, "_looked_at_again", lambda _models, _image, hand: hand)


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("towards", [(0.0, -1.0), (1.0, 0.0), (-0.6, -0.8)])
def test_joints_are_given_in_the_pictures_pixels(towards: tuple[float, float]) -> None:
    seen = np.asarray(SHAPE * 60 + [112, 150], np.float32)
    (hand,) = find_hands(Networks([(MIDDLE, 5.0, palm(towards))], seen), head(), MESH)  # type: ignore[arg-type]
    box = MESH.box
    scale = hands.LOOK * box.height / PALMS_INPUT
    middle = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2 + hands.LOWER * box.height])
    centre = middle + (104 - PALMS_INPUT / 2) * scale + hands.TOWARDS_FINGERS * 30 * scale * np.array(towards)
    up, across = np.array(towards), np.array([-towards[1], towards[0]])
    off = (seen - JOINTS_INPUT / 2) * hands.HAND * 30 * scale / JOINTS_INPUT
    np.testing.assert_allclose(hand.joints, centre + off[:, :1] * across - off[:, 1:] * up, atol=0.02)
    assert hand.score == pytest.approx(0.9)


@pytest.mark.parametrize(("score", "count"), [(0.4, 0), (0.7, 0), (0.9, 1)])
def test_what_is_more_likely_no_hand_is_none(score: float, count: int) -> None:
    networks = Networks([(MIDDLE, 5.0, palm((0.0, -1.0)))], SHAPE * 60, score)
    assert len(find_hands(networks, head(), MESH)) == count  # type: ignore[arg-type]


def test_each_palm_is_looked_at_once_and_the_surest_of_what_is_one() -> None:
    far = MIDDLE + 4 * 6
    upright, aside = palm((0.0, -1.0)), palm((1.0, 0.0))
    networks = Networks(
        [(MIDDLE + 1, 1.0, aside), (MIDDLE, 5.0, upright), (far, 0.0, upright), (far + 1, -2.0, aside)], SHAPE
    )
    assert len(find_hands(networks, head(), MESH)) == 2  # type: ignore[arg-type]
    alone = Networks([(MIDDLE, 5.0, upright)], SHAPE)
    find_hands(alone, head(), MESH)  # type: ignore[arg-type]
    assert np.array_equal(networks.asked[0], alone.asked[0])


def test_the_second_look_is_at_the_hand_itself() -> None:
    """Upright, in the middle of its square, the square twice its firm part's longer side."""
    seen = np.asarray(SHAPE * 60 + [112, 150], np.float32)
    (hand,) = find_hands(Networks([(MIDDLE, 5.0, palm((0.0, -1.0)))], seen), head(), MESH)  # type: ignore[arg-type]
    first = hands._hand(
        Networks([], seen),  # type: ignore[arg-type]
        head(),
        hands._palms(
            Networks([(MIDDLE, 5.0, palm((0.0, -1.0)))], seen),  # type: ignore[arg-type]
            head(),
            ((MESH.box.x0 + MESH.box.x1) / 2, (MESH.box.y0 + MESH.box.y1) / 2 + hands.LOWER * MESH.box.height),
            hands.LOOK * MESH.box.height,
        )[0],
    ).joints
    along = first[list(hands.KNUCKLES)].mean(axis=0) - first[0]
    up = along / np.linalg.norm(along)
    across = np.array([-up[1], up[0]])
    firm = np.column_stack([first @ across, -(first @ up)])[list(hands.FIRM)]
    low, high = firm.min(axis=0), firm.max(axis=0)
    x, y = (low + high) / 2 - [0, hands.FIRM_TOWARDS_FINGERS * (high - low)[1]]
    off = (seen - JOINTS_INPUT / 2) * hands.FIRM_HAND * (high - low).max() / JOINTS_INPUT
    wanted = (x + off[:, :1]) * across - (y + off[:, 1:]) * up
    np.testing.assert_allclose(hand.joints, wanted, atol=0.05)
