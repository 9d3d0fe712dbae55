"""The n results of a template are choices, and a seed says which."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.engines.base import fresh_seed
from portraitd.engines.classic.face.expression import MOST_SMILE, Mouth, smiling
from portraitd.engines.classic.looks import LOOKS, Look, look_of

SEEDS = st.integers(0, 2**63)


@given(SEEDS)
def test_results_in_a_row_are_choices_even_of_one_photo(seed: int) -> None:
    looks = {replace(look_of(seed + number), view_rank=0) for number in range(len(LOOKS))}
    assert len(looks) == len(LOOKS) == 12


@given(SEEDS)
def test_a_look_depends_on_the_seed_alone(seed: int) -> None:
    assert look_of(seed) == look_of(seed) == look_of(seed + len(LOOKS))


def test_a_task_s_first_result_is_the_person_as_photographed() -> None:
    assert fresh_seed() < 2**31
    assert {look_of(0), *(look_of(fresh_seed()) for _ in range(20))} == {Look()}


def test_no_look_makes_another_person() -> None:
    for look in LOOKS:
        assert 0 <= look.retouch <= 1
        assert 0 <= look.expression <= 1
        assert abs(look.glow) < 0.3
        assert 0 <= look.smile <= MOST_SMILE
        assert 0.5 <= look.modelling <= 1.5
        assert look.view_rank >= 0


def test_a_look_s_smile_is_a_resting_mouth_s_whole() -> None:
    for look in LOOKS:
        assert smiling(Mouth(0.0, 0.02), look.smile).smile == pytest.approx(0.02 + look.smile)


def test_the_second_look_plainly_smiles() -> None:
    assert LOOKS[1].smile >= 0.06
    assert LOOKS[1].expression == 1
