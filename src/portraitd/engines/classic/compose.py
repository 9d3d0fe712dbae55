"""Putting the person into a scene's light: exposure, direction and colour of light, edges lit by what is behind."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.engines.classic.cutout import Cutout
from portraitd.engines.classic.geometry import normals as mesh_normals
from portraitd.engines.classic.geometry import rasterise
from portraitd.engines.classic.skin import neutral_gains, skin_light
from portraitd.images import Floats, Mask, to_linear

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


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


def person_light(cutout: Cutout) -> Floats:
    """(H, W, 3) linear light of the cutout as if photographed in neutral light."""
    linear = to_linear(cutout.colours)
    return np.asarray(linear * neutral_gains(skin_light(linear, cutout.points)), np.float32)


def exposure_gain(linear: Floats, cutout: Cutout, wanted: float, limits: tuple[float, float] = (0.6, 1.6)) -> float:
    """Gain that brings the face towards the wanted luma: all the way within a third of a stop, less beyond."""
    luma = float(skin_light(linear, cutout.points) @ LUMA)
    return float(np.clip((wanted / max(luma, 1e-3)) ** 0.7, *limits))


def relight(linear: Floats, cutout: Cutout, light: Light, backdrop: Floats) -> Floats:
    """(H, W, 3): the person in the scene's light."""
    normal_x, normal_y = body_normals(cutout)
    towards = np.deg2rad(light.key_deg)
    facing = normal_x * np.cos(towards) - normal_y * np.sin(towards)  # y grows downwards
    shade = np.exp(light.key * facing - 0.25 * light.key)
    # The key's colour shows on the lit side only; the far side keeps the ambient.
    warm = np.asarray(light.key_colour, np.float32) ** (0.5 + 0.5 * np.clip(facing, -1, 1))[..., None]
    ambient = _ambient(backdrop)
    lit = linear * shade[..., None] * warm * (1 + light.ambient * (ambient - 1))
    return np.asarray(lit + _rim(linear, cutout.alpha, light), np.float32)


def body_normals(cutout: Cutout) -> tuple[Floats, Floats]:
    """(H, W) x and y of rough surface normals: the face's mesh, elsewhere a cushion blown up within the outline."""
    height, width = cutout.alpha.shape
    small = cv2.resize(cutout.alpha, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    # Continued below the frame: the frame's bottom is not an edge of the body.
    padded = cv2.copyMakeBorder(small, 24, 48, 24, 24, cv2.BORDER_REPLICATE)
    x, y = np.zeros_like(padded), np.zeros_like(padded)
    for sigma in (3.0, 7.0):
        hill = cv2.GaussianBlur(padded, (0, 0), sigma)
        x -= cv2.Sobel(hill, cv2.CV_32F, 1, 0, scale=sigma / 8)
        y -= cv2.Sobel(hill, cv2.CV_32F, 0, 1, scale=sigma / 8)
    x, y = x[24:-48, 24:-24] * 1.6, y[24:-48, 24:-24] * 1.6
    points = cutout.points.copy()
    points[:, :2] = (points[:, :2] + 0.5) / 8 - 0.5
    points[:, 2] /= 8
    raster = rasterise(points, (height // 8, width // 8), step=1)
    cover = cv2.GaussianBlur(cv2.erode(raster.coverage(), np.ones((3, 3), np.uint8)), (0, 0), 2.0)
    face = raster.interpolate(mesh_normals(points))
    x, y = x + (face[..., 0] - x) * cover, y + (face[..., 1] - y) * cover
    both = cv2.GaussianBlur(np.stack([x, y], axis=-1), (0, 0), 1.5)
    large = cv2.resize(both, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large[..., 0]), np.asarray(large[..., 1])


def _ambient(backdrop: Floats) -> Floats:
    """(H, W, 3) colour of the light that the surroundings throw on each place, its mean luma 1."""
    height, width = backdrop.shape[:2]
    tiny = cv2.resize(backdrop, (24, 32), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(np.minimum(tiny, 1.5), (0, 0), 6, borderType=cv2.BORDER_REPLICATE)
    soft = soft / max(float((soft @ LUMA).mean()), 1e-4)
    # Surroundings of strong colour would paint the person: half of the colour is enough to bind them.
    luma = (soft @ LUMA)[..., None]
    soft = luma**0.5 * (soft / np.maximum(luma, 1e-4)) ** 0.6
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _rim(linear: Floats, alpha: Mask, light: Light) -> Floats:
    """(H, W, 3) light from behind, grazing the outline on its side."""
    if light.rim <= 0:
        return np.zeros_like(linear)
    height, width = alpha.shape
    half = cv2.resize(alpha, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    padded = cv2.copyMakeBorder(half, 0, 32, 32, 32, cv2.BORDER_REPLICATE)
    towards = np.deg2rad(light.rim_deg)
    total = np.zeros_like(padded)
    for sigma, share in ((2.0, 0.5), (5.0, 0.5)):
        hill = cv2.GaussianBlur(padded, (0, 0), sigma)
        slope_x = cv2.Sobel(hill, cv2.CV_32F, 1, 0, scale=sigma / 4)
        slope_y = cv2.Sobel(hill, cv2.CV_32F, 0, 1, scale=sigma / 4)
        total += share * np.clip(-slope_x * np.cos(towards) + slope_y * np.sin(towards), 0, None)
    edge = cv2.resize(total[:-32, 32:-32], (width, height), interpolation=cv2.INTER_LINEAR)
    sheen = 0.10 + 0.9 * linear  # hair and cloth send back their own colour, and some of the light as it is
    return np.asarray(
        light.rim * (edge * alpha)[..., None] * sheen * np.asarray(light.rim_colour, np.float32), np.float32
    )


def merge(person: Floats, alpha: Mask, backdrop: Floats, wrap: float) -> Floats:
    """(H, W, 3) linear: the person over the backdrop, whose light spills over the person's edge."""
    height, width = alpha.shape
    a = alpha[..., None]
    merged = backdrop + (person - backdrop) * a
    if wrap <= 0:
        return np.asarray(merged, np.float32)
    quarter = (width // 4, height // 4)
    tiny = cv2.resize(np.minimum(backdrop, 2.0) * (1 - a), quarter, interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(tiny, (0, 0), 2.2, borderType=cv2.BORDER_REPLICATE)
    spill = cv2.resize(near, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(merged + wrap * spill * a, np.float32)
