"""The looks at a head: each lies where it was taken, and the nearer ones count where the picture is far away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from portraitd.faces.matte import STRAND, _cleaned, _without_haze, matte_of, person_matte
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels, Network
from portraitd.faces.segment import (
    CERTAIN,
    CLOSER,
    FAR,
    INPUT,
    MIDDLE,
    POSE_MASK,
    POSE_NETWORK,
    SHOULDERS,
    TRUSTED,
    Square,
    _person_odds,
    _seen_in_square,
    head_probability,
)
from portraitd.images import Floats, Image, Mask, Size
from tests.fakes import meshes


class Eyes(FaceModels):
    """A network that sees what it is told to in the pictures that it is shown, which are counted; and whose bodies are
    one's own, which all are if nothing is said."""

    def __init__(self, sees: Callable[[Floats], Floats], own: Callable[[Floats], Floats] | None = None) -> None:
        super().__init__(Path())
        self.sees = sees
        self.own = own
        self.shown: list[Floats] = []

    def network(self, name: str) -> Network:
        def look(batch: Floats) -> list[Floats]:
            if name == POSE_NETWORK:
                odds = np.full((INPUT, INPUT), 9.0) if self.own is None else 18 * self.own(batch[0]) - 9
                return [odds.reshape(1, INPUT, INPUT, 1).astype(np.float32)] * (POSE_MASK + 1)
            self.shown.append(batch[0])
            return [np.asarray(self.sees(batch[0]), np.float32).reshape(1, INPUT, INPUT, 1)]

        network: Any = look
        return network


def red(shown: Floats) -> Floats:
    """Persons are what is red, faintly or fully."""
    return shown[..., 0]


def mesh_at(x: float, y: float, height: float) -> FaceMesh:
    return meshes.mesh_at(x, y, height=height)


