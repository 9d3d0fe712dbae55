"""A face cut out of its picture, and its mirror image."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.region import (
    Nearby,
    backdrop_in_region,
    covered_by,
    has_room,
    look_everywhere,
    mirrored,
    read_region,
)
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import mean_face
from portraitd.images import Floats
from tests.fakes import heads


def test_a_mirror_image_has_its_points_where_its_pixels_are() -> None:
    face = read_region(heads.head(left=(90, 80, 70)), heads.MESH)
    face.image[:, : face.image.shape[1] // 2] //= 2
    image, mesh = mirrored(face).image, mirrored(face).mesh
    for left, right in ((50, 280), (117, 346)):  # both cheeks
        (x0, y0), (x1, y1) = (np.rint(mesh.xy[point]).astype(int) for point in (left, right))
        assert x0 < x1
        assert image[y0, x0].mean() > 1.8 * image[y1, x1].mean()
    # The triangles of the mesh are not each other's mirror images.
    assert np.median(np.abs(mirrored(face).facing[:, 0] + face.facing[mean_face().mirror, 0])) < 0.01


def test_a_face_mirrored_twice_is_the_face() -> None:
    face = read_region(heads.head(), heads.MESH)
    twice = mirrored(mirrored(face))
    assert np.array_equal(twice.image, face.image)
    assert np.array_equal(twice.hair, face.hair)
    np.testing.assert_allclose(twice.mesh.points, face.mesh.points, atol=1e-3)
    np.testing.assert_allclose(twice.light, face.light)


def test_mirrored_light_falls_on_a_mirrored_face_as_the_light_on_the_face() -> None:
    lit = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    normals = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    there = light.harmonics(normals * np.float32([-1, 1, 1])) @ light.mirrored(lit)
    np.testing.assert_allclose(there, light.harmonics(normals) @ lit, atol=1e-5)


@pytest.mark.parametrize(
    ("margins", "enough"),
    [
        ((0.3, 0.3, 0.3, 0.5), True),
        ((0.02, 0.3, 0.3, 0.5), False),
        ((0.3, 0.3, 0.02, 0.5), False),
        ((0.3, 0.05, 0.3, 0.5), False),
        ((0.3, 0.3, 0.3, 0.1), False),
    ],
    ids=["all around", "cut left", "cut right", "no crown", "no neck"],
)
def test_a_photo_has_room_that_shows_neck_and_crown(margins: tuple[float, ...], enough: bool) -> None:
    """Left, above, right, below; in widths and heights of the face."""
    box = heads.MESH.box
    left, above, right, below = margins
    corner = np.array([box.x0 - left * box.width, box.y0 - above * box.height, 0], np.float32)
    mesh = FaceMesh(heads.MESH.points - corner, 1.0)
    shape = (round(box.height * (1 + above + below)), round(box.width * (1 + left + right)), 3)
    assert has_room(mesh, shape) is enough


def test_what_is_near_a_face_is_given_pixel_by_pixel() -> None:
    """Of a box of other proportions than its picture; and beyond what was looked at, what lies at its edge."""
    row, column = np.indices((50, 50), np.float32)
    near = Nearby(np.asarray(column / 100 + row / 200, np.float32), np.array([[0.2, 0, -4], [0, 0.25, 3]], np.float32))
    box = Box(60, 40, 160, 90)
    found = near.within(box, (25, 50))
    x, y = box.x0 + (np.arange(25) + 0.5) * 4 - 0.5, box.y0 + (np.arange(50) + 0.5) * 1 - 0.5
    wanted = (0.2 * x - 4)[None] / 100 + (0.25 * y + 3)[:, None] / 200
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    beyond = near.within(Box(-200, 40, -100, 90), (10, 50))
    np.testing.assert_allclose(beyond[:, 0], (0.25 * y + 3) / 200, atol=2e-4)


@pytest.mark.parametrize(("person", "backdrop"), [(0.45, 0.0), (0.25, 0.5), (0.05, 1.0)])
def test_backdrop_is_what_is_surely_nobody_s(person: float, backdrop: float) -> None:
    near = Nearby(np.full((50, 50), person, np.float32), np.eye(2, 3, dtype=np.float32))
    found = backdrop_in_region(near, (400, 400, 3), heads.MESH)
    np.testing.assert_allclose(found, backdrop, atol=1e-3)


def test_a_face_is_covered_by_whatever_lies_over_it() -> None:
    face = read_region(heads.head(), heads.MESH)
    masks = [np.zeros((10, 10), np.float32) for _ in range(3)]
    for k, mask in enumerate(masks):
        mask[:, 3 * k] = 1
    hair = covered_by(face, masks).hair
    assert all(hair[:, round((3 * k + 0.5) * hair.shape[1] / 10)].min() > 0.9 for k in range(3))
    assert np.array_equal(covered_by(face, ()).hair, face.hair)
    hairy = covered_by(face, masks[:1])
    assert (covered_by(hairy, masks[1:]).hair >= hairy.hair).all()


class OneOnTheLeft:
    """Models that see a person in the left half of every picture."""

    def network(self, _: str) -> Callable[[Floats], list[Floats]]:
        def look(batch: Floats) -> list[Floats]:
            seen = np.zeros((*batch.shape[:3], 1), np.float32)
            seen[:, :, : batch.shape[2] // 2] = 1
            return [seen]

        return look


def test_a_person_is_looked_for_everywhere() -> None:
    near = look_everywhere(cast("FaceModels", OneOnTheLeft()), np.zeros((300, 800, 3), np.uint8))
    probability = near.within(Box(200, 100, 600, 200), (400, 100))
    np.testing.assert_array_equal(probability[:, :190], 1)
    np.testing.assert_array_equal(probability[:, 210:], 0)
