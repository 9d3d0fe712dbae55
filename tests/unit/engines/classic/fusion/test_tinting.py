"""The lips of a black and white photo in a template in colour."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face import light
from portraitd.engines.classic.fusion.place import Placement
from portraitd.engines.classic.fusion.tinting import LIPS, tinted
from portraitd.engines.classic.fusion.tone import Sheet
from portraitd.faces import regions
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Points

SHAPE = (150, 120)
MESH = (mean_face().points[:, :2] * 45 + np.array([60, 50])).astype(np.float32)
#: The template's mouth lies elsewhere.
TEMPLATE = MESH + np.float32(3)
SKIN, PAINTED = np.float32([0.2, 0.0, -0.2]), np.float32([0.9, -0.5, -0.4])
LOWER_LIP, CHEEK = (16, 17), 50


def marked(points: Points, inside: Floats, outside: Floats) -> Floats:
    """(h, w, 3) one colour, and another well around the lips of the mesh."""
    found = np.full((*SHAPE, 3), outside, np.float32)
    x0, y0 = np.floor(points[list(regions.LIPS_OUTER)].min(axis=0)).astype(int) - 1
    x1, y1 = np.ceil(points[list(regions.LIPS_OUTER)].max(axis=0)).astype(int) + 2
    found[y0:y1, x0:x1] = inside
    return found


def colour_at(image: Floats, point: int) -> Floats:
    x, y = np.rint(MESH[point]).astype(int)
    found: Floats = image[y, x] - light.grey_of(image)[y, x]
    return found


def test_lips_get_their_own_red_whatever_the_template_s_are_painted_with_and_keep_their_brightness() -> None:
    ones = np.ones(SHAPE, np.float32)
    grey = np.random.default_rng(0).uniform(-2, -1, SHAPE).astype(np.float32)[:, :, None].repeat(3, axis=2)
    trust = (marked(TEMPLATE, np.zeros(3, np.float32), np.ones(3, np.float32))[:, :, 0] > 0.5).astype(np.float32)
    place = Placement(trust, ones, trust, trust, ones)
    sheet = Sheet(grey, marked(TEMPLATE, PAINTED, SKIN), place, 98.0, MESH, None)
    found = tinted(grey, sheet)
    assert light.grey_of(found) == pytest.approx(light.grey_of(grey), abs=0.02)
    middle = (MESH[LOWER_LIP[0]] + MESH[LOWER_LIP[1]]) / 2
    x, y = np.rint(middle).astype(int)
    colour = found[y, x] - light.grey_of(found)[y, x]
    assert colour == pytest.approx(SKIN + LIPS - LIPS.mean(), abs=0.05)
    assert (colour - SKIN)[0] - (colour - SKIN)[1] > 0.25, "redder than the skin"
    assert colour_at(found, CHEEK) == pytest.approx(0.0, abs=0.01)
