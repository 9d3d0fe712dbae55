"""Figures of one finished picture. Each function says exactly what it measures; docs/benchmarks.md explains why."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from portraitd.engines.classic.face.bare import bare_skin_in
from portraitd.engines.classic.template.template_face import read_template
from portraitd.faces import regions
from portraitd.faces.detect import detect_faces
from portraitd.faces.expression import expression_of
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import person_probability
from portraitd.faces.shape import mean_face, pose_of
from portraitd.images import Floats, Image, Points

#: Patches of bare cheek, mesh points; the mirror twins are the other side's.
CHEEK = (117, 50, 205, 36, 100)
#: How far from the rim, to either side, its two colours are read, in face widths.
SEAM_REACH = 0.03
WIDE_SEAM_REACH = 0.06
#: Room around the face's hull in which a picture may change, in face widths: what lies beside a jaw of another breadth
#: gives way.
MAY_CHANGE = 0.26
#: Points of the contour for each of the mesh; and how exactly a contour is found, in face widths.
BETWEEN = 8
CONTOUR_ERROR = 0.015


@dataclass(frozen=True)
class Seen:
    """A picture and the largest face found in it, by its own detection."""

    image: Image
    mesh: FaceMesh


def see(models: FaceModels, image: Image) -> Seen | None:
    """The picture with the mesh of its largest face; None where no face is found."""
    faces = detect_faces(models, image)
    return Seen(image, fit_mesh(models, image, faces[0])) if faces else None


def pose_error(result: Seen, template: Seen) -> dict[str, float]:
    """Degrees between the two heads: yaw, pitch, roll, and the largest of them."""
    a, b = pose_of(result.mesh.points), pose_of(template.mesh.points)
    each = {
        "yaw": abs(a.yaw_deg - b.yaw_deg),
        "pitch": abs(a.pitch_deg - b.pitch_deg),
        "roll": abs(a.roll_deg - b.roll_deg),
    }
    return {**each, "worst": max(each.values())}


def expression_error(result: Seen, template: Seen) -> dict[str, float]:
    """Absolute difference of each of `Expression`'s shares."""
    a, b = (asdict(expression_of(seen.mesh.points)) for seen in (result, template))
    return {key: abs(a[key] - b[key]) for key in a}


def lab(image: Image) -> Floats:
    """(H, W, 3) CIELAB, L from 0 to 100."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB), np.float32)


def changed_region(result: Image, template: Seen) -> NDArray[np.uint8]:
    """(H, W) 1 in the largest connected region that differs from the template, notches closed and holes filled.

    Notches (a strand of hair that stayed) narrower than 4 % of the face's width are closed.
    """
    differs = (result != template.image).any(axis=2).astype(np.uint8)
    size = max(3, round(0.04 * template.mesh.box.width) | 1)
    closed = cv2.morphologyEx(differs, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    region = np.zeros_like(closed)
    if outlines:
        cv2.drawContours(region, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    return region


def seam(result: Image, template: Seen, reach: float = SEAM_REACH) -> float:
    """CIEDE2000 step across the rim of the changed region beyond the template's own step there, mean over the rim."""
    return _step_across(changed_region(result, template), result, template, reach)


def contour_seam(result: Seen, template: Seen, reach: float = SEAM_REACH) -> float:
    """CIEDE2000 step across the contour of the result's face beyond the template's own across its face's contour at the
    same place, mean over the contour: the changed region may end elsewhere, and softly.

    The template's own is the largest of three: there, and CONTOUR_ERROR to either side.
    """
    (steps, known), *own = (
        _contour_steps(seen, reach, shift)
        for seen, shift in ((result, 0.0), *((template, by) for by in (-CONTOUR_ERROR, 0.0, CONTOUR_ERROR)))
    )
    kept = np.logical_and.reduce([known, *(there for _, there in own)])
    beyond = np.clip(steps - np.max([step for step, _ in own], axis=0), 0, None)
    return float(beyond[kept].mean()) if kept.any() else 0.0


