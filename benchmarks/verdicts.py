"""How often the face check is right: good photos damaged on purpose, judged one by one.

Each case is a good portrait, a damage, and the reasons that may be given for it ("" = must be accepted). Prints a table
per damage and writes `verdicts.json`. Usage: python benchmarks/verdicts.py [--more FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.regions import FACE_OVAL, LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from portraitd.faces.verdict import VerdictLimits, judge
from portraitd.images import Image, decode, encode_jpeg, from_linear, to_linear
from portraitd.weights.store import WeightStore

PORTRAITS = Path(__file__).parents[2] / "shared" / "testdata" / "portraits"
#: Hard pictures whose right verdict is not that of the others.
SUNGLASSES = "Fashion_glasses"
TURNED = ("Chinese_winter_hanfu", "Retro_style", "Fashion_glasses")

SMALL, MANY, NONE = "face too small", "multiple faces detected", "no face detected"
TURN, COVERED, LIGHT, BLUR = "face angle too large", "face occluded", "poor lighting", "image blurred"


@dataclass(frozen=True)
class Subject:
    """A good photo and where its face is."""

    name: str
    image: Image
    mesh: FaceMesh

    @property
    def face_px(self) -> float:
        """Hairline to chin."""
        return float(np.linalg.norm(self.mesh.xy[10] - self.mesh.xy[152]))

    def at(self, *indices: int) -> tuple[float, float]:
        """Middle of some mesh points."""
        x, y = self.mesh.xy[list(indices)].mean(axis=0)
        return float(x), float(y)


Damage: TypeAlias = Callable[[Subject, np.random.Generator], Image]


@dataclass(frozen=True)
class Case:
    """One damage and the verdicts that are right for it; the first reason is the best."""

    name: str
    damage: Damage
    reasons: tuple[str, ...]


# -- light, sharpness, noise ------------------------------------------------------------------------------------------


def exposed(gain: float) -> Damage:
    """The scene's light times `gain`, in linear light."""
    return lambda subject, _: from_linear(to_linear(subject.image) * np.float32(gain))


def half_lit(dim: float) -> Damage:
    """One half of the face lit by `dim` of the light, the border as soft as a nose's shadow."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        x = np.arange(subject.image.shape[1], dtype=np.float32)
        nose, soft = subject.at(4)[0], subject.face_px * 0.05
        ramp = dim + (1 - dim) / (1 + np.exp(-np.clip((x - nose) / soft, -30, 30)))
        return from_linear(to_linear(subject.image) * ramp[None, :, None].astype(np.float32))

    return damage


def blurred(share: float) -> Damage:
    """Out of focus: a Gaussian whose sigma is `share` of the face's height."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        sigma = subject.face_px * share
        return from_linear(cv2.GaussianBlur(to_linear(subject.image), (0, 0), sigma))

    return damage


def shaken(share: float) -> Damage:
    """Moved during the exposure by `share` of the face's height, along a random direction."""

    def damage(subject: Subject, rng: np.random.Generator) -> Image:
        length = max(3, round(subject.face_px * share))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        middle = (length - 1) / 2
        for step in np.linspace(-middle, middle, 8 * length):
            kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] += 1
        return from_linear(cv2.filter2D(to_linear(subject.image), -1, kernel / kernel.sum()))

    return damage


def enlarged_from(face_px: float) -> Damage:
    """Shrunk until the face is `face_px` high, then enlarged again."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        scale = face_px / subject.face_px
        small = cv2.resize(subject.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, subject.image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)

    return damage


def scaled(factor: float) -> Damage:
    return lambda subject, _: np.asarray(
        cv2.resize(subject.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else 2),
        np.uint8,
    )


def shrunk_to(face_px: float) -> Damage:
    return lambda subject, rng: scaled(face_px / subject.face_px)(subject, rng)


def noisy(sigma: float) -> Damage:
    """Sensor noise of `sigma` grey levels."""
    return lambda subject, rng: np.clip(subject.image + rng.normal(0, sigma, subject.image.shape), 0, 255).astype(
        np.uint8
    )


def recoloured(matrix: tuple[tuple[float, ...], ...], lift: float = 0.0) -> Damage:
    """Colours through a (3, 3) matrix, then `lift` added."""
    return lambda subject, _: np.clip(subject.image @ np.array(matrix).T + lift, 0, 255).astype(np.uint8)


def squeezed(quality: int) -> Damage:
    return lambda subject, _: decode(encode_jpeg(subject.image, quality))


GREY = ((0.299, 0.587, 0.114),) * 3
WARM = ((1.08, 0, 0), (0, 0.97, 0), (0, 0, 0.75))
COOL = ((0.82, 0, 0), (0, 0.97, 0), (0, 0, 1.12))
FLAT = ((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))


# -- what is in the picture -------------------------------------------------------------------------------------------


def cut(side: str, index: int) -> Damage:
    """The picture ends at a mesh point: nothing of it is left on that `side`."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        x, y = (round(value) for value in subject.at(index))
        parts = {
            "left": subject.image[:, x:],
            "right": subject.image[:, :x],
            "above": subject.image[y:],
            "below": subject.image[:y],
        }
        return np.ascontiguousarray(parts[side])

    return damage


