"""How well people are cut out: photos with a plain backdrop, laid before busy ones, and cut out again.

The truth is what the engine itself cuts out of the plain photo, where that is easy: what is measured is how much of it
a busy backdrop costs. Next to it stands the segmentation network alone, asked for the whole picture, as tutorials do.
Then the same with somebody else beside the person, behind or before their shoulder, as where a group's photo was cut.
Prints a table and writes `mattes.json`. Usage: python benchmarks/mattes.py [--portraits FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from measures import see
from portraitd.faces import regions
from portraitd.faces.matte import estimate_foreground, person_matte
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import person_probability
from portraitd.images import Image, Mask, decode, encode_jpeg
from portraitd.weights.store import WeightStore

PORTRAITS = Path(__file__).parents[2] / "shared" / "testdata" / "portraits"
#: Side of a template's picture that may serve as a backdrop, how much of its height, and how sure the network must be
#: that nobody is there.
STRIP, STRIP_HEIGHT = 0.25, 0.5
NOBODY = 0.1
#: A table with a cup, a cat's fur, a brick wall.
BUSY = ("coffee", "cat", "brick")
#: How far out of focus backdrops are, in shares of the picture's longer side; and the camera's noise, steps of 255.
BLURS = (0.0, 0.003, 0.008, 0.016)
NOISE = 2.0
QUALITY = 90
#: How far from the outline, and from the chin downwards, errors count, face widths.
REACH, BELOW = 0.5, 0.35

#: Of somebody beside the person: how far away, face widths, how far down, and how sharp the edges are, px.
ASIDE, LOWER, EDGE_PX = (1.5, 1.9, 2.3), 0.15, 0.7

Matte: TypeAlias = Callable[[FaceModels, Image, FaceMesh], Mask]


@dataclass(frozen=True)
class Error:
    """Of one picture's matte, in per cent of the face's width: as wide a stripe along the outline would be as wrong."""

    method: str
    person: str
    backdrop: str
    #: Backdrop taken for the person, and the person for backdrop.
    taken: float
    lost: float
    milliseconds: float

    @property
    def both(self) -> float:
        return self.taken + self.lost


@dataclass(frozen=True)
class Beside:
    """Of one picture with somebody beside the person."""

    method: str
    person: str
    neighbour: str
    #: Shares of what shows of the neighbour that is taken for the person, and of the person that is lost.
    taken: float
    lost: float


def network_alone(models: FaceModels, image: Image, mesh: FaceMesh) -> Mask:
    """The baseline."""
    return person_probability(models, image)


METHODS: dict[str, Matte] = {"engine": person_matte, "network alone": network_alone}


def backdrops(models: FaceModels, folder: Path) -> Iterator[tuple[str, Image]]:
    """The sides of the templates' pictures on which nobody is; and three busy pictures of scikit-image."""
    from skimage import data

    for name in BUSY:
        picture = getattr(data, name)()
        yield name, picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
    for path in sorted(folder.glob("*.*")):
        picture = decode(path.read_bytes())
        height, width = (int(share * side) for share, side in zip((STRIP_HEIGHT, STRIP), picture.shape, strict=False))
        person = person_probability(models, picture)
        for side, columns in (("left", slice(0, width)), ("right", slice(-width, None))):
            if person[:height, columns].max() < NOBODY:
                yield f"{path.stem} {side}", np.ascontiguousarray(picture[:height, columns])


def laid_before(backdrop: Image, person: Image, alpha: Mask, blur: float, rng: np.random.Generator) -> Image:
    """The (H, W, 3) colours of a person with this matte, photographed before the backdrop."""
    height, width = alpha.shape
    scale = max(height / backdrop.shape[0], width / backdrop.shape[1])
    large = cv2.resize(backdrop, None, fx=1.01 * scale, fy=1.01 * scale, interpolation=cv2.INTER_CUBIC)
    behind = large[:height, :width].astype(np.float32)
    if blur:
        behind = cv2.GaussianBlur(behind, (0, 0), blur * max(height, width))
    share = alpha[:, :, None]
    seen = person * share + behind * (1 - share) + rng.normal(0, NOISE, behind.shape)
    return decode(encode_jpeg(np.clip(seen, 0, 255).astype(np.uint8), quality=QUALITY))


def error_of(alpha: Mask, truth: Mask, mesh: FaceMesh) -> tuple[float, float]:
    """What is taken and what is lost, per cent of the face's width along an outline as long as the one there is."""
    width, solid = mesh.box.width, (truth > 0.5).astype(np.uint8)
    away = cv2.distanceTransform(solid, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - solid, cv2.DIST_L2, 5)
    rows = np.arange(truth.shape[0])[:, None]
    counted = (away < REACH * width) & (rows < mesh.xy[regions.CHIN, 1] + BELOW * width)
    outline = float(((away <= 1) & counted).sum()) / 2
    off = (alpha - truth)[counted] / (max(1.0, outline) * width) * 100
    return float(np.clip(off, 0, None).sum()), float(np.clip(-off, 0, None).sum())


