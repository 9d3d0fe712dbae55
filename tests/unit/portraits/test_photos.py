"""What becomes of every kind of picture that a client may send: taken, or refused with the contract's code."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from portraitd.errors import PortraitdError
from portraitd.portraits.faces import FaceDesk
from portraitd.portraits.photos import CHECKED_PHOTO, TEMPLATE, USER_PHOTO, Limits
from portraitd.portraits.requests import Account
from tests.fakes.engines import judge
from tests.unit.portraits.conftest import FakeWeb
from tests.unit.test_images import HEIC, claimed_png, many_scans

URL = "https://pictures.example/a.jpg"
RESOLUTION, FORMAT, SIZE = "InvalidImageResolution", "InvalidImageFormat", "InvalidFile.Size"
RANGE, SUPPORT, LIMIT = "image resolution out of range", "image format not supported", "image size exceeds limit"


def grey(width: int = 600, height: int = 800, mode: str = "RGB") -> Pillow.Image:
    return Pillow.fromarray(np.full((height, width, 3), 120, np.uint8)).convert(mode)


def saved(picture: Pillow.Image, kind: str = "JPEG", **options: Any) -> Callable[[], bytes]:
    def save() -> bytes:
        out = io.BytesIO()
        picture.save(out, kind, **options)
        return out.getvalue()

    return save


def turned() -> bytes:
    """Lies on its side in the file: 1400 x 1000, shown as 1000 x 1400."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    return saved(grey(1400, 1000), exif=exif.tobytes())()


def cut() -> bytes:
    return saved(grey())()[:-300]


def padded(megabytes: int) -> Callable[[], bytes]:
    return lambda: saved(grey())() + bytes(megabytes * 1024 * 1024)


#: A picture, its code as template and as photo of a user, and its reason in a face check; "" where it is taken.
KINDS: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    "plain": (saved(grey()), "", "", ""),
    "png": (saved(grey(), "PNG"), "", "", ""),
    "webp": (saved(grey(), "WEBP"), FORMAT, FORMAT, ""),
    "bmp": (saved(grey(), "BMP"), FORMAT, FORMAT, SUPPORT),
    "gif": (saved(grey(), "GIF"), FORMAT, FORMAT, SUPPORT),
    "tiff": (saved(grey(), "TIFF"), FORMAT, FORMAT, SUPPORT),
    "avif": (saved(grey(), "AVIF"), FORMAT, FORMAT, SUPPORT),
    "heic": (lambda: HEIC, FORMAT, FORMAT, SUPPORT),
    "a page": (lambda: b"<html>not a picture</html>", FORMAT, FORMAT, SUPPORT),
    "nothing": (lambda: b"", FORMAT, FORMAT, SUPPORT),
    "cut": (cut, FORMAT, FORMAT, SUPPORT),
    "endless scans": (lambda: many_scans(100, 600, 800), FORMAT, FORMAT, SUPPORT),
    "a bomb": (lambda: claimed_png(60_000, 60_000), RESOLUTION, RESOLUTION, RANGE),
    "one line": (saved(grey(4000, 1)), RESOLUTION, RESOLUTION, RANGE),
    "too small": (saved(grey(200, 900)), RESOLUTION, RESOLUTION, RANGE),
    "small": (saved(grey(400, 500)), RESOLUTION, "", ""),
    "large": (saved(grey(1400, 2000)), RESOLUTION, "", ""),
    "larger": (saved(grey(3000, 4000)), RESOLUTION, RESOLUTION, ""),
    "too large": (saved(grey(4200, 4000)), RESOLUTION, RESOLUTION, RANGE),
    "turned": (turned, "", "", ""),
    "animated": (saved(grey(), "PNG", save_all=True, append_images=[grey()]), "", "", ""),
    "cmyk": (saved(grey(mode="CMYK")), "", "", ""),
    "grey": (saved(grey(mode="L")), "", "", ""),
    "16 bits": (saved(Pillow.fromarray(np.full((800, 600), 30_000, np.uint16)), "PNG"), "", "", ""),
    "see-through": (saved(grey(mode="RGBA"), "PNG"), "", "", ""),
    "4 MB": (padded(3), "", SIZE, ""),
    "6 MB": (padded(5), SIZE, SIZE, LIMIT),
}


def code(limits: Limits, data: bytes) -> str:
    try:
        image = limits.decode(data)
    except PortraitdError as error:
        return error.code
    assert (image.dtype, image.shape[2]) == (np.uint8, 3)
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_taken_or_refused_with_its_code(kind: str) -> None:
    make, as_template, as_photo, when_checked = KINDS[kind]
    data = make()
    assert (code(TEMPLATE, data), code(USER_PHOTO, data)) == (as_template, as_photo)
    (verdict,) = FaceDesk(FakeWeb({URL: data}), judge).check(Account("1", "1"), (URL,))
    assert (verdict.is_face, verdict.reason) == (when_checked == "", when_checked)


def test_a_turned_picture_is_measured_as_it_is_shown() -> None:
    assert CHECKED_PHOTO.decode(turned()).shape == (1400, 1000, 3)
