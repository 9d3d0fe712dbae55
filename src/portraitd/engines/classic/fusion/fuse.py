"""The person's face in a template picture: posed, lit, matched and blended.

Skin beside it, and what is of its colour there, goes along in tone; all other pixels of the template, which has the
person's outline by then, stay untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np

from portraitd.engines.classic.face import cover, finish, light
from portraitd.engines.classic.face.expression import (
    apart,
    mouth_in_picture,
    mouth_of,
    parted,
    smiling,
    towards,
    with_mouth,
)
from portraitd.engines.classic.face.geometry import Raster, normals, part_of, pose_shape, rasterise, sampled
from portraitd.engines.classic.face.hair import hair_in_place, lendable_in_place
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.face.skin import retouch, skin_mean
from portraitd.engines.classic.face.warp import warp
from portraitd.engines.classic.fusion.brows import without_tails
from portraitd.engines.classic.fusion.place import Hidden, Placement, place_face
from portraitd.engines.classic.fusion.strays import without_strays
from portraitd.engines.classic.fusion.tinting import tinted
from portraitd.engines.classic.fusion.tone import Sheet, relight, towards_neck
from portraitd.engines.classic.looks import Look
from portraitd.engines.classic.person.album import Texture, texture_of
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.texture import SHARE, glare, spread, turned_away, uv_map
from portraitd.engines.classic.template.template_face import Ground, TemplateFace, ramp
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import align_to_mean, pose_of, rigid_weights
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

#: Tone is what is left at this scale, in face widths.
BAND_SCALE = 0.05
#: What is finer, but no detail, is shading: it goes over from the template's to the person's within this distance
#: inside the contour, in face widths.
SHADING_FEATHER = 0.05
#: Nodes across a face of the grid on which the mesh is drawn.
GRID_PX = 64
#: A face whose photo must be turned up or down seems to be turned an eighth less than its mesh. How much of the way is
#: made up for, and up to how many degrees it is not: the less a face is turned, the more it is itself.
PITCH_LOST, PITCH_SPARED = 0.08, 6.0
#: How far around what another photo lends the tone is to be one, in face widths.
BESIDE_LENT = 0.08
#: What a mouth held differently by its own width costs a view; 20 degrees of turn cost 1.
MOUTH_COST = 3.0
#: Softness of the edge between lips and teeth, in face widths.
LIP_EDGE = 0.006
#: What is shown less than this by all photos together is told from the template alone.
LEAST_SEEN = 0.05
#: Gains are of codes from 0 to 255 with this added: in what is nearly black, a gain of the codes themselves would make
#: specks out of the photo's noise.
LIFT = np.float32(12.0)

Pixels = TypeVar("Pixels", Image, Floats)


def ranked_views(identity: Identity, mesh: FaceMesh) -> list[tuple[float, View]]:
    """The person's views by how well they fit the template's pose and expression, weighed against their quality: what
    each costs, the least first; 20 degrees of turn cost 1."""
    pose, mouth = pose_of(mesh.points), mouth_in_picture(mesh.points)

    def cost(view: View) -> float:
        turn = abs(view.pose.yaw_deg - pose.yaw_deg) + 0.7 * abs(view.pose.pitch_deg - pose.pitch_deg)
        return turn / 20.0 + MOUTH_COST * apart(mouth_in_picture(view.mesh.points), mouth) - view.quality

    return sorted(((cost(view), view) for view in identity.views), key=lambda pair: pair[0])


def fuse(template: TemplateFace, identity: Identity, view: View, look: Look, rng: np.random.Generator) -> Image:
    """The template picture (H, W, 3) with the person's face in it.

    What is fine is done at full size, once: the warp, sharpness and grain, the blend. All else is smooth: it is worked
    out on a small sheet and brought to full size as gains.
    """
    target, ground, face = template.face, template.ground, _retouched(view.face(), look)
    texture = texture_of(identity, view, face)
    if texture.lender is not None:
        texture = replace(texture, lender=replace(texture.lender, face=_retouched(texture.lender.face, look)))
    shape = shape_for(identity, view)
    own, theirs = mouth_of(shape), mouth_in_picture(target.mesh.points)
    wanted = smiling(towards(own, theirs, look.expression), look.smile)
    posed = posed_like(target.mesh, with_mouth(shape, wanted), view)
    raster = rasterise(posed, target.image.shape[:2], max(2, round(target.mesh.box.width / GRID_PX)), grow=0.35)
    points = np.asarray((posed[:, :2] + 0.5) * np.float32(ground.shrink) - 0.5, np.float32)
    lent = _lent(face, texture, raster, ground)
    away = raster.interpolate(turned_away(face), ground.size)
    place = place_face(ground, face, Hidden(away, lent), posed, raster)
    warped, before, seen = _texture(face, texture, lent, raster, template, place)
    if not ground.in_colour:
        warped, before, seen = _greyed(warped), _greyed(before), _greyed(seen)
    change = light.harmonics(normals(posed)) @ target.light - light.harmonics(face.facing) @ face.light
    hard = glare(face, view.leaf())
    sheet = Sheet(seen, ground.light, place, ground.width_px, points, template.around, hard)
    lit = relight(sheet, change, raster.interpolate(change, ground.size), look)
    if ground.in_colour and light.is_grey(face.image):
        lit = tinted(lit, sheet)
    lit, clean = without_strays(sheet, lit, raster)
    step = towards_neck(lit, sheet, raster, look)
    after, beside = _display(lit + step), _display(sheet.wanted + step)
    if not ground.in_colour:
        after, beside = _greyed(after), _greyed(beside)
    gain = (after + LIFT) / (before.astype(np.float32) + LIFT)
    full, part = raster.shape[::-1], ground.part
    shown = np.asarray(place.seen * clean, np.float32)
    alpha = ground.alpha * part_of(shown, full, part)
    matched = _match_texture(warped, part_of(gain, full, part, cv2.INTER_CUBIC), template, alpha, rng)
    teeth = (theirs.shows_teeth - own.shows_teeth) * parted(own, wanted)
    if teeth > 0:
        matched = _with_teeth(matched, template, posed, raster, teeth)
    layers = _Layers(without_tails(target.image, ground, points, shown), matched, alpha, ground.bare * shown)
    return _lay_in(template, layers, (after - ground.image, beside - ground.image), place)


def _retouched(face: FaceRegion, look: Look) -> FaceRegion:
    if look.retouch == 0:
        return face
    return replace(face, image=retouch(face.image, face.mesh.points, look.retouch))


def _with_teeth(face: Floats, template: TemplateFace, posed: Points, raster: Raster, share: float) -> Floats:
    """(H, W, 3) the face with the template's teeth between its lips: a photo with a shut mouth shows none.

    The face itself is changed. It is the ground's part of the region, in which the (468, 3) mesh is posed.
    """
    target, (left, top, _, _) = template.face, template.ground.part
    sigma = max(0.6, LIP_EDGE * target.mesh.box.width)
    lips = posed[:, :2] - np.array([left, top], np.float32)
    x0, y0, x1, y1 = _around(lips[list(regions.LIPS_INNER)], 2 + 4 * sigma, face.shape)
    mouth = face[y0:y1, x0:x1]
    between = cover.features(lips - np.array([x0, y0], np.float32), mouth.shape[:2], (regions.LIPS_INNER,), 0.0)
    between = cv2.GaussianBlur(between, (0, 0), sigma) * np.float32(share)
    at = raster.interpolate(target.mesh.xy.astype(np.float32), part=(left + x0, top + y0, left + x1, top + y1))
    teeth = sampled(target.image, at, cv2.INTER_CUBIC).astype(np.float32)
    face[y0:y1, x0:x1] = cv2.blendLinear(teeth, np.ascontiguousarray(mouth), between, 1 - between)
    return face


def _around(points: Points, reach_px: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the whole pixels of a (H, W, ...) picture around (N, 2) points; at least one."""
    low, high = points.min(axis=0) - reach_px, points.max(axis=0) + reach_px
    x0, y0 = (int(np.clip(low[axis], 0, shape[1 - axis] - 1)) for axis in (0, 1))
    x1, y1 = (int(np.clip(high[axis] + 1, start + 1, shape[1 - axis])) for axis, start in ((0, x0), (1, y0)))
    return x0, y0, x1, y1


