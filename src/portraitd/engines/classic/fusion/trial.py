"""Which of a person's photos serves a template best: told by trying.

A photo may be turned like the template, and the person less themself in it than in another one: a lens held too near, a
grimace, hard light. So the few that fit best are drafted into the template, small, and held against the person's mean
embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import cv2
import numpy as np

from portraitd.engines.classic.ahead import cores, in_order
from portraitd.engines.classic.face.expression import following
from portraitd.engines.classic.face.geometry import rasterise
from portraitd.engines.classic.face.warp import warp
from portraitd.engines.classic.fusion.fuse import posed_like, ranked_views, shape_for
from portraitd.engines.classic.looks import LOOKS
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.template.template_face import TemplateFace, ramp
from portraitd.errors import AlgorithmFailed
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shrink import shrunk
from portraitd.images import Image

#: Photos that are tried, those that fit best.
TRIED = 3
#: How much nearer to the person (distance of embeddings) a draft must be for each 20 degrees that its photo fits worse.
WORTH = 0.05
#: Room around the face's region that a recogniser looks at, widths of the region.
AROUND = 0.3
#: Nodes across a face of the grid on which a draft's mesh is drawn.
GRID_PX = 64
#: Width of a draft's blend inside the contour, face widths.
FEATHER = 0.04

#: Gives how far the face of a picture, whose mesh is given, is from the person's embedding; None where none can tell.
Distance = Callable[[Image, FaceMesh], float | None]


def views_by_trial(template: TemplateFace, identity: Identity, distance: Distance | None) -> tuple[View, ...]:
    """The person's views, the one that serves the template best first; as they fit where no distance can be told.

    Only the first TRIED change places.
    """
    ranked = ranked_views(identity, template.face.mesh)
    views = tuple(view for _, view in ranked)
    if len(views) < 2 or distance is None:
        return views
    around, mesh, corner = _surroundings(template)

    def mark(k: int) -> float:
        cost, view = ranked[k]
        try:
            drafted = draft(template, identity, view)
        except AlgorithmFailed:  # a broken photo fails the portraits that are made of it, not the others
            return np.inf
        found = distance(_laid_in(around, drafted, corner), mesh)
        return np.inf if found is None else found + WORTH * cost

    tried = range(min(TRIED, len(views)))
    with closing(in_order(mark, tried, cores())) as made:
        marks = [take() for take in made]
    return (*(views[k] for k in sorted(tried, key=marks.__getitem__)), *views[len(tried) :])


def draft(template: TemplateFace, identity: Identity, view: View) -> Image:
    """(h, w, 3) the template's region, at its ground's size, with the view's face in it.

    As it is posed; of light and tone only the mean is made the template's.
    """
    ground, mesh = template.ground, template.face.mesh
    mouth = following(shape_for(identity, view), mesh.points, LOOKS[0].expression)
    step = max(2, round(mesh.box.width / GRID_PX))
    raster = rasterise(posed_like(mesh, mouth, view), template.face.image.shape[:2], step, grow=0.35)
    face = warp(view.face(), raster, mesh.box.height * ground.shrink, ground.size).astype(np.float32)
    alpha = np.asarray(ramp(ground.depth / np.float32(FEATHER)) * ground.bare, np.float32)
    weight = alpha[:, :, None]
    tone = (ground.image * weight).sum(axis=(0, 1)) / np.maximum((face * weight).sum(axis=(0, 1)), 1.0)
    mixed = cv2.blendLinear(face * tone.astype(np.float32), ground.image.astype(np.float32), alpha, 1 - alpha)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _surroundings(template: TemplateFace) -> tuple[Image, FaceMesh, tuple[int, int]]:
    """The region and what is around it, (h, w, 3) at its ground's size; on it the face's mesh, and the region's corner
    (x, y)."""
    ground, (height, width) = template.ground, template.picture.shape[:2]
    left, top, right, bottom = (int(v) for v in template.box)
    reach = round(AROUND * (right - left))
    x0, y0, x1, y1 = max(0, left - reach), max(0, top - reach), min(width, right + reach), min(height, bottom + reach)
    size = (max(8, round((x1 - x0) * ground.shrink)), max(8, round((y1 - y0) * ground.shrink)))
    small = shrunk(np.ascontiguousarray(template.picture[y0:y1, x0:x1]), *size)
    corner = (round((left - x0) * ground.shrink), round((top - y0) * ground.shrink))
    points = np.column_stack([ground.points + np.array(corner), template.face.mesh.points[:, 2] * ground.shrink])
    return small, FaceMesh(np.asarray(points, np.float32), template.face.mesh.score), corner


def _laid_in(around: Image, region: Image, corner: tuple[int, int]) -> Image:
    """The surroundings with this region at its corner."""
    (x, y), picture = corner, around.copy()
    room = picture[y : y + region.shape[0], x : x + region.shape[1]]
    room[:] = region[: room.shape[0], : room.shape[1]]
    return picture
