"""`idphoto`: ID photos from photos, and what the standards' checks say of each finished file."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portraitd.cli.make import Order, make_portraits, plainly
from portraitd.cli.photos import read_photos
from portraitd.cli.tables import show
from portraitd.cli.weights import ensure_weights
from portraitd.errors import SetupError
from portraitd.portraits.hints import Hint
from portraitd.settings import load_settings

if TYPE_CHECKING:
    from portraitd.engines.base import Failure, Portrait
    from portraitd.engines.classic.presets.idchecks import Finding
    from portraitd.images import Image, Size
    from portraitd.styles.catalog import Style

_OUT = Path("id-photos")
BACKDROPS: Mapping[str, str] = {"white": "#ffffff", "blue": "#438edb", "red": "#d9001b", "grey": "#c8ccd1"}


class Wearer(enum.StrEnum):
    """Which of the two ID photo styles."""

    FEMALE = "f_idcard_female"
    MALE = "f_idcard_male"


class Format(enum.StrEnum):
    """Sizes in pixels; the names are what a user types."""

    FULL = "full"
    STANDARD = "standard"
    ONE_INCH = "1-inch"
    TWO_INCH = "2-inch"


@dataclass(frozen=True)
class _Print:
    """A picture's size, None for as it was made, and the pixels per inch that bring it to its size on paper."""

    pixels: tuple[int, int] | None
    dpi: int


_PRINTS: Mapping[Format, _Print] = {
    Format.FULL: _Print(None, 300),
    Format.STANDARD: _Print((358, 441), 350),  # 26 x 32 mm
    Format.ONE_INCH: _Print((295, 413), 300),  # 25 x 35 mm
    Format.TWO_INCH: _Print((413, 579), 300),  # 35 x 49 mm
}

#: What to do when a check has failed, by its name; `{value}` is what was measured.
ADVICE: Mapping[str, Hint] = {
    "FACES": Hint(
        "{value:.0f} faces were found: take a photo that shows one person, face to the camera.",
        "找到 {value:.0f} 张人脸：请拍一张正对镜头的单人照。",
    ),
    "FACE_WIDTH": Hint(
        "The face is too wide or too narrow: take a photo that shows the head with room on all sides.",
        "面部过宽或过窄：请拍一张头部四周留有空间的照片。",
    ),
    "HEAD_HEIGHT": Hint(
        "The head is too large or too small: take a photo that shows all of the head and the shoulders.",
        "头部过大或过小：请拍一张头部和双肩都完整的照片。",
    ),
    "EYE_LINE": Hint(
        "The eyes are too low: take a photo with the camera at the height of the eyes.",
        "眼睛位置过低：请让镜头与双眼同高，重新拍摄。",
    ),
    "HAIR_GAP": Hint(
        "The hair is too near to the top edge or too far from it: take a photo with room above the head.",
        "头顶离上边缘过近或过远：请拍一张头顶留有空间的照片。",
    ),
    "CENTRE": Hint(
        "The face is not in the middle: take a photo looking straight into the camera.",
        "面部没有居中：请正对镜头重新拍摄。",
    ),
    "TILT": Hint(
        "The head is tilted by {value:.0f} degrees: take a photo with both eyes at one height.",
        "头部倾斜约 {value:.0f} 度：请保持双眼水平，重新拍摄。",
    ),
    "TURN": Hint(
        "The head is turned by {value:.0f} degrees: take a photo looking straight into the camera.",
        "头部侧转约 {value:.0f} 度：请正对镜头重新拍摄。",
    ),
    "BACKDROP": Hint(
        "The backdrop is uneven: take a photo with room beside the head, hair away from the corners.",
        "背景不均匀：请在头部两侧留出空间，不要让头发伸到上方两角，重新拍摄。",
    ),
    "EYES": Hint(
        "The eyes are nearly closed: take a photo with both eyes open.",
        "眼睛没有完全睁开：请睁开双眼重新拍摄。",
    ),
    "MOUTH": Hint(
        "The mouth is open: take a photo with the mouth closed and a calm face.",
        "嘴巴张开了：请闭合双唇、表情自然，重新拍摄。",
    ),
}


@dataclass(frozen=True)
class _Checked:
    """A file that was written, and what was measured on it."""

    path: Path
    size: Size
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)


