"""The template's cheeks, jaw and chin take the person's outline; what lies beside them gives way, less and less.

A broad jaw pressed into a narrow one is somebody else's, however true the eyes are. Only the shape of the picture
changes here: whose skin fills it is decided later.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic.face.expression import following
from portraitd.engines.classic.face.geometry import Part, at_points, beside_ring, outward, sampled, smoothed
from portraitd.engines.classic.face.region import region_box
from portraitd.engines.classic.looks import LOOKS
from portraitd.engines.classic.template.template_face import ROOM, TemplateFace, ramp
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import fit_similarity, mean_face, rigid_weights
from portraitd.images import Floats, Points

#: How far the contour moves at most, how far around it and inside it the picture moves along, face widths.
MOST = 0.10
REACH = 0.24
INWARD = 0.3
#: From where on the contour moves, and from where on wholly, eye distances below the eyes: above there is hair.
BELOW_EYES = (-0.1, 0.4)
#: What is less than this can't be seen: of the contour, face widths; of a pixel of the sheet, its pixels.
LEAST = 0.004
UNSEEN = 0.01
#: To what share of its area the picture may be pressed together.
LEAST_AREA = 0.1
#: Width of the face on the sheet on which the move is worked out, px; and how many points the contour has there for
#: each of the mesh.
WORK_PX = 64
BETWEEN = 8

_OVAL = list(regions.FACE_OVAL)


def with_outline(template: TemplateFace, shape: Points) -> TemplateFace:
    """The template, its face with the outline of the person whose (468, 3) shape this is.

    Pixels farther than REACH from the face stay as they are; all do where the two outlines are alike.
    """
    mesh, picture = template.whole_mesh, template.picture
    step = _step(mesh, shape, picture.shape)
    if float(np.linalg.norm(step, axis=1).max()) < LEAST * mesh.box.width:
        return template
    return pulled(template, mesh.xy[_OVAL], step)


def pulled(template: TemplateFace, contour: Points, step: Points, *, carried: bool = True) -> TemplateFace:
    """The template, what lies on the (36, 2) px contour moved by `step`, and what lies beside it less and less; and
    with it the mesh, or not."""
    mesh = template.whole_mesh
    x0, y0, x1, y1 = part = _part(
        mesh, template.picture.shape, float(np.linalg.norm(contour - mesh.xy[_OVAL], axis=1).max())
    )
    scale = WORK_PX / mesh.box.width
    size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
    grid = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)], np.float32)
    on_sheet, ring = (np.asarray((at - np.array([x0, y0]) + 0.5) * grid - 0.5, np.float32) for at in (mesh.xy, contour))
    moves = _unfolded(_moves(ring, step * grid, size))
    if not moves.any():  # the picture ends above the jaw
        return template
    if carried:
        after = on_sheet
        for _ in range(3):  # moves are those of where a pixel has come to
            after = np.asarray(on_sheet + at_points(moves, after), np.float32)
        points = mesh.points.copy()
        points[:, :2] += (after - on_sheet) / grid
        mesh = FaceMesh(np.asarray(points, np.float32), mesh.score)
    return _moved(template, mesh, part, moves / grid)


def _moved(template: TemplateFace, mesh: FaceMesh, part: Part, moves: Floats) -> TemplateFace:
    """The template, that part of its picture moved by the small (h, w, 2) moves, px; mesh: the face's then."""
    x0, y0, x1, y1 = part
    came_from = np.asarray(cv2.resize(-moves, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR), np.float32)
    # All above the eyes stays.
    above = int(np.flatnonzero(moves.any(axis=(1, 2)))[0])
    top = y0 + max(0, (above - 1) * (y1 - y0) // len(moves))
    came_from = came_from[top - y0 :].copy()
    came_from[:, :, 0] += np.arange(x0, x1, dtype=np.float32)
    came_from[:, :, 1] += np.arange(top, y1, dtype=np.float32)[:, None]
    picture, before = template.picture.copy(), template.box
    picture[top:y1, x0:x1] = sampled(template.picture, came_from, cv2.INTER_CUBIC)
    box = region_box(mesh, picture.shape, ROOM)
    left, high = (int(min(before[axis], box[axis], (x0, y0)[axis])) for axis in (0, 1))
    right, low = (int(max(before[axis], box[axis], (x1, y1)[axis - 2])) for axis in (2, 3))
    margins = (int(before.y0) - high, low - int(before.y1), int(before.x0) - left, right - int(before.x1))
    covered = np.asarray(cv2.copyMakeBorder(template.covered, *margins, cv2.BORDER_REPLICATE), np.float32)
    covered[top - high : y1 - high, x0 - left : x1 - left] = sampled(
        covered, came_from - np.array([left, high], np.float32)
    )
    image = np.ascontiguousarray(picture[_inside(box, (0, 0))])
    over = np.ascontiguousarray(covered[_inside(box, (left, high))])
    local = FaceMesh(mesh.points - np.array([box.x0, box.y0, 0], np.float32), mesh.score)
    face = replace(template.face, image=image, mesh=local, hair=over)
    return replace(template, picture=picture, box=box, face=face, covered=over)


def _inside(box: Box, corner: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a box of whole pixels in the part of a picture that begins at this corner."""
    x0, y0, x1, y1 = (int(v) - corner[axis % 2] for axis, v in enumerate(box))
    return slice(y0, y1), slice(x0, x1)


def _step(mesh: FaceMesh, shape: Points, picture: tuple[int, ...]) -> Points:
    """(36, 2) px: how far each point of the contour moves in a (H, W, ...) picture."""
    # An open mouth has a longer face; results of one template share an outline, which is the first look's.
    own = following(shape, mesh.points, LOOKS[0].expression)
    posed = fit_similarity(own, mesh.points, rigid_weights()).apply(own)
    across = outward(mesh.xy)
    # Along itself a contour may slide without being another.
    gap = ((posed - mesh.points)[_OVAL, :2] * across).sum(axis=1, keepdims=True) / mesh.box.width
    # One point's error is no bump in a jaw.
    gap = MOST * np.tanh(smoothed(gap * _movable()) / MOST) * mesh.box.width
    # What lies between the contour and the picture's edge must make up for the move.
    left, right = mesh.xy[_OVAL], np.array(picture[1::-1]) - 1 - mesh.xy[_OVAL]
    room = np.clip(np.minimum(left, right).min(axis=1, keepdims=True) / 2, 0, None)
    return np.asarray(np.clip(gap, -room, room) * across, np.float32)


@lru_cache(maxsize=1)
def _movable() -> Floats:
    """(36, 1) how far each point of the contour may move: those below the eyes."""
    low, high = BELOW_EYES
    return np.asarray(np.clip((mean_face().points[_OVAL, 1:2] - low) / (high - low), 0, 1), np.float32)


def _part(mesh: FaceMesh, shape: tuple[int, ...], beyond_px: float) -> Part:
    """The pixels of a (H, W, ...) picture that may move where the contour lies so far beyond the mesh's."""
    box, reach = mesh.box, (REACH + 1 / WORK_PX) * mesh.box.width + beyond_px
    x0, y0 = max(0, int(box.x0 - reach)), max(0, int(box.y0 - reach))
    return x0, y0, min(shape[1], int(box.x1 + reach) + 1), min(shape[0], int(box.y1 + reach) + 1)


def _moves(contour: Points, step: Points, size: tuple[int, int]) -> Floats:
    """(h, w, 2) how far each pixel has come; all in pixels of a sheet of this width and height.

    contour, step: (36, 2) the contour before, and how far its points move.
    """
    before, along = _between(contour), _between(step)
    after = before + along
    column, row = np.rint(after).astype(np.intp).T
    kept = (column >= 0) & (row >= 0) & (column < size[0]) & (row < size[1])
    # Each pixel moves with the point of the new contour that is nearest.
    elsewhere = np.ones((size[1], size[0]), np.uint8)
    elsewhere[row[kept], column[kept]] = 0
    _, nearest = cv2.distanceTransformWithLabels(elsewhere, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_point = np.zeros((int(nearest.max()) + 1, 2), np.float32)
    of_point[nearest[row[kept], column[kept]]] = along[kept]
    spread = of_point[nearest]
    (_, outside_before), (inside, outside) = beside_ring(before, size), beside_ring(after, size)
    # From the new contour to where nothing moves, evenly: a picture pressed together any faster would fold. The blur
    # that follows reaches three pixels. Nothing moves at the picture's edge, beyond which there is nothing to show.
    x, y = (np.minimum(np.arange(length), np.arange(length)[::-1]) for length in size)
    room = np.clip(np.minimum(REACH * WORK_PX - 3 - outside_before, np.minimum(x[None], y[:, None])), 0, None)
    share = room / np.maximum(room + outside, 1e-6) * ramp(1 - inside / (INWARD * WORK_PX))
    moves = np.asarray(cv2.GaussianBlur(spread * share[:, :, None], (0, 0), 1.0), np.float32)
    moves[np.abs(moves) < UNSEEN] = 0
    return moves


def _unfolded(moves: Floats) -> Floats:
    """The (h, w, 2) moves, made smaller if they would fold the picture.

    They would where neighbours change places: where the Jacobian of the way back is below 0. Contours of heads turned
    far away are narrow and hollow, and can do that.
    """
    (down_x, down_y), (across_x, across_y) = (np.moveaxis(np.gradient(moves, axis=axis), 2, 0) for axis in (0, 1))
    for share in (1.0, 0.75, 0.5, 0.25):
        area = (1 - share * across_x) * (1 - share * down_y) - share**2 * across_y * down_x
        if float(area.min()) > LEAST_AREA:
            return np.asarray(moves * np.float32(share), np.float32)
    return np.zeros_like(moves)


def _between(ring: Points) -> Points:
    """(N, 2) the ring with BETWEEN points for each of its own, in order."""
    t = np.arange(BETWEEN, dtype=np.float32)[None, :, None] / BETWEEN
    return np.asarray((ring[:, None] * (1 - t) + np.roll(ring, -1, axis=0)[:, None] * t).reshape(-1, 2), np.float32)