def _contour_steps(seen: Seen, reach: float, shift: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N,) CIEDE2000 between the colours inside and outside the face's contour, moved inwards by `shift` face widths,
    point by point; and where both lie in the picture."""
    oval, t = seen.mesh.xy[list(regions.FACE_OVAL)], np.arange(BETWEEN)[None, :, None] / BETWEEN
    ring = (oval[:, None] * (1 - t) + np.roll(oval, -1, axis=0)[:, None] * t).reshape(-1, 2)
    along = np.roll(ring, -BETWEEN, axis=0) - np.roll(ring, BETWEEN, axis=0)
    inward = np.column_stack([-along[:, 1], along[:, 0]])
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    inward *= np.sign(((oval.mean(axis=0) - ring) * inward).sum(axis=1).mean()) * seen.mesh.box.width
    inside, outside = (np.asarray(ring + (shift + side * reach) * inward, np.float32) for side in (1, -1))
    limit = np.array(seen.image.shape[1::-1]) - 1
    known = ((inside >= 0) & (inside <= limit) & (outside >= 0) & (outside <= limit)).all(axis=1)
    return _steps(seen.image, inside, outside, reach * seen.mesh.box.width / 3), np.asarray(known)


def _step_across(region: NDArray[np.uint8], result: Image, template: Seen, reach: float) -> float:
    """CIEDE2000 step across the rim of the (H, W) region beyond the template's own step there, mean over the rim.

    At points along the rim the colour `reach` face widths inside is compared with that as far outside (both averaged
    with a Gaussian of a third of that), in the result and in the template; only what the result has more counts.
    """
    outlines, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return 0.0
    width = template.mesh.box.width
    rim = max(outlines, key=len)[:: max(1, round(0.01 * width)), 0].astype(np.float32)
    signed = cv2.distanceTransform(region, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - region, cv2.DIST_L2, 5)
    smooth = cv2.GaussianBlur(signed, (0, 0), max(1.0, 0.015 * width))
    inward = np.stack([_at(cv2.Sobel(smooth, cv2.CV_32F, *axis), rim) for axis in ((1, 0), (0, 1))], axis=1)
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    inside, outside = rim + inward * reach * width, rim - inward * reach * width
    limit = np.array(region.shape[::-1]) - 1
    kept = ((inside >= 0) & (inside <= limit) & (outside >= 0) & (outside <= limit)).all(axis=1)
    steps = [_steps(image, inside[kept], outside[kept], reach * width / 3) for image in (result, template.image)]
    return float(np.clip(steps[0] - steps[1], 0, None).mean()) if kept.any() else 0.0


def _steps(image: Image, a: Points, b: Points, sigma_px: float) -> NDArray[np.float64]:
    soft = cv2.GaussianBlur(lab(image), (0, 0), max(0.5, sigma_px))
    return np.asarray(deltaE_ciede2000(_at(soft, a), _at(soft, b)), np.float64)


def _at(values: Floats, points: Points) -> Floats:
    """(N,) or (N, C) values at (N, 2) points, linear in between."""
    x, y = (points[None, :, axis].astype(np.float32) for axis in (0, 1))
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0], np.float32)


def changed_outside(models: FaceModels, result: Image, template: Seen) -> int:
    """Pixels that differ from the template outside its bare skin and the hull of its face widened by MAY_CHANGE."""
    if result.shape != template.image.shape:
        return int(result.shape[0] * result.shape[1])
    allowed = _grown(_hull(template), MAY_CHANGE * template.mesh.box.width)
    skin = bare_skin_in(models, template.image, template.mesh, read_template(template.image, template.mesh).face.skin)
    return int(((result != template.image).any(axis=2) & (allowed == 0) & (skin == 0)).sum())


def neck_and_ears(models: FaceModels, result: Seen, template: Seen) -> NDArray[np.bool_]:
    """(H, W) the template's bare skin around its face: 3 to 35 % of the face's width outside the hulls of both faces,
    below the eyes, surely of a person, of the cheeks' colour (within 8 in a*b*, up to 25 darker and 12 lighter)."""
    width, hull = template.mesh.box.width, _hull(template)
    ring = (_grown(hull, 0.35 * width) > 0) & (_grown(hull | _hull(result), 0.03 * width) == 0)
    ring[: int(template.mesh.eye_centres[:, 1].max())] = False
    colours = cv2.GaussianBlur(lab(template.image), (0, 0), max(0.5, 0.005 * width))
    off = colours - cheek_colour(template)
    skin = (np.hypot(off[..., 1], off[..., 2]) < 8) & (off[..., 0] > -25) & (off[..., 0] < 12)
    found = ring & skin & (person_probability(models, template.image) > 0.9)
    return np.asarray(found if found.sum() >= 0.01 * width**2 else np.zeros_like(found))


