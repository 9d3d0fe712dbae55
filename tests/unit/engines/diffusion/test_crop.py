"""A face goes out to the model and comes back, and nothing else in the picture changes by a single bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portraitd.engines.diffusion.crop import ROOM, FaceCrop, Square, side_for
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Image, decode, encode_jpeg
from portraitd.portraits.identities import astronaut

ROOT = Path(__file__).parents[4]


def _mesh(x: float, y: float, scale: float) -> FaceMesh:
    return FaceMesh((mean_face().points * scale + np.array([x, y, 0])).astype(np.float32), 1.0)


def _noise(height: int, width: int) -> Image:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


#: In the middle, over the left edge, over two edges, larger than the model's square, and filling a narrow picture.
PLACES = [
    (150, 140, 40, (300, 320)),
    (20, 140, 40, (300, 320)),
    (300, 290, 40, (300, 320)),
    (400, 350, 150, (800, 800)),
    (40, 100, 40, (300, 90)),
]


@pytest.mark.parametrize(("x", "y", "scale", "shape"), PLACES)
def test_outside_the_mask_every_pixel_stays(x: int, y: int, scale: int, shape: tuple[int, int]) -> None:
    picture = _noise(*shape)
    crop = FaceCrop.of(picture, _mesh(x, y, scale), 256)
    assert crop.image.shape == (256, 256, 3)
    result = crop.put_back(np.zeros((256, 256, 3), np.uint8))
    painted = np.zeros(shape, bool)
    rows, columns = np.nonzero(crop.share)
    rows, columns = rows + crop.square.y0, columns + crop.square.x0
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    painted[rows[inside], columns[inside]] = True
    assert np.array_equal(result[~painted], picture[~painted])
    assert painted.any()
    assert (result != picture).any(axis=2)[painted].mean() > 0.9  # noise holds a few zeros
    assert not (~painted).all()


def test_the_way_back_is_exact_where_nothing_is_resampled() -> None:
    picture = _noise(300, 320)
    mesh = _mesh(150, 140, 40)
    side = Square.around(mesh, 2.0).side
    crop = FaceCrop.of(picture, mesh, side)
    assert np.array_equal(crop.put_back(crop.image), picture)


def test_the_way_back_moves_nothing() -> None:
    """A slope of brightness, enlarged and brought back, lies where it lay."""
    picture = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (256, 1))[..., None], 3, axis=2)
    crop = FaceCrop.of(picture, _mesh(128, 120, 40), 400)
    result = crop.put_back(crop.image)
    assert np.abs(result.astype(int) - picture).max() <= 1


def test_the_face_is_inside_the_mask_and_the_mask_inside_the_square() -> None:
    mesh = _mesh(150, 140, 40)
    crop = FaceCrop.of(_noise(300, 320), mesh, 256)
    corner = np.array([crop.square.x0, crop.square.y0])
    outline = np.rint(mesh.xy[list(regions.FACE_OVAL)] - corner).astype(int)
    assert (crop.share[outline[:, 1], outline[:, 0]] > 0.5).all()
    assert set(np.unique(crop.mask)) == {0.0, 1.0}
    edges = (crop.share[0], crop.share[-1], crop.share[:, 0], crop.share[:, -1])
    assert not any(edge.any() for edge in edges)


def test_a_client_s_jpeg_keeps_the_rest_of_the_picture_but_for_a_little() -> None:
    """As much as the docs say of it: not bit for bit."""
    picture = astronaut()
    crop = FaceCrop.of(picture, _mesh(224, 110, 20), 256)
    sent = decode(encode_jpeg(crop.put_back(np.zeros((256, 256, 3), np.uint8))))
    outside = np.ones(picture.shape[:2], bool)
    square = crop.square
    outside[square.y0 : square.y0 + square.side, square.x0 : square.x0 + square.side] = False
    changed = np.abs(sent[outside].astype(int) - picture[outside])
    assert 1 <= changed.mean() <= 2
    assert "1 to 2 of 255 in the mean" in (ROOT / "docs" / "adding-an-engine.md").read_text("utf-8")


@pytest.mark.parametrize(("scale", "side_px"), [(20, 768), (190, 768), (193, 1024), (300, 1024)])
def test_only_a_face_that_would_come_back_soft_is_painted_larger(scale: int, side_px: int) -> None:
    mesh = _mesh(500, 500, scale)
    assert (Square.around(mesh, ROOM).side > 960) == (side_px == 1024)
    assert side_for(mesh, 768, 1024) == side_px


def test_what_is_painted_over_another_picture_goes_back_into_that() -> None:
    """The other engine's neck and the other outline belong together with what is painted between them."""
    mesh, picture = _mesh(150, 140, 40), _noise(300, 320)
    begun = 255 - picture
    crop = FaceCrop.of(picture, mesh, 128).started_from(begun)
    made = crop.put_back(np.zeros((128, 128, 3), np.uint8))
    square = crop.square
    outside = np.ones(picture.shape[:2], bool)
    outside[square.y0 : square.y0 + square.side, square.x0 : square.x0 + square.side] = crop.share == 0
    assert np.array_equal(made[outside], begun[outside])
    x, y = (round(float(v)) for v in mesh.xy[regions.NOSE_TIP])
    assert made[y, x].max() == 0
