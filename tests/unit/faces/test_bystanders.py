"""Others beside the person: found where the pose network and the picture agree, and cut off where their colours end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portraitd.faces import bystanders, regions
from portraitd.faces.bystanders import drawn, lines_of, others_beside, without_bystanders
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels, Network
from portraitd.faces.segment import CERTAIN, INPUT, POSE_MASK, body_odds
from portraitd.images import Floats, Image, Mask, Points, Size
from tests.fakes import meshes

RED, DARK_RED, GREEN, BLUE = (200, 30, 30), (180, 40, 30), (30, 160, 30), (30, 30, 200)
WIDTH, HEIGHT, FACE_PX = 200, 240, 40


def mesh_at(x: float, y: float, width: float) -> FaceMesh:
    return meshes.mesh_at(x, y, width=width)


FACE: Points = mesh_at(WIDTH / 2, 60, FACE_PX).xy


class Bodies(FaceModels):
    """A pose network that is told whose body is where in what it is shown, and how sure it is; it keeps what it was
    shown."""

    def __init__(self, own: Callable[[Floats], NDArray[np.bool_]], sure: float = 9.0) -> None:
        super().__init__(Path())
        self.own = own
        self.sure = sure
        self.shown: list[Floats] = []

    def network(self, name: str) -> Network:
        def look(batch: Floats) -> list[Floats]:
            self.shown.append(batch[0])
            odds = np.where(self.own(batch[0]), self.sure, -9.0).astype(np.float32)
            return [np.zeros((1, 1), np.float32)] * POSE_MASK + [odds.reshape(1, INPUT, INPUT, 1)]

        network: Any = look
        return network


def reddish(shown: Floats) -> NDArray[np.bool_]:
    return np.asarray(shown[..., 0] > shown[..., 1])


def scene(*parts: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> tuple[Image, Mask]:
    """A person in red before grey, coloured (x0, y0, x1, y1) boxes before them, and who of all that is a person."""
    picture, people = np.full((HEIGHT, WIDTH, 3), 120, np.uint8), np.zeros((HEIGHT, WIDTH), np.float32)
    for (x0, y0, x1, y1), colour in (((80, 25, 120, 100), RED), ((55, 95, 145, HEIGHT), RED), *parts):
        picture[y0:y1, x0:x1], people[y0:y1, x0:x1] = colour, 1
    return picture, people


def found(picture: Image, people: Mask, own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return others_beside(picture, people > 0.5, np.where(own, 4.0, -4.0).astype(np.float32), FACE)


SLEEVE = (140, 150, WIDTH, HEIGHT)


def outside(box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    own = np.ones((HEIGHT, WIDTH), bool)
    own[box[1] : box[3], box[0] : box[2]] = False
    return own


def test_a_sleeve_of_another_colour_that_comes_in_from_a_side_is_somebody_elses() -> None:
    picture, people = scene((SLEEVE, GREEN))
    for mirrored in (False, True):
        step = -1 if mirrored else 1
        part = found(picture[:, ::step].copy(), people[:, ::step], outside(SLEEVE)[:, ::step])
        wanted = ~outside(SLEEVE)[:, ::step]
        assert (part == wanted).mean() > 0.995
        assert not part[outside(SLEEVE)[:, ::step]].any()


def test_a_part_of_ones_own_coat_that_the_network_loses_stays() -> None:
    picture, people = scene((SLEEVE, DARK_RED))
    assert not found(picture, people, outside(SLEEVE)).any()


def test_what_comes_in_from_no_side_stays() -> None:
    box = (140, 150, WIDTH - 1, HEIGHT)
    picture, people = scene((box, GREEN))
    assert not found(picture, people, outside(box)).any()


@pytest.mark.parametrize("box", [(WIDTH - 10, 150, WIDTH, 160), (140, 150, WIDTH, 152)])
def test_what_is_small_or_narrow_stays(box: tuple[int, int, int, int]) -> None:
    picture, people = scene((box, GREEN))
    assert not found(picture, people, outside(box)).any()


@pytest.mark.parametrize(("colour", "goes"), [((165, 55, 50), True), ((190, 38, 32), False)])
def test_other_colours_are_what_one_would_call_so(colour: tuple[int, int, int], goes: bool) -> None:
    picture, people = scene((SLEEVE, colour))
    assert found(picture, people, outside(SLEEVE)).any() == goes


@pytest.mark.parametrize(("green_px", "goes"), [(75, True), (30, False)])
def test_most_of_the_border_must_part_two_colours(green_px: int, goes: bool) -> None:
    """A scarf across one's own coat is of other colours only in a part."""
    picture, people = scene((SLEEVE, DARK_RED), ((140, HEIGHT - green_px, WIDTH, HEIGHT), GREEN))
    assert found(picture, people, outside(SLEEVE)).any() == goes


