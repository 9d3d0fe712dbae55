"""The person's face in a template picture: posed, lit, matched and blended. Pixels outside the face stay untouched."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import cover, finish, light
from portraitd.engines.classic.geometry import Raster, normals, pose_shape, rasterise
from portraitd.engines.classic.identity import Identity, View
from portraitd.engines.classic.looks import Look
from portraitd.engines.classic.place import Placement, Warped, place_face
from portraitd.engines.classic.skin import retouch
from portraitd.engines.classic.template import ROOM, TemplateFace, light_of
from portraitd.engines.classic.tone import relight, skin_mean
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, mean_face, pose_of, rigid_weights
from portraitd.images import Floats, Image, Mask, Points

#: Tone is what is left at this scale, in face widths.
BAND_SCALE = 0.04
#: Weights of red, green and blue in brightness (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def pick_view(identity: Identity, mesh: FaceMesh, rank: int = 0) -> View:
    """The person's view that fits the template's pose, weighed against its quality; rank 1 the next best, and so on."""
    pose = pose_of(mesh.points)

    def cost(view: View) -> float:
        turn = abs(view.pose.yaw_deg - pose.yaw_deg) + 0.7 * abs(view.pose.pitch_deg - pose.pitch_deg)
        return turn / 20.0 - view.quality

    ranked = sorted(identity.views, key=cost)
    return ranked[rank % len(ranked)]


def fuse(template: TemplateFace, identity: Identity, view: View, look: Look, rng: np.random.Generator) -> Image:
    """The template picture (H, W, 3) with the person's face in it."""
    if look.retouch > 0:
        view = replace(view, image=retouch(view.image, view.mesh.points, look.retouch))
    follow = look.expression if _mouths_agree(view, template) else 0.0
    posed = pose_shape(_shape_for(identity, view), template.mesh.points, follow)
    step = max(2, round(template.mesh.box.width / 96))
    raster = rasterise(posed, template.image.shape[:2], step, grow=0.35)
    warped = _warp(view, raster, template)
    place = place_face(template, posed, raster, warped)
    toned = relight(template, warped, place, look)
    matched = _match_texture(template, toned, place.alpha, rng)
    return _lay_in(template, matched, place)


def _mouths_agree(view: View, template: TemplateFace) -> bool:
    """Whether both mouths are open, or both shut: lips follow a smile, but a shut mouth has no teeth to show."""
    return (_opening(view.mesh.points) > 0.1) == (_opening(template.mesh.points) > 0.1)


def _opening(points: Points) -> float:
    """Gap between the inner lips over the width of the mouth."""
    left, right = regions.MOUTH_CORNERS
    width = float(np.linalg.norm(points[left] - points[right]))
    return float(np.linalg.norm(points[13] - points[14])) / max(1e-6, width)


@lru_cache(maxsize=1)
def _loose() -> Floats:
    """(468, 1) 1 where expression moves the face, so that shape and picture must come from the same photo."""
    return np.asarray((1.0 - rigid_weights())[:, None], np.float32)


def _shape_for(identity: Identity, view: View) -> Points:
    """(468, 3) the identity's shape with this view's expression."""
    own = align_to_mean(view.mesh.points).inverse().apply(view.mesh.points)
    mix = 0.5 + 0.5 * _loose()
    return np.asarray(identity.shape * (1 - mix) + own * mix, np.float32)