@lru_cache(maxsize=1)
def _loose() -> Floats:
    """(468, 1) 1 where expression moves the face, so that shape and picture must come from the same photo."""
    return np.asarray((1.0 - rigid_weights())[:, None], np.float32)


def shape_for(identity: Identity, view: View) -> Points:
    """(468, 3) the identity's shape with this view's expression."""
    own = align_to_mean(view.mesh.points).inverse().apply(view.mesh.points)
    mix = 0.5 + 0.5 * _loose()
    return np.asarray(identity.shape * (1 - mix) + own * mix, np.float32)


def posed_like(mesh: FaceMesh, shape: Points, view: View) -> Points:
    """(468, 3) px: the (468, 3) shape of the view's face, posed like the mesh."""
    pitch = pose_of(mesh.points).pitch_deg - view.pose.pitch_deg
    return pose_shape(shape, mesh.points, PITCH_LOST * float(np.sign(pitch)) * max(0.0, abs(pitch) - PITCH_SPARED))


def _lent(face: FaceRegion, texture: Texture, raster: Raster, ground: Ground) -> Mask | None:
    """(h, w) how much of each pixel is another photo's, if any is."""
    if texture.lender is None:
        return None
    lender = texture.lender.face
    over = lendable_in_place(face, raster, ground.size, ground.width_px)
    hair = hair_in_place(lender, raster, ground.size, ground.width_px)
    away = raster.interpolate(turned_away(lender), ground.size)
    wanted = np.maximum(raster.interpolate(texture.lender.lent, ground.size), over * (1 - away))
    return np.asarray(wanted * (1 - hair), np.float32)