def test_a_fifth_of_a_face_is_enough() -> None:
    box = (WIDTH - 18, 150, WIDTH, 168)
    picture, people = scene(((140, 130, WIDTH, 190), RED), (box, GREEN))
    assert found(picture, people, outside(box)).any()


def test_an_arm_that_comes_in_above_the_head_goes_all_of_it() -> None:
    box = (90, 0, WIDTH, 15)
    picture, people = scene((box, GREEN))
    assert found(picture, people, outside(box))[2:12, 95:].all()


def test_what_is_below_the_face_is_ones_own() -> None:
    """A shirt of its own colour, which comes in from no side by itself, between sleeves that are somebody else's."""
    box = (0, 110, WIDTH, HEIGHT)
    picture, people = scene((box, GREEN), ((78, 110, 122, HEIGHT), BLUE))
    part = found(picture, people, outside(box))
    assert part[200, [5, WIDTH - 5]].all()
    assert not part[:, 81:119].any()


def test_who_stands_as_high_as_the_head_is_somebody_else_whatever_they_wear() -> None:
    tall, low = (150, 20, WIDTH, HEIGHT), (150, 110, WIDTH, HEIGHT)
    for box, is_found in ((tall, True), (low, False)):
        picture, people = scene((box, DARK_RED), ((140, 150, 160, HEIGHT), RED))
        part = found(picture, people, outside(box))
        assert bool(part.any()) == is_found
        if is_found:
            assert part[30:230, 165:].all()


CHIN = int(FACE[regions.CHIN, 1])


@pytest.mark.parametrize(("above_chin", "goes"), [(8, False), (17, True)])
def test_a_shoulder_is_no_head(above_chin: int, goes: bool) -> None:
    box = (154, CHIN - above_chin, WIDTH, HEIGHT)
    picture, people = scene((box, DARK_RED), ((140, 150, 160, HEIGHT), RED))
    assert found(picture, people, outside(box)).any() == goes


def test_ones_own_hair_reaches_as_far_to_the_side_as_a_face_is_high() -> None:
    box = (130, 20, 152, HEIGHT)
    picture, people = scene((box, DARK_RED))
    cut = np.s_[:, : box[2]]
    assert not found(picture[cut].copy(), people[cut], outside(box)[cut]).any()


def test_who_is_beside_and_does_not_touch_is_somebody_else() -> None:
    box = (170, 150, WIDTH, HEIGHT)
    picture, people = scene((box, DARK_RED))
    assert found(picture, people, outside(box))[160:, 175:].all()


