"""The map that turns a head: exact on the face, nothing beyond the head, smooth in between."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.person.identity import View, view_of
from portraitd.engines.classic.presets import turning
from portraitd.engines.classic.presets.turning import turned_to_camera
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face, pose_of
from portraitd.images import Floats, Points


def posed(yaw_deg: float) -> Points:
    """The mean face, 120 px between the eyes, turned."""
    angle = np.deg2rad(yaw_deg)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    points = mean_face().points @ turn.T * 60 + np.array([200, 190, 0])
    return points.astype(np.float32)


def view(yaw_deg: float, matted: bool = True) -> View:
    """A head of noise on an oval matte, 400 x 500."""
    points = posed(yaw_deg)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:500, 0:400].astype(np.float32)
    head = ((columns - 200) / 110) ** 2 + ((rows - 200) / 150) ** 2 < 1
    body = (rows > 330) & (np.abs(columns - 200) < 160)
    made = view_of("noise", rng.integers(0, 256, (500, 400, 3), np.uint8), FaceMesh(points, 1.0), 1.0)
    alpha = (head | body).astype(np.float32)
    return made if not matted else View(**{**made.__dict__, "alpha": lambda: alpha})


@pytest.mark.parametrize("yaw_deg", [-16.0, -8.0, 8.0, 16.0])
def test_a_turned_head_comes_to_face_the_camera(yaw_deg: float) -> None:
    assert pose_of(posed(yaw_deg)).yaw_deg == pytest.approx(yaw_deg, abs=0.5)
    turned = turned_to_camera(view(yaw_deg), 20.0)
    assert abs(turned.pose.yaw_deg) < 4
    assert turned.pose == pose_of(turned.mesh.points)
    assert turned.pose.roll_deg == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(
    ("yaw_deg", "most_deg", "matted"), [(3.0, 20.0, True), (15.0, 0.0, True), (15.0, 20.0, False), (-2.0, 20.0, True)]
)
def test_what_needs_no_turn_or_may_not_be_turned_stays_as_it_is(yaw_deg: float, most_deg: float, matted: bool) -> None:
    before = view(yaw_deg, matted)
    assert turned_to_camera(before, most_deg) is before


def test_no_more_than_asked() -> None:
    assert turned_to_camera(view(30.0), 10.0).pose.yaw_deg == pytest.approx(20, abs=1)


def test_nothing_moves_beyond_the_head() -> None:
    before = view(15.0)
    after = turned_to_camera(before, 20.0)
    assert after.alpha is not None
    for rows, columns in ((slice(450, 500), slice(0, 400)), (slice(0, 300), slice(0, 40))):
        np.testing.assert_array_equal(after.image()[rows, columns], before.image()[rows, columns])
    assert np.ptp(after.alpha()) == 1


def sampled(before: View) -> tuple[Floats, Floats]:
    points = turning._turned(before.mesh.points, 14.0)
    assert before.alpha is not None
    return turning._map(before.mesh.points, points, before.alpha())


def test_the_face_goes_where_its_mesh_does() -> None:
    before = view(15.0)
    after = turning._turned(before.mesh.points, 14.0)
    x, y = sampled(before)
    nose = tuple(np.rint(after[4, 1::-1]).astype(int))
    assert (x[nose], y[nose]) == pytest.approx(tuple(before.mesh.xy[4]), abs=1.5)


def test_the_map_has_no_folds() -> None:
    x, y = sampled(view(15.0))
    x_across, x_down = np.gradient(x, axis=1), np.gradient(x, axis=0)
    y_across, y_down = np.gradient(y, axis=1), np.gradient(y, axis=0)
    area = x_across * y_down - x_down * y_across
    assert float(np.percentile(area, 0.1)) > 0.1


def test_the_smoothest_continuation_of_a_slope_is_the_slope() -> None:
    slope = np.dstack([np.tile(np.linspace(0, 8, 81, dtype=np.float32), (60, 1))] * 2)
    fixed = np.zeros((60, 81), bool)
    fixed[:, :10] = fixed[:, -10:] = True
    found = turning._harmonic(np.where(fixed[..., None], slope, 0), fixed)
    np.testing.assert_allclose(found, slope, atol=0.15)
