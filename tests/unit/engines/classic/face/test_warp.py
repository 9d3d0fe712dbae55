"""A face in another geometry."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.geometry import rasterise
from portraitd.engines.classic.face.region import FaceRegion, read_region
from portraitd.engines.classic.face.warp import off_the_edge, warp
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Points

SIZE = (300, 320)
POINTS = (mean_face().points * 82 + np.array([150, 110, 0])).astype(np.float32)
NOSE = POINTS[1, :2]


def turned(degrees: float) -> Points:
    """(468, 3) the same face, turned."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    return np.asarray((POINTS - POINTS.mean(axis=0)) @ rotation.T + POINTS.mean(axis=0), np.float32)


def lined(times: int) -> FaceRegion:
    """A face of even skin, with a black line down each flank of the nose, photographed so many times larger."""
    image = np.full((SIZE[1], SIZE[0], 3), 180, np.uint8)
    y = slice(round(float(NOSE[1])) - 25, round(float(NOSE[1])) + 4)
    for side in (-1, 1):
        x = round(float(NOSE[0]) + side * 13)
        image[y, x - 2 : x + 3] = 10
    return read_region(image.repeat(times, axis=0).repeat(times, axis=1), FaceMesh(POINTS * times, 1.0), room=0.5)


def darkest_beside_the_nose(degrees: float, times: int = 1) -> int:
    posed, face = turned(degrees), lined(times)
    raster = rasterise(posed, SIZE[::-1], grow=0.35)
    warped = warp(face, raster, face.mesh.box.height / times, SIZE, (0, 0, *SIZE))
    x, y = (round(float(v)) for v in posed[1, :2])
    part = warped[y - 15 : y, x - 25 : x + 1] if posed[1, 0] < POINTS[1, 0] else warped[y - 15 : y, x : x + 26]
    return int(part.min())


@pytest.mark.parametrize("times", [1, 3])
def test_what_the_photo_shows_plainly_stays_as_sharp(times: int) -> None:
    assert darkest_beside_the_nose(0, times) < 30


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("degrees", [-35, 35])
def test_what_is_pressed_into_a_line_is_averaged(degrees: float, times: int) -> None:
    """The flank turned away: its line would be drawn as a black hair along the nose."""
    assert darkest_beside_the_nose(degrees, times) > 60


@pytest.mark.parametrize("degrees", [-12, 12])
def test_a_nose_that_is_turned_a_little_stays_sharp(degrees: float) -> None:
    assert darkest_beside_the_nose(degrees) < 30


def stubbly() -> FaceRegion:
    noise = np.random.default_rng(0).normal(0, 60, (SIZE[1], SIZE[0], 1))
    image = np.clip(150 + cv2.GaussianBlur(noise, (0, 0), 0.7)[:, :, None], 0, 255).astype(np.uint8).repeat(3, axis=2)
    return read_region(image, FaceMesh(POINTS, 1.0), room=0.5)


@pytest.mark.parametrize("aside", [0.0, 0.25, 0.5])
def test_a_face_moved_by_a_part_of_a_pixel_is_as_sharp_as_cubic_interpolation_leaves_it(aside: float) -> None:
    face = stubbly()
    posed = face.mesh.points + np.array([aside, aside, 0], np.float32)
    height, width = face.image.shape[:2]
    raster = rasterise(posed, (height, width), grow=0.35)
    warped = warp(face, raster, face.mesh.box.height, (width, height), (0, 0, width, height)).astype(float)
    at = raster.interpolate(off_the_edge(face))
    cubic = cv2.remap(face.image, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(float)
    x, y = np.rint(posed[[1, 6, 50, 280], :2].mean(axis=0)).astype(int)
    spot = np.s_[y - 20 : y + 20, x - 25 : x + 25]
    assert np.abs(warped[spot] - cubic[spot]).mean() < 2.5
    assert warped[spot].std() / cubic[spot].std() == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("degrees", [-35, 35])
def test_what_is_averaged_is_the_skin_that_lies_there(degrees: float) -> None:
    """And not what lies elsewhere in the photo: all but the nose is green."""
    posed, face = turned(degrees), lined(1)
    x, y = np.rint(face.mesh.xy[1]).astype(int)
    image = np.full_like(face.image, (0, 200, 0))
    image[y - 45 : y + 25, x - 45 : x + 45] = face.image[y - 45 : y + 25, x - 45 : x + 45]
    raster = rasterise(posed, SIZE[::-1], grow=0.35)
    warped = warp(replace(face, image=image), raster, face.mesh.box.height, SIZE, (0, 0, *SIZE))
    x, y = (round(float(v)) for v in posed[1, :2])
    near = warped[y - 15 : y, x - 10 : x + 11].astype(int)
    assert (near[:, :, 1] - near[:, :, 0]).max() < 20
