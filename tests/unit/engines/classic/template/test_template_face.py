"""How far beyond the contour the template's skin takes part in a change of the face's tone."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.face import hands
from portraitd.engines.classic.face.light import REDDER
from portraitd.engines.classic.face.region import look_everywhere, read_region
from portraitd.engines.classic.template.neck import fill_light, surroundings
from portraitd.engines.classic.template.template_face import (
    JAW_REACH,
    REACH,
    ROOM,
    TemplateFace,
    look_at,
    read_template,
    region_box,
)
from portraitd.faces import regions
from portraitd.faces.hands import Hand
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, Image, Mask, from_linear, to_linear
from tests.fakes.hands import placed, with_hand
from tests.fakes.heads import HAIR, MESH, SKIN, WIDTH, head

GREY = (70, 70, 75)


def beyond_in(picture: Image) -> Mask:
    """(H, W) of the whole picture: how much of a change of tone its pixels take."""
    box = region_box(MESH, picture.shape, ROOM)
    face = read_region(picture, MESH, ROOM)
    ground = TemplateFace(picture, box, face, np.zeros(face.image.shape[:2], np.float32), None).ground
    out = np.zeros(picture.shape[:2], np.float32)
    x0, y0, x1, y1 = (int(v) for v in box)
    out[y0:y1, x0:x1] = cv2.resize(ground.beyond, (x1 - x0, y1 - y0))
    return out


def beside(mask: Mask, share: float) -> tuple[float, float]:
    """The mask on the left and the right, `share` of the face's width outside its contour at the nose's height."""
    y = round(float(MESH.xy[regions.NOSE_TIP][1]))
    row = MESH.xy[list(regions.FACE_OVAL)]
    near = row[np.abs(row[:, 1] - y) < 20, 0]
    left, right = float(near.min()) - share * WIDTH, float(near.max()) + share * WIDTH
    return float(mask[y, round(left)]), float(mask[y, round(right)])


def test_skin_goes_along_and_less_and_less() -> None:
    beyond = beyond_in(head())
    inside, at_contour, half_way, past = (beside(beyond, share) for share in (-0.1, 0.0, REACH / 2, 1.1 * REACH))
    assert min(inside) > 0.99
    assert min(at_contour) > 0.9
    assert all(0.3 < value < 0.7 for value in half_way)
    assert max(past) == 0.0


def test_hair_beside_the_face_stays() -> None:
    left, right = beside(beyond_in(head(HAIR)), 0.04)
    assert left == 0.0
    assert right > 0.5


def test_what_is_as_bright_as_skin_but_of_another_colour_stays() -> None:
    left, right = beside(beyond_in(head(SKIN[::-1])), 0.04)
    assert left == 0.0
    assert right > 0.5


def lit_less(share: float, redness: float = 0.0) -> tuple[int, int, int]:
    """Skin with this share of its light, log light redder by so much along the line of shaded skin."""
    linear = to_linear(np.array([[SKIN]], np.uint8))[0, 0] * share * np.exp(redness * REDDER)
    r, g, b = (int(v) for v in from_linear(linear[None, None])[0, 0])
    return r, g, b


def test_a_jaw_goes_on_a_little_beyond_the_mesh_in_its_shade() -> None:
    """A fifth darker, and redder as light from the neck makes it: skin. As much bluer: something else."""
    redder, bluer = (beyond_in(head(lit_less(0.8, by))) for by in (0.2, -0.2))
    assert beside(redder, 0.015)[0] > 0.3
    assert beside(bluer, 0.015)[0] < 0.05
    # Farther out it is a neck in the chin's shadow, which keeps its tone.
    assert beside(redder, 0.9 * JAW_REACH)[0] < 0.05


def test_a_thing_before_the_chin_covers_all_that_lies_behind_it() -> None:
    """Between its edges, too, where nothing in the picture tells it from the face."""
    picture, radius = head(), round(0.17 * WIDTH)
    x, y = (round(float(v)) for v in MESH.xy[17])
    cv2.line(picture, (x, y + radius), (x + radius, 399), GREY, radius)
    cv2.circle(picture, (x, y + radius), radius, GREY, -1)
    template = read_template(picture, MESH)
    left, top = int(template.box.x0), int(template.box.y0)
    around = template.covered[y + radius - 15 - top : y + radius + 16 - top, x - 15 - left : x + 16 - left]
    assert around.min() > 0.99


def test_a_hand_the_networks_see_covers_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    joints = placed((200, 330), 55)
    picture, truth = with_hand(head(), joints, (180, 140, 120))
    monkeypatch.setattr(hands, "find_hands", lambda *_: (Hand(joints, 0.9),))
    template = look_at(FaceModels.__new__(FaceModels), picture, MESH)
    x0, y0, x1, y1 = (int(v) for v in template.box)
    hand = (truth & hands.drawn(joints, truth.shape, 0.2))[y0:y1, x0:x1]
    found = template.covered > 0.5
    assert (found & hand).sum() / (found | hand).sum() > 0.85
    bare = read_template(picture, MESH).covered > 0.5
    assert (bare & hand).sum() < 0.3 * hand.sum()


class RedIsAPerson:
    """Models that see a person wherever a picture is more red than blue."""

    def network(self, _: str) -> Callable[[Floats], list[Floats]]:
        return lambda batch: [np.asarray(batch[..., :1] > batch[..., 2:], np.float32)]


def test_fill_light_is_looked_for_where_the_networks_see_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, models = head((40, 90, 160), (40, 90, 160)), cast("FaceModels", RedIsAPerson())
    picture[round(float(MESH.box.y1)) - 20 :, 150:250] = lit_less(0.7)
    cv2.fillPoly(picture, [np.rint(MESH.xy[list(regions.FACE_OVAL)]).astype(np.int32)], SKIN)
    monkeypatch.setattr(hands, "find_hands", lambda *_: ())
    template = look_at(models, picture, MESH)
    assert template.fill is not None
    assert (template.fill.bare * template.fill.lift).max() > 0.05
    near = surroundings(picture, MESH, template.face.skin)
    expected = fill_light(near, lambda: look_everywhere(models, picture))
    assert expected is not None
    assert np.array_equal(template.fill.lift, expected.lift)
    assert np.array_equal(template.fill.bare, expected.bare)