def test_patches_go_with_the_colours_they_are_in() -> None:
    rng = np.random.default_rng(3)
    image = np.full((80, 100, 3), 40, np.uint8)
    image[:, 50:] = (200, 180, 60)
    right = np.tile(np.arange(100) >= 50, (80, 1))
    odds = np.where(right, 4.0, -4.0).astype(np.float32)
    patches = cv2.dilate((rng.random((80, 100)) < 0.0015).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    odds[patches] *= -1
    assert 0.05 < patches.mean() < 0.3
    lines = lines_of(image, odds, np.ones((80, 100), np.float32), 15.0)
    assert lines.shape == (80, 100, 4)
    assert ((drawn(lines, image) > 0) == right).mean() > 0.99
    # What weighs nothing has no say.
    blind = lines_of(image, np.where(patches, 90.0, odds).astype(np.float32), (~patches).astype(np.float32), 15.0)
    assert ((drawn(blind, image) > 0) == right).mean() > 0.99


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_a_neighbour_is_cut_off_where_they_end(scale: int, share: float) -> None:
    picture, people = scene((SLEEVE, GREEN))
    large = np.repeat(np.repeat(picture, scale, axis=0), scale, axis=1)
    mesh = mesh_at(scale * WIDTH / 2, scale * 60, scale * FACE_PX)
    size = (round(share * scale * WIDTH), round(share * scale * HEIGHT))
    person = np.asarray(cv2.resize(people, size, interpolation=cv2.INTER_AREA), np.float32)
    left = without_bystanders(Bodies(reddish), large, mesh, person)
    x0, y0 = (round(value * size[0] / WIDTH) for value in SLEEVE[:2])
    rim = max(2, round(0.03 * size[0]))
    assert (left.dtype, left.shape) == (np.float32, person.shape)
    assert left[y0 + rim :, x0 + rim :].max() < 0.1
    assert np.array_equal(left[:, : x0 - 2 * rim], person[:, : x0 - 2 * rim])
    assert (left <= person).all()


def test_where_nobody_comes_in_from_a_side_nobody_is_asked() -> None:
    picture, people = scene()
    bodies = Bodies(reddish)
    assert without_bystanders(bodies, picture, mesh_at(WIDTH / 2, 60, FACE_PX), people) is people
    assert not bodies.shown


def test_where_nobody_else_is_found_all_stays_as_it_was() -> None:
    picture, people = scene(((0, 150, WIDTH, HEIGHT), RED))
    bodies = Bodies(reddish)
    assert without_bystanders(bodies, picture, mesh_at(WIDTH / 2, 60, FACE_PX), people) is people
    assert len(bodies.shown) == 2


@pytest.mark.parametrize(("sure", "stays"), [(9.0, True), (2.0, True), (0.5, False)])
def test_raised_arms_stay_where_the_network_is_rather_sure_of_them(sure: float, stays: bool) -> None:
    """Beside the head hardly anything is the person's."""
    picture, people = scene(((140, 20, WIDTH, 60), RED))
    mesh = mesh_at(WIDTH / 2, 60, FACE_PX)
    left = without_bystanders(Bodies(reddish, sure), picture, mesh, people)
    assert (left is people) == stays
    if not stays:
        assert left[25:55, 165:].max() < 0.5
        assert np.array_equal(left[:, :140], people[:, :140])


def test_a_backdrop_of_the_colour_of_ones_arm_has_no_say() -> None:
    picture, people = scene(((140, 150, WIDTH, 158), GREEN))
    picture[people == 0] = (30, 157, 30)
    own = Bodies(lambda shown: (shown[..., 0] > shown[..., 1]) | (shown[..., 1] > 159 / 255))
    left = without_bystanders(own, picture, mesh_at(WIDTH / 2, 60, FACE_PX), people)
    assert left is people


def test_the_looks_at_a_body_lie_where_they_were_taken() -> None:
    picture, _ = scene(((150, 100, WIDTH, 130), GREEN))
    odds = body_odds(Bodies(reddish), picture, mesh_at(WIDTH / 2, 60, FACE_PX), Size(WIDTH // 2, HEIGHT // 2))
    wanted = np.asarray(cv2.resize(reddish(picture.astype(np.float32)).astype(np.float32), (100, 120))) > 0.5
    edge = cv2.morphologyEx(wanted.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    seen = np.s_[10:110, 5:95]  # all squares reach as far as that
    assert ((odds > 0) == wanted)[seen][~edge[seen]].all()


def test_one_look_at_a_body_is_taken_in_the_mirror_and_the_looks_are_averaged() -> None:
    picture, _ = scene(((150, 100, WIDTH, 130), GREEN))
    bodies = Bodies(lambda shown: np.ones(shown.shape[:2], bool))
    odds = body_odds(bodies, picture, mesh_at(WIDTH / 2, 60, FACE_PX), Size(WIDTH, HEIGHT))
    assert odds[100, 100] == pytest.approx(np.log((1 - CERTAIN) / CERTAIN), abs=1e-3)
    green = [(shown[..., 1] > shown[..., 0] + 0.2) for shown in bodies.shown]
    assert [bool(np.argwhere(seen)[:, 1].mean() > INPUT / 2) for seen in green] == [True, False]


def test_the_networks_certainty_has_an_end() -> None:
    """One look that is wrong must not outvote another however sure it is."""
    looks = iter([True, False])
    odds = body_odds(
        Bodies(lambda shown: np.full(shown.shape[:2], next(looks))),
        np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        mesh_at(WIDTH / 2, 60, FACE_PX),
        Size(WIDTH, HEIGHT),
    )
    assert np.abs(odds[40:160, 60:140]).max() < 1e-4


@pytest.mark.parametrize(("width", "height"), [(1300, 1), (1, 1300), (1, 1)])
def test_of_a_strip_something_is_said(width: int, height: int) -> None:
    person = np.ones((height, width), np.float32)
    picture = np.full((height, width, 3), 128, np.uint8)
    left = without_bystanders(
        Bodies(lambda shown: shown[..., 0] > 2), picture, mesh_at(width / 2, height / 2, 40), person
    )
    assert left.shape == person.shape
    assert np.isfinite(left).all()


def test_a_small_face_is_not_enlarged_to_look_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, ...]] = []

    def spied(image: Image, people: NDArray[np.bool_], odds: Floats, face: Points) -> NDArray[np.bool_]:
        sizes.append(image.shape)
        return np.zeros(people.shape, bool)

    monkeypatch.setattr(bystanders, "others_beside", spied)
    picture, people = scene((SLEEVE, GREEN))
    without_bystanders(Bodies(reddish), picture, mesh_at(WIDTH / 2, 60, 20), people)
    assert sizes == [(HEIGHT, WIDTH, 3)]
