"""Where the points of a face go, and the pixel map that follows: right to a tenth of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial.transform import Rotation

from portraitd.engines.classic.face.geometry import normals, part_of, pose_shape, rasterise, rim_weights
from portraitd.errors import AlgorithmFailed
from portraitd.faces import regions
from portraitd.faces.shape import mean_face, pose_of
from portraitd.images import Points

SHAPE = (240, 200)
EDGE = 4
#: How far triangles are grown where the map is used.
GROW = 0.35


def head(yaw_deg: float = 0, pitch_deg: float = 0, size_px: float = 75) -> Points:
    """(468, 3) px: the mean face, turned, in the middle of a picture of SHAPE."""
    turn = Rotation.from_euler("xy", [pitch_deg, -yaw_deg], degrees=True).as_matrix()
    points = mean_face().points @ turn.T * size_px
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    return np.asarray(points - middle + [SHAPE[1] / 2 + 0.3, SHAPE[0] / 2 - 0.2, 0], np.float32)


def well_inside(points: Points) -> NDArray[np.bool_]:
    """(H, W) pixels some way inside the mesh."""
    covered = rasterise(points, SHAPE, step=1, grow=GROW).coverage() > 0.999
    return np.asarray(binary_erosion(covered, iterations=EDGE))


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("yaw", [0, 15])
def test_interpolating_the_points_themselves_gives_each_pixels_own_place(step: int, yaw: float) -> None:
    """Pixel centres are at integers: half a pixel off would show here."""
    points = head(yaw)
    found = rasterise(points, SHAPE, step, GROW).interpolate(points[:, :2])
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    off = np.hypot(found[:, :, 0] - x, found[:, :, 1] - y)[well_inside(points)]
    assert off.size > 10_000
    assert (off < 0.1).mean() > 0.999
    assert off.mean() < 0.05


def test_a_coarse_grid_draws_the_same_map_as_a_fine_one() -> None:
    points = head(10, 5)
    onto = head(-10, -5, 90)[:, :2]
    fine, coarse = (rasterise(points, SHAPE, step, GROW).interpolate(onto) for step in (1, 2))
    apart = np.linalg.norm(fine - coarse, axis=2)[well_inside(points)]
    assert np.median(apart) < 0.05
    assert np.percentile(apart, 98) < 0.5


def test_a_part_of_the_map_is_that_part_of_the_whole() -> None:
    points = head(10)
    raster = rasterise(points, SHAPE, 3, GROW)
    whole, part = raster.interpolate(points[:, :2]), raster.interpolate(points[:, :2], part=(31, 50, 117, 190))
    assert part == pytest.approx(whole[50:190, 31:117], abs=0.02)


def test_the_map_of_a_smaller_picture_has_its_pixels_centres() -> None:
    points = head()
    small = rasterise(points, SHAPE, 2, GROW).interpolate(points[:, :2], (SHAPE[1] // 4, SHAPE[0] // 4))
    y, x = np.mgrid[: SHAPE[0] // 4, : SHAPE[1] // 4] * 4 + 1.5
    inside = well_inside(points)[2::4, 2::4]
    assert np.abs(small - np.stack([x, y], axis=2))[inside].mean() < 0.05


def test_a_part_enlarged_is_that_part_of_the_whole() -> None:
    """Small pictures are brought to full size in parts and, elsewhere, by `cv2.resize`: both must meet."""
    small = np.random.default_rng(2).random((30, 25, 3)).astype(np.float32)
    whole = cv2.resize(small, (200, 240))
    assert part_of(small, (200, 240), (37, 51, 160, 222)) == pytest.approx(whole[51:222, 37:160], abs=0.02)


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """z of the cross product, of x and y alone."""
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def test_the_nearest_triangle_wins() -> None:
    """Where a turned nose hides the cheek behind it, the map shows the nose."""
    points = head(yaw_deg=50)
    depth = rasterise(points, SHAPE, step=1).interpolate(points[:, 2])
    triangles = points[mean_face().triangles].astype(np.float64)
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = cross(b - a, c - a)
    front = np.abs(area) > 1e-6
    hidden_somewhere = 0
    for y, x in np.random.default_rng(1).integers([90, 40], [170, 180], (600, 2)):
        at = np.array([x, y, 0], np.float64)
        w0 = cross(c - b, at - b) / np.where(front, area, 1)
        w1 = cross(a - c, at - c) / np.where(front, area, 1)
        weights = np.stack([w0, w1, 1 - w0 - w1], axis=1)
        hit = front & (weights > 1e-3).all(axis=1)
        if hit.sum() < 2:
            continue
        z = (weights[hit] * triangles[hit, :, 2]).sum(axis=1)
        if np.ptp(z) > 5:  # two sheets, one well behind the other
            hidden_somewhere += 1
            assert depth[y, x] == pytest.approx(z.min(), abs=2)
    assert hidden_somewhere > 5


def test_coverage_is_the_mesh_and_nothing_else() -> None:
    points = head()
    covered = rasterise(points, SHAPE, step=1).coverage()
    assert covered.shape == SHAPE
    oval = points[list(regions.FACE_OVAL), :2]
    x, y = oval.T
    area = abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    assert covered.sum() == pytest.approx(area, rel=0.02)
    assert covered[0].max() == covered[:, 0].max() == 0


def test_just_past_the_rim_the_map_goes_on() -> None:
    points = head(20, 5)
    inside = rasterise(points, SHAPE, step=1).coverage() > 0.999
    rim = binary_dilation(inside, iterations=2) & ~inside
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    off = {}
    for grow in (0.0, GROW):
        found = rasterise(points, SHAPE, 1, grow).interpolate(points[:, :2])
        off[grow] = float(np.hypot(found[:, :, 0] - x, found[:, :, 1] - y)[rim].mean())
    assert off[GROW] < 0.4 * off[0.0]


def test_past_the_rim_the_nearest_triangle_is_enlarged() -> None:
    """Nearest as triangles are grown, in shares of themselves: the least of a point's three weights is the greatest."""
    points = head(20, 5)
    inside = rasterise(points, SHAPE, step=1).coverage() > 0.999
    raster = rasterise(points, SHAPE, 1, GROW)
    chosen = raster.nodes.min(axis=1).toarray().reshape(raster.inside.shape)  # its triangle's least, if below 0
    a, b, c = (points[mean_face().triangles[:, corner], :2].astype(np.float64) for corner in range(3))
    area = cross(b - a, c - a)
    several = 0
    for y, x in np.argwhere((raster.inside[: SHAPE[0], : SHAPE[1]] > 0) & ~inside):
        at = np.array([x, y], np.float64)
        least = np.min([cross(c - b, at - b), cross(a - c, at - c), cross(b - a, at - a)] / area, axis=0)
        around = np.abs(np.clip(at, np.minimum(a, np.minimum(b, c)), np.maximum(a, np.maximum(b, c))) - at).max(axis=1)
        near = least[(around <= GROW) & (area * np.median(area) > 0) & (least >= -GROW)]
        several += near.size > 1
        assert chosen[y, x] == pytest.approx(min(0, near.max()), abs=1e-3)
    assert several > 20


