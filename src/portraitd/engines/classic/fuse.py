"""The person's face in a template picture: posed, lit, matched and blended. Pixels outside the face stay untouched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from portraitd.engines.classic import cover, finish, light
from portraitd.engines.classic.geometry import Raster, normals, pose_shape, rasterise
from portraitd.engines.classic.identity import Identity, View
from portraitd.engines.classic.looks import Look
from portraitd.engines.classic.skin import retouch
from portraitd.faces import regions
from portraitd.faces.detect import Box
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, mean_face, pose_of, rigid_weights
from portraitd.images import Floats, Image, Mask, Points, to_linear

#: Room around the template's face that the work is done in, in face sizes.
ROOM = 0.12
#: Width of the blend inside the contour, in face widths: of detail, of tone, and what the forehead adds to tone's.
FEATHER = 0.02
TONE_FEATHER = 0.05
FOREHEAD_FEATHER = 0.12
#: Tone is what is left at this scale, in face widths.
BAND_SCALE = 0.04
#: Scale of the shading taken over from the template beyond the fitted light, in face widths, and how much of it under
#: like and unlike light.
SHADING_SCALE = 0.08
SHADING_SHARE = (0.0, 0.35)
COLOUR_SCALE = 0.2
#: How far the colour of a detail may lie from that of the skin around it, natural log.
MAX_TINT = 0.25
#: How far the contrast of fine detail may be brought down, under like and unlike light, and up.
LEAST_CONTRAST = (0.95, 0.6)
MOST_CONTRAST = 1.1
#: Share of the fitted light that is exchanged, under like and unlike light: nine coefficients also hold some of the
#: face's own shape and colour, and would carry the model's into the person's (measured on identity distance).
RELIGHT_SHARE = (0.35, 0.85)
#: Within this distance of the contour the rim's tone gives way to the face's, in face widths.
RIM_DECAY = 0.06
#: How far light may be changed, natural log.
MAX_RELIGHT = 1.6


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

    @property
    def whole_mesh(self) -> FaceMesh:
        """The mesh in the whole picture's pixels."""
        return FaceMesh(self.mesh.points + np.array([self.box.x0, self.box.y0, 0], np.float32), self.mesh.score)


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
    if look.retouch > 0:
        view = replace(view, image=retouch(view.image, view.mesh.points, look.retouch))
    follow = look.expression if _mouths_agree(view, template) else 0.0
    posed = pose_shape(_shape_for(identity, view), template.mesh.points, follow)
    raster = rasterise(posed, template.image.shape[:2], grow=0.35)
    face, hidden = _warp(view, raster, template)
    place = _place(template, posed, raster, hidden)
    toned = _relight(template, view, face, place, look)
    matched = _match_texture(template, toned, place.alpha, rng)
    return _lay_in(template, matched, place)


@dataclass(frozen=True)
class Placement:
    """Where the warped face lies in the template's region; all masks (h, w)."""

    raster: Raster
    #: (468, 3) normals of the posed mesh.
    facing: Floats
    #: How much of each pixel becomes the person's: in detail, and (a wider ramp) in tone.
    alpha: Mask
    tone_alpha: Mask
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
    seen = _seen(template, hidden, np.clip(cover.features(posed, shape, cover.FEATURES, 0.02), 0, 1))
    depth = _depth(template)
    brow = raster.interpolate(_above_brows())
    alpha, wide = (_ramp(depth / width) * seen for width in (FEATHER, TONE_FEATHER + FOREHEAD_FEATHER * brow))
    return Placement(raster, normals(posed), alpha, wide.astype(np.float32), skin, share.astype(np.float32))


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
    face = cv2.remap(crop, where[:, :, 0], where[:, :, 1], flags, borderMode=border)
    over = cv2.remap(covered, where[:, :, 0], where[:, :, 1], cv2.INTER_LINEAR, borderMode=border)
    # Flanks of the nose are steep in any photo; only the outer cheeks turn out of sight.
    outer = np.clip((np.abs(mean_face().points[:, 0]) - 0.55) / 0.2, 0, 1)
    away = raster.interpolate((np.clip((0.30 + facing[:, 2]) / 0.2, 0, 1) * outer).astype(np.float32))
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


@lru_cache(maxsize=1)
def _above_brows() -> Floats:
    """(468,) 0 at the brows and below, rising to 1 at the top of the forehead."""
    height = mean_face().points[:, 1]
    brows = height[[*regions.LEFT_BROW, *regions.RIGHT_BROW]].min()
    return np.asarray(np.clip((brows - height) / (brows - height.min()), 0, 1), np.float32)


def _depth(template: TemplateFace) -> Mask:
    """(h, w) how far inside the template's contour a pixel lies, in face widths; 0 outside."""
    oval = np.rint(template.mesh.xy[list(regions.FACE_OVAL)] * 8).astype(np.int32)
    inside = np.zeros(template.image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [oval], 255, shift=3)
    # Not the outermost pixel: there the posed mesh, drawn on a coarse grid, may end.
    depth = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 5) - 1.0, 0)
    return np.asarray(depth / max(1.0, template.mesh.box.width), np.float32)


