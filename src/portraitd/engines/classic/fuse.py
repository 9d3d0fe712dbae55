"""The person's face in a template picture: posed, lit, matched and blended. Pixels outside the face stay untouched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import cover, finish, light
from portraitd.engines.classic.geometry import Raster, normals, pose_shape, rasterise
from portraitd.engines.classic.identity import Identity, View
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, mean_face, pose_of, rigid_weights
from portraitd.images import Floats, Image, Mask, Points, to_linear

#: Room around the template's face that the work is done in, in face sizes.
ROOM = 0.12
#: Width of the blend inside the contour, in face widths.
FEATHER = 0.07
#: Scale of the shading taken over from the template beyond the fitted light, in face widths, and how much of it.
SHADING_SCALE = 0.08
SHADING_SHARE = 0.6
COLOUR_SCALE = 0.2
#: How far the colour of a detail may lie from that of the skin around it, natural log.
MAX_TINT = 0.15
#: How far the contrast of fine detail may be changed.
CONTRAST = (0.5, 1.15)
#: How far light may be changed, natural log.
MAX_RELIGHT = 1.6


@dataclass(frozen=True)
class Look:
    """How one of the n results differs from the others."""

    #: Which of the person's views, counted from the one that fits the template best.
    view_rank: int = 0
    #: 0: skin exactly as lit and coloured in the template; 1: the person's own complexion under the template's light.
    complexion: float = 0.0
    #: 0 to 1: spots and shine taken from the skin.
    retouch: float = 0.0
    #: Brightness of the face against the template's, natural log.
    glow: float = 0.0


@dataclass(frozen=True)
class TemplateFace:
    """All that is known of the template's face before anybody's face goes in."""

    picture: Image
    #: Region worked in, integer px.
    box: Box
    #: The region's pixels, (h, w, 3) uint8.
    image: Image
    #: Mesh in the region's pixels.
    mesh: FaceMesh
    #: (9, 3) light, (468, 3) log colours.
    light: Floats
    #: (h, w): what lies over the face.
    covered: Mask


def read_template(picture: Image, mesh: FaceMesh) -> TemplateFace:
    """The template's face, ready for `fuse`; picture (H, W, 3), mesh in its pixels."""
    height, width = picture.shape[:2]
    box = mesh.box
    reach = ROOM * max(box.width, box.height)
    x0, y0 = max(0, int(box.x0 - reach)), max(0, int(box.y0 - reach))
    x1, y1 = min(width, int(box.x1 + reach) + 1), min(height, int(box.y1 + reach) + 1)
    image = np.ascontiguousarray(picture[y0:y1, x0:x1])
    local = FaceMesh(mesh.points - np.array([x0, y0, 0], np.float32), mesh.score)
    facing = normals(local.points)
    lit = _light_of(image, local, facing)
    covered = cover.over_face(image, local.points, facing, lit)
    return TemplateFace(picture, Box(x0, y0, x1, y1), image, local, lit, covered)


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
    posed = pose_shape(_shape_for(identity, view), template.mesh.points)
    raster = rasterise(posed, template.image.shape[:2], grow=0.35)
    face, hidden = _warp(view, raster, template)
    place = _place(template, posed, raster, hidden)
    toned = _relight(template, view, face, place, look)
    matched = _match_texture(template, toned, place.alpha, rng)
    return _lay_in(template, matched, place.alpha)


@dataclass(frozen=True)
class Placement:
    """Where the warped face lies in the template's region; all masks (h, w)."""

    raster: Raster
    #: (468, 3) normals of the posed mesh.
    facing: Floats
    #: How much of each pixel becomes the person's.
    alpha: Mask
    #: 1 on bare skin, 0 on brows, eyes and lips.
    skin: Mask
    #: How much of a change of colour a pixel takes: all of it on skin, little on eyes and teeth.
    colour_share: Mask


def _place(template: TemplateFace, posed: Points, raster: Raster, hidden: Mask) -> Placement:
    shape = template.image.shape[:2]
    skin = 1.0 - cover.features(posed, shape, cover.FEATURES, 0.04)
    eyes = cover.features(posed, shape, (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_INNER), 0.0)
    lips = cover.features(posed, shape, (regions.LIPS_OUTER,), 0.0)
    share = 1.0 - np.maximum(0.65 * eyes, 0.25 * lips)
    alpha = _alpha(template, raster, hidden, np.clip(cover.features(posed, shape, cover.FEATURES, 0.02), 0, 1))
    return Placement(raster, normals(posed), alpha, skin, share.astype(np.float32))


@lru_cache(maxsize=1)
def _loose() -> Floats:
    """(468, 1) 1 where expression moves the face, so that shape and picture must come from the same photo."""
    return np.asarray((1.0 - rigid_weights())[:, None], np.float32)


