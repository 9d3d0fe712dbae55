"""What is held or worn before the lower half of a template's face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face.region import region_box, region_seen
from portraitd.engines.classic.template.template_face import ROOM
from portraitd.engines.classic.template.things import things_over
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image, Mask
from tests.fakes.heads import HAIR, MESH, WIDTH, fill, head

GREY, RED, WHITE = (70, 70, 75), (150, 40, 45), (250, 250, 250)
CHIN_X, CHIN_Y = (round(float(v)) for v in MESH.xy[regions.CHIN])
LIP_X, LIP_Y = (round(float(v)) for v in MESH.xy[17])
#: A full beard, from ear to ear and around the mouth.
BEARD = (
    93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 425, 326, 2, 97, 205,
)  # fmt: skip


def found_in(picture: Image) -> Mask:
    """(H, W) of the whole picture: what lies before the face."""
    things = things_over(region_seen(picture, MESH, ROOM)[1])
    out = np.zeros(picture.shape[:2], np.float32)
    x0, y0, x1, y1 = (int(v) for v in region_box(MESH, picture.shape, ROOM))
    out[y0:y1, x0:x1] = cv2.resize(things, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
    return out


def with_microphone(picture: Image, colour: tuple[int, int, int] = GREY) -> Image:
    """One before the chin, its stick going down."""
    radius = round(0.17 * WIDTH)
    cv2.line(picture, (LIP_X, LIP_Y + radius), (LIP_X + radius, 399), colour, radius)
    cv2.circle(picture, (LIP_X, LIP_Y + radius), radius, colour, -1)
    return picture


def test_nothing_lies_before_a_bare_face() -> None:
    assert not found_in(head()).any()
    assert not found_in(head(HAIR, HAIR)).any()


def test_a_microphone_is_found_whole_and_the_skin_around_it_is_not() -> None:
    found = found_in(with_microphone(head()))
    middle = LIP_Y + round(0.17 * WIDTH)
    assert found[middle - 15 : middle + 15, LIP_X - 15 : LIP_X + 15].mean() > 0.99
    assert not found[: LIP_Y - 20].any()
    assert not found[:, : LIP_X - round(0.3 * WIDTH)].any()


def test_scarves_of_all_colours_are_found() -> None:
    for colour in (RED, GREY, WHITE):
        picture = head()
        picture[CHIN_Y - 25 :, 60:340] = colour
        assert found_in(picture)[CHIN_Y - 18 : CHIN_Y - 3, CHIN_X].mean() > 0.9


def test_a_beard_is_none_even_below_long_hair() -> None:
    for beside in (head(), head(HAIR, HAIR)):
        fill(beside, BEARD, HAIR)
        fill(beside, regions.LIPS_OUTER, (170, 90, 85))
        assert not found_in(beside).any()


@pytest.mark.parametrize("colour", [HAIR, WHITE])
def test_a_beard_that_ends_below_the_chin_is_none(colour: tuple[int, int, int]) -> None:
    """At the tip of the chin, which it hides: it goes on beyond the contour, but not far."""
    picture = head()
    middle = (CHIN_X, CHIN_Y - round(0.1 * WIDTH))
    cv2.ellipse(picture, middle, (round(0.17 * WIDTH), round(0.15 * WIDTH)), 0, 0, 360, colour, -1)
    assert not found_in(picture).any()


@pytest.mark.parametrize("light", [(255, 252, 245), (250, 60, 60), (60, 40, 35)])
def test_light_on_a_cheek_and_on_what_lies_beside_it_is_none(light: tuple[int, int, int]) -> None:
    """Burnt out, coloured, or in a hard shadow: taken for a thing, the cheek would stay the model's."""
    picture = head()
    picture[CHIN_Y - 120 : CHIN_Y - 20, : CHIN_X - round(0.25 * WIDTH)] = light
    assert not found_in(picture).any()


def leaning(picture: Image, degrees: float) -> Mask:
    """(h, w) of the face's region: what lies before the face when the picture is turned around its middle."""
    turn = cv2.getRotationMatrix2D((200.0, 200.0), degrees, 1)
    turned = np.asarray(cv2.warpAffine(picture, turn, (400, 400), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    points = MESH.points.copy()
    points[:, :2] = MESH.xy @ turn[:, :2].T + turn[:, 2]
    return things_over(region_seen(turned, FaceMesh(points, 1.0), ROOM)[1])


def test_below_the_chin_is_where_the_head_leans() -> None:
    straight = head()
    cv2.line(straight, (CHIN_X, LIP_Y + 20), (CHIN_X, 399), GREY, round(0.24 * WIDTH))
    for degrees in (-90, 90):
        assert leaning(straight.copy(), degrees).any()


def test_a_mole_and_a_mouth_are_none() -> None:
    picture = head()
    cv2.circle(picture, (CHIN_X - 20, CHIN_Y - 25), 8, HAIR, -1)
    fill(picture, regions.LIPS_INNER, (30, 10, 10))
    assert not found_in(picture).any()
