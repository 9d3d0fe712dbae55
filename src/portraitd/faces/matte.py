"""Where the person ends, hair by hair, and the person's own colours there.

A network says roughly where the person is; a trimap keeps what is certain; the band between is solved with the matting
Laplacian (Levin, Lischinski, Weiss 2008, "A closed-form solution to natural image matting").
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.bystanders import without_bystanders
from portraitd.faces.guided import Guidance, drawn_along
from portraitd.faces.matting import Prior, Trimap, solve_matte
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import head_probability
from portraitd.faces.spill import without_spill
from portraitd.images import Floats, Image, Mask, Points, Size, no_points

#: Longer side of the picture on which the Laplacian is solved; finer detail comes by guided upsampling.
SOLVE_PX = 640
#: Least pull of the prior on the solution; a pixel's own windows pull with up to 9.
PRIOR_WEIGHT = 0.008
#: What it gains at clothes.
CLOTHES_WEIGHT = 0.03
#: The same where the network is sure of the backdrop, and from which probability on it begins to be.
BACKDROP_WEIGHT = 0.05
SURELY_BACKDROP = 0.08
#: How far outside the outline a soft edge begins to be haze, and where all of it is; and how wide a strand there may
#: be. In face widths.
HAZE = (0.015, 0.04)
STRAND = 0.03
#: How closely strands follow the full picture.
STRANDS = Guidance(window_px=5, smoothness=4e-4, averaged_px=3)
#: From how much that is left out on somebody is beside the person, squares of the face's width.
UNTOUCHED = 0.05
#: How near to somebody who is left out a person is severed by them, face widths, where less than this share is seen of
#: what the person's other side shows; and how many points of such an edge tell where it runs.
NEAR_LOST, LACKING, EDGE_POINTS = 0.02, 0.85, 32


class Matte(NamedTuple):
    """Who is cut out of a picture."""

    #: (H, W) float32 in [0, 1]: how much of each pixel is the person. Solid inside, hair-true.
    alpha: Mask
    #: Whether nobody and nothing that touches the person had to be left out.
    alone: bool
    #: (N, 2) px, where it ends because somebody or something left out stands before the person.
    severed: Points


def person_matte(models: FaceModels, image: Image, mesh: FaceMesh) -> Mask:
    """(H, W) float32 in [0, 1]: how much of each pixel is the person whose face `mesh` is. Solid inside, hair-true."""
    return matte_of(models, image, mesh).alpha


def matte_of(models: FaceModels, image: Image, mesh: FaceMesh) -> Matte:
    """The person whose face `mesh` is, cut out of the (H, W, 3) image."""
    height, width = image.shape[:2]
    scale = min(1.0, SOLVE_PX / max(height, width))
    size = Size(max(1, round(width * scale)), max(1, round(height * scale)))
    people = head_probability(models, image, mesh, size)
    probability = without_bystanders(models, image, mesh, people)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    colours = np.asarray(small, np.float32) / 255.0
    face_px = mesh.box.width * scale
    points = (mesh.xy + 0.5) * scale - 0.5
    rough = _own_region(probability, points)
    # What did not touch the person goes without a trace.
    lost = np.zeros_like(rough) if probability is people else _own_region(people, points) - rough
    alone = float(lost.sum()) < UNTOUCHED * face_px**2
    trimap = make_trimap(rough, points, face_px)
    alpha = solve_matte(colours, trimap, make_prior(colours, rough, trimap, points, face_px))
    severed = no_points() if alone else _severed(lost, alpha, points)
    if scale < 1:
        alpha = _upsampled(alpha, image)
        probability = np.asarray(cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    severed = np.asarray((severed + 0.5) / scale - 0.5, np.float32)
    return Matte(_cleaned(alpha, probability, mesh), alone, severed)


def _severed(lost: Mask, alpha: Mask, points: Floats) -> Points:
    """(N, 2) a few points at which the matte of the (468, 2) face ends because of what was left out; both (H, W).

    Who stands behind the person is left out, too, and leaves them whole: so only points count that lie nearer to the
    middle of the face than the person's other side does beside it.
    """
    side = 2 * max(1, round(NEAR_LOST * float(np.ptp(points[:, 0])))) + 1
    near = cv2.dilate((lost > 0.5).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    person, middle = alpha > 0.5, float(points[:, 0].mean())
    y, x = np.nonzero(near & person)
    away = np.where(person, np.arange(alpha.shape[1]) - middle, 0)
    left, right = -away.min(axis=1)[y], away.max(axis=1)[y]
    lacking = np.where(x < middle, (middle - x) < LACKING * right, (x - middle) < LACKING * left)
    found = np.column_stack([x, y])[lacking].astype(np.float32)
    return np.asarray(found[:: max(1, -(-len(found) // EDGE_POINTS))], np.float32)


def _own_region(rough: Mask, points: Floats) -> Mask:
    """`rough` without people and props that are not connected to the face."""
    _, labels = cv2.connectedComponents((rough > 0.4).astype(np.uint8), connectivity=4)
    height, width = rough.shape
    inside = np.clip(np.rint(points), 0, (width - 1, height - 1)).astype(int)
    own = labels[inside[:, 1], inside[:, 0]]
    own = own[own > 0]
    if own.size == 0:
        return rough
    keep = (labels == np.bincount(own).argmax()).astype(np.uint8)
    near = cv2.dilate(keep, np.ones((9, 9), np.uint8))
    return np.asarray(rough * near, np.float32)


def make_trimap(rough: Mask, points: Floats, face_px: float) -> Trimap:
    """The certain parts of a (H, W) probability; `points` (468, 2) is the face, `face_px` its width.

    The undecided band is wide where hair may be (around the skull, down the sides of the neck), narrow at clothes.
    """
    hair = _hair_zone(rough.shape, points, face_px)
    person, backdrop = (rough > 0.5).astype(np.uint8), (rough < 0.5).astype(np.uint8)
    inward = cv2.distanceTransform(person, cv2.DIST_L2, 5)
    outward = cv2.distanceTransform(backdrop, cv2.DIST_L2, 5)
    sure = inward > face_px * (0.03 + 0.05 * hair)
    sure &= (rough > 0.9) & (_jaw_zone(rough, points, face_px) < 0.05)
    oval = points[list(regions.FACE_OVAL)]
    sure |= _filled(rough.shape, oval.mean(axis=0) + 0.96 * (oval - oval.mean(axis=0)))
    far = outward > face_px * (0.035 + 0.22 * hair)
    far |= (rough < 0.02) & (outward > face_px * (0.03 + 0.11 * hair))
    far &= rough < 0.3
    return Trimap(sure, far & ~sure)


def _hair_zone(shape: tuple[int, ...], points: Floats, face_px: float) -> Mask:
    """(H, W) in [0, 1]: 1 around the skull, fading to 0 a face's width below the chin and away from the head."""
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle = (points[regions.FOREHEAD_TOP] + points[regions.CHIN]) / 2
    radius = np.hypot((x - middle[0]) / face_px, (y - middle[1]) / face_px)
    near = np.clip((1.9 - radius) / 0.5, 0, 1)
    # Beside jaw and neck the network is right about skin; long hair there has its own soft edge in its opinion.
    nose = points[regions.NOSE_TIP][1]
    above = np.clip(0.35 + 0.65 * (nose + 0.25 * face_px - y) / (0.25 * face_px), 0.35, 1)
    above *= np.clip((points[regions.CHIN][1] + 0.5 * face_px - y) / (0.5 * face_px), 0, 1)
    return np.asarray(near * above, np.float32)