def _shape_for(identity: Identity, view: View) -> Points:
    """(468, 3) the identity's shape with this view's expression."""
    own = align_to_mean(view.mesh.points).inverse().apply(view.mesh.points)
    mix = 0.5 + 0.5 * _loose()
    return np.asarray(identity.shape * (1 - mix) + own * mix, np.float32)


def _light_of(image: Image, mesh: FaceMesh, facing: Floats) -> Floats:
    colours = light.colours_at(image, mesh)
    towards_us = np.clip(-facing[:, 2] * 2, 0, 1)
    weights = light.skin_seen(colours, light.skin_points() * towards_us)
    return light.fit_light(colours, facing, weights)


def _warp(view: View, raster: Raster, template: TemplateFace) -> tuple[Floats, Mask]:
    """The view's face in the template's geometry, (h, w, 3) linear light, and (h, w) where the photo does not show it:
    under hair, or turned away from the camera."""
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
    covered = cover.over_face(crop, mesh.points, facing, _light_of(crop, mesh, facing))
    where = raster.interpolate(mesh.xy)
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    face = cv2.remap(crop, where, None, flags, borderMode=border)
    over = cv2.remap(covered, where, None, cv2.INTER_LINEAR, borderMode=border)
    # Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    outer = np.clip((np.abs(mean_face().points[:, 0]) - 0.55) / 0.2, 0, 1)
    away = raster.interpolate((np.clip((0.42 + facing[:, 2]) / 0.25, 0, 1) * outer).astype(np.float32))
    return to_linear(np.asarray(face, np.uint8)), np.maximum(over, away).astype(np.float32)


def _around(view: View) -> tuple[int, int, int, int]:
    box, (height, width) = view.mesh.box, view.image.shape[:2]
    reach = ROOM * max(box.width, box.height)
    return (
        max(0, int(box.x0 - reach)),
        max(0, int(box.y0 - reach)),
        min(width, int(box.x1 + reach) + 1),
        min(height, int(box.y1 + reach) + 1),
    )


