"""The template's jaw takes the person's outline: contour, picture and what covers it move together, and no farther."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from portraitd.engines.classic.face.expression import mouth_of, with_mouth
from portraitd.engines.classic.face.geometry import at_points
from portraitd.engines.classic.template.outline import MOST, REACH, with_outline
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image, Points
from tests.fakes.heads import MESH, WIDTH, head

BACKDROP = (60, 90, 160)
OVAL = list(regions.FACE_OVAL)


def jaw_made(factor: float) -> Points:
    """(468, 3) the mean face with a jaw this many times as broad."""
    shape = mean_face().points.copy()
    low = np.clip(shape[:, 1] / 0.8, 0, 1)
    shape[:, 0] *= 1 + (factor - 1) * low
    return shape


def chin_made(lower: float) -> Points:
    """(468, 3) the mean face with its chin this much lower, eye distances."""
    shape = mean_face().points.copy()
    shape[:, 1] += lower * np.clip((shape[:, 1] - 1.0) / 0.4, 0, 1)
    return shape


def half_width(points: Floats) -> float:
    """Of the contour at the mouth's height, px."""
    row = points[OVAL]
    y = points[list(regions.MOUTH_CORNERS), 1].mean()
    return float(np.interp(y, *row[np.argsort(row[:, 1])][row[np.argsort(row[:, 1]), 0] > 200][:, [1, 0]].T)) - 200


def skin_edge(picture: Image) -> float:
    """Where skin gives way to the backdrop right of the mouth, px from the middle."""
    y = round(float(MESH.xy[list(regions.MOUTH_CORNERS), 1].mean()))
    red = picture[y, 200:, 0].astype(float)
    return float(np.flatnonzero(red < 130)[0])


@pytest.fixture(scope="module")
def template() -> TemplateFace:
    return read_template(head(BACKDROP, BACKDROP), MESH)


@pytest.mark.parametrize("factor", [0.88, 1.12])
def test_a_broader_or_narrower_jaw_moves_contour_and_picture_alike(template: TemplateFace, factor: float) -> None:
    moved = with_outline(template, jaw_made(factor))
    # The whole face's size is fitted, too: part of the breadth goes there.
    share = (half_width(moved.whole_mesh.xy) / half_width(MESH.xy) - 1) / (factor - 1)
    assert 0.5 < share < 1
    by_picture = skin_edge(moved.picture) - skin_edge(template.picture)
    assert by_picture == pytest.approx(half_width(moved.whole_mesh.xy) - half_width(MESH.xy), abs=1.5)


def test_a_longer_chin_moves_down(template: TemplateFace) -> None:
    moved = with_outline(template, chin_made(0.15))
    down = moved.whole_mesh.xy[regions.CHIN] - MESH.xy[regions.CHIN]
    assert 0.6 * 0.15 * 82 < down[1] < 1.0 * 0.15 * 82
    assert abs(down[0]) < 1
    assert tuple(moved.picture[round(float(MESH.xy[regions.CHIN, 1])) + 4, 200]) != BACKDROP


def test_what_is_far_from_the_face_and_above_the_eyes_stays(template: TemplateFace) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    moved = with_outline(replace(template, picture=noise), jaw_made(1.3))
    changed = (moved.picture != noise).any(axis=2)
    hull = np.zeros(changed.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(MESH.xy).astype(np.int32)), 1)
    away: NDArray[np.float32] = cv2.distanceTransform(1 - hull, cv2.DIST_L2, 5) / np.float32(WIDTH)  # type: ignore[assignment]
    assert changed.any()
    assert away[changed].max() < REACH + 0.01
    brows = [*regions.LEFT_BROW, *regions.RIGHT_BROW]
    top = [index for index in OVAL if MESH.xy[index, 1] < MESH.xy[brows, 1].min()]
    np.testing.assert_allclose(moved.whole_mesh.xy[top], MESH.xy[top], atol=0.5)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_no_contour_moves_farther_than_it_may_and_the_picture_does_not_fold(
    template: TemplateFace, factor: float
) -> None:
    ramps = np.stack([*np.indices((400, 400)), np.zeros((400, 400))], axis=2) * 0.6
    moved = with_outline(replace(template, picture=ramps.astype(np.uint8)), jaw_made(factor))
    by = np.linalg.norm(moved.whole_mesh.xy - MESH.xy, axis=1).max() / WIDTH
    assert 0.8 * MOST < by <= 1.01 * MOST
    down, across = (np.diff(moved.picture[:, :, axis].astype(int), axis=axis) for axis in (0, 1))
    assert min(down.min(), across.min()) >= 0


def test_the_same_outline_changes_nothing(template: TemplateFace) -> None:
    assert with_outline(template, mean_face().points) is template


def test_an_open_mouth_is_no_longer_chin(template: TemplateFace) -> None:
    """A laughing photo's jaw hangs; the template's mouth is shut."""
    mouth = mouth_of(mean_face().points)
    laughing = with_mouth(mean_face().points, replace(mouth, opening=mouth.opening + 0.25))
    moved = with_outline(template, laughing).whole_mesh.xy - MESH.xy
    assert np.linalg.norm(laughing - mean_face().points, axis=1).max() * 82 > 10
    assert np.linalg.norm(moved[OVAL], axis=1).max() < 2.5


def turned(yaw_deg: float, roll_deg: float = 0.0, scale: float = 1.0) -> TemplateFace:
    """A template without hair or light whose picture tells where each of its pixels was: red its row, green its
    column."""
    points = Rotation.from_euler("zy", [roll_deg, yaw_deg], degrees=True).apply(mean_face().points)
    mesh = FaceMesh(np.asarray(points * 82 * scale + np.array([200, 190, 0]), np.float32), 1.0)
    face = read_template(np.full((400, 400, 3), 128, np.uint8), mesh)
    ramps = np.stack([*np.indices((400, 400)), np.zeros((400, 400))], axis=2) * 0.6
    return replace(face, picture=np.asarray(np.rint(ramps), np.uint8))