def test_values_keep_their_shape() -> None:
    raster = rasterise(head(), SHAPE)
    for channels in ((), (1,), (2,), (3,)):
        assert raster.interpolate(np.ones((468, *channels), np.float32)).shape == (*SHAPE, *channels)


def test_values_are_held_constant_outside_the_mesh() -> None:
    found = rasterise(head(), SHAPE).interpolate(np.full(468, 7.0, np.float32))
    assert found.shape == SHAPE
    assert np.allclose(found, 7.0, atol=1e-4)


def test_a_mesh_that_leaves_the_picture_is_drawn_as_far_as_it_goes() -> None:
    points = head() - np.array([90, 0, 0], np.float32)
    found = rasterise(points, SHAPE, grow=GROW).interpolate(points[:, :2])
    assert found[120, 5] == pytest.approx([5, 120], abs=0.1)


def test_a_mesh_outside_the_picture_is_an_error_of_its_own() -> None:
    with pytest.raises(AlgorithmFailed):
        rasterise(head() + np.array([5000, 0, 0], np.float32), SHAPE)


def test_normals_point_out_of_the_face_whichever_way_it_looks() -> None:
    for yaw in (-30, 0, 30):
        points = head(yaw)
        found = normals(points)
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        outward = points - points.mean(axis=0) - [0, 0, 60]
        assert (np.sum(found * outward, axis=1) > 0).mean() > 0.9
        nose_forward = np.sin(np.deg2rad(yaw))
        mean = found.mean(axis=0)
        assert np.sign(mean[0]) == np.sign(nose_forward) or yaw == 0
        assert mean[2] < -0.3


