"""Of many photos the model is shown a few: the best, and from different sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.person.identity import View, view_of
from portraitd.engines.diffusion.portfolio import MOST_REFERENCES, best_views
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import Pose, mean_face


def _view(name: str, quality: float, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> View:
    mesh = FaceMesh((mean_face().points * 20 + np.array([80, 70, 0])).astype(np.float32), 1.0)
    view = view_of(name, np.zeros((160, 160, 3), np.uint8), mesh, quality)
    return replace(view, pose=Pose(yaw_deg, 0.0, roll_deg))


@pytest.mark.parametrize(
    ("views", "shown"),
    [
        ([], ""),
        ([_view("a", 0.9)], "a"),
        # All from the front: the best ones.
        ([_view("a", 0.9), _view("b", 0.8), _view("c", 0.7), _view("d", 0.6)], "abc"),
        # From the sides, though there are better ones from the front.
        ([_view("a", 0.9), _view("b", 0.8), _view("c", 0.7), _view("d", 0.6, 30), _view("e", 0.5, -30)], "ade"),
        # Another photo from a side that was shown adds nothing.
        ([_view("a", 0.9), _view("b", 0.8), _view("d", 0.6, 30), _view("e", 0.5, 31)], "adb"),
        # But no side is worth a bad photo, and a tilt is no side.
        ([_view("a", 0.9), _view("b", 0.8), _view("c", 0.7), _view("d", 0.2, 40)], "abc"),
        ([_view("a", 0.9), _view("b", 0.8), _view("c", 0.7), _view("d", 0.6, 0, 40)], "abc"),
    ],
)
def test_the_best_of_each_side_are_shown(views: list[View], shown: str) -> None:
    assert [view.name for view in best_views(views)] == list(shown)
    assert len(shown) <= MOST_REFERENCES
