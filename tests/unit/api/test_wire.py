"""The small rules of the wire: times, ids, names, and what counts as a JSON object."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.api.wire import base, files
from portraitd.errors import IllegalInput, InvalidParameter

MOMENT = datetime(2024, 3, 1, 9, 38, 24, 817_999, tzinfo=UTC)
#: From 1971 to 9998.
MOMENTS = st.integers(0, 8027 * 365 * 86_400_000).map(
    lambda ms: datetime(1971, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
PLAIN_LETTERS = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\")


def test_the_three_formats_of_a_time() -> None:
    assert base.local_ms(MOMENT) == "2024-03-01 17:38:24.817"
    assert base.local_s(MOMENT) == "2024-03-01 17:38:24"
    assert base.epoch_ms(MOMENT) == 1709285904817


def test_a_times_own_zone_does_not_matter() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-7)))
    assert base.local_ms(elsewhere) == base.local_ms(MOMENT)
    assert base.epoch_ms(elsewhere) == base.epoch_ms(MOMENT)


def test_milliseconds_are_shown_even_when_there_are_none() -> None:
    assert base.local_ms(datetime(2024, 3, 1, tzinfo=UTC)) == "2024-03-01 08:00:00.000"


@given(MOMENTS)
def test_a_query_time_is_read_as_it_is_written(moment: datetime) -> None:
    assert base.read_compact_time(f"{moment.astimezone(base.BEIJING):%Y%m%d%H%M%S}") == moment.replace(microsecond=0)


@given(MOMENTS)
def test_the_three_formats_agree(moment: datetime) -> None:
    shown = datetime.strptime(base.local_ms(moment), "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=base.BEIJING)
    assert base.epoch_ms(shown) == base.epoch_ms(moment)
    assert base.local_ms(moment).startswith(base.local_s(moment))


@given(st.text(max_size=16))
def test_any_other_query_time_is_refused(text: str) -> None:
    try:
        base.read_compact_time(text)
    except InvalidParameter:
        return
    assert len(text) == 14
    assert text.isdigit()


@pytest.mark.parametrize("text", ["a", "ft-202509020951-f8bf", "311d3340-1f9b-487c-bd35-481cd5a23855", "x" * 200])
def test_ids(text: str) -> None:
    assert base.is_id(text)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "\x00", "ä", "\ud800", "x" * 201])
def test_what_is_no_id(text: str) -> None:
    assert not base.is_id(text)


def test_nulls_are_left_out_of_objects_at_any_depth() -> None:
    body = b'{"a": null, "b": {"c": null, "d": 1, "e": {"f": null}}, "g": [null, {"h": null}]}'
    assert base.read_object(body) == {"b": {"d": 1, "e": {}}, "g": [None, {"h": None}]}


@pytest.mark.parametrize("body", [b'{"a": "\\ud800"}', b'{"a": 1} x', b'{"a": 1,}', b"{'a': 1}", b'\xef\xbb\xbf{"a"'])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(IllegalInput):
        base.read_object(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    try:
        assert isinstance(base.read_object(body), dict)
    except IllegalInput:
        return


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans(), max_size=5))
def test_any_object_is_read_as_it_is(value: dict[str, object]) -> None:
    assert base.read_object(json.dumps(value).encode()) == value


@given(st.text())
def test_any_file_name_becomes_a_plain_one(name: str) -> None:
    clean = files.clean_name(name)
    assert 0 < len(clean) <= files.MAX_NAME
    assert clean not in {".", ".."}
    assert not set(clean) & set("/\\\x00\r\n")
    clean.encode()
    assert files.clean_name(clean) == clean


@given(st.text(PLAIN_LETTERS, min_size=3, max_size=255))
def test_a_plain_file_name_stays(name: str) -> None:
    if name.strip("."):
        assert files.clean_name(name) == name