def test_the_rim_is_the_oval_and_fades_inwards() -> None:
    weights = rim_weights()
    assert (weights[list(regions.FACE_OVAL)] == 1).all()
    features = [*regions.LEFT_EYE, *regions.RIGHT_EYE, *regions.LIPS_INNER, regions.NOSE_TIP]
    assert weights[features].max() < 0.35
    assert weights[regions.NOSE_TIP] == 0


class TestPoseShape:
    @staticmethod
    def broad() -> Points:
        """Another person's shape in the mean face's frame: broader, with a smaller mouth and a longer nose."""
        points = mean_face().points * np.array([1.12, 1.0, 1.0], np.float32)
        lips = [*regions.LIPS_OUTER, *regions.LIPS_INNER]
        points[lips, 0] *= 0.85
        points[regions.NOSE_TIP, 2] -= 0.1
        return np.asarray(points, np.float32)

    @staticmethod
    def surprised() -> Points:
        """A target with its mouth open and its brows up."""
        points = head(12, 4)
        lower_lip = [146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324]
        points[lower_lip, 1] += 12
        points[list(regions.LEFT_BROW + regions.RIGHT_BROW), 1] -= 6
        return points

    @staticmethod
    def mouth(points: Points) -> float:
        """Gap of the lips over their width."""
        left, right = regions.MOUTH_CORNERS
        gap = np.linalg.norm(points[13, :2] - points[14, :2])
        return float(gap / np.linalg.norm(points[left, :2] - points[right, :2]))

    def test_the_rim_lies_on_the_targets_contour(self) -> None:
        target = self.surprised()
        posed = pose_shape(self.broad(), target)
        oval = list(regions.FACE_OVAL)
        assert np.allclose(posed[oval], target[oval], atol=1e-3)

    def test_the_pose_is_the_targets(self) -> None:
        posed, target = pose_of(pose_shape(self.broad(), head(18, -7))), pose_of(head(18, -7))
        assert posed.yaw_deg == pytest.approx(target.yaw_deg, abs=2)
        assert posed.pitch_deg == pytest.approx(target.pitch_deg, abs=2)

    @pytest.mark.parametrize("lower_deg", [-4.0, 3.0])
    def test_it_can_be_turned_farther_down_or_up_than_the_target(self, lower_deg: float) -> None:
        target = head(18, -7)
        straight, lower = (pose_of(pose_shape(mean_face().points, target, by)) for by in (0.0, lower_deg))
        # The rim stays on the contour.
        assert 0.5 < (lower.pitch_deg - straight.pitch_deg) / lower_deg <= 1.05
        assert lower.yaw_deg == pytest.approx(straight.yaw_deg, abs=0.5)
        assert lower.roll_deg == pytest.approx(straight.roll_deg, abs=0.25)  # though it looks aside
        nose = regions.NOSE_TIP
        there, here = (pose_shape(mean_face().points, target, by)[nose] for by in (0.0, lower_deg))
        assert (here[1] - there[1]) * lower_deg > 0  # the nose comes down, and stays where it is across
        assert here[0] == pytest.approx(there[0], abs=0.5)

    def test_the_mouth_is_the_persons(self) -> None:
        posed = pose_shape(self.broad(), self.surprised())
        assert self.mouth(posed) == pytest.approx(self.mouth(self.broad()), abs=0.03)
        assert self.mouth(self.surprised()) > self.mouth(posed) + 0.1

    def test_a_persons_own_shape_comes_out_where_it_went_in(self) -> None:
        target = head(20, 10)
        assert np.allclose(pose_shape(mean_face().points, target), target, atol=0.05)

    def test_inner_features_stay_the_persons(self) -> None:
        """The mouth's width over the eyes' distance is the shape's, not the target's."""

        def narrow(points: Points) -> float:
            mouth = np.linalg.norm(points[61] - points[291])
            return float(mouth / np.linalg.norm(points[33] - points[263]))

        posed = pose_shape(self.broad(), head())
        assert abs(narrow(posed) - narrow(self.broad())) < 0.3 * abs(narrow(head()) - narrow(self.broad()))