def _warp(view: View, raster: Raster, template: TemplateFace) -> Warped:
    """The view's face in the template's geometry."""
    ratio = template.mesh.box.height / max(1.0, view.mesh.box.height)
    x0, y0, x1, y1 = _around(view)
    crop = np.ascontiguousarray(view.image[y0:y1, x0:x1])
    points = view.mesh.points - np.array([x0, y0, 0], np.float32)
    if ratio < 0.75:  # averaged first: sampling a large face sparsely would alias
        size = (max(8, round(crop.shape[1] * ratio)), max(8, round(crop.shape[0] * ratio)))
        scale = np.array([size[0] / crop.shape[1], size[1] / crop.shape[0], ratio], np.float32)
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
        points = points * scale
        points[:, :2] += (scale[:2] - 1) / 2
    mesh = FaceMesh(points.astype(np.float32), view.mesh.score)
    facing = normals(mesh.points)
    lit = light_of(crop, mesh, facing)
    covered = cover.over_face(crop, mesh.points, facing, lit)
    where = raster.interpolate(mesh.xy)
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    face = cv2.remap(crop, where[:, :, 0], where[:, :, 1], flags, borderMode=border)
    over = cv2.remap(covered, where[:, :, 0], where[:, :, 1], cv2.INTER_LINEAR, borderMode=border)
    # Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    outer = np.clip((np.abs(mean_face().points[:, 0]) - 0.55) / 0.2, 0, 1)
    away = raster.interpolate((np.clip((0.30 + facing[:, 2]) / 0.2, 0, 1) * outer).astype(np.float32))
    covers = (np.asarray(over, np.float32), np.asarray(away, np.float32))
    return Warped(light.log_light(np.asarray(face, np.uint8)), *covers, lit, facing)


def _around(view: View) -> tuple[int, int, int, int]:
    box, (height, width) = view.mesh.box, view.image.shape[:2]
    reach = ROOM * max(box.width, box.height)
    return (
        max(0, int(box.x0 - reach)),
        max(0, int(box.y0 - reach)),
        min(width, int(box.x1 + reach) + 1),
        min(height, int(box.y1 + reach) + 1),
    )


def _is_grey(image: Image) -> bool:
    """Whether the (h, w, 3) image is black and white, however its compression coloured it."""
    sample = image[::4, ::4].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    return float(np.percentile(spread, 95)) < 6.0


def _match_texture(template: TemplateFace, toned: Floats, alpha: Mask, rng: np.random.Generator) -> Floats:
    """The face with the template's sharpness and grain, (h, w, 3) float sRGB in [0, 1]."""
    linear = np.asarray(np.clip(cv2.exp(toned) - np.float32(light.FLOOR), 0, 1), np.float32)
    curve = 1.055 * cv2.pow(linear, 1 / 2.4) - 0.055
    srgb = np.asarray(np.where(linear <= 0.0031308, linear * 12.92, curve), np.float32)
    if _is_grey(template.image):
        srgb = np.asarray(np.repeat(srgb @ LUMA[:, None], 3, axis=2), np.float32)
    luma = light.grey_of(template.image.astype(np.float32)) / np.float32(255.0)
    solid = (alpha > 0.95).astype(np.float32)
    if solid.sum() < 64:
        return srgb
    srgb = finish.match_sharpness(srgb, luma, solid)
    have, want = finish.grain_of(light.grey_of(srgb), solid), finish.grain_of(luma, solid)
    return finish.add_grain(srgb, float(np.sqrt(max(0.0, want**2 - have**2))), rng)


def _lay_in(template: TemplateFace, face: Floats, place: Placement) -> Image:
    """The template with the face over it; where alpha is 0 the template's own bytes.

    Two bands (Burt and Adelson 1983): tone goes over slowly, detail at once, so that neither a step nor a ghost shows.
    """
    x0, y0, x1, y1 = (int(v) for v in template.box)
    under = template.image.astype(np.float32)
    over = np.clip(face * 255.0, 0, 255)
    sigma = max(1.0, BAND_SCALE * template.mesh.box.width)
    solid = place.alpha * (place.alpha > 0.02)
    gap = over - under
    tone_gap = skin_mean(gap, solid + np.float32(1e-3), sigma)
    detail, tone = place.alpha[:, :, None], place.tone_alpha[:, :, None]
    mixed = under + detail * (gap - tone_gap) + tone * tone_gap
    out = template.picture.copy()
    out[y0:y1, x0:x1] = np.where(detail > 0, np.rint(np.clip(mixed, 0, 255)), under).astype(np.uint8)
    return out