def _alpha(template: TemplateFace, raster: Raster, hidden: Mask, features: Mask) -> Mask:
    """(h, w) how much of each pixel becomes the person's: 1 inside, 0 from the contour on, under hair and where the
    photo does not show the person; their features are theirs in any case."""
    oval = np.rint(template.mesh.xy[list(regions.FACE_OVAL)] * 8).astype(np.int32)
    inside = np.zeros(template.image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [oval], 255, shift=3)
    inside[raster.coverage() < 0.5] = 0
    width = max(1.0, template.mesh.box.width)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3) / (width * FEATHER)
    t = np.clip(depth - 0.15, 0, 1)
    ramp = t * t * (3 - 2 * t)
    # Wider and softer than what was found: the template's own skin, already in the right tone, takes over there.
    reach = max(1, round(0.05 * width))
    hidden = cv2.dilate(hidden, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    hidden = cv2.GaussianBlur(hidden, (0, 0), 0.03 * width) * (1 - features)
    return np.asarray(ramp * (1 - template.covered) * (1 - hidden), np.float32)


def _relight(
    template: TemplateFace, view: View, face: Floats, place: Placement, look: Look
) -> Floats:
    """The warped face in the template's light and tone, (h, w, 3) log linear light."""
    own = normals(view.mesh.points)
    change = light.harmonics(place.facing) @ template.light - light.harmonics(own) @ _light_of(view.image, view.mesh, own)
    ratio = np.clip(place.raster.interpolate(change), -MAX_RELIGHT, MAX_RELIGHT)
    lit = np.log(face + light.FLOOR)
    lit += _tinted(ratio, place.colour_share)
    wanted = np.log(to_linear(template.image) + light.FLOOR)
    lit += _tinted(_rim_tone(wanted - lit, place), place.colour_share)
    width = template.mesh.box.width
    trust = place.skin * np.clip(place.alpha, 0.02, 1)
    gap = np.clip(wanted - lit, -0.8, 0.8)
    # Light changes its brightness over a cheek, its colour only over a whole face.
    near, far = (_skin_mean(gap, trust, scale * width) for scale in (SHADING_SCALE, COLOUR_SCALE))
    shade = near.mean(axis=2, keepdims=True) - far.mean(axis=2, keepdims=True) + far
    lit += _tinted(SHADING_SHARE * shade, place.colour_share)
    lit = _match_contrast(lit, wanted, trust, place, SHADING_SCALE * width)
    return _soft_shoulder(lit + look.glow, wanted, place.skin * place.alpha)


def _match_contrast(lit: Floats, wanted: Floats, trust: Mask, place: Placement, sigma_px: float) -> Floats:
    """(h, w, 3) detail finer than `sigma_px` made as strong as the template's skin shows it, within limits.

    A bright, soft picture bends contrast down in its highlights, a hard one keeps it; features follow half the way.
    """
    base = _skin_mean(lit, trust, sigma_px)
    detail = lit - base
    solid = trust > 0.9
    if solid.sum() < 64:
        return lit
    have = detail.mean(axis=2)[solid]
    want = (wanted - _skin_mean(wanted, trust, sigma_px)).mean(axis=2)[solid]
    gain = float(np.clip(_spread(want) / max(_spread(have), 1e-4), *CONTRAST))
    per_pixel = (gain + (np.sqrt(gain) - gain) * (1 - place.skin))[:, :, None]
    grey = detail.mean(axis=2, keepdims=True)
    colour = (detail - grey) * per_pixel
    # Shadows of a warm photo are far redder, as a ratio, than its skin: brightened, they would glow.
    limit = (MAX_TINT + (1 - MAX_TINT) * (1 - place.colour_share) * 2)[:, :, None]
    return np.asarray(base + grey * per_pixel + limit * np.tanh(colour / limit), np.float32)


def _spread(values: Floats) -> float:
    """Half the distance between the 5th and the 95th percentile: spots and stray hairs do not count."""
    low, high = np.percentile(values, [5, 95])
    return float(high - low) / 2


def _tinted(change: Floats, colour_share: Mask) -> Floats:
    """(h, w, 3) a change of log light, its colour (not its brightness) weakened where the share is below 1."""
    grey = change.mean(axis=2, keepdims=True)
    return np.asarray(grey + (change - grey) * colour_share[:, :, None], np.float32)


def _rim_tone(gap: Floats, place: Placement) -> Floats:
    """(h, w, 3) the gap at the rim carried inside, where it goes over into the mean gap of all skin."""
    trust = place.skin * place.alpha * (np.abs(gap.mean(axis=2)) < 0.7)
    rim = trust * np.clip(1.0 - place.alpha, 0, 1) * 4
    # Little trust inside: the middle follows the rim's tone, not the model's features.
    weight = np.clip(rim + 0.02 * trust, 0, 1).astype(np.float32)
    return finish.spread_inward(np.clip(gap, -0.7, 0.7).astype(np.float32), weight)


def _skin_mean(values: Floats, trust: Mask, sigma_px: float) -> Floats:
    """(h, w, 3) Gaussian mean of the values, weighted by trust (normalised convolution, Knutsson and Westin 1993)."""
    shrink = max(1, int(sigma_px / 4))
    height, width = values.shape[:2]
    size = (max(4, width // shrink), max(4, height // shrink))
    total = cv2.resize(values * trust[:, :, None], size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(trust, size, interpolation=cv2.INTER_AREA)
    total = cv2.GaussianBlur(total, (0, 0), sigma_px / shrink)
    weight = cv2.GaussianBlur(weight, (0, 0), sigma_px / shrink)
    mean = total / np.maximum(weight, 1e-3)[:, :, None]
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _soft_shoulder(lit: Floats, wanted: Floats, skin: Mask) -> Floats:
    """Highlights bent below the brightest skin of the template, so that nothing burns out that was not burnt out."""
    inside = skin > 0.5
    if inside.sum() < 64:
        return lit
    top = np.percentile(wanted.mean(axis=2)[inside], 99.5)
    knee = top - 0.25
    luma = lit.mean(axis=2)
    over = np.maximum(luma - knee, 0)
    bent = 0.35 * (1 - np.exp(-over / 0.35))
    return np.asarray(lit - (over - bent)[:, :, None], np.float32)


def _match_texture(template: TemplateFace, toned: Floats, alpha: Mask, rng: np.random.Generator) -> Floats:
    """The face with the template's sharpness and grain, (h, w, 3) float sRGB in [0, 1]."""
    linear = np.clip(np.exp(toned) - light.FLOOR, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.power(linear, 1 / 2.4) - 0.055).astype(np.float32)
    luma = template.image.astype(np.float32).mean(axis=2) / 255.0
    solid = (alpha > 0.95).astype(np.float32)
    if solid.sum() < 64:
        return srgb
    srgb = finish.match_sharpness(srgb, luma, solid)
    have, want = finish.grain_of(srgb.mean(axis=2), solid), finish.grain_of(luma, solid)
    return finish.add_grain(srgb, float(np.sqrt(max(0.0, want**2 - have**2))), rng)


def _lay_in(template: TemplateFace, face: Floats, alpha: Mask) -> Image:
    """The template with the face over it; where alpha is 0 the template's own bytes."""
    x0, y0, x1, y1 = (int(v) for v in template.box)
    under = template.image.astype(np.float32)
    a = alpha[:, :, None]
    mixed = np.rint(np.clip(face * 255.0, 0, 255) * a + under * (1 - a)).astype(np.uint8)
    out = template.picture.copy()
    out[y0:y1, x0:x1] = np.where(a > 0, mixed, template.image)
    return out
