"""The person's light with clothes on it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitd.engines.classic.person.identity import View, view_of
from portraitd.engines.classic.presets import cutout as cutout_module
from portraitd.engines.classic.presets.clothes.tailor import Clothes, Outfit
from portraitd.engines.classic.presets.cutout import BareShoulders, Cutout, Cutouts, cut_out
from portraitd.engines.classic.presets.dressing import in_clothes
from portraitd.engines.classic.presets.framing import CHEEK_SIDES, CLOTHED_PX, PORTRAIT, Wish, roll_of
from portraitd.engines.classic.presets.idphoto import WISH as DOCUMENT
from portraitd.engines.classic.presets.scene import CHIN_AT_MOST
from portraitd.errors import HeadCutOff
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Mask
from tests.fakes import heads
from tests.fakes.wearers import CHIN, SHIRT, SIZE, UNIT, Wearer

SUIT = Outfit((0.02, 0.02, 0.03), (0.8, 0.8, 0.8), (0.2, 0.01, 0.01))
STUDIO = Wish((240.0, 204.0, 460.0), (384.0, 150.0), (110.0, 40.0, 200.0), chin_at_most=CHIN_AT_MOST, emergency=2.0)
SHAPE = (PORTRAIT.height, PORTRAIT.width)


def mask(value: float, *parts: tuple[slice, slice, float]) -> Mask:
    made = np.full(SHAPE, value, np.float32)
    for rows, columns, other in parts:
        made[rows, columns] = other
    return made


def cutout(clothes: Clothes | None, colour: tuple[int, int, int] = heads.SKIN) -> Cutout:
    alpha = mask(0, (slice(200, None), slice(200, 600), 1.0))
    return Cutout(np.full((*SHAPE, 3), colour, np.uint8), alpha, heads.MESH.points, 1.0, clothes)


def clothes(cover: Mask, shown: Mask) -> Clothes:
    """Blue cloth from row 500 on."""
    light = np.broadcast_to(np.float32([0.1, 0.2, 0.8]), (SHAPE[0] - 500, SHAPE[1], 3)).astype(np.float32)
    return Clothes(500, light, cover[500:], shown[500:], np.full((SHAPE[0] - 500, SHAPE[1]), 0.5, np.float32))


LINEAR = np.full((*SHAPE, 3), 0.4, np.float32)


def test_where_nothing_is_drawn_nothing_changes() -> None:
    plain = cutout(None)
    worn, same = in_clothes(LINEAR, plain, 1.0)
    assert worn is LINEAR
    assert same is plain


def test_cloth_covers_and_shades() -> None:
    drawn = clothes(mask(0, (slice(700, None), slice(None), 1.0)), mask(1))
    worn, dressed = in_clothes(LINEAR, cutout(drawn), 0.5)
    assert worn[800, 300] == pytest.approx((0.05, 0.1, 0.4))
    assert worn[600, 300] == pytest.approx(0.2), "in the collar's shade"
    assert worn[400, 300] == pytest.approx(0.4)
    assert LINEAR.max() == LINEAR.min() == np.float32(0.4)
    assert dressed.alpha[800, 50] == 1, "beyond the person's own outline"
    assert dressed.alpha[600, 50] == 0
    assert dressed.clothes is None


def test_what_must_not_show_is_gone() -> None:
    drawn = clothes(mask(0), mask(1, (slice(600, 700), slice(None), 0.0)))
    _, dressed = in_clothes(LINEAR, cutout(drawn), 1.0)
    assert dressed.alpha[650, 300] == 0
    assert dressed.alpha[750, 300] == 1
    assert dressed.alpha[300, 300] == 1


def test_along_an_edge_nothing_hidden_shines_through() -> None:
    half = mask(0, (slice(600, None), slice(None), 0.5))
    hidden, dressed = in_clothes(LINEAR, cutout(clothes(half, mask(0))), 1.0)
    assert hidden[700, 300] == pytest.approx((0.1, 0.2, 0.8))
    assert dressed.alpha[700, 300] == 0.5
    shown, dressed = in_clothes(LINEAR, cutout(clothes(half, mask(1))), 1.0)
    assert shown[700, 300] == pytest.approx((0.15, 0.2, 0.5))
    assert dressed.alpha[700, 300] == 1


def test_the_faintest_edge_is_the_cloth_s_colour() -> None:
    faint = mask(0, (slice(600, None), slice(None), 0.1))
    worn, _ = in_clothes(LINEAR, cutout(clothes(faint, mask(0))), 1.0)
    assert worn[700, 300] == pytest.approx((0.1, 0.2, 0.8), abs=0.01)


def test_a_black_and_white_person_wears_no_colours() -> None:
    drawn = clothes(mask(0, (slice(700, None), slice(None), 1.0)), mask(1))
    worn, _ = in_clothes(LINEAR, cutout(drawn, (150, 150, 150)), 1.0)
    assert np.ptp(worn[800, 300]) < 1e-6
    assert worn[800, 300, 0] == pytest.approx(0.1 * 0.2126 + 0.2 * 0.7152 + 0.8 * 0.0722, abs=1e-4)


def behind_hand(view: View) -> View:
    """The photo with a hand before the chin: nobody can be dressed in it."""
    return replace(view, hidden=lambda: np.ones(regions.POINT_COUNT, np.float32))


class TestCutOut:
    def test_who_wears_nothing_formal_is_dressed(self) -> None:
        dressed = cut_out(Wearer().view(), STUDIO, 0.0, SUIT)
        assert dressed.clothes is not None
        chin = dressed.points[regions.CHIN]
        unit = float(dressed.points[CHEEK_SIDES[1], 0] - dressed.points[CHEEK_SIDES[0], 0])
        row, column = round(float(chin[1] + 0.9 * unit)) - dressed.clothes.top, round(float(chin[0]))
        tie, jacket = (dressed.clothes.light[row, column + round(x * unit)] for x in (0.0, 0.7))
        assert tie[0] > 3 * tie[1]
        assert jacket.max() < 0.06
        assert dressed.clothes.cover[row, column] == pytest.approx(1, abs=1e-3)

    def test_nobody_is_dressed_unasked(self) -> None:
        assert cut_out(Wearer().view(), STUDIO, 0.0).clothes is None

    def test_who_wears_a_collar_keeps_it_and_their_frame(self) -> None:
        view = Wearer(bare_to=0.05).view()
        kept, plain = cut_out(view, STUDIO, 0.0, SUIT), cut_out(view, STUDIO, 0.0)
        assert kept.clothes is None
        assert np.array_equal(kept.colours, plain.colours)

    @pytest.mark.parametrize(("hidden", "dressed"), [(1.0, False), (0.5, False), (0.3, True)])
    def test_a_hand_before_the_chin_is_not_cut_off(self, hidden: float, dressed: bool) -> None:
        view = replace(Wearer().view(), hidden=lambda: np.full(468, hidden, np.float32))
        assert (cut_out(view, STUDIO, 0.0, SUIT).clothes is not None) == dressed

    def test_bare_shoulders_that_cannot_be_dressed_are_told(self) -> None:
        bare, pale, dressed = (Wearer(shirt=shirt).view() for shirt in (heads.SKIN, (225, 215, 200), SHIRT))
        with pytest.raises(BareShoulders):
            cut_out(behind_hand(bare), STUDIO, 0.0, SUIT, even_bare=False)
        assert cut_out(behind_hand(bare), STUDIO, 0.0, SUIT).clothes is None
        assert cut_out(bare, STUDIO, 0.0, even_bare=False).clothes is None, "nobody asked for clothes"
        for view in (pale, dressed):
            cut_out(behind_hand(view), STUDIO, 0.0, SUIT, even_bare=False)

    def test_bare_shoulders_that_can_be_dressed_are(self) -> None:
        bare = Wearer(shirt=heads.SKIN).view()
        assert cut_out(bare, STUDIO, 0.0, SUIT, even_bare=False).clothes is not None

    @pytest.mark.parametrize("why", [BareShoulders, HeadCutOff])
    def test_why_there_is_no_cutout_is_remembered(self, monkeypatch: pytest.MonkeyPatch, why: type[Exception]) -> None:
        """And pushes out none that there is."""
        asked: list[View] = []

        def cut(view: View, *_: object, **__: object) -> Cutout:
            asked.append(view)
            if view is not one:
                raise why
            return cutout(None)

        monkeypatch.setattr(cutout_module, "cut_out", cut)
        cutouts, one, many = Cutouts(most=1), Wearer().view(), [Wearer().view() for _ in range(40)]

        def failed(view: View) -> None:
            with pytest.raises(why):
                cutouts(view, STUDIO, 0.0, SUIT, even_bare=False)

        for view in many:
            failed(view)
        first = cutouts(one, STUDIO, 0.0, SUIT, even_bare=False)
        failed(many[-1])
        assert cutouts(one, STUDIO, 0.0, SUIT, even_bare=False) is first
        assert len(asked) == 41
        failed(many[0])
        assert len(asked) == 42, "forgotten: there is an end to what is kept"

    def test_a_black_and_white_photo_does_not_tell_bare_shoulders(self) -> None:
        made = Wearer(shirt=(140, 140, 140)).view()
        grey = np.repeat(cv2.cvtColor(made.image(), cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        cut_out(behind_hand(replace(made, image=lambda: grey)), STUDIO, 0.0, SUIT, even_bare=False)

    def test_a_deep_neckline_is_no_bare_shoulder(self) -> None:
        view = Wearer(bare_to=1.0, opening=0.42).view()
        cut_out(behind_hand(view), STUDIO, 0.0, SUIT, even_bare=False)

    def test_shoulders_are_bare_however_the_head_is_tilted(self) -> None:
        made, turn = Wearer(shirt=heads.SKIN).view(), cv2.getRotationMatrix2D((400.0, 380.0), 25, 1.0)
        pictures = (made.image(), made.alpha())
        image, alpha = (cv2.warpAffine(one, turn, SIZE, borderMode=cv2.BORDER_REPLICATE) for one in pictures)
        points = np.column_stack([made.mesh.xy @ turn[:, :2].T + turn[:, 2], made.mesh.points[:, 2]])
        view = view_of("tilted", image, FaceMesh(points.astype(np.float32), 1.0), 0.9)
        with pytest.raises(BareShoulders):
            cut_out(behind_hand(replace(view, alpha=lambda: alpha)), STUDIO, 0.0, SUIT, even_bare=False)

    @pytest.mark.parametrize("aside", [-0.1, 0.1])
    def test_clothes_are_where_the_neck_is(self, aside: float) -> None:
        dressed = cut_out(Wearer(aside=aside).view(), STUDIO, 0.0, SUIT)
        assert dressed.clothes is not None
        unit = float(dressed.points[CHEEK_SIDES[1], 0] - dressed.points[CHEEK_SIDES[0], 0])
        chin = dressed.points[regions.CHIN]
        row = dressed.clothes.light[round(float(chin[1] + 0.9 * unit)) - dressed.clothes.top]
        tie = np.flatnonzero(row[:, 0] > 4 * row[:, 1])
        assert (tie.mean() - chin[0]) / unit == pytest.approx(aside, abs=0.02)

    def test_clothes_are_lit_from_the_face_s_side(self) -> None:
        def slope(way: int) -> float:
            view = Wearer().view()
            face = slice(int(CHIN[0] - UNIT / 2), int(CHIN[0] + UNIT / 2))
            across = np.ones(view.image().shape[1])
            across[face] = np.linspace(1 - 0.6 * way, 1 + 0.6 * way, face.stop - face.start)
            across = across[None, :, None]
            lit = np.clip(view.image() * across, 0, 255).astype(np.uint8)
            made = replace(view_of("lit", lit, view.mesh, 0.9), alpha=view.alpha)
            clothes = cut_out(made, STUDIO, 0.0, SUIT).clothes
            assert clothes is not None
            left, right = (clothes.light[-150:-50, part].mean() for part in (slice(20, 110), slice(-110, -20)))
            return float((right - left) / (right + left))

        assert slope(1) > slope(-1) + 0.05

    def test_of_a_small_photo_clothes_are_as_soft_as_it_is(self) -> None:
        view = Wearer().view()
        assert view.alpha is not None
        size = (SIZE.width // 4, SIZE.height // 4)
        image, alpha = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (view.image(), view.alpha()))
        points = view.mesh.points / 4
        points[:, :2] += (1 / 4 - 1) / 2
        tiny = view_of("tiny", np.asarray(image, np.uint8), replace(view.mesh, points=points.astype(np.float32)), 0.9)
        small = replace(tiny, alpha=lambda: np.asarray(alpha, np.float32))
        large, soft = (cut_out(made, STUDIO, 0.0, SUIT).clothes for made in (view, small))
        assert large is not None
        assert soft is not None
        steps = [float(np.abs(np.diff(made.cover, axis=0)).max()) for made in (large, soft)]
        assert steps[1] < 0.6 * steps[0]

    def test_a_head_whose_tilt_leaves_no_room_for_a_collar_stands_upright(self) -> None:
        """Tilted with its shoulders: upright shoulders, as they are drawn, do not fit it."""
        view = Wearer().view()
        assert view.alpha is not None
        turn = cv2.getRotationMatrix2D((float(CHIN[0]), float(CHIN[1])), 18, 1)
        image, alpha = (
            cv2.warpAffine(part, turn, SIZE, borderMode=cv2.BORDER_REPLICATE) for part in (view.image(), view.alpha())
        )
        points = view.mesh.points.copy()
        points[:, :2] = points[:, :2] @ turn[:, :2].T + turn[:, 2]
        tilted = view_of(
            "tilted", np.asarray(image, np.uint8), replace(view.mesh, points=points.astype(np.float32)), 0.9
        )
        matted = replace(tilted, alpha=lambda: np.asarray(alpha, np.float32))
        assert abs(roll_of(cut_out(matted, STUDIO, 0.0).points[:, :2])) > 10
        dressed = cut_out(matted, STUDIO, 0.0, SUIT)
        assert dressed.clothes is not None
        assert abs(roll_of(dressed.points[:, :2])) < 2

    def test_above_drawn_clothes_a_face_is_larger(self) -> None:
        widths = [
            float(made.points[CHEEK_SIDES[1], 0] - made.points[CHEEK_SIDES[0], 0])
            for made in (cut_out(Wearer().view(), STUDIO, 0.0, outfit) for outfit in (None, SUIT))
        ]
        assert widths[0] < 260
        assert widths[1] == pytest.approx(CLOTHED_PX, rel=0.05)

    @pytest.mark.parametrize("wish", [STUDIO, DOCUMENT], ids=["studio", "ID photo"])
    def test_a_photo_that_ends_at_the_collar_is_framed_as_any(self, wish: Wish) -> None:
        rows = slice(0, int(CHIN[1] + 0.25 * UNIT))
        columns = slice(int(CHIN[0] - 0.8 * UNIT), int(CHIN[0] + 0.8 * UNIT))
        whole, cropped = (cut_out(view, wish, 0.0, SUIT) for view in (Wearer().view(), Wearer().view(rows, columns)))
        assert cropped.clothes is not None
        assert cropped.points[regions.CHIN] == pytest.approx(whole.points[regions.CHIN], abs=8)
        # The neck goes on down to where the collar closes.
        chin, unit = cropped.points[regions.CHIN], UNIT * cropped.zoom
        collar = slice(*(round(float(chin[1] + below * unit)) for below in (0.26, 0.33)))
        neck = cropped.alpha[collar, round(float(chin[0]))]
        assert neck.min() > 0.95
        colours = cropped.colours[collar, round(float(chin[0]))].astype(int)
        assert np.abs(colours - heads.SKIN).max() < 25
        # And nothing of the face is moved by it.
        for point in (regions.CHIN, 17, *regions.MOUTH_CORNERS):
            seen, usual = (
                made.colours[round(float(made.points[point, 1])) - 2, round(float(made.points[point, 0]))].astype(int)
                for made in (cropped, whole)
            )
            assert np.abs(seen - usual).max() < 20, point

    def test_nothing_shines_through_clothes_that_lies_below_their_collar(self) -> None:
        dressed = cut_out(Wearer(shirt=(250, 20, 20)).view(), STUDIO, 0.0, SUIT)
        chin, unit = dressed.points[regions.CHIN], UNIT * dressed.zoom
        below = dressed.colours[round(float(chin[1] + 0.4 * unit)) :, round(float(chin[0]))].astype(int)
        assert np.abs(below - heads.SKIN).max() < 25

    def test_beside_a_photo_s_edge_nothing_is_stretched_that_clothes_cover(self) -> None:
        columns = slice(int(CHIN[0] - 0.75 * UNIT), None)
        whole, cropped = (
            cut_out(view, STUDIO, 0.0, SUIT) for view in (Wearer().view(), Wearer().view(slice(None), columns))
        )
        assert cropped.clothes is not None
        low = round(float(cropped.points[regions.CHIN, 1]))
        assert whole.points == pytest.approx(cropped.points, abs=2)
        beyond = round(float(cropped.points[regions.CHIN, 0] - 0.8 * UNIT * cropped.zoom))
        assert whole.alpha[low + 60 :, :beyond].max() > 0.9
        assert cropped.alpha[low + 60 :, :beyond].max() < 0.1