def measure(models: FaceModels, folder: Path) -> Iterator[Error]:
    """Every person before every backdrop, by every method."""
    behind = list(backdrops(models, folder / "templates"))
    for path in sorted(folder.glob("*.png")):
        photo = decode(path.read_bytes())
        own = see(models, photo)
        if own is None:
            continue
        truth = person_matte(models, photo, own.mesh)
        person, rng = estimate_foreground(photo, truth), np.random.default_rng(0)
        for number, (name, backdrop) in enumerate(behind):
            seen = see(models, laid_before(backdrop, person, truth, BLURS[number % len(BLURS)], rng))
            if seen is None:
                continue
            for method, matte in METHODS.items():
                start = time.perf_counter()
                alpha = matte(models, seen.image, seen.mesh)
                milliseconds = 1e3 * (time.perf_counter() - start)
                yield Error(method, path.stem, name, *error_of(alpha, truth, seen.mesh), milliseconds)


def beside(models: FaceModels, folder: Path) -> Iterator[Beside]:
    """Every person with somebody at either side, behind and before them, by every method."""
    people = []
    for path in sorted(folder.glob("*.png")):
        own = see(models, decode(path.read_bytes()))
        if own is not None:
            alpha = person_matte(models, own.image, own.mesh)
            people.append((path.stem, own, alpha, estimate_foreground(own.image, alpha)))
    for k, (name, own, alpha, _) in enumerate(people):
        others = [person for person in people if person[0] != name]
        for turn, aside in enumerate((*ASIDE, *(-gap for gap in ASIDE))):
            other, theirs, their_alpha, colours = others[(k + turn + 2) % len(others)]
            size = own.image.shape[1::-1]
            scale = own.mesh.box.width / theirs.mesh.box.width
            start, end = theirs.mesh.xy.mean(axis=0), own.mesh.xy.mean(axis=0)
            shift = end + own.mesh.box.width * np.array([aside, LOWER]) - scale * start
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            share, drawn = (cv2.warpAffine(part, matrix, size) for part in (their_alpha, colours.astype(np.float32)))
            share, before = cv2.GaussianBlur(share, (0, 0), EDGE_PX), turn % 2 == 1
            truth = alpha * (1 - share) if before else alpha
            shows = (share if before else share * (1 - alpha))[:, :, None]
            picture = np.clip(drawn * shows + own.image * (1 - shows), 0, 255).astype(np.uint8)
            seen = decode(encode_jpeg(picture, quality=QUALITY))
            for method, matte in METHODS.items():
                found = matte(models, seen, own.mesh)
                taken = float((found * shows[:, :, 0]).sum() / max(1.0, shows.sum()))
                lost = float((np.clip(truth - found, 0, 1)).sum() / truth.sum())
                yield Beside(method, name, f"{other} {aside:+.1f}{' before' if before else ''}", taken, lost)


def _columns(errors: Sequence[Error | Beside], keys: Sequence[str]) -> str:
    """10, 50 and 90 % of each of these figures."""
    found = (np.percentile([getattr(error, key) for error in errors], [10, 50, 90]) for key in keys)
    return " ".join(f"{' / '.join(f'{value:.2f}' for value in values):>18s}" for values in found)


def report_beside(errors: list[Beside]) -> None:
    print(f"{'somebody beside, 10 / 50 / 90 %':38s} {'pictures':>8s} {'of them taken':>18s} {'person lost':>18s}")
    for method in METHODS:
        own = [error for error in errors if error.method == method]
        print(f"{method:38s} {len(own):8d} {_columns(own, ('taken', 'lost'))}")


def report(errors: list[Error]) -> None:
    print(f"{'10 / 50 / 90 %, per cent of the face':38s} {'pictures':>8s} {'both':>18s} {'taken':>18s} {'lost':>18s}")
    for method in METHODS:
        own = [error for error in errors if error.method == method]
        middle = float(np.median([error.milliseconds for error in own]))
        print(f"{method + f', {middle:.0f} ms':38s} {len(own):8d} {_columns(own, ('both', 'taken', 'lost'))}")
    worst = sorted((e for e in errors if e.method == "engine"), key=lambda error: -error.both)[:8]
    print("worst: " + ", ".join(f"{error.person} before {error.backdrop} {error.both:.1f}" for error in worst))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--portraits", type=Path, default=PORTRAITS, help="photos, and a folder `templates` beside them"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("out") / "mattes.json")
    arguments = parser.parse_args()
    store = WeightStore()
    store.ensure(("classic",))
    models = FaceModels(store.folder)
    errors = list(measure(models, arguments.portraits))
    report(errors)
    neighbours = list(beside(models, arguments.portraits))
    report_beside(neighbours)
    found = {"backdrops": [*map(asdict, errors)], "beside": [*map(asdict, neighbours)]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1), "utf-8")


if __name__ == "__main__":
    main()
