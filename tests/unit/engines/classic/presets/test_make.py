"""Which photos presets are made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.person.identity import Identity, View, view_of
from portraitd.engines.classic.presets.make import make_preset, usable_views
from portraitd.errors import AlgorithmFailed
from portraitd.faces.shape import mean_face
from portraitd.images import Image
from portraitd.styles.catalog import load_catalog
from tests.fakes import heads
from tests.fakes.wearers import SHIRT, Wearer


def view(name: str, quality: float, *, alone: bool = True, matted: bool = True) -> View:
    picture = heads.head()
    alpha = np.ones(picture.shape[:2], np.float32)
    made = view_of(name, picture, heads.MESH, quality)
    return replace(made, alpha=(lambda: alpha) if matted else None, alone=alone)


def usable(*views: View) -> list[str]:
    identity = Identity(views, mean_face().points, None)
    return [found.name for found in usable_views(identity, yaw_deg=20.0, roll_deg=20.0)]


def test_a_photo_without_bystanders_comes_before_a_better_one_with_them_but_for_a_much_better() -> None:
    views = (view("crowd", 0.9, alone=False), view("alone", 0.7), view("alone, too", 0.6), view("poor", 0.5))
    assert usable(*views) == ["alone", "alone, too"]
    assert usable(view("crowd", 0.9, alone=False), view("poor", 0.5)) == ["crowd"]


def test_with_bystanders_on_all_photos_all_serve() -> None:
    assert usable(view("a crowd", 0.9, alone=False), view("another", 0.8, alone=False)) == ["a crowd", "another"]


def test_none_serves_that_is_much_worse_or_has_no_matte() -> None:
    assert usable(view("best", 0.9), view("fair", 0.6), view("poor", 0.5), view("bare", 0.9, matted=False)) == [
        "best",
        "fair",
    ]
    with pytest.raises(AlgorithmFailed):
        usable(view("bare", 0.9, matted=False))


def test_all_backdrops_of_an_id_photo_show_the_same_clothes_and_the_next_others() -> None:
    style = load_catalog().get("f_idcard_male")
    identity = Identity((Wearer().view(),), mean_face().points, None)
    first, second, next_suit = (make_preset(identity, style, seed)[-40:, 340:430].astype(int) for seed in (0, 1, 4))
    assert np.abs(first - second).mean() < 3
    assert np.abs(first - next_suit).mean() > 8


def test_business_portraits_show_one_outfit_a_look() -> None:
    style = load_catalog().get("f_business_male")
    identity = Identity((Wearer().view(),), mean_face().points, None)
    ties = [make_preset(identity, style, seed)[-60:, 340:430].reshape(-1, 3).mean(axis=0) for seed in range(4)]
    assert min(float(np.linalg.norm(a - b)) for i, a in enumerate(ties) for b in ties[:i]) > 8


@pytest.mark.parametrize(
    ("style_id", "least", "most"), [("f_idcard_female", 215, 250), ("f_business_female", 180, 225)]
)
def test_a_drawn_shirt_is_white_and_not_glaring(style_id: str, least: float, most: float) -> None:
    identity = Identity((Wearer().view(),), mean_face().points, None)
    picture = make_preset(identity, load_catalog().get(style_id), 0)
    shirt = picture[-60:-10, 350:420].reshape(-1, 3)
    assert least < np.median(shirt) < most
    assert np.ptp(np.median(shirt, axis=0)) < 25


def worn(shirt: tuple[int, int, int], *, turn_deg: float = 0.0) -> View:
    """Somebody who can't be dressed, for a hand is before the chin."""
    made = replace(Wearer(shirt=shirt).view(), hidden=lambda: np.ones(468, np.float32))
    return replace(made, pose=replace(made.pose, yaw_deg=turn_deg))


def body(style_id: str, seed: int, *views: View) -> Image:
    """(H, W, 3) the portrait below the chin."""
    return make_preset(Identity(views, mean_face().points, None), load_catalog().get(style_id), seed)[-200:]


@pytest.mark.parametrize("style_id", ["f_business_female", "f_idcard_female"])
def test_bare_shoulders_are_shown_where_there_is_no_other_photo_only(style_id: str) -> None:
    bare, clothed = worn(heads.SKIN), worn(SHIRT)
    for seed in range(2):
        both = body(style_id, seed, bare, clothed)
        assert np.array_equal(both, body(style_id, seed, clothed))
        assert not np.array_equal(both, body(style_id, seed, bare))


def test_for_a_document_a_head_is_turned_before_shoulders_are_bare() -> None:
    bare, turned = worn(heads.SKIN), worn(SHIRT, turn_deg=14.0)
    assert np.array_equal(body("f_idcard_female", 0, bare, turned), body("f_idcard_female", 0, turned))


def test_for_a_document_shoulders_are_bare_before_a_head_is_turned_too_far() -> None:
    bare, turned = worn(heads.SKIN), worn(SHIRT, turn_deg=40.0)
    assert np.array_equal(body("f_idcard_female", 0, turned, bare), body("f_idcard_female", 0, bare))


def test_a_photo_that_faces_the_camera_comes_before_one_that_must_be_turned() -> None:
    front, turned = worn(SHIRT), worn((60, 60, 90), turn_deg=14.0)
    assert np.array_equal(body("f_idcard_female", 0, turned, front), body("f_idcard_female", 0, front))


def test_for_a_document_the_more_formal_photo_is_taken() -> None:
    plain, lesser = worn(SHIRT), replace(worn((60, 60, 90)), quality=0.7)
    assert np.array_equal(body("f_idcard_female", 0, lesser, plain), body("f_idcard_female", 0, plain))


def test_in_a_scene_shoulders_may_be_bare() -> None:
    bare, clothed = worn(heads.SKIN), worn(SHIRT)
    both, alone = (body("f_summersport_female", 0, *views) for views in ((bare, clothed), (bare,)))
    assert np.array_equal(both, alone)