def turned(angle_deg: float) -> Damage:
    """The whole picture turned clockwise around the face, edges repeated."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        matrix = cv2.getRotationMatrix2D(subject.at(4), -angle_deg, 1.0)
        size = subject.image.shape[1::-1]
        return np.asarray(cv2.warpAffine(subject.image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return damage


def with_second_face(scale: float) -> Damage:
    """The same person again, mirrored, beside, `scale` times as large."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        x, y, reach = *subject.at(4), subject.face_px
        x0, y0 = max(0, int(x - reach)), max(0, int(y - reach))
        head = subject.image[y0 : int(y + reach), x0 : int(x + reach)][:, ::-1]
        head = cv2.resize(head, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height = max(subject.image.shape[0], head.shape[0])
        joined = np.full((height, subject.image.shape[1] + head.shape[1], 3), 127, np.uint8)
        joined[: subject.image.shape[0], : subject.image.shape[1]] = subject.image
        joined[: head.shape[0], subject.image.shape[1] :] = head
        return joined

    return damage


def cheek_to_cheek(subject: Subject, _: np.random.Generator) -> Image:
    """The same face again, mirrored, touching the first."""
    box, rim = subject.mesh.box, subject.face_px * 0.08
    y0, y1 = max(0, int(box.y0 - rim)), int(box.y1 + rim)
    face = subject.image[y0:y1, int(box.x0 - rim) : int(box.x1 + rim)][:, ::-1]
    wide = cv2.copyMakeBorder(subject.image, 0, 0, 0, face.shape[1] + 20, cv2.BORDER_REPLICATE)
    left = int(box.x1)
    wide[y0 : y0 + face.shape[0], left : left + face.shape[1]] = face
    return np.asarray(wide, np.uint8)


# -- things before the face -------------------------------------------------------------------------------------------


def painted(subject: Subject, mask: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> Image:
    """`colour` (broadcast to the image) over the picture where the soft (H, W) mask is 1."""
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.6, subject.face_px / 250))[..., None] * opacity
    return np.clip(subject.image * (1 - alpha) + colour * alpha, 0, 255).astype(np.uint8)


def skin_colour(subject: Subject) -> np.ndarray:
    """(3,) median of the cheeks."""
    mask = filled(subject, subject.mesh.xy[[50, 101, 36, 205]]) | filled(subject, subject.mesh.xy[[280, 330, 266, 425]])
    return np.asarray(np.median(subject.image[mask > 0], axis=0))