def idphoto(  # noqa: PLR0917 - one parameter per option
    photos: Annotated[list[Path], typer.Argument(help="Photos of one person.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the ID photos.")] = _OUT,
    backdrop: Annotated[
        list[str] | None, typer.Option(help="white, blue, red, grey or #rrggbb; may be repeated. Default: white.")
    ] = None,
    size: Annotated[Format, typer.Option(help="768x1024, 358x441, 295x413 or 413x579 pixels.")] = Format.FULL,
    style: Annotated[Wearer, typer.Option(help="Whose clothes are drawn, or taken from pictures.")] = Wearer.FEMALE,
    dressed: Annotated[bool, typer.Option("--dressed", help="In clothes of the style's template pictures.")] = False,
    own_clothes: Annotated[
        bool, typer.Option("--own-clothes", help="As they are: no formal clothes are drawn on who wears none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make ID photos and check each finished file against the standards; exit status 1 if a check failed."""
    from portraitd import wiring

    settings = load_settings()
    colours = [_colour(name) for name in backdrop or ["white"]]
    order = Order(
        style=_style(wiring.styles_of(settings).get(style.value), colours, dressed, own_clothes),
        photos=read_photos(photos),
        template=None,
        retouch=False,
        count=len(colours),
        seed=0,  # the same photos make the same ID photo
    )
    ensure_weights(settings)
    outcomes = make_portraits(wiring.load_engine(settings, for_once=True), order)
    paths = [out / f"id-{colour.removeprefix('#')}-{size.value}.jpg" for colour in colours]
    written = [_write(outcome, path, size) for outcome, path in zip(outcomes, paths, strict=True)]
    examine = wiring.examiner_of(settings)
    checked = [_Checked(path, _size_of(image), examine(image)) for path, image in zip(paths, written, strict=True)]
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in checked], indent=2, ensure_ascii=False))
    else:
        _print(checked, _PRINTS[size].dpi)
    if not all(one.passed for one in checked):
        raise typer.Exit(1)


def _colour(name: str) -> str:
    """`#rrggbb` in lower case; raises SetupError."""
    code = BACKDROPS.get(name.lower(), name.lower())
    if len(code) != 7 or code[0] != "#" or not set(code[1:]) <= set("0123456789abcdef"):
        raise SetupError(f"--backdrop {name}: expected {', '.join(BACKDROPS)} or a colour like #438edb")
    return code


def _style(style: Style, colours: Sequence[str], dressed: bool, own_clothes: bool) -> Style:
    """The style with these backdrops alone, in the clothes of its template pictures only if `dressed`."""
    if dressed and own_clothes:
        raise SetupError("--dressed and --own-clothes: only one of the two")
    if dressed and not style.templates:
        raise SetupError(
            f"the style {style.id} has no template pictures: `portraitd styles pull facechain` or "
            "`portraitd styles add` gives it some"
        )
    recipe = {**style.classic, "backdrops": list(colours)}
    if own_clothes:
        recipe.pop("outfits", None)
    return replace(style, classic=recipe, templates=style.templates if dressed else ())


def _write(outcome: Portrait | Failure, path: Path, size: Format) -> Image:
    """The picture that is in the written file, read back from it."""
    from portraitd import images
    from portraitd.engines.base import Failure

    if isinstance(outcome, Failure):
        raise SetupError(f"the ID photo could not be made: {plainly(outcome.error)}")
    wanted = _PRINTS[size]
    image = images.fill(outcome.image, images.Size(*wanted.pixels)) if wanted.pixels else outcome.image
    data = images.encode_jpeg(image, dpi=wanted.dpi)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from error
    return images.decode(data)


def _size_of(image: Image) -> Size:
    from portraitd.images import Size

    return Size(image.shape[1], image.shape[0])


def _print(checked: Sequence[_Checked], dpi: int) -> None:
    for one in checked:
        width, height = (pixels / dpi * 25.4 for pixels in one.size)
        typer.echo(f"{one.path}: {one.size.width} x {one.size.height} px, {width:.0f} x {height:.0f} mm at {dpi} dpi")
        rows = [
            (f.check.value, _figure(f.value), f"{f.least:g} to {f.most:g}", "yes" if f.passed else "NO")
            for f in one.findings
        ]
        show(("check", "value", "limits", "passed"), rows)
        for finding in one.findings:
            if not finding.passed:
                typer.echo(" ".join(_advice(finding)))


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _advice(finding: Finding) -> Hint:
    # A degree that just fails must not be told as one that passes.
    value = math.ceil(finding.value)
    return Hint(*(text.format(value=value) for text in ADVICE[finding.check.name]))


def _as_json(one: _Checked) -> dict[str, Any]:
    return {
        "file": str(one.path),
        "width": one.size.width,
        "height": one.size.height,
        "passed": one.passed,
        "checks": [
            {
                "check": finding.check.name.lower(),
                "name": finding.check.value,
                "value": round(finding.value, 3),
                "least": finding.least,
                "most": finding.most,
                "passed": finding.passed,
                "advice": (Hint("", "") if finding.passed else _advice(finding))._asdict(),
            }
            for finding in one.findings
        ],
    }
