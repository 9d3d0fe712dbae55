"""Bytes to image and back: whatever a phone, a scanner or an attacker sends."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from portraitd import images
from portraitd.errors import InvalidImageFormat, InvalidImageResolution
from portraitd.images import Size

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 180, 60), (30, 50, 210), (255, 255, 255)


def corners() -> np.ndarray:
    """A 60 x 40 picture with another colour in each quarter: red, green over blue, white."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20, :30], image[:20, 30:], image[20:, :30], image[20:, 30:] = RED, GREEN, BLUE, WHITE
    return image


def saved(picture: Pillow.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def quarters(image: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of the quarters of an image, row by row."""
    height, width = image.shape[:2]
    at = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(int(channel) for channel in image[y, x]) for y, x in at]


# -- what a picture may look like -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [("PNG", "png"), ("BMP", "bmp"), ("WEBP", "webp"), ("JPEG", "jpeg")])
def test_each_format_is_read_and_named(kind: str, name: str) -> None:
    options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = saved(Pillow.fromarray(corners()), kind, **options)
    image = images.decode(data)
    assert (image.dtype, image.shape) == (np.uint8, (40, 60, 3))
    assert np.abs(image.astype(int) - corners()).max() <= 3
    assert images.probe(data) == images.ImageInfo(name, Size(60, 40), len(data))


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
        (0, [RED, GREEN, BLUE, WHITE]),
        (99, [RED, GREEN, BLUE, WHITE]),
    ],
)
def test_a_picture_is_turned_upright_by_its_exif(orientation: int, expected: list[tuple[int, ...]]) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = saved(Pillow.fromarray(corners()), exif=exif.tobytes())
    image = images.decode(data)
    assert quarters(image) == expected
    assert images.probe(data).size == Size(image.shape[1], image.shape[0])


@pytest.mark.parametrize("exif", [b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00MM", b"\xff" * 40])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_spoil_a_picture(exif: bytes) -> None:
    data = saved(Pillow.fromarray(corners()), "JPEG", exif=exif, quality=95)
    assert images.decode(data).shape == (40, 60, 3)
    assert images.probe(data).size == Size(60, 40)


def test_cmyk_becomes_rgb() -> None:
    data = saved(Pillow.fromarray(corners()).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert np.abs(images.decode(data).astype(int) - corners()).max() <= 6


def icc_profile(red: str, green: str, blue: str) -> bytes:
    """A display profile whose channels shine in the sRGB primaries named (ICC.1:2001-04, matrix and curves)."""
    primaries = {
        "red": (0.4361, 0.2225, 0.0139),
        "green": (0.3851, 0.7169, 0.0971),
        "blue": (0.1431, 0.0606, 0.7141),
        "P3 red": (0.5151, 0.2412, -0.0011),
        "P3 green": (0.2920, 0.6922, 0.0419),
        "P3 blue": (0.1571, 0.0666, 0.7841),
        "white": (0.9642, 1.0, 0.8249),
    }

    def xyz(name: str) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in primaries[name])

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue), b"wtpt": xyz("white")}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", 0, b"test", 0x02400000, b"mntr", b"RGB ", b"XYZ ").ljust(36, b"\0")
    header = (header + b"acsp").ljust(68, b"\0") + xyz("white")[8:]
    profile = header.ljust(128, b"\0") + table + body
    return struct.pack(">I", len(profile)) + profile[4:]


def test_an_embedded_profile_is_converted_to_srgb() -> None:
    data = saved(Pillow.fromarray(corners()), icc_profile=icc_profile("green", "red", "blue"))
    swapped = corners()[..., [1, 0, 2]]
    assert np.abs(images.decode(data).astype(int) - swapped).max() <= 12  # its gamma of 2.2 is not quite sRGB's


def test_a_phone_s_wide_colours_become_srgb() -> None:
    """Display P3, as phones embed it: its half-way red is a stronger one in sRGB."""
    p3 = icc_profile("P3 red", "P3 green", "P3 blue")
    image = images.decode(saved(Pillow.new("RGB", (8, 8), (200, 100, 100)), icc_profile=p3))
    # Worked out by hand: linear light by a gamma of 2.2, P3 to XYZ to sRGB, and sRGB's own curve.
    assert np.abs(image[4, 4].astype(int) - (216, 93, 97)).max() <= 2


def test_a_profile_of_another_colour_space_is_passed_over() -> None:
    """A CMYK picture with the profile of a display: shown by Pillow's own formula."""
    data = saved(Pillow.new("CMYK", (8, 8), (0, 200, 200, 0)), "JPEG", icc_profile=icc_profile("red", "green", "blue"))
    red, green, _ = (int(channel) for channel in images.decode(data)[4, 4])
    assert red > 240
    assert green < 80


def test_a_phone_s_second_picture_is_left_alone() -> None:
    """MPO: a JPEG with a depth map or another view behind it."""
    first, second = (Pillow.new("RGB", (32, 32), colour) for colour in (RED, BLUE))
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert images.probe(data).format == "jpeg"
    assert np.abs(images.decode(data)[16, 16].astype(int) - RED).max() <= 4


def test_sixteen_bit_colour_is_scaled() -> None:
    deep = np.empty((4, 4, 3), np.uint16)
    deep[:] = [colour * 257 for colour in RED[::-1]]  # cv2 writes blue first
    assert tuple(images.decode(cv2.imencode(".png", deep)[1].tobytes())[2, 2]) == RED


def test_a_broken_profile_is_passed_over() -> None:
    data = saved(Pillow.fromarray(corners()), icc_profile=b"no profile at all")
    assert (images.decode(data) == corners()).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)[None, :].repeat(4, axis=0)
    image = images.decode(saved(Pillow.fromarray(ramp)))
    assert image.shape == (4, 256, 3)
    assert (image[0, :, 1] == np.arange(256)).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = images.decode(saved(Pillow.new("RGB", (6, 5), WHITE).convert(mode)))
    assert (image.shape, int(image.min())) == ((5, 6, 3), 255)


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:] = (*RED, 255)
    rgba[:, 1] = (0, 0, 0, 128)
    image = images.decode(saved(Pillow.fromarray(rgba)))
    assert tuple(image[0, 0]) == WHITE
    assert tuple(image[0, 3]) == RED
    assert abs(int(image[0, 1, 0]) - 127) <= 1