def filled(subject: Subject, points: np.ndarray) -> np.ndarray:
    mask = np.zeros(subject.image.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask


def ramp(subject: Subject, top: float, bottom: float) -> np.ndarray:
    """(H, 1, 1) factors that fall across the face."""
    y = np.arange(subject.image.shape[0], dtype=np.float32)
    y0, y1 = subject.at(10)[1], subject.at(152)[1]
    return np.interp(y, [y0, y1], [top, bottom])[:, None, None]


def lenses(subject: Subject) -> list[tuple[tuple[int, int], tuple[int, int], float]]:
    """Centre, half axes (px) and turn (degrees) of two lenses before the eyes."""
    eyes = [subject.mesh.xy[list(ring)] for ring in (LEFT_EYE, RIGHT_EYE)]
    across = eyes[1].mean(axis=0) - eyes[0].mean(axis=0)
    angle = float(np.rad2deg(np.arctan2(across[1], across[0])))
    width = float(np.linalg.norm(across))
    found = []
    for eye in eyes:
        x, y = eye.mean(axis=0)
        found.append(((round(x), round(y + 0.04 * width)), (round(0.42 * width), round(0.33 * width)), angle))
    return found


def sunglasses(colour: tuple[int, int, int], opacity: float, shine: float = 0.0) -> Damage:
    """Two lenses and a bridge; `shine` lightens their upper part as a mirrored lens does."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        mask = np.zeros(subject.image.shape[:2], np.uint8)
        (left, axes, angle), (right, _axes, _angle) = lenses(subject)
        for centre in (left, right):
            cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, -1)
        cv2.line(mask, left, right, 1, max(2, axes[1] // 5))
        tint = np.array(colour) + ramp(subject, 255 * shine * 2, -255 * shine)
        return painted(subject, mask, tint, opacity)

    return damage


def clear_glasses(colour: tuple[int, int, int], thickness: float) -> Damage:
    """Frames and a faint reflection; the eyes stay seen."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        frame, glass = (np.zeros(subject.image.shape[:2], np.uint8) for _ in range(2))
        (left, axes, angle), (right, _axes, _angle) = lenses(subject)
        width = max(1, round(subject.face_px * thickness))
        for centre in (left, right):
            cv2.ellipse(frame, centre, axes, angle, 0, 360, 1, width)
            cv2.ellipse(glass, centre, axes, angle, 200, 320, 1, -1)
        lit = painted(subject, glass, np.array([255, 255, 255]), 0.08)
        return painted(Subject(subject.name, lit, subject.mesh), frame, np.array(colour))

    return damage


MASK_RING = (234, 227, 118, 114, 6, 343, 347, 447, 454, 361, 288, 397, 378, 152, 149, 172, 58, 132)


def face_mask(colour: tuple[int, int, int]) -> Damage:
    """A pleated surgical mask over nose, mouth and chin."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        y = np.arange(subject.image.shape[0], dtype=np.float32)[:, None, None]
        pleats = 1 - 0.12 * (np.sin(y / subject.face_px * 40) > 0.8)
        return painted(subject, filled(subject, subject.mesh.xy[list(MASK_RING)]), np.array(colour) * pleats)

    return damage


def textured_mask(texture: Image) -> Damage:
    """The same mask with a photographed cloth."""

    def damage(subject: Subject, _: np.random.Generator) -> Image:
        points = subject.mesh.xy[list(MASK_RING)]
        (x0, y0), (x1, y1) = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
        cloth = np.zeros_like(subject.image)
        part = cv2.resize(texture, (x1 - x0 + 1, y1 - y0 + 1), interpolation=cv2.INTER_AREA)
        inside = cloth[max(0, y0) : y1 + 1, max(0, x0) : x1 + 1]
        inside[:] = part[max(0, -y0) :, max(0, -x0) :][: inside.shape[0], : inside.shape[1]]
        return painted(subject, filled(subject, points), cloth)

    return damage


def hand(*indices: int, width: float = 0.5, height: float = 0.3) -> Damage:
    """A hand, in the person's own skin colour, with fingers, before some mesh points."""

    def damage(subject: Subject, rng: np.random.Generator) -> Image:
        x, y = subject.at(*indices)
        mask = np.zeros(subject.image.shape[:2], np.uint8)
        half = (round(subject.face_px * width), round(subject.face_px * height / 2))
        cv2.ellipse(mask, (round(x), round(y)), half, rng.uniform(-15, 15), 0, 360, 1, -1)
        row = np.arange(subject.image.shape[0], dtype=np.float32)[:, None, None]
        fingers = 1 - 0.35 * np.abs(np.sin((row - y) / (subject.face_px * height) * 4 * np.pi)) ** 6
        return painted(subject, mask, skin_colour(subject) * 0.93 * fingers)

    return damage


def patch(*indices: int, size: float = 0.3) -> Damage:
    """A square of coloured noise: a phone, a cup, a scarf."""

    def damage(subject: Subject, rng: np.random.Generator) -> Image:
        x, y = subject.at(*indices)
        reach = subject.face_px * size
        mask = np.zeros(subject.image.shape[:2], np.uint8)
        mask[max(0, int(y - reach)) : int(y + reach), max(0, int(x - reach)) : int(x + reach)] = 1
        grain = cv2.GaussianBlur(rng.normal(0, 120, subject.image.shape), (0, 0), max(1.0, reach / 12))
        return painted(subject, mask, rng.uniform(20, 230, 3) + grain)

    return damage


def half_face_covered(subject: Subject, rng: np.random.Generator) -> Image:
    """Dark hair before one half of the face."""
    ring = subject.mesh.xy[list(FACE_OVAL)]
    keep = ring[:, 0] <= subject.at(168)[0]
    points = np.vstack([ring[keep], subject.at(10), subject.at(152)])
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2)
    strands = rng.normal(30, 12, (1, subject.image.shape[1], 1))
    return painted(subject, filled(subject, hull), np.array([1.0, 0.8, 0.65]) * strands)