@pytest.mark.parametrize(("yaw_deg", "roll_deg", "scale"), [(0, 0, 1), (25, 0, 1), (-25, 30, 1), (0, 0, 0.5)])
@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_the_mesh_lies_where_the_picture_shows_it(yaw_deg: float, roll_deg: float, scale: float, factor: float) -> None:
    """At each point the picture tells where it came from: the point's old place."""
    was = turned(yaw_deg, roll_deg, scale)
    moved = with_outline(was, jaw_made(factor))
    assert moved is not was
    at = moved.whole_mesh.xy
    told = np.stack([at_points(np.asarray(moved.picture[:, :, axis], np.float32), at) for axis in (1, 0)], axis=1) / 0.6
    width = was.whole_mesh.box.width
    assert np.abs(told - was.whole_mesh.xy).max() < 0.012 * width + 1.5


@pytest.mark.parametrize("yaw_deg", [-45, -30, 30, 45])
@pytest.mark.parametrize("shape", [jaw_made(3.0), jaw_made(0.4), chin_made(0.4)])
def test_the_picture_does_not_fold_around_a_turned_head(yaw_deg: float, shape: Points) -> None:
    moved = with_outline(turned(yaw_deg), shape)
    down, across = (np.diff(moved.picture[:, :, axis].astype(int), axis=axis) for axis in (0, 1))
    assert min(down.min(), across.min()) >= -1  # by rounding


def test_the_picture_is_whole_where_it_begins_to_move() -> None:
    """What stays, above, and what moves, below, meet without a step: columns are straight lines but for a bend."""
    was = turned(0)
    moved = with_outline(was, jaw_made(3.0))
    columns = moved.picture[:, :, 1].astype(int)
    assert np.abs(np.diff(columns, axis=0)).max() <= 1  # by rounding
    assert (columns != was.picture[:, :, 1]).any()


def test_one_point_s_error_is_no_bump(template: TemplateFace) -> None:
    shape, point = mean_face().points.copy(), 172
    shape[point, 0] -= 0.2
    moved = (with_outline(template, shape).whole_mesh.xy - MESH.xy)[:, 0]
    before, after = (OVAL[(OVAL.index(point) + step) % len(OVAL)] for step in (-1, 1))
    assert moved[point] < -0.03 * 82
    assert moved[point] > -0.6 * 0.2 * 82
    assert max(moved[before], moved[after]) < 0.4 * moved[point]


def test_nothing_is_smeared_at_the_picture_s_edge(template: TemplateFace) -> None:
    """A chin that goes up beside the lower edge: there is nothing below to show, so it stays."""
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
    end = int(MESH.xy[regions.CHIN, 1]) + 3
    cut = replace(read_template(np.ascontiguousarray(template.picture[:end]), MESH), picture=noise[:end])
    moved = with_outline(cut, chin_made(-0.2))
    assert (moved.picture != cut.picture).any()
    rows = np.abs(np.diff(moved.picture[-12:, 190:210].astype(int), axis=0)).mean(axis=(1, 2))
    assert rows.min() > 20


def test_what_lies_over_the_face_moves_along(template: TemplateFace) -> None:
    y = round(float(MESH.xy[list(regions.MOUTH_CORNERS), 1].mean()))
    left, top = int(template.box.x0), int(template.box.y0)
    x = 200 + round(half_width(MESH.xy))
    covered = np.zeros_like(template.covered)
    covered[y - 12 - top : y + 13 - top, x - 6 - left : x + 1 - left] = 1
    moved = with_outline(replace(template, covered=covered), jaw_made(1.12))
    row = moved.covered[y - int(moved.box.y0)]
    middle = float((row * np.arange(len(row))).sum() / row.sum()) + moved.box.x0
    shift = half_width(moved.whole_mesh.xy) - half_width(MESH.xy)
    assert middle == pytest.approx(x - 3 + shift, abs=2)
    assert moved.covered.shape == moved.face.image.shape[:2]


def test_what_lies_over_the_face_goes_on_where_its_region_grows(template: TemplateFace) -> None:
    moved = with_outline(replace(template, covered=np.ones_like(template.covered)), jaw_made(1.3))
    assert moved.covered.shape[1] > template.covered.shape[1]
    assert moved.covered.min() == 1


def test_a_face_at_the_edge_of_the_picture(template: TemplateFace) -> None:
    """Its contour may lie outside; the region must still be the picture's own part."""
    points = MESH.points - np.array([130, 60, 0], np.float32)
    cut = read_template(np.ascontiguousarray(template.picture[60:330, 130:270]), FaceMesh(points, 1.0))
    moved = with_outline(cut, jaw_made(1.2))
    x0, y0, x1, y1 = (int(v) for v in moved.box)
    np.testing.assert_array_equal(moved.face.image, moved.picture[y0:y1, x0:x1])
    assert moved.covered.shape == moved.face.image.shape[:2]


@pytest.mark.parametrize("below_eyes", [-50, 6])
def test_a_picture_that_ends_above_the_jaw(template: TemplateFace, below_eyes: int) -> None:
    end = int(MESH.eye_centres[:, 1].max()) + below_eyes
    cut = read_template(np.ascontiguousarray(template.picture[:end]), MESH)
    moved = with_outline(cut, jaw_made(1.2))
    assert moved.picture.shape == cut.picture.shape
    assert moved.covered.shape == moved.face.image.shape[:2]
