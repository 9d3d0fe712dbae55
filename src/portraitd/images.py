"""Bytes to image and back. Nothing else in portraitd decodes, converts colour order or encodes.

See docs/conventions.md for the pixel page.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from portraitd.errors import InvalidImageFormat, InvalidImageResolution

if TYPE_CHECKING:
    from PIL import Image as PillowImage

Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3) sRGB, RGB order
Mask: TypeAlias = NDArray[np.float32]  # (H, W) in [0, 1]
Points: TypeAlias = NDArray[np.float32]  # (N, 2) or (N, 3), pixels
Floats: TypeAlias = NDArray[np.float32]  # any other float array; its docstring gives the shape


def no_points() -> Points:
    """(0, 2)."""
    return np.zeros((0, 2), np.float32)


#: More pixels than any contract limit allows (4096 x 4096) are never decoded, whatever the file claims.
MAX_PIXELS = 4096 * 4096

#: A progressive JPEG comes in about ten scans. Each goes over the whole picture again, and one of a few bytes is enough
#: for that: 100 kB of them would keep a processor busy for seconds, and the contract's 5 MB for many minutes.
MAX_SCANS = 100
#: A scan's marker and length, for one to four colour components (ITU-T T.81, B.2.3).
_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e]", re.DOTALL)

#: What the contract calls each format Pillow names. MPO is a JPEG with a second picture behind it, as phones make them.
FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "MPO": "jpeg", "BMP": "bmp"}

#: The formats Pillow may try; it comes upon MPO by itself when it opens a JPEG.
OPENED = ("JPEG", "PNG", "WEBP", "BMP")


class Size(NamedTuple):
    """A picture's size in pixels, width first."""

    width: int
    height: int


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header says, before any pixel is decoded."""

    #: "jpeg", "png", "webp" or "bmp".
    format: str
    #: Size as it will be shown, after the EXIF turn.
    size: Size
    #: Length of the file in bytes.
    byte_count: int


def probe(data: bytes) -> ImageInfo:
    """Format, size and length of an image file, from its header alone.

    Raises InvalidImageFormat when the bytes are no picture of a known format.
    """
    with _open(data) as picture:
        width, height = picture.size
        if 5 <= _orientation(picture) <= 8:  # these turns swap the sides
            width, height = height, width
        return ImageInfo(FORMATS[str(picture.format)], Size(width, height), len(data))


def decode(data: bytes) -> Image:
    """The picture in a JPEG, PNG, WEBP or BMP file: (H, W, 3) uint8 sRGB, upright by its EXIF turn.

    Transparency is laid on white; the first frame of an animation counts; 16-bit, CMYK and other colour spaces (by
    their embedded profile) are converted. Raises InvalidImageFormat for what is no picture, is truncated, or is broken,
    and InvalidImageResolution above MAX_PIXELS.
    """
    with _open(data) as picture:
        if picture.size[0] * picture.size[1] > MAX_PIXELS:
            raise InvalidImageResolution
        if picture.format in {"JPEG", "MPO"} and len(_SCAN.findall(data)) > MAX_SCANS:
            raise InvalidImageFormat
        try:
            turn = _orientation(picture)  # before the pixels: loading them may drop the header's extras
            rgb = np.asarray(_flat_rgb(picture), dtype=np.uint8)
        except _BROKEN as error:
            raise InvalidImageFormat from error
    return np.array(_upright(rgb, turn), order="C")


def encode_jpeg(image: Image, quality: int = 95, dpi: int | None = None) -> bytes:
    """The (H, W, 3) uint8 image as a JPEG file with 4:4:4 colour, so that red edges stay sharp.

    dpi: pixels per inch of paper, told to printers.
    """
    density = {} if dpi is None else {"dpi": (dpi, dpi)}
    return _encode(image, format="JPEG", quality=quality, subsampling=0, optimize=False, **density)


def encode_png(image: Image) -> bytes:
    """The (H, W, 3) uint8 image, or a (H, W) uint8 mask, as a PNG file."""
    return _encode(image, format="PNG", compress_level=3)


def fingerprint(image: Image) -> bytes:
    """What tells the (H, W, 3) picture from every other one: SHA-256 of its pixels and size."""
    whole = hashlib.sha256(np.ascontiguousarray(image).data)
    whole.update(repr(image.shape).encode())
    return whole.digest()


def fill(image: Image, size: Size) -> Image:
    """(H, W, 3) of `size`: the largest part of its proportions, resampled; the sides lose alike, the top nothing.

    Nothing is stretched: both axes are scaled by one factor, up to the rounding of `size` to whole pixels.
    """
    from PIL import Image as Pillow

    height, width = image.shape[:2]
    part_width = min(float(width), height * size.width / size.height)
    part_height = part_width * size.height / size.width
    left = (width - part_width) / 2
    box = (left, 0.0, left + part_width, min(float(height), part_height))
    return np.array(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS, box), order="C")


def as_pillow(image: NDArray[np.uint8]) -> PillowImage.Image:
    """The (H, W, 3) uint8 image, or a (H, W) uint8 mask, for libraries that take Pillow's pictures."""
    from PIL import Image as Pillow

    return Pillow.fromarray(image)