def _filled(shape: tuple[int, ...], ring: Floats) -> NDArray[np.bool_]:
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(canvas, [np.rint(ring).astype(np.int32)], 1)
    return np.asarray(canvas > 0)


def make_prior(colours: Floats, rough: Mask, trimap: Trimap, points: Floats, face_px: float) -> Prior:
    """The network's opinion. At hair it weighs next to nothing where a pixel has a colour that the backdrop nearby has
    not, and decides where it has (black hair before a black wall, or the wall itself); at clothes, whose colours may be
    anything, it always has a say.
    """
    window = 2 * max(2, round(0.25 * face_px)) + 1
    backdrop = _mean_nearby(colours, trimap.backdrop, window)
    off2 = ((colours - backdrop) ** 2).sum(axis=2)
    jaw = _jaw_zone(rough, points, face_px)
    opinion = np.clip((rough - 0.1) / 0.8, 0, 1)
    # The network draws jaws too wide: beside one, a pixel of the backdrop's colour and not of skin's is backdrop.
    skin = _mean_nearby(colours, trimap.person, 2 * max(1, round(0.06 * face_px)) + 1)
    apart2 = ((skin - backdrop) ** 2).sum(axis=2)
    opinion = opinion * (1 - jaw * np.exp(-off2 / (0.1 * apart2 + 1e-4)) * np.clip(apart2 / 0.15**2 - 1, 0, 1))
    clothes = 1 - _hair_zone(rough.shape, points, face_px)
    # Far from strands, a busy backdrop's edges look like hair to the Laplacian.
    doubtless = np.clip(1 - rough / SURELY_BACKDROP, 0, 1)
    weight = (
        PRIOR_WEIGHT
        + CLOTHES_WEIGHT * clothes
        + BACKDROP_WEIGHT * doubtless
        + 0.4 * np.maximum(np.exp(-off2 / 0.04**2), 0.5 * jaw)
    )
    return Prior(opinion.astype(np.float32), weight.astype(np.float32))


