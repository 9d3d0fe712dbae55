"""How rates are written."""

from __future__ import annotations

import pytest

from portraitd.portraits.rates import VENDOR, Meter, Rate, read_rates


def test_rates_are_per_second_unless_they_say_otherwise() -> None:
    assert read_rates("generate=2, DETECT=60/m,read=5/s,list=3/10s,cancel=7/h,ticket=none,") == {
        Meter.GENERATE: Rate(2, 1),
        Meter.DETECT: Rate(60, 60),
        Meter.READ: Rate(5, 1),
        Meter.LIST: Rate(3, 10),
        Meter.CANCEL: Rate(7, 3600),
        Meter.TICKET: None,
    }
    assert read_rates("") == {}


NONSENSE = """
generate | generate= | generate=0 | generate=-1 | generate=1.5 | generate=2/d | generate=2/0s | paint=2 | =2
| generate=2 finetune=1 | generate=² | generate=9999999999
"""


@pytest.mark.parametrize("text", [text.strip() for text in NONSENSE.split("|")])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="generate=2,finetune=10/m"):
        read_rates(text)


def test_the_vendor_s_figures_name_every_meter() -> None:
    assert set(read_rates(VENDOR)) == set(Meter)
