"""The n results of a template are choices, and a seed says which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portraitd.engines.classic.looks import LOOKS, Look, look_of

SEEDS = st.integers(0, 2**63)


@given(SEEDS)
def test_four_results_in_a_row_are_four_choices(seed: int) -> None:
    assert len({look_of(seed + number) for number in range(4)}) == 4


@given(SEEDS)
def test_a_look_depends_on_the_seed_alone(seed: int) -> None:
    assert look_of(seed) == look_of(seed) == look_of(seed + len(LOOKS))


def test_a_task_s_first_result_is_the_person_as_photographed() -> None:
    """Tasks get seeds that are multiples of 4."""
    assert look_of(0) == look_of(4 * 123) == Look()


def test_no_look_makes_another_person() -> None:
    for look in LOOKS:
        assert 0 <= look.retouch <= 1
        assert 0 <= look.expression <= 1
        assert abs(look.glow) < 0.3
        assert 0.5 <= look.modelling <= 1.5
        assert look.view_rank >= 0
