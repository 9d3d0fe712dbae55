"""The synchronous face check: which reason, and what fails the whole call."""

from __future__ import annotations

import pytest

from portraitd.errors import ConnectionRefused, DownloadTimeout, InvalidURL, MediaDownloadFailed, PortraitdError
from portraitd.portraits.faces import FaceDesk
from tests.fakes.engines import judge
from tests.unit.portraits.conftest import Place, picture


def test_a_verdict_per_picture_in_order(place: Place) -> None:
    cases = {
        "good": (picture(), ""),
        "webp": (picture(format="WEBP"), ""),
        "faceless": (picture(grey=0), "no face detected"),
        "small": (picture(255, 256), "image resolution out of range"),
        "large": (picture(4097, 256), "image resolution out of range"),
        "heavy": (picture() + bytes(5 * 1024 * 1024), "image size exceeds limit"),
        "bmp": (picture(300, 300, format="BMP"), "image format not supported"),
        "text": (b"hello", "image format not supported"),
        "cut": (picture()[:-2000], "image format not supported"),
    }
    place.web.pages = {name: data for name, (data, _) in cases.items()}

    verdicts = FaceDesk(place.web, judge).check(place.anne, tuple(cases))
    assert [verdict.reason for verdict in verdicts] == [reason for _, reason in cases.values()]
    assert [verdict.is_face for verdict in verdicts] == [reason == "" for _, reason in cases.values()]


def test_one_that_cannot_be_fetched_fails_the_call(place: Place) -> None:
    place.web.pages = {"good": picture()}
    with pytest.raises(InvalidURL):
        place.services.faces.check(place.anne, ("good", "gone"))


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (MediaDownloadFailed(), "InvalidURL"),
        (InvalidURL(), "InvalidURL"),
        (ConnectionRefused("a.example"), "InvalidURL.ConnectionRefused"),
        (DownloadTimeout("a.example"), "InvalidURL.Timeout"),
    ],
)
def test_whatever_kept_a_picture_from_being_fetched_is_the_url_s_fault(
    place: Place, cause: PortraitdError, code: str
) -> None:
    class BrokenWeb:
        def fetch(self, url: str, limit_bytes: int) -> bytes:
            raise cause

    with pytest.raises(InvalidURL) as refused:
        FaceDesk(BrokenWeb(), judge).check(place.anne, ("http://a.example/1.jpg",))
    assert (refused.value.code, refused.value.status) == (code, 400)