BEARD_RING = (93, 132, 58, 172, 149, 152, 378, 397, 288, 361, 323, 425, 393, 2, 167, 205)


def beard(colour: tuple[int, int, int], opacity: float) -> Damage:
    """A full beard: dark grain from ear to ear around lips that stay bare."""

    def damage(subject: Subject, rng: np.random.Generator) -> Image:
        mask = filled(subject, subject.mesh.xy[list(BEARD_RING)]) & ~filled(subject, subject.mesh.xy[list(LIPS_OUTER)])
        grain = cv2.GaussianBlur(rng.normal(0, 60, subject.image.shape[:2]), (0, 0), subject.face_px / 200)[..., None]
        return painted(subject, mask, np.array(colour) + grain, opacity)

    return damage


MOUTH, EYES = (13, 14), (33, 263)

CASES = (
    Case("untouched", exposed(1.0), ("",)),
    Case("a stop darker", exposed(0.5), ("",)),
    Case("brighter", exposed(1.25), ("",)),
    Case("soft side light", half_lit(0.35), ("",)),
    Case("hard side light", half_lit(0.25), ("",)),
    Case("black and white", recoloured(GREY), ("",)),
    Case("warm", recoloured(WARM), ("",)),
    Case("cool", recoloured(COOL), ("",)),
    Case("low contrast", recoloured(FLAT, 70), ("",)),
    Case("noise", noisy(12), ("",)),
    Case("JPEG 40", squeezed(40), ("",)),
    Case("hardly soft", blurred(0.006), ("",)),
    Case("twice as large", scaled(2.0), ("",)),
    Case("tilted 15", turned(15), ("",)),
    Case("thin frames", clear_glasses((40, 35, 30), 0.012), ("",)),
    Case("thick frames", clear_glasses((15, 15, 18), 0.03), ("",)),
    Case("metal frames", clear_glasses((190, 170, 120), 0.012), ("",)),
    Case("black beard", beard((30, 25, 22), 0.85), ("",)),
    Case("brown beard", beard((110, 75, 50), 0.75), ("",)),
    Case("white beard", beard((215, 210, 205), 0.75), ("",)),
    Case("stubble", beard((50, 45, 42), 0.35), ("",)),
    Case("small face behind", with_second_face(0.3), ("",)),
    Case("five stops darker", exposed(0.02), (LIGHT, NONE)),
    Case("overexposed", exposed(10.0), (LIGHT, NONE, COVERED)),
    Case("half in deep shade", half_lit(0.06), (LIGHT, COVERED)),
    Case("half in the dark", half_lit(0.015), (LIGHT, COVERED)),
    Case("out of focus", blurred(0.03), (BLUR,)),
    Case("far out of focus", blurred(0.06), (BLUR, COVERED, NONE)),
    Case("shaken", shaken(0.12), (BLUR, COVERED)),
    Case("enlarged from 40 px", enlarged_from(40), (BLUR, SMALL, NONE)),
    Case("tiny", shrunk_to(55), (SMALL, NONE)),
    Case("on its side", turned(90), (TURN, NONE)),
    Case("upside down", turned(180), (TURN, NONE)),
    Case("two faces", with_second_face(1.0), (MANY,)),
    Case("smaller second face", with_second_face(0.7), (MANY,)),
    Case("cheek to cheek", cheek_to_cheek, (MANY,)),
    Case("cut left", cut("left", 4), (COVERED, NONE, TURN)),
    Case("cut right", cut("right", 4), (COVERED, NONE, TURN)),
    Case("cut below the nose", cut("below", 2), (COVERED, NONE, TURN)),
    Case("cut at the eyes", cut("above", 168), (COVERED, NONE, TURN)),
    Case("sunglasses", sunglasses((12, 12, 14), 1.0), (COVERED, NONE)),
    Case("grey sunglasses", sunglasses((45, 45, 48), 0.93, 0.08), (COVERED, NONE)),
    Case("brown sunglasses", sunglasses((70, 35, 15), 0.9), (COVERED, NONE)),
    Case("mirrored sunglasses", sunglasses((90, 120, 160), 1.0, 0.25), (COVERED, NONE)),
    Case("blue mask", face_mask((150, 190, 215)), (COVERED, NONE)),
    Case("white mask", face_mask((232, 232, 228)), (COVERED, NONE)),
    Case("black mask", face_mask((28, 27, 30)), (COVERED, NONE)),
    Case("hand over the mouth", hand(*MOUTH), (COVERED, NONE)),
    Case("hand over the eyes", hand(*EYES, width=0.55, height=0.25), (COVERED, NONE)),
    Case("thing over the mouth", patch(*MOUTH), (COVERED, NONE)),
    Case("thing over an eye", patch(33, 133, size=0.17), (COVERED, NONE)),
    Case("hair over half", half_face_covered, (COVERED, NONE, LIGHT)),
)


