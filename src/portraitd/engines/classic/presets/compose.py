"""Putting the person into a scene's light: its direction and colour, edges lit by what is behind."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.engines.classic.face.geometry import normals as mesh_normals
from portraitd.engines.classic.face.geometry import rasterise
from portraitd.engines.classic.presets.cutout import Cutout
from portraitd.engines.classic.presets.grade import LUMA
from portraitd.images import Floats, Mask


@dataclass(frozen=True)
class Light:
    """The light on the person."""

    #: Where the key light comes from as seen in the picture: 0 from the right, 90 from above, 180 from the left.
    key_deg: float
    #: How much the lit side gains and the other loses, 0 to about 0.6.
    key: float
    #: Linear colour of the key light, its luma about 1.
    key_colour: tuple[float, float, float]
    #: Strength and direction of the light from behind that draws a rim.
    rim: float
    rim_deg: float
    rim_colour: tuple[float, float, float]
    #: Luma of the face's skin, linear, that the scene's exposure asks for.
    skin: float
    #: How much of the backdrop's colour falls on the person, 0 to 1.
    ambient: float = 0.3
    #: How much of the backdrop's light spills over the person's edge, 0 to 1.
    wrap: float = 0.35
    #: How much of the photo's own light from one side is taken off the person, 0 to 1: soft scenes have no hard light.
    soft: float = 0.3
    #: Share of the backdrop's light that the air between lens and person adds.
    haze: float = 0.03


def relight(linear: Floats, cutout: Cutout, light: Light, backdrop: Floats) -> Floats:
    """(H, W, 3): the person in the scene's light."""
    height, width = cutout.alpha.shape
    normal = body_normals(cutout)
    own_x, own_y = cutout.own_light()
    towards = np.deg2rad(light.key_deg)
    facing = normal[..., 0] * np.cos(towards) - normal[..., 1] * np.sin(towards)  # y grows downwards
    harsh = np.clip(own_x * normal[..., 0] + 0.5 * own_y * normal[..., 1], -0.7, 0.7)
    shade = np.exp(light.key * facing - 0.25 * light.key - light.soft * harsh)
    # The key's colour shows on the lit side only; the far side keeps the ambient.
    tint = np.asarray(light.key_colour, np.float32) ** (0.5 + 0.5 * np.clip(facing, -1, 1))[..., None]
    ambient = 1 + light.ambient * (_ambient(backdrop, (facing.shape[1], facing.shape[0])) - 1)
    gain = np.asarray(shade[..., None] * tint * ambient, np.float32)
    gain = np.asarray(cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    lit = cv2.multiply(linear, gain)
    if light.rim > 0:
        # Hair and cloth send the light back in their own colour, and a little of it as it is.
        edge = _rim(cutout.alpha, light.rim_deg)
        behind = cv2.merge([edge * (light.rim * part) for part in light.rim_colour])
        lit = cv2.add(lit, cv2.multiply(cv2.addWeighted(linear, 0.95, linear, 0, 0.05), behind))
    if light.haze > 0:
        air = np.minimum(backdrop[::16, ::16], 1.5).mean(axis=(0, 1)) * np.float32(light.haze)
        thinned = np.column_stack([np.eye(3) * (1 - light.haze), air])
        lit = cv2.transform(lit, thinned)
    return np.asarray(lit, np.float32)


def body_normals(cutout: Cutout) -> Floats:
    """(H / 8, W / 8, 2) x and y of rough surface normals: the face's mesh, elsewhere a cushion within the outline."""
    height, width = cutout.alpha.shape
    small = cv2.resize(cutout.alpha, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    # Continued below the frame: the frame's bottom is not an edge of the body.
    padded = cv2.copyMakeBorder(small, 24, 48, 24, 24, cv2.BORDER_REPLICATE)
    outward = np.zeros((*padded.shape, 2), np.float32)
    for sigma in (3.0, 7.0):
        hill = cv2.GaussianBlur(padded, (0, 0), sigma)
        slopes = [cv2.Sobel(hill, cv2.CV_32F, dx, 1 - dx, scale=sigma / 8) for dx in (1, 0)]
        outward -= 1.6 * np.stack(slopes, axis=-1)
    body = outward[24:-48, 24:-24]
    points = cutout.points.copy()
    points[:, :2] = (points[:, :2] + 0.5) / 8 - 0.5
    points[:, 2] /= 8
    raster = rasterise(points, (height // 8, width // 8), step=1)
    cover = cv2.GaussianBlur(cv2.erode(raster.coverage(), np.ones((3, 3), np.uint8)), (0, 0), 2.0)
    face = raster.interpolate(mesh_normals(points))
    both = body + (face[..., :2] - body) * cover[..., None]
    return np.asarray(cv2.GaussianBlur(both, (0, 0), 1.5), np.float32)


def _ambient(backdrop: Floats, size: tuple[int, int]) -> Floats:
    """(height, width, 3) of `size`: colour of the light that the surroundings throw on each place, its mean luma 1."""
    tiny = cv2.resize(backdrop, (24, 32), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(np.minimum(tiny, 1.5), (0, 0), 6, borderType=cv2.BORDER_REPLICATE)
    level = soft / max(float((soft @ LUMA).mean()), 1e-4)
    # Surroundings of strong colour would paint the person: half of the colour is enough to bind them.
    luma = (level @ LUMA)[..., None]
    mild = luma**0.5 * (level / np.maximum(luma, 1e-4)) ** 0.6
    return np.asarray(cv2.resize(mild, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _rim(alpha: Mask, from_deg: float) -> Mask:
    """(H, W) how strongly light from behind grazes the outline on its side."""
    height, width = alpha.shape
    half = cv2.resize(alpha, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(half, 0, 32, 32, 32, cv2.BORDER_REPLICATE)
    towards = np.deg2rad(from_deg)
    total = np.zeros(padded.shape, np.float32)
    for sigma, share in ((2.0, 0.5), (5.0, 0.5)):
        hill = cv2.GaussianBlur(padded, (0, 0), sigma)
        slope_x = cv2.Sobel(hill, cv2.CV_32F, 1, 0, scale=sigma / 4)
        slope_y = cv2.Sobel(hill, cv2.CV_32F, 0, 1, scale=sigma / 4)
        total += share * np.clip(-slope_x * np.cos(towards) + slope_y * np.sin(towards), 0, None)
    edge = cv2.resize(total[:-32, 32:-32], (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(edge * alpha, np.float32)


def merge(person: Floats, alpha: Mask, backdrop: Floats, wrap: float) -> Floats:
    """(H, W, 3) linear: the person over the backdrop, whose light spills over the person's edge."""
    height, width = alpha.shape
    a = np.asarray(cv2.merge([alpha, alpha, alpha]), np.float32)
    merged = person - backdrop
    if wrap > 0:
        quarter = (width // 4, height // 4)
        tiny = np.minimum(cv2.resize(backdrop, quarter, interpolation=cv2.INTER_AREA), 2.0)
        tiny *= 1 - cv2.resize(a, quarter, interpolation=cv2.INTER_AREA)
        near = cv2.GaussianBlur(tiny, (0, 0), 2.2, borderType=cv2.BORDER_REPLICATE)
        merged += wrap * cv2.resize(near, (width, height), interpolation=cv2.INTER_LINEAR)
    merged *= a
    merged += backdrop
    return np.asarray(merged, np.float32)