def _texture(  # noqa: PLR0917
    face: FaceRegion, texture: Texture, lent: Mask | None, raster: Raster, template: TemplateFace, place: Placement
) -> tuple[Image, Image, Floats]:
    """The person's skin in the template's geometry, all photos of them taken together, in the light of `face`.

    Gives the (H, W, 3) picture, the ground's part of the region; all of the region small, (h, w, 3); and small, in tone
    too, (h, w, 3) log linear light.
    """
    ground, height_px = template.ground, template.face.mesh.box.height
    size, full, part, small_px = ground.size, raster.shape[::-1], ground.part, height_px * ground.shrink
    warped, around = warp(face, raster, height_px, full, part), warp(face, raster, small_px, size)
    flat, skin = raster.interpolate(uv_map().points, size), place.skin[:, :, None]
    change = sampled(texture.change, flat) * (np.float32(SHARE) * skin)
    if lent is not None and texture.lender is not None:
        lender = texture.lender
        # Beside what is lent, this photo's tone gives way all the more: no step is to be seen.
        near = spread(lent, BESIDE_LENT * ground.width_px)
        change *= ((1 - lent) * (1 + (1 / SHARE - 1) * near))[:, :, None]
        # Where neither photo shows all, the hair of one must not shine through the skin of the other.
        lent = np.asarray(np.clip(lent / np.maximum(place.seen, LEAST_SEEN), 0, 1), np.float32)
        picture = warp(lender.face, raster, small_px, size)
        theirs = _display(light.log_light(picture) + sampled(lender.change, flat) * skin)
        gain = part_of((theirs + LIFT) / (picture.astype(np.float32) + LIFT), full, part)
        borrowed = _gained(warp(lender.face, raster, height_px, full, part), gain)
        warped, around = _mixed(borrowed, warped, part_of(lent, full, part)), _mixed(theirs, around, lent)
    before = _made_small(warped, around, ground, full)
    return warped, before, light.log_light(before) + change


def _mixed(over: Floats, under: Image, share: Mask) -> Image:
    """(h, w, 3) that share, (h, w), of `over`, 0 to 255, laid on `under`."""
    mixed = cv2.blendLinear(over, under.astype(np.float32), share, 1 - share)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _made_small(inner: Image, around: Image, ground: Ground, full: tuple[int, int]) -> Image:
    """(h, w, 3) of the region: the (H, W, 3) part that is known at full size, averaged; else what is small already.

    full: width and height of the region. A gain is held against this: it must be of the very pixels it is laid on.
    """
    x0, y0, x1, y1 = ground.part
    whole = np.asarray(cv2.resize(around, full, interpolation=cv2.INTER_LINEAR), np.uint8)
    whole[y0:y1, x0:x1] = inner
    return shrunk(whole, *ground.size)


