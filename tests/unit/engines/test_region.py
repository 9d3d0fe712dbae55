"""A face cut out of its picture, and its mirror image."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic import light
from portraitd.engines.classic.region import has_room, mirrored, read_region
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
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