def test_a_palettes_transparent_colour_is_laid_on_white() -> None:
    palette = Pillow.fromarray(corners()).quantize(4)
    transparent = int(np.asarray(palette)[0, 0])
    image = images.decode(saved(palette, transparency=transparent))
    assert tuple(image[0, 0]) == WHITE
    assert np.abs(image[0, -1].astype(int) - GREEN).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    frames = [Pillow.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert np.abs(images.decode(data)[8, 8].astype(int) - RED).max() <= 4


def test_the_image_is_the_callers_own() -> None:
    image = images.decode(saved(Pillow.fromarray(corners())))
    image[0, 0] = 0
    assert image.flags.writeable
    assert image.flags.c_contiguous


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"<svg></svg>", b"%PDF-1.7", b"RIFF\0\0\0\0WEBP"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImageFormat):
        images.decode(data)
    with pytest.raises(InvalidImageFormat):
        images.probe(data)


#: How a HEIC file of a phone begins: its brand, and where its pictures are.
HEIC = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEheicMiPrmiaf\0\0\0\x38meta\0\0\0\0".ljust(400, b"\0")


def test_a_phone_s_heic_is_refused_like_any_other_format() -> None:
    for read in (images.probe, images.decode):
        with pytest.raises(InvalidImageFormat):
            read(HEIC)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "ICO", "PPM", "AVIF", "JPEG2000", "TGA", "PDF", "EPS"])
def test_formats_outside_the_contract_are_refused(kind: str) -> None:
    with pytest.raises(InvalidImageFormat):
        images.decode(saved(Pillow.fromarray(corners()), kind))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = saved(Pillow.fromarray(noise), kind)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(InvalidImageFormat):
            images.decode(data[: int(len(data) * share)])