def subjects(models: FaceModels, folders: list[Path]) -> Iterator[Subject]:
    """Every portrait of the folders with one face, and the astronaut of scikit-image."""
    from skimage.data import astronaut

    pictures = {path.stem: decode(path.read_bytes()) for folder in folders for path in _pictures(folder)}
    pictures["astronaut"] = astronaut()
    for name, image in pictures.items():
        faces = detect_faces(models, image)
        if faces:
            yield Subject(name, image, fit_mesh(models, image, faces[0]))


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".png", ".jpg"})


@dataclass(frozen=True)
class Outcome:
    """What was said of one damaged picture."""

    subject: str
    case: str
    reason: str
    #: Accepted or refused as it should be.
    right: bool
    #: And for one of the reasons expected.
    right_reason: bool
    seconds: float


def judge_case(models: FaceModels, subject: Subject, case: Case, limits: VerdictLimits) -> Outcome:
    rng = np.random.default_rng(abs(hash_of(subject.name + case.name)))
    image = case.damage(subject, rng)
    start = time.perf_counter()
    reason = judge(models, image, limits).reason
    seconds = time.perf_counter() - start
    right = (reason == "") == (case.reasons[0] == "")
    return Outcome(subject.name, case.name, reason, right, reason in case.reasons, seconds)


def hash_of(text: str) -> int:
    """A number that is the same in every process, unlike hash()."""
    return int.from_bytes(text.encode()[-8:], "big")


def run(models: FaceModels, folders: list[Path], limits: VerdictLimits) -> list[Outcome]:
    """Every damage on every good portrait, and the portrait with sunglasses as it is."""
    outcomes = []
    for subject in subjects(models, folders):
        if subject.name == SUNGLASSES:
            outcomes.append(judge_case(models, subject, Case("real sunglasses", exposed(1.0), (COVERED,)), limits))
        elif subject.name not in TURNED:
            outcomes += [judge_case(models, subject, case, limits) for case in CASES]
    return outcomes


def report(outcomes: list[Outcome]) -> None:
    by_case: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_case[outcome.case].append(outcome)
    print(f"{'case':24s} {'n':>4s} {'right':>6s} {'reason':>6s}  wrong")
    for name, group in by_case.items():
        wrong = ", ".join(f"{o.subject} ({o.reason or 'accepted'})" for o in group if not o.right)
        right, reason = (sum(getattr(o, key) for o in group) for key in ("right", "right_reason"))
        print(f"{name:24s} {len(group):4d} {right:6d} {reason:6d}  {wrong}")
    right, reason = (sum(getattr(o, key) for o in outcomes) for key in ("right", "right_reason"))
    seconds = sorted(o.seconds for o in outcomes)
    print(f"right {right / len(outcomes):.2%}, for a right reason {reason / len(outcomes):.2%} of {len(outcomes)}")
    print(f"median {seconds[len(seconds) // 2] * 1e3:.1f} ms, 95 % {seconds[int(len(seconds) * 0.95)] * 1e3:.1f} ms")


def large_photo_seconds(models: FaceModels) -> float:
    """Median time for a 12-megapixel photo, decoding left out."""
    from skimage.data import astronaut

    photo = np.asarray(cv2.resize(astronaut(), (4000, 3000), interpolation=cv2.INTER_CUBIC), np.uint8)
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        judge(models, photo, VerdictLimits.detect())
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--more", type=Path, action="append", default=[], help="a folder of more good portraits")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("out") / "verdicts.json")
    arguments = parser.parse_args()
    store = WeightStore()
    store.ensure("classic")
    models = FaceModels(store.folder)
    outcomes = run(models, [PORTRAITS, *arguments.more], VerdictLimits.detect())
    report(outcomes)
    print(f"12 megapixels: {large_photo_seconds(models) * 1e3:.1f} ms")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps([vars(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main()
