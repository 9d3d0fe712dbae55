"""Where the face takes the template's tone, and where its detail goes."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face import cover
from portraitd.engines.classic.face.geometry import rasterise
from portraitd.engines.classic.fusion.place import Placement
from portraitd.engines.classic.fusion.strays import without_strays
from portraitd.engines.classic.fusion.tone import Sheet
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

SHAPE = (120, 110)
#: 90 px from side to side.
POSED = (mean_face().points * 41 + np.array([55, 45, 0])).astype(np.float32)
RASTER = rasterise(POSED, SHAPE, grow=0.35)
#: Points of the mesh: temples, cheeks before the ears and low on the jaw, by side; and between them.
TEMPLES, HIGH, LOW = (127, 356), (227, 447), (192, 416)
NOSE, CHEEK, BROW, EYE, LIP = 1, 101, 105, 159, 61
FOREHEAD = (10,)

Marks = tuple[int, ...]
Colour = tuple[float, ...]


def sheet_of(
    lit: Floats, skin: Floats | None = None, tone_alpha: Floats | None = None, seen: Floats | None = None
) -> Sheet:
    """A face before a template of one even tone, -1 everywhere."""
    ones = np.ones(SHAPE, np.float32)
    tone_alpha, seen, skin = (ones if mask is None else mask for mask in (tone_alpha, seen, skin))
    masks = (tone_alpha, seen, seen, skin, ones)
    return Sheet(lit, np.full((*SHAPE, 3), -1.0, np.float32), Placement(*masks), 90.0, POSED[:, :2], None)


def patched(points: Marks, change: Colour, radius_px: float = 9) -> Floats:
    """(H, W, 3) an even face, -1 everywhere, with patches at these points."""
    lit = np.full((*SHAPE, 3), -1.0, np.float32)
    rows, columns = np.indices(SHAPE)
    for point in points:
        x, y = POSED[point, :2]
        lit[np.hypot(columns - x, rows - y) < radius_px] += np.float32(change)
    return lit


def at(values: Floats, points: Marks) -> list[float]:
    return [float(np.mean(values[round(y), round(x)])) for x, y in POSED[list(points), :2]]


def left_at(points: Marks, dark: Marks, skin: Floats | None = None, change: Colour = (-0.7,) * 3) -> list[float]:
    """How much of the patches' change is left at these points, when there are patches at those."""
    lit = patched(dark, change)
    toned, _ = without_strays(sheet_of(lit, skin), lit, RASTER)
    strength = float(np.abs(change).max())
    return at(np.abs(toned + 1).max(axis=2, keepdims=True) / strength, points)


def test_a_face_like_the_template_s_stays() -> None:
    lit = patched((), (0.0,) * 3)
    toned, clean = without_strays(sheet_of(lit), lit, RASTER)
    assert np.abs(toned - lit).max() < 1e-5
    assert clean.min() == 1.0


def test_a_shadow_at_a_temple_goes_and_nothing_else() -> None:
    assert left_at(TEMPLES[:1], TEMPLES[:1])[0] < 0.3
    assert max(left_at((NOSE, *LOW), TEMPLES[:1])) < 0.02


def test_both_temples_may_go() -> None:
    assert max(left_at(TEMPLES, TEMPLES)) < 0.3


def test_the_dark_side_of_the_jaw_goes_but_not_a_beard() -> None:
    assert left_at(LOW[:1], LOW[:1])[0] < 0.5
    assert min(left_at(LOW, LOW)) > 0.9


def test_another_colour_counts_too() -> None:
    assert left_at(HIGH[:1], HIGH[:1], change=(0.25, 0.0, -0.25))[0] < 0.3


def test_what_is_only_a_little_darker_stays() -> None:
    assert left_at(TEMPLES, TEMPLES, change=(-0.25,) * 3) == pytest.approx([1.0, 1.0], abs=0.01)


def test_the_middle_of_the_face_brows_and_eyes_stay() -> None:
    assert left_at((NOSE,), (NOSE,)) == pytest.approx([1.0], abs=0.01)
    none = np.zeros(SHAPE, np.float32)
    assert left_at((BROW, EYE), (BROW, EYE), skin=none) == pytest.approx([1.0, 1.0], abs=0.01)