def _display(log_light: Floats) -> Floats:
    """(h, w, 3) sRGB from 0 to 255 of log linear light, not rounded."""
    linear = np.clip(cv2.exp(log_light) - np.float32(light.FLOOR), 0, 1)
    curve = np.float32(1.055) * cv2.pow(linear, 1 / 2.4) - np.float32(0.055)
    return np.asarray(np.where(linear <= 0.0031308, linear * np.float32(12.92), curve) * np.float32(255), np.float32)


def _greyed(image: Pixels) -> Pixels:
    """The (h, w, 3) image without colour."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]


def _match_texture(
    warped: Image, gain: Floats, template: TemplateFace, alpha: Mask, rng: np.random.Generator
) -> Floats:
    """The warped face times the gain, with the template's sharpness and grain; all (H, W, 3) of the ground's part, 0 to
    255."""
    x0, y0, x1, y1 = template.ground.part
    rows, columns = finish.middle(alpha > 0.95)
    solid = (alpha[rows, columns] > 0.95).astype(np.float32)
    if solid.sum() < 64:
        return _gained(warped, gain)
    want = light.grey_of(template.face.image[y0:y1, x0:x1][rows, columns].astype(np.float32))
    have = light.grey_of(_gained(warped[rows, columns], gain[rows, columns]))
    face_px = template.face.mesh.box.width
    sharp = finish.sharpened(warped, finish.sharpening_for(have, want, solid, face_px), face_px)
    face = _gained(sharp, gain)
    grain = finish.grain_of(want, solid) ** 2 - finish.grain_of(light.grey_of(face[rows, columns]), solid) ** 2
    return finish.add_grain(face, float(np.sqrt(max(0.0, grain))), rng)


def _gained(image: Pixels, gain: Floats) -> Floats:
    """The (h, w, 3) image, 0 to 255, times the gain."""
    lifted = cv2.multiply(image, gain, dtype=cv2.CV_32F)
    return np.asarray(cv2.addWeighted(lifted, 1.0, gain, float(LIFT), -float(LIFT)), np.float32)


@dataclass(frozen=True)
class _Layers:
    """What lies over each other in a template's region."""

    #: (H, W, 3) the template, no more of its brows than goes with the person's.
    under: Image
    #: (H, W, 3) of the ground's part: the face, 0 to 255; and (H, W) how much of the detail is its.
    face: Floats
    alpha: Mask
    #: (h, w) small: how much of the face is seen at all.
    shown: Mask


def _lay_in(template: TemplateFace, layers: _Layers, gaps: tuple[Floats, Floats], place: Placement) -> Image:
    """The template with the face over it; where nothing of it goes along, the template's own bytes.

    Three bands (Burt and Adelson 1983): tone goes over slowly, and beyond the contour; shading inside it, so that the
    two meet in one colour, where a cheek that is bright to its edge would leave a pale line; detail at once, so that no
    ghost shows. gaps: (h, w, 3) what tone and shading change where the person's skin shows, where the template's does.
    """
    under, alpha = layers.under, layers.alpha
    ground = template.ground
    full, part = under.shape[1::-1], ground.part
    tone = skin_mean(gaps[0], place.small_alpha + np.float32(1e-3), max(1.0, BAND_SCALE * ground.width_px))
    shading = (gaps[0] - tone) * (layers.shown * ramp(ground.depth / np.float32(SHADING_FEATHER)))[:, :, None]
    laid_in = cv2.blendLinear(tone, gaps[1], place.seen, 1 - place.seen) * ground.beyond[:, :, None] + shading
    large = cv2.resize(laid_in, full)
    region = cv2.add(under, large, dtype=cv2.CV_8U)
    inner = np.s_[part[1] : part[3], part[0] : part[2]]
    beneath = np.ascontiguousarray(under[inner])
    detail = cv2.subtract(layers.face, part_of(gaps[0], full, part))
    mixed = cv2.blendLinear(detail, beneath.astype(np.float32), alpha, 1 - alpha)
    region[inner] = cv2.add(mixed, np.ascontiguousarray(large[inner]), dtype=cv2.CV_8U)
    changed = cv2.resize(ground.beyond, full) > 0
    changed[inner] |= ground.alpha > 0
    out = template.picture.copy()
    x0, y0, x1, y1 = (int(v) for v in template.box)
    out[y0:y1, x0:x1] = cv2.copyTo(region, changed.astype(np.uint8), under.copy())
    return out