def cheek_colour(seen: Seen) -> NDArray[np.float64]:
    """(3,) median Lab of the cheeks."""
    mask = np.zeros(seen.image.shape[:2], np.uint8)
    for indices in (list(CHEEK), mean_face().mirror[list(CHEEK)]):
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(seen.mesh.xy[indices]).astype(np.int32)), 1)
    return np.asarray(np.median(lab(seen.image)[mask > 0], axis=0), np.float64)


def face_against_neck(result: Seen, template: Seen, neck: NDArray[np.bool_]) -> dict[str, float | None]:
    """CIEDE2000 between the cheeks' median and that of the skin around the face; None where no skin is bare.

    neck: as it is. neck_of_template: the same in the template, where the neck mostly lies in the shadow of the chin.
    neck_tone: how far the cheeks are off the colour that would differ from the neck as the template's cheeks do.
    """
    if not neck.any():
        return {"neck": None, "neck_of_template": None, "neck_tone": None}
    around, before = (np.median(lab(seen.image)[neck], axis=0) for seen in (result, template))
    face, model = cheek_colour(result), cheek_colour(template)
    wanted = around + model - before
    return {
        "neck": float(deltaE_ciede2000(face, around)),
        "neck_of_template": float(deltaE_ciede2000(model, before)),
        "neck_tone": float(deltaE_ciede2000(face, wanted)),
    }


def sharpness_ratio(result: Image, template: Seen) -> float:
    """Sharpness of the face over that of the template's face: above 1 the result is the sharper.

    Sharpness: strength of detail 0.4 to 0.8 % of the face's width in size over that of detail 1.6 to 3.2 % in size, on
    the same inner face, so that contrast plays no part. A blur with a sigma of 0.4 % of the face's width gives 0.83,
    one of 0.8 % gives 0.6.
    """
    mask, width = _inner_face(template), template.mesh.box.width
    found = []
    for image in (result, template.image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        a, b, c, d = (cv2.GaussianBlur(grey, (0, 0), max(0.3, k * width)) for k in (0.004, 0.008, 0.016, 0.032))
        found.append(float(np.abs((a - b)[mask]).mean()) / max(1e-3, float(np.abs((c - d)[mask]).mean())))
    return found[0] / found[1]


def detail_ratio(result: Image, template: Seen) -> float:
    """Contrast of detail finer than 2 % of the face's width on the inner face: the result's over the template's."""
    mask, sigma = _inner_face(template), max(0.8, 0.01 * template.mesh.box.width)
    spread = []
    for image in (result, template.image):
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        spread.append(float(np.abs((grey - cv2.GaussianBlur(grey, (0, 0), sigma))[mask]).mean()))
    return spread[0] / max(spread[1], 1e-3)


def _inner_face(seen: Seen) -> NDArray[np.bool_]:
    return _grown(_hull(seen), -0.08 * seen.mesh.box.width) > 0


def _hull(seen: Seen) -> NDArray[np.uint8]:
    mask = np.zeros(seen.image.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(seen.mesh.xy).astype(np.int32)), 1)
    return mask


def _grown(mask: NDArray[np.uint8], by_px: float) -> NDArray[np.uint8]:
    """The mask with everything within `by_px` of it; shrunk where that is negative."""
    if by_px < 0:
        return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 5) > -by_px, np.uint8)
    return np.asarray(cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5) <= by_px, np.uint8)