def to_linear(image: Image) -> Floats:
    """Linear light of a uint8 sRGB image: float32 in [0, 1], same shape (IEC 61966-2-1)."""
    return _SRGB_TO_LINEAR[image]


def from_linear(linear: Floats) -> Image:
    """uint8 sRGB of linear light, clipped to [0, 1] (IEC 61966-2-1)."""
    x = np.clip(linear, 0.0, 1.0)
    srgb = np.where(x <= 0.0031308, x * 12.92, 1.055 * np.power(x, 1 / 2.4) - 0.055)
    return np.asarray(np.rint(srgb * 255.0), dtype=np.uint8)


def _linear_table() -> Floats:
    code = np.arange(256, dtype=np.float64) / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_SRGB_TO_LINEAR = _linear_table()


#: Pillow's decoders raise many unrelated types on broken data.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, MemoryError, OverflowError, struct.error)


def _open(data: bytes) -> PillowImage.Image:
    from PIL import Image as Pillow

    Pillow.MAX_IMAGE_PIXELS = None  # `decode` holds the claimed size against MAX_PIXELS itself, before any pixel
    try:
        return Pillow.open(io.BytesIO(data), formats=OPENED)
    except _BROKEN as error:
        raise InvalidImageFormat from error


def _orientation(picture: PillowImage.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    try:
        value = picture.getexif().get(0x0112, 1)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image, orientation: int) -> Image:
    """The image turned and mirrored as EXIF orientation 1 to 8 tells (CIPA DC-008, tag 0x0112)."""
    mirrored = orientation in {2, 4, 5, 7}
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)  # counter-clockwise
    return np.rot90(image[:, ::-1] if mirrored else image, quarter_turns)


def _flat_rgb(picture: PillowImage.Image) -> PillowImage.Image:
    """The picture as 8-bit sRGB, transparency laid on white."""
    from PIL import Image as Pillow

    profile = picture.info.get("icc_profile")
    if picture.mode == "CMYK":
        return _to_srgb(picture, profile)
    if picture.mode.startswith("I"):  # 16-bit greys: Pillow's own convert clips instead of scaling
        grey = np.asarray(picture, dtype=np.float64) / 257.0
        return Pillow.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8)).convert("RGB")
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Pillow.new("RGBA", rgba.size, (255, 255, 255, 255))
        return _to_srgb(Pillow.alpha_composite(white, rgba).convert("RGB"), profile)
    return _to_srgb(picture.convert("RGB"), profile)


def _to_srgb(picture: PillowImage.Image, profile: bytes | None) -> PillowImage.Image:
    """An RGB or CMYK picture in sRGB: by its embedded profile where that is of use, else by Pillow's own formula."""
    from PIL import ImageCms

    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            matches = source.profile.xcolor_space.strip() == picture.mode
            if matches and "sRGB" not in ImageCms.getProfileName(source):
                srgb = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(picture, source, srgb, outputMode="RGB")
                return picture.convert("RGB") if converted is None else converted
        except (*_BROKEN, ImageCms.PyCMSError):
            pass  # a broken profile: the picture is shown as if it had none, as browsers do
    return picture.convert("RGB")


def _encode(image: NDArray[np.uint8], **options: Any) -> bytes:
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(image).save(out, **options)
    return out.getvalue()