def picture_of(width: int, height: int, middle: tuple[int, int], radius: int) -> Image:
    """A red disc on black, and a red bar right of it: nothing about it is symmetrical."""
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.circle(picture, middle, radius, (255, 0, 0), -1)
    cv2.rectangle(picture, (middle[0], middle[1]), (middle[0] + 2 * radius, middle[1] + radius // 3), (255, 0, 0), -1)
    return picture


@pytest.mark.parametrize("face_px", [260, 90])
@pytest.mark.parametrize("scale", [1.0, 0.61])
def test_all_looks_lie_where_they_were_taken(face_px: int, scale: float) -> None:
    picture = picture_of(620, 480, (350, 210), round(0.5 * face_px))
    size = Size(round(620 * scale), round(480 * scale))
    seen = head_probability(Eyes(red), picture, mesh_at(350, 210, face_px), size)
    assert (seen.dtype, seen.shape) == (np.float32, (size.height, size.width))
    wanted = cv2.resize(picture[..., 0], size, interpolation=cv2.INTER_AREA) > 127
    edge = cv2.morphologyEx(wanted.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    assert ((seen > 0.5) == wanted)[~edge].all()
    assert ((seen > 0.5) == wanted).mean() > 0.99


def test_one_look_is_taken_in_the_mirror() -> None:
    eyes = Eyes(red)
    head_probability(eyes, picture_of(400, 400, (200, 200), 60), mesh_at(200, 200, 160), Size(400, 400))
    middles = [float((shown[..., 0] * np.arange(INPUT)).sum() / shown[..., 0].sum()) for shown in eyes.shown]
    right = [middle > INPUT / 2 for middle in middles]
    assert right == [True, True, False]  # the bar is on the right


def test_a_far_picture_shows_shoulders_once_more() -> None:
    near, far = Eyes(red), Eyes(red)
    picture = picture_of(400, 400, (200, 200), 30)
    head_probability(near, picture, mesh_at(200, 200, 400 / FAR + 4), Size(400, 400))
    head_probability(far, picture, mesh_at(200, 200, 400 / FAR - 4), Size(400, 400))
    assert (len(near.shown), len(far.shown)) == (3, 4)


def test_a_far_picture_is_one_whose_longer_side_is() -> None:
    for width, height in ((500, 200), (200, 500)):
        eyes = Eyes(red)
        picture = picture_of(width, height, (width // 2, height // 2), 30)
        head_probability(eyes, picture, mesh_at(width / 2, height / 2, 400 / FAR), Size(width, height))
        assert len(eyes.shown) == 4


def test_shoulders_are_seen_from_farther_than_the_head_and_nearer_than_the_picture() -> None:
    eyes = Eyes(red)
    head_probability(eyes, picture_of(800, 800, (400, 400), 60), mesh_at(400, 400, 120), Size(400, 400))
    whole, closer, closest, shoulders = (float((shown[..., 0] > 0.5).mean()) for shown in eyes.shown)
    assert 2 * whole < shoulders < 0.6 * closer
    assert closer < closest


def alike(*answers: float) -> Eyes:
    """The same everywhere in a picture, another in each that is shown."""
    left = iter(answers)
    return Eyes(lambda shown: np.full(shown.shape[:2], next(left)))


def looking(eyes: Eyes) -> Callable[[Image], Floats]:
    return partial(_person_odds, eyes)


def odds_of(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


@pytest.mark.parametrize("far", [2.0, 2 * FAR])
def test_all_of_the_picture_counts_the_less_the_farther_away_it_is_and_each_square_where_it_is_trusted(
    far: float,
) -> None:
    picture, mesh, size = np.zeros((400, 400, 3), np.uint8), mesh_at(200, 200, 400 / far), Size(400, 400)
    squares = (*CLOSER, SHOULDERS) if far > FAR else CLOSER
    trust = sum(_seen_in_square(looking(alike(0.5)), picture, mesh, square, size)[1] for square in squares)
    seen = head_probability(alike(0.9, *([0.2] * len(squares))), picture, mesh, size)
    weight = 0.25 if far > FAR else 1.0
    odds = (weight * odds_of(0.9) + trust * odds_of(0.2)) / (weight + trust)
    assert seen == pytest.approx(1 / (1 + np.exp(-odds)), abs=0.01)


@pytest.mark.parametrize("square", [*CLOSER, SHOULDERS])
def test_a_square_is_trusted_within_its_rim_and_farther_up_than_down(square: Square) -> None:
    mesh = mesh_at(300, 300, 160)
    _, trust = _seen_in_square(looking(alike(0.5)), np.zeros((600, 600, 3), np.uint8), mesh, square, Size(600, 600))
    box, step = mesh.box, square.side * mesh.box.height / INPUT
    x, y = (box.x0 + box.x1) / 2, box.y0 + MIDDLE * box.height
    rows, columns = (np.flatnonzero(trust[line] > 0.5) for line in (np.s_[:, round(x)], np.s_[round(y), :]))
    ends = [(part.start - INPUT / 2) * step for part in TRUSTED] + [(part.stop - INPUT / 2) * step for part in TRUSTED]
    found = [rows[0] - y, columns[0] - x, rows[-1] - y, columns[-1] - x]
    assert found == pytest.approx(ends, abs=1.5)
    assert y - rows[0] > rows[-1] - y
    assert trust[round(y), round(x)] == pytest.approx(1, abs=1e-3)
    half = trust[round(y), columns[0] - round(8 * step)]  # it fades
    assert 0.05 < half < 0.4
    assert trust[:, : int(x - square.side * box.height / 2) - 1].max() == 0


@pytest.mark.parametrize("square", [*CLOSER, SHOULDERS])
@pytest.mark.parametrize("size", [Size(480, 360), Size(120, 90), Size(96, 140)])
def test_what_a_square_shows_lies_where_it_is_in_the_picture(square: Square, size: Size) -> None:
    """To a small part of a pixel, in small pictures too, and those of another shape."""
    picture = np.asarray(cv2.GaussianBlur(picture_of(480, 360, (235, 170), 24), (0, 0), 4), np.uint8)
    odds, trust = _seen_in_square(looking(Eyes(red)), picture, mesh_at(240, 190, 110), square, size)
    seen = np.where(trust > 0.9, np.maximum(1 / (1 + np.exp(-odds)) - 0.02, 0), 0)
    wanted = np.maximum(cv2.resize(picture[..., 0], size, interpolation=cv2.INTER_AREA) / 255.0 - 0.02, 0)
    for axis in (0, 1):
        at = np.arange(size[axis])
        middles = [(part.sum(axis=axis) * at).sum() / part.sum() for part in (seen, wanted)]
        per_pixel = picture.shape[1 - axis] / size[axis]
        assert (middles[0] - middles[1]) * per_pixel == pytest.approx(0, abs=0.3)


def unsure_from_afar(shown: Floats) -> Floats:
    """All of the picture shows a small disc: there the network sees persons everywhere, else what is red."""
    return np.full(shown.shape[:2], 0.9) if (shown[..., 0] > 0.5).mean() < 0.03 else red(shown)


def test_the_nearer_looks_decide_where_the_face_is_small() -> None:
    picture = picture_of(1000, 1000, (500, 400), 40)
    seen = head_probability(Eyes(unsure_from_afar), picture, mesh_at(500, 400, 90), Size(500, 500))
    assert seen[200, 250] > 0.95
    assert seen[170, 220] < 0.1  # beside the disc, seen by all
    assert seen[450, 450] == pytest.approx(0.9, abs=1e-3)  # seen by one look only


def test_who_is_certain_outvotes_who_wavers() -> None:
    answers = iter([0.6, 0.0, 0.6])

    def wavering(shown: Floats) -> Floats:
        return np.full(shown.shape[:2], next(answers))

    seen = head_probability(Eyes(wavering), np.zeros((300, 300, 3), np.uint8), mesh_at(150, 150, 150), Size(300, 300))
    odds = (2 * np.log(0.6 / 0.4) + np.log(CERTAIN / (1 - CERTAIN))) / 3
    assert seen[150, 150] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-3)
    assert seen[150, 150] < 0.3


def _with_haze() -> tuple[Mask, FaceMesh]:
    """A disc; a soft rim around it; haze to its right, and a strand in the haze and one without."""
    alpha = np.zeros((400, 400), np.float32)
    cv2.circle(alpha, (200, 200), 110, 1.0, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.2), np.float32)
    haze = np.zeros_like(alpha)
    haze[180:240, 300:340] = 0.3
    alpha = np.maximum(alpha, haze)
    alpha[210:212, 305:335] = 0.45
    alpha[100:102, 60:110] = 0.4
    return alpha, mesh_at(200, 200, 200)


def test_haze_beside_the_head_goes_and_strands_stay() -> None:
    alpha, mesh = _with_haze()
    clear = _without_haze(alpha, mesh.box.width)
    assert (clear <= alpha).all()
    assert clear[190:204, 322:338].max() == 0
    assert clear[210, 325] == pytest.approx(0.15, abs=0.01)  # what it is more than the haze
    assert clear[101, 65:80].min() == pytest.approx(0.4, abs=1e-3)
    rim = np.hypot(*(np.mgrid[:400, :400] - 200)) < 112
    rim[:, 290:] = False
    assert np.abs(clear - alpha)[rim].max() < 1e-3


def test_what_only_haze_joins_to_the_head_goes_with_it() -> None:
    alpha, mesh = _with_haze()
    alpha[180:240, 340:380] = 0.8
    clear = _cleaned(alpha, np.zeros_like(alpha), mesh)
    assert clear[:, 345:].max() == 0
    assert clear[200, 200] == 1
    assert clear[101, 65:80].max() == 0  # loose from the start


def test_a_matte_is_cleaned_of_haze_as_wide_as_the_face_says() -> None:
    alpha, mesh = _with_haze()
    clear = _cleaned(alpha, np.full_like(alpha, 0.5), mesh)
    assert clear[190:204, 322:338].max() == 0
    rim = np.hypot(*(np.mgrid[:400, :400] - 200)) < 113
    rim[:, 290:] = False
    assert clear[rim] == pytest.approx(np.clip((alpha[rim] - 0.04) / 0.91, 0, 1), abs=1e-3)


@pytest.mark.parametrize(("share", "stays"), [(0.6, True), (2.2, False)])
def test_a_strand_is_narrow(share: float, stays: bool) -> None:
    alpha, mesh = np.zeros((500, 500), np.float32), mesh_at(250, 250, 280)
    cv2.circle(alpha, (200, 250), 120, 1.0, -1)
    width = round(share * STRAND * mesh.box.width)
    alpha[250 : 250 + width, 300:480] = 0.4
    far = _without_haze(alpha, mesh.box.width)[250 : 250 + width, 350:460]
    assert far.max() == (pytest.approx(0.4, abs=1e-3) if stays else 0)


@pytest.mark.parametrize("scale", [1.0, 1.6])
def test_the_matte_is_the_persons_alone_and_of_the_pictures_size(scale: float) -> None:
    width, height, middle, radius = (round(scale * part) for part in (500, 400, 200, 70))
    picture = np.zeros((height, width, 3), np.uint8)
    cv2.circle(picture, (middle, middle), radius, (255, 0, 0), -1)
    cv2.circle(picture, (width - radius, middle), radius // 3, (255, 0, 0), -1)  # somebody else
    alpha = person_matte(Eyes(red), picture, mesh_at(middle, middle, 1.2 * radius))
    assert (alpha.dtype, alpha.shape) == (np.float32, (height, width))
    assert alpha[:, width - 2 * radius :].max() == 0
    assert np.abs(alpha - picture[..., 0] / 255.0)[:, : width - 2 * radius].mean() < 0.01


@pytest.mark.parametrize("touching", [False, True])
def test_a_person_is_alone_whom_nobody_touches(touching: bool) -> None:
    """Somebody else in violet, who comes in from the side."""
    picture = np.zeros((400, 500, 3), np.uint8)
    cv2.circle(picture, (200, 200), 80, (255, 0, 0), -1)
    picture[150:400, 270 if touching else 330 :] = (255, 0, 250)
    matte = matte_of(Eyes(red, lambda shown: 1 - shown[..., 2]), picture, mesh_at(200, 200, 100))
    assert matte.alone != touching
    assert matte.alpha[170:380, 350:480].max() < 0.05
    assert matte.alpha[160:240, 160:240].min() > 0.95


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("edge", [240, 285])
def test_a_person_is_severed_where_who_is_left_out_stands_before_them(edge: int, scale: int, mirrored: bool) -> None:
    """A body as wide to both sides, in red, and a neighbour in violet who covers an arm of it or stands behind it."""
    picture = np.zeros((500, 500, 3), np.uint8)
    cv2.circle(picture, (200, 120), 60, (255, 0, 0), -1)
    picture[180:, 110:290] = (255, 0, 0)
    picture[190:, edge if edge < 290 else 290 :] = (255, 0, 250)
    middle = 299 if mirrored else 200
    picture = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
    picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
    mesh = mesh_at(scale * middle, scale * 120, scale * 80)
    matte = matte_of(Eyes(red, lambda shown: 1 - shown[..., 2]), picture, mesh)
    assert not matte.alone
    if edge > 280:
        assert not matte.severed.size
        return
    assert 8 <= len(matte.severed) <= 32
    at = 499 - edge if mirrored else edge
    assert (np.abs(matte.severed[:, 0] / scale - at) < 3).mean() > 0.85  # at its top it goes over the shoulder
    assert matte.severed[:, 1].min() > 180 * scale


@pytest.mark.parametrize(("width", "height"), [(1300, 1), (1, 1300), (1, 1)])
def test_of_a_strip_there_is_a_matte(width: int, height: int) -> None:
    picture = np.full((height, width, 3), 128, np.uint8)
    alpha = person_matte(Eyes(red), picture, mesh_at(width / 2, height / 2, 40))
    assert alpha.shape == (height, width)
    assert np.isfinite(alpha).all()