def _ramp(x: Floats) -> Mask:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _seen(template: TemplateFace, hidden: Mask, features: Mask) -> Mask:
    """(h, w) 0 under the template's hair and where the photo does not show the person; features count as shown."""
    width = template.mesh.box.width
    # Wider and softer than what was found: the template's own skin, already in the right tone, takes over there.
    reach = max(1, round(0.025 * width))
    grown = cv2.dilate(hidden, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    soft = cv2.GaussianBlur(grown, (0, 0), max(0.5, 0.018 * width)) * (1 - features)
    return np.asarray((1 - template.covered) * (1 - soft), np.float32)


def _relight(template: TemplateFace, view: View, face: Floats, place: Placement, look: Look) -> Floats:
    """The warped face in the template's light and tone, (h, w, 3) log linear light."""
    own = normals(view.mesh.points)
    change = light.harmonics(place.facing) @ template.light - light.harmonics(own) @ _light_of(
        view.image, view.mesh, own
    )
    clash = _clash(change)
    share = _between(RELIGHT_SHARE, clash)
    ratio = np.clip(place.raster.interpolate(np.float32(share) * change), -MAX_RELIGHT, MAX_RELIGHT)
    lit = np.log(face + light.FLOOR)
    lit += _tinted(ratio, place.colour_share)
    wanted = np.log(to_linear(template.image) + light.FLOOR)
    width = template.mesh.box.width
    lit += _tinted(_rim_tone(wanted - lit, place, RIM_DECAY * width), place.colour_share)
    trust = place.skin * np.clip(place.alpha, 0.02, 1)
    gap = np.clip(wanted - lit, -0.8, 0.8)
    # Light changes its brightness over a cheek, its colour only over a whole face.
    near, far = (_skin_mean(gap, trust, scale * width) for scale in (SHADING_SCALE, COLOUR_SCALE))
    shade = near.mean(axis=2, keepdims=True) - far.mean(axis=2, keepdims=True) + far
    lit += _tinted(_between(SHADING_SHARE, clash) * shade, place.colour_share)
    lit = _match_contrast(lit, wanted, place, SHADING_SCALE * width, _between(LEAST_CONTRAST, clash))
    lit += _modelled(lit, trust, look, width) * place.tone_alpha[:, :, None]
    return _soft_shoulder(lit, wanted, place.skin * place.alpha)


def _modelled(lit: Floats, trust: Mask, look: Look, width_px: float) -> Floats:
    """(h, w, 1) change of log light that makes the face brighter and its light and shade stronger or weaker."""
    broad = _skin_mean(lit, trust, SHADING_SCALE * width_px).mean(axis=2, keepdims=True)
    middle = float((broad[:, :, 0] * trust).sum() / max(float(trust.sum()), 1.0))
    return np.asarray(look.glow + (look.modelling - 1.0) * (broad - middle), np.float32)


def _clash(change: Floats) -> float:
    """0 to 1: how differently the two faces are lit, from the (468, 3) change of log light over the skin."""
    over_skin = change.mean(axis=1)[light.skin_points() > 0]
    return float(np.clip((float(over_skin.std()) - 0.5) / 0.3, 0, 1))


def _between(ends: tuple[float, float], t: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * t


def _match_contrast(lit: Floats, wanted: Floats, place: Placement, sigma_px: float, least: float) -> Floats:
    """(h, w, 3) detail finer than `sigma_px` made as strong as the template's skin shows it, within limits.

    A bright, soft picture bends contrast down in its highlights, a hard one keeps it; features stay as they are.
    """
    trust = place.skin * np.clip(place.alpha, 0.02, 1)
    base = _skin_mean(lit, trust, sigma_px)
    detail = lit - base
    solid = trust > 0.9
    if solid.sum() < 64:
        return lit
    have = detail.mean(axis=2)[solid]
    want = (wanted - _skin_mean(wanted, trust, sigma_px)).mean(axis=2)[solid]
    gain = float(np.clip(_spread(want) / max(_spread(have), 1e-4), least, MOST_CONTRAST))
    per_pixel = (gain + (1.0 - gain) * (1 - place.skin))[:, :, None]
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


def _rim_tone(gap: Floats, place: Placement, decay_px: float) -> Floats:
    """(h, w, 3) the gap at the rim carried inside, where it fades into the mean gap of all skin."""
    trust = place.skin * place.alpha * (np.abs(gap.mean(axis=2)) < 0.7)
    rim = trust * np.clip(1.0 - place.tone_alpha, 0, 1) * 4
    mean = (gap * trust[:, :, None]).sum(axis=(0, 1)) / max(float(trust.sum()), 1.0)
    weight = np.clip(rim + 0.02 * trust, 0, 1).astype(np.float32)
    carried = finish.spread_inward(np.clip(gap - mean, -0.7, 0.7).astype(np.float32), weight)
    depth = cv2.distanceTransform((place.alpha > 0.02).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(mean + carried * np.exp(-depth / decay_px)[:, :, None], np.float32)


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


def _lay_in(template: TemplateFace, face: Floats, place: Placement) -> Image:
    """The template with the face over it; where alpha is 0 the template's own bytes.

    Two bands (Burt and Adelson 1983): tone goes over slowly, detail at once, so that neither a step nor a ghost shows.
    """
    x0, y0, x1, y1 = (int(v) for v in template.box)
    under = template.image.astype(np.float32)
    over = np.clip(face * 255.0, 0, 255)
    sigma = max(1.0, BAND_SCALE * template.mesh.box.width)
    solid = place.alpha * (place.alpha > 0.02)
    under_tone, over_tone = (_skin_mean(picture, solid + 1e-3, sigma) for picture in (under, over))
    detail, tone = place.alpha[:, :, None], place.tone_alpha[:, :, None]
    mixed = under + detail * (over - under - (over_tone - under_tone)) + tone * (over_tone - under_tone)
    out = template.picture.copy()
    out[y0:y1, x0:x1] = np.where(detail > 0, np.rint(np.clip(mixed, 0, 255)), under).astype(np.uint8)
    return out