def test_in_a_shadow_that_goes_the_persons_detail_stays() -> None:
    """Pores, that is: small differences from the skin around them, darker and brighter."""
    lit = patched(TEMPLES[:1], (-0.7,) * 3)
    pores = np.random.default_rng(0).normal(0, 0.05, SHAPE).astype(np.float32)[:, :, None]
    (without, _), (with_pores, _) = (without_strays(sheet_of(face), face, RASTER) for face in (lit, lit + pores))
    x, y = (round(float(v)) for v in POSED[TEMPLES[0], :2])
    near = np.s_[y - 5 : y + 6, x - 5 : x + 6]
    kept = (with_pores - without)[near][:, :, 0]
    assert np.corrcoef(kept.ravel(), pores[near].ravel())[0, 1] > 0.9
    assert kept.std() > 0.2 * pores[near].std()


def test_a_bright_fleck_at_the_jaw_shows_the_templates_detail_but_none_inside_or_on_the_forehead() -> None:
    at_rim = np.zeros(SHAPE, np.float32)
    for points, radius, tone_alpha, expected in (
        (LOW[:1], 2, at_rim, 0.0),
        (LOW[:1], 2, 1 - at_rim, 1.0),
        (FOREHEAD, 2, at_rim, 1.0),
    ):
        lit = patched(points, (0.6,) * 3, radius)
        _, clean = without_strays(sheet_of(lit, tone_alpha=tone_alpha), lit, RASTER)
        assert at(clean, points)[0] == pytest.approx(expected, abs=0.25)


def shown_right_of(x: float) -> Floats:
    """(H, W) 0 left of that column, where no photo shows the face, and 1 from there on."""
    return np.asarray((np.indices(SHAPE)[1] >= x) * np.ones(SHAPE), np.float32)


def left_beside(point: int, away_px: float, skin: Floats | None = None, change: Colour = (-0.25,) * 3) -> float:
    """How much of an even change over half of the face is left at a point, the face being hidden so far left of it."""
    lit = np.full((*SHAPE, 3), -1.0, np.float32)
    lit[:, : round(float(POSED[NOSE, 0]))] += np.float32(change)
    toned, _ = without_strays(sheet_of(lit, skin, seen=shown_right_of(POSED[point, 0] - away_px)), lit, RASTER)
    return at(np.abs(toned + 1).max(axis=2, keepdims=True) / np.abs(change).max(), (point,))[0]


def test_skin_beside_what_no_photo_shows_takes_the_template_s_tone_and_less_and_less() -> None:
    """A shade too faint to be a stray elsewhere: next to it lies the template's own skin."""
    near, farther, far = (left_beside(CHEEK, away * 90) for away in (0.02, 0.08, 0.2))
    assert near < 0.4
    assert near + 0.15 < farther < 0.85
    assert far == pytest.approx(1.0, abs=0.01)


def test_beside_what_no_photo_shows_a_faint_colour_goes_too() -> None:
    tint = (0.06, 0.0, -0.06)
    assert left_beside(CHEEK, 2, change=tint) < 0.75
    assert left_beside(CHEEK, 20, change=tint) == pytest.approx(1.0, abs=0.01)


def test_beside_what_no_photo_shows_a_face_nearly_like_the_template_s_stays() -> None:
    assert left_beside(CHEEK, 2, change=(-0.09,) * 3) == pytest.approx(1.0, abs=0.01)
    assert left_beside(CHEEK, 2, change=(0.02, 0.0, -0.02)) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("point", [BROW, EYE, LIP])
def test_beside_what_no_photo_shows_brows_eyes_and_lips_keep_their_tone(point: int) -> None:
    features = cover.features(POSED, SHAPE, cover.FEATURES, 0.04)
    assert left_beside(point, 3, skin=1 - features) > 0.85
    assert left_beside(point, 3) < 0.5, "skin there would not"


def test_where_all_is_shown_a_faint_shade_stays_as_it_is() -> None:
    lit = np.full((*SHAPE, 3), -1.25, np.float32)
    for seen in (None, np.full(SHAPE, 0.6, np.float32)):
        toned, _ = without_strays(sheet_of(lit, seen=seen), lit, RASTER)
        assert np.abs(toned - lit).max() < 1e-5


def test_what_is_hidden_outside_the_face_says_nothing_of_the_skin_beside_it() -> None:
    """There no skin of the template's lies next to the person's."""
    lit = np.full((*SHAPE, 3), -1.25, np.float32)
    shown = shown_right_of(POSED[NOSE, 0] - 2)
    toned, _ = without_strays(sheet_of(lit, tone_alpha=shown, seen=shown), lit, RASTER)
    assert np.abs(toned - lit).max() < 1e-5
