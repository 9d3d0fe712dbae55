"""How a mesh lies to the mean face: transforms are found again, and the mean face is what it says."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from portraitd.faces import regions
from portraitd.faces.shape import (
    Similarity,
    align_to_mean,
    fit_similarity,
    mean_face,
    pose_of,
    pose_of_rotation,
    rigid_weights,
)

SCALES = st.floats(0.01, 500)
SHIFTS = st.tuples(*[st.floats(-2000, 2000)] * 3)
TURNS = st.tuples(st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180))


@st.composite
def similarities(draw: st.DrawFn) -> Similarity:
    rotation = Rotation.from_euler("xyz", draw(TURNS), degrees=True).as_matrix()
    return Similarity(draw(SCALES), rotation, np.array(draw(SHIFTS)))


def head(yaw_deg: float = 0, pitch_deg: float = 0, roll_deg: float = 0) -> NDArray[np.float64]:
    """(3, 3) a head turned by its roll, then pitch, then yaw, signs as in docs/conventions.md."""
    turns = Rotation.from_euler("zxy", [roll_deg, pitch_deg, -yaw_deg], degrees=True)
    return np.asarray(turns.as_matrix())


@given(similarities())
def test_a_similarity_is_found_again(made: Similarity) -> None:
    found = fit_similarity(mean_face().points, made.apply(mean_face().points))
    assert found.scale == pytest.approx(made.scale, rel=1e-5)
    assert np.allclose(found.rotation, made.rotation, atol=1e-5)
    assert np.allclose(found.shift, made.shift, atol=1e-3 * max(1.0, made.scale))


@given(similarities())
def test_the_inverse_undoes(made: Similarity) -> None:
    points = mean_face().points.astype(np.float64)
    assert np.allclose(made.inverse().apply(made.apply(points)), points, atol=1e-6 + 1e-9 / made.scale * 2000)


@given(similarities(), st.integers(0, 2**32 - 1))
def test_points_without_weight_do_not_count(made: Similarity, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = made.apply(mean_face().points)
    wild = rng.permutation(468)[:150]
    target[wild] += rng.normal(0, 100 * made.scale, (150, 3))
    weights = np.ones(468)
    weights[wild] = 0
    found = fit_similarity(mean_face().points, target, weights)
    assert found.scale == pytest.approx(made.scale, rel=1e-5)
    assert np.allclose(found.rotation, made.rotation, atol=1e-5)


def test_a_mirrored_face_is_turned_but_never_mirrored() -> None:
    lopsided = mean_face().points * np.array([1, 1, 1]) + np.array([0.3, 0, 0]) * (mean_face().points[:, :1] > 0.3)
    found = fit_similarity(lopsided, lopsided * np.array([-1, 1, 1]))
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert np.allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("axis", "turned", "moved"),
    [
        ("yaw_deg", "the nose goes to larger x, our right", (regions.NOSE_TIP, 0, 1)),
        ("pitch_deg", "the nose goes down, to larger y", (regions.NOSE_TIP, 1, 1)),
        ("roll_deg", "clockwise: the eye on our right goes down", (regions.RIGHT_EYE_CORNERS[0], 1, 1)),
    ],
)
@pytest.mark.parametrize("angle", [-40.0, -10.0, 10.0, 40.0])
def test_signs_of_a_pose(axis: str, turned: str, moved: tuple[int, int, int], angle: float) -> None:
    rotation = head(**{axis: angle})
    pose = pose_of_rotation(rotation)
    assert vars(pose) == pytest.approx({"yaw_deg": 0, "pitch_deg": 0, "roll_deg": 0, axis: angle}, abs=1e-6), turned
    point, coordinate, sign = moved
    before, after = mean_face().points[point], rotation @ mean_face().points[point]
    assert np.sign(after[coordinate] - before[coordinate]) == sign * np.sign(angle), turned


@given(st.floats(-80, 80), st.floats(-60, 60), st.floats(1, 500))
def test_yaw_and_pitch_of_a_mesh_are_found_at_any_size(yaw: float, pitch: float, scale: float) -> None:
    mesh = (mean_face().points @ head(yaw, pitch).T * scale + np.array([300, 200, 5])).astype(np.float32)
    pose = pose_of(mesh)
    assert pose.pitch_deg == pytest.approx(pitch, abs=0.1)
    assert pose.yaw_deg == pytest.approx(yaw, abs=0.1)


def test_expressions_hardly_move_the_pose() -> None:
    mesh = (mean_face().points @ head(15, -5, 8).T * 200).astype(np.float32)
    calm = pose_of(mesh)
    mesh[list(regions.LIPS_OUTER + regions.LIPS_INNER), 1] += 12
    mesh[list(regions.LEFT_BROW + regions.RIGHT_BROW), 1] -= 10
    loud = pose_of(mesh)
    for name, angle in vars(calm).items():
        assert vars(loud)[name] == pytest.approx(angle, abs=1.5)
    assert (rigid_weights()[list(regions.LIPS_OUTER)] < 0.5).all()
    assert rigid_weights().max() == 1


def test_aligning_the_mean_face_to_itself_does_nothing() -> None:
    found = align_to_mean(mean_face().points)
    assert found.scale == pytest.approx(1.0)
    assert np.allclose(found.rotation, np.eye(3), atol=1e-6)


class TestMeanFace:
    def test_is_upright_and_one_wide_between_the_eyes(self) -> None:
        points = mean_face().points
        assert points.shape == (468, 3)
        left, right = (points[list(ring)].mean(axis=0) for ring in (regions.LEFT_EYE, regions.RIGHT_EYE))
        assert np.allclose((left + right) / 2, 0, atol=1e-3)
        assert np.linalg.norm(right - left) == pytest.approx(1.0, abs=1e-3)
        assert left[0] < right[0]
        assert points[regions.CHIN, 1] > 0.5 > points[regions.FOREHEAD_TOP, 1]
        assert points[regions.NOSE_TIP, 2] < points[[234, 454], 2].min()

    def test_mirroring_twice_is_nothing_and_once_is_the_face_mirrored(self) -> None:
        face = mean_face()
        assert sorted(face.mirror) == list(range(468))
        assert (face.mirror[face.mirror] == np.arange(468)).all()
        assert np.allclose(face.points[face.mirror] * [-1, 1, 1], face.points, atol=1e-5)
        assert face.mirror[regions.LEFT_EYE_CORNERS[0]] == regions.RIGHT_EYE_CORNERS[0]
        assert face.mirror[regions.NOSE_TIP] == regions.NOSE_TIP

    def test_triangles_cover_the_oval(self) -> None:
        """The face oval is the only rim but for cracks between shut lips, and areas add up to the oval's."""
        points, triangles = mean_face().points[:, :2], mean_face().triangles
        assert set(triangles.ravel()) == set(range(468))
        edges: dict[tuple[int, int], int] = {}
        for a, b, c in triangles:
            for edge in ((a, b), (b, c), (c, a)):
                key = (int(min(edge)), int(max(edge)))
                edges[key] = edges.get(key, 0) + 1
        assert set(edges.values()) == {1, 2}
        ring = [*regions.FACE_OVAL, regions.FACE_OVAL[0]]
        rim = {(min(a, b), max(a, b)) for a, b in pairwise(ring)}
        single = {edge for edge, count in edges.items() if count == 1}
        assert rim <= single
        cracks = points[[point for edge in single - rim for point in edge]]
        seam = points[list(regions.LIPS_INNER), 1].mean()
        assert np.abs(cracks[:, 1] - seam).max() < 0.05

        def area(polygon: NDArray[np.float32]) -> float:
            x, y = polygon.T
            return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2

        whole = area(points[list(regions.FACE_OVAL)])
        assert sum(area(points[list(triangle)]) for triangle in triangles) == pytest.approx(whole, rel=0.01)

    def test_one_winding_for_all_triangles(self) -> None:
        """A directed edge occurs once: neighbours run through the edge they share in opposite directions."""
        directed = [(int(t[i]), int(t[(i + 1) % 3])) for t in mean_face().triangles for i in range(3)]
        assert len(set(directed)) == len(directed)