def test_broken_pixels_never_raise_anything_else() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (32, 32, 3), np.uint8)
    for kind in ("PNG", "JPEG", "WEBP", "BMP"):
        data = saved(Pillow.fromarray(noise), kind)
        for _ in range(150):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 4):
                broken[place] = int(rng.integers(0, 256))
            for read in (images.decode, images.probe):
                with contextlib.suppress(InvalidImageFormat, InvalidImageResolution):
                    read(bytes(broken))


def claimed_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be a PNG of this size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def many_scans(count: int, width: int = 60, height: int = 40) -> bytes:
    """A progressive JPEG whose last scan, of a few bytes, comes again and again."""
    data = saved(Pillow.fromarray(corners()).resize((width, height)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert images.decode(many_scans(20)).shape == (40, 60, 3)
    with pytest.raises(InvalidImageFormat):
        images.decode(many_scans(100))


@pytest.mark.parametrize("size", [(4097, 4096), (10_000, 10_000), (60_000, 60_000), (2_000_000_000, 2)])
def test_a_bomb_is_refused_by_the_size_it_claims(size: tuple[int, int]) -> None:
    data = claimed_png(*size)
    assert images.probe(data).size == Size(*size)
    with pytest.raises(InvalidImageResolution):
        images.decode(data)


def test_the_largest_picture_of_the_contract_is_read() -> None:
    data = saved(Pillow.new("L", (4096, 4096), 7))
    assert images.decode(data).shape == (4096, 4096, 3)


# -- and back ---------------------------------------------------------------------------------------------------------


def test_png_is_lossless() -> None:
    assert (images.decode(images.encode_png(corners())) == corners()).all()


def test_jpeg_keeps_red_edges_sharp() -> None:
    image = np.full((32, 32, 3), 255, np.uint8)
    image[:, 15:] = (220, 0, 0)  # an odd column: 4:2:0 would smear it
    data = images.encode_jpeg(image)
    assert images.probe(data).format == "jpeg"
    assert np.abs(images.decode(data).astype(int) - image).max() < 40
    assert len(images.encode_jpeg(image, quality=40)) < len(data)


def test_a_mask_can_be_kept_as_png() -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (images.decode(images.encode_png(mask))[..., 0] == mask).all()


def test_fill_cuts_the_sides_alike_and_nothing_at_the_top() -> None:
    picture = np.zeros((100, 80, 3), np.uint8)
    picture[:10, 31:51] = 255
    narrow = images.fill(picture, images.Size(25, 50))
    assert narrow.shape == (50, 25, 3)
    assert narrow[2, 12].min() > 250
    rows, columns = (np.flatnonzero((narrow[..., 0] > 127).any(axis=axis)) for axis in (1, 0))
    assert rows.tolist() == list(range(5)), "nothing lost at the top"
    assert columns.tolist() == list(range(8, 18)), "15 of 80 lost on either side, one factor for both axes"
    low = images.fill(picture, images.Size(80, 50))
    assert np.array_equal(low, picture[:50]), "lost below"


def test_a_jpeg_tells_printers_its_density() -> None:
    data = images.encode_jpeg(np.zeros((8, 8, 3), np.uint8), dpi=350)
    with Pillow.open(io.BytesIO(data)) as read:
        assert read.info["dpi"] == (350, 350)


def test_pictures_that_differ_anywhere_have_different_fingerprints() -> None:
    """Else one client's template would be taken for another's."""
    picture = np.full((40, 60, 3), 7, np.uint8)
    prints = {images.fingerprint(picture)}
    for at in ((0, 0, 0), (0, 59, 2), (20, 30, 1), (39, 0, 0), (39, 59, 2)):
        other = picture.copy()
        other[at] += 1
        prints.add(images.fingerprint(other))
    assert len(prints) == 6
    assert (
        images.fingerprint(np.asfortranarray(picture))
        == images.fingerprint(picture[::-1][::-1])
        == images.fingerprint(picture)
    )