def _jaw_zone(rough: Mask, points: Floats, face_px: float) -> Mask:
    """(H, W) in [0, 1]: 1 along the sides of the lower face, where skin meets backdrop; not under the chin."""
    canvas = np.zeros(rough.shape, np.uint8)
    ring = np.rint(points[list(regions.FACE_OVAL)]).astype(np.int32)
    cv2.polylines(canvas, [ring], True, 1, max(1, round(0.16 * face_px)))
    y = np.arange(rough.shape[0], dtype=np.float32)[:, None]
    below_nose = np.clip((y - points[regions.NOSE_TIP][1]) / (0.1 * face_px), 0, 1)
    depth = cv2.distanceTransform((rough > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    # No deeper: a shadow inside a collar is dark, and so is many a backdrop.
    outside = np.clip((0.06 * face_px - depth) / (0.02 * face_px), 0, 1)
    soft = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.02 * face_px)
    return np.asarray(soft * below_nose * outside, np.float32)


def _mean_nearby(colours: Floats, known: NDArray[np.bool_], window: int) -> Floats:
    """(H, W, 3) mean colour of the known pixels around each pixel; wider windows fill in where there are none."""
    share = known.astype(np.float32)
    total = np.zeros_like(colours)
    weight = np.full(known.shape, 1e-6, np.float32)
    for size, trust in ((window, 1.0), (2 * window + 1, 0.05), (6 * window + 1, 0.002)):
        total += trust * cv2.blur(colours * share[..., None], (size, size))
        weight += trust * cv2.blur(share, (size, size))
    return np.asarray(total / weight[..., None], np.float32)


def _upsampled(alpha: Mask, image: Image) -> Mask:
    """Alpha of the full (H, W, 3) picture: strands finer than the solved grid come back."""
    plain = cv2.resize(alpha, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    # Where the solver was sure, following the picture may only add noise.
    doubt = np.clip(np.minimum(plain, 1 - plain) * 20, 0, 1)
    return np.asarray(np.clip(plain + (drawn_along(alpha, image, STRANDS) - plain) * doubt, 0, 1), np.float32)


def _cleaned(alpha: Mask, probability: Mask, mesh: FaceMesh) -> Mask:
    """Alpha without haze (nearly 0 is 0, nearly 1 is 1), loose islands, and holes the network knows nothing of."""
    clear = np.clip((alpha - 0.04) / 0.91, 0, 1)
    solid = (clear > 0.5).astype(np.uint8)
    holes, labels, stats, _ = cv2.connectedComponentsWithStats(1 - solid, connectivity=4)
    limit = (0.25 * mesh.box.width) ** 2
    height, width = alpha.shape
    for label in range(1, holes):
        x, y, w, h, area = stats[label]
        if area < limit and x > 0 and y > 0 and x + w < width and y + h < height:
            inside = labels[y : y + h, x : x + w] == label
            # A gap under a curl shows the backdrop, and the network doubts it; a gap in a tie is none.
            if area < 12 or float(probability[y : y + h, x : x + w][inside].mean()) > 0.8:
                clear[y : y + h, x : x + w][inside] = 1.0
    # Cracks between face and ear, hair and collar: narrow, and the network sees none.
    reach = 2 * max(1, round(0.03 * mesh.box.width)) + 1
    closed = cv2.morphologyEx(clear, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    clear = np.maximum(clear, closed * np.clip((probability - 0.8) / 0.15, 0, 1))
    # What haze alone joined to the person is an island without it.
    return _own_island(_without_haze(np.asarray(clear, np.float32), mesh.box.width), mesh)


def _own_island(alpha: Mask, mesh: FaceMesh) -> Mask:
    """Alpha of what hangs together with the face."""
    islands, labels = cv2.connectedComponents((alpha > 0.15).astype(np.uint8), connectivity=8)
    if islands <= 2:
        return alpha
    height, width = alpha.shape
    centre = np.clip(mesh.xy.mean(axis=0), 0, (width - 1, height - 1)).astype(int)
    own = cv2.dilate((labels == labels[centre[1], centre[0]]).astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray(alpha * own, np.float32)


def _without_haze(alpha: Mask, face_px: float) -> Mask:
    """Alpha without the haze that a backdrop like hair leaves about a head: what is faint, far out, and no strand."""
    outward = cv2.distanceTransform((alpha < 0.5).astype(np.uint8), cv2.DIST_L2, 5) / face_px
    near = np.clip((HAZE[1] - outward) / (HAZE[1] - HAZE[0]), 0, 1)
    side = 2 * max(1, round(STRAND / 2 * face_px)) + 1
    broad = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(np.maximum(alpha * near, alpha - broad), np.float32)


def estimate_foreground(image: Image, alpha: Mask) -> Image:
    """(H, W, 3) uint8: the person's own colours, the old backdrop's share taken out of the soft edge, and its tinge.

    Forte 2021, "Approximate fast foreground colour estimation": blurred colours of both sides, then one correction
    that makes alpha F + (1 - alpha) B the picture again; a wide pass, then a fine one.
    """
    colours = image.astype(np.float32)
    weight = alpha[..., None]
    height, width = alpha.shape
    # The wide means are found on a quarter of the size.
    quarter = (max(1, width // 4), max(1, height // 4))
    small = np.asarray(cv2.resize(colours, quarter, interpolation=cv2.INTER_AREA), np.float32)
    share = np.asarray(cv2.resize(alpha, quarter, interpolation=cv2.INTER_AREA), np.float32)[..., None]
    radius_px = max(2, min(alpha.shape) // 40)
    means = (_mean_of(small, part, radius_px) for part in (share, 1 - share))
    person, backdrop = (np.asarray(cv2.resize(mean, (width, height)), np.float32) for mean in means)
    person = _corrected(colours, person, backdrop, weight)
    person = _corrected(colours, _mean_of(person, weight, 5), _mean_of(backdrop, 1 - weight, 5), weight)
    own = np.asarray(np.clip(np.rint(np.where(weight > 0.995, colours, person)), 0, 255), np.uint8)
    return without_spill(own, image, alpha)


def _mean_of(values: Floats, share: Floats, radius_px: int) -> Floats:
    """(H, W, 3) mean of the values around each pixel, weighted by (H, W, 1) shares."""
    window = (2 * radius_px + 1, 2 * radius_px + 1)
    total = cv2.blur(share[..., 0], window)[..., None]
    return np.asarray(cv2.blur(values * share, window) / (total + 1e-5), np.float32)


def _corrected(colours: Floats, person: Floats, backdrop: Floats, weight: Floats) -> Floats:
    """The person's colours, changed so that person and backdrop make up the picture's again."""
    error = colours - weight * person - (1 - weight) * backdrop
    return np.asarray(np.clip(person + weight * error, 0, 255), np.float32)
