"""The person's face in the template's light and tone. All in the logarithm of linear light, where light is a sum."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.engines.classic.face import finish, light
from portraitd.engines.classic.face.geometry import Raster
from portraitd.engines.classic.face.skin import skin_mean
from portraitd.engines.classic.fusion.place import Placement, above_brows
from portraitd.engines.classic.looks import Look
from portraitd.engines.classic.template.neck import step_to_neck
from portraitd.images import Floats, Mask, Points

#: Share of the fitted light that is exchanged, under like and unlike light: nine coefficients also hold some of the
#: face's own shape and colour, and would carry the model's into the person's (measured on identity distance).
RELIGHT_SHARE = (0.25, 0.85)
#: How far light may be changed, natural log.
MAX_RELIGHT = 1.6
#: Within this distance of the contour the rim's tone gives way to the face's, in face widths.
RIM_DECAY = 0.12
#: Light and shade of this scale (face widths) that lie farther than tolerated (natural log; under like and unlike
#: light, or on dark and bright skin) from the template's are brought back by this share of the excess: cast shadows
#: of the photo, or its glare. Of scale and share, as of COLOUR_SCALE and MOST_GAP below, the first is an even photo's,
#: the second one's with glare.
SHADING_SCALE = (0.06, 0.04)
SHADING_TOLERANCE = (0.46, 0.15)
SHADING_SHARE = (0.75, 0.95)
#: What is tolerated where there is glare: sun that falls on parts of a face leaves patches.
GLARE_TOLERANCE = 0.1
#: Scale at which skin takes the template's colour, face widths, and how much of it.
COLOUR_SCALE = (0.08, 0.05)
COLOUR_SHARE = 0.9
#: How far from the template's light a face is believed to be, natural log.
MOST_GAP = (0.8, 1.5)
#: How unevenly skin is off the template's colour (deviation, natural log of light) where lamps of two colours may have
#: lit it, and surely have.
TWO_LAMPS = (0.17, 0.25)
#: The scale at which skin takes the template's colour then, face widths; how far from it that may be, natural log; and
#: how much of its own colour detail loses.
LAMPS_SCALE, LAMPS_GAP, LAMPS_TINT = 0.04, 1.8, 0.8
#: How far the colour of a detail may lie from that of the skin around it, natural log.
MAX_TINT = (0.35, 0.2)
#: How much more than the template's a detail's colour may change with its brightness, per natural log of light, and how
#: much of that is taken out at most.
SLOPE_SLACK = 0.12
MOST_SLOPE = 0.4
#: How much more red than green there is in grey hair, natural log of light; and how much less than in the template's
#: skin at least.
GREY_RED, SKIN_REDDER = 0.06, 0.25
#: How far the contrast of fine detail may be brought down, under like and unlike light, and up.
LEAST_CONTRAST = (1.0, 0.8)
MOST_CONTRAST = 1.0
#: What a beard counts among skin, where detail is told from tone.
BEARD_TRUST = np.float32(0.02)


@dataclass(frozen=True)
class Sheet:
    """A small picture of the template's region, on which light and tone are worked out: they are smooth."""

    #: (h, w, 3) log linear light: the warped face, and the template.
    face: Floats
    wanted: Floats
    place: Placement
    #: Width of the face, px.
    width_px: float
    #: (468, 2) the posed mesh on it.
    points: Points
    #: (3,) log linear light of the template's bare skin around the face; None where none shows.
    around: Floats | None
    #: 0 to 1: how surely hard light fell on parts of the face in the photo.
    glare: float = 0.0


def relight(sheet: Sheet, change: Floats, spread: Floats, look: Look) -> Floats:
    """The sheet's face, (h, w, 3) log linear light, in the template's light and tone.

    change: (468, 3) of log light from the photo's light to the template's; spread: (h, w, 3) the same over the face.
    """
    place, wanted, width = sheet.place, sheet.wanted, sheet.width_px
    clash = _clash(change)
    ratio = np.clip(np.float32(_between(RELIGHT_SHARE, clash)) * spread, -MAX_RELIGHT, MAX_RELIGHT)
    lit = _toned(sheet.face + _tinted(ratio, place.colour_share), sheet, clash)
    if look.glow or look.modelling != 1:
        lit = lit + _modelled(lit, place.trust, look, width) * place.tone_alpha[:, :, None]
    return _no_greener(_soft_shoulder(lit, wanted, place.skin * place.small_alpha), sheet)


def _no_greener(lit: Floats, sheet: Sheet) -> Floats:
    """(h, w, 3) the lit face, no pixel of it greener than grey hair that was not so in the photo.

    Ruddy skin becomes less red in a template whose skin is: a grey beard beside it would turn green by as much. Where
    light makes the template's own skin green, it may.
    """
    skin = sheet.place.trust > 0.9
    theirs = float(np.median((sheet.wanted[..., 0] - sheet.wanted[..., 1])[skin])) if skin.any() else 0.0
    least = np.minimum(sheet.face[..., 0] - sheet.face[..., 1], np.float32(min(GREY_RED, theirs - SKIN_REDDER)))
    lacking = np.maximum(least - (lit[..., 0] - lit[..., 1]), 0)
    return np.asarray(lit + lacking[:, :, None] * np.array([0.5, -0.5, 0], np.float32), np.float32)  # no brighter by it


def _toned(lit: Floats, sheet: Sheet, clash: float) -> Floats:
    """(h, w, 3) the lit face with the tone of the rim, the skin's colour, and no stray shadow or contrast."""
    wanted, place, width_px, glare = sheet.wanted, sheet.place, sheet.width_px, sheet.glare
    lit = lit + _tinted(_rim_tone(wanted - lit, place, RIM_DECAY * width_px), place.colour_share)
    trust = place.trust
    firm = max(clash, _brightness(wanted, trust))
    scale, most = _between(SHADING_SCALE, glare), _between(MOST_GAP, glare)
    gap = np.clip(wanted - lit, -most, most)
    # Light changes its brightness over a cheek, its colour only over a whole face: but that of two lamps.
    near, far = (skin_mean(gap, trust, by * width_px) for by in (scale, _between(COLOUR_SCALE, glare)))
    tint = far - light.grey_of(far)[:, :, None]
    lamps = _two_lamps(tint, trust)
    if lamps > 0:
        fine = skin_mean(np.clip(wanted - lit, -LAMPS_GAP, LAMPS_GAP), trust, LAMPS_SCALE * width_px)
        tint = tint + np.float32(lamps) * (fine - light.grey_of(fine)[:, :, None] - tint)
    grey = light.grey_of(near)[:, :, None]
    tolerated = _between((_between(SHADING_TOLERANCE, firm), GLARE_TOLERANCE), glare)
    shade = grey - np.clip(grey, -tolerated, tolerated)
    # Eyes and lips hold their own colour against another complexion, not that of a coloured lamp beside them.
    common = (tint * trust[:, :, None]).sum(axis=(0, 1)) / max(float(trust.sum()), 1.0)
    shade = np.float32(_between(SHADING_SHARE, glare)) * shade
    change = _tinted(np.asarray(shade + COLOUR_SHARE * common, np.float32), place.colour_share)
    lit = lit + change + np.float32(COLOUR_SHARE) * (tint - common)
    most_tint = _between(MAX_TINT, firm) * (1 - LAMPS_TINT * lamps)
    return _match_contrast(lit, wanted, place, scale * width_px, firm=firm, most_tint=most_tint)


def _two_lamps(tint: Floats, trust: Mask) -> float:
    """0 to 1: how surely a face was lit by lamps of two colours, from the (h, w, 3) change of colour it needs."""
    skin = trust > 0.9
    uneven = float(np.linalg.norm(tint[skin].std(axis=0))) if skin.any() else 0.0
    return float(np.clip((uneven - TWO_LAMPS[0]) / (TWO_LAMPS[1] - TWO_LAMPS[0]), 0, 1))


def towards_neck(lit: Floats, sheet: Sheet, raster: Raster, look: Look) -> Floats:
    """(h, w, 3) change of log light that brings the lit face nearer to the tone of the template's skin around it.

    Less and less above the brows: the forehead goes over into the template's own.
    """
    if sheet.around is None:
        return np.zeros_like(lit)
    # A look that makes the face brighter than the template's means it.
    step = step_to_neck(lit, sheet.points, sheet.around + np.float32(look.glow))
    below = 1 - raster.interpolate(above_brows(), lit.shape[1::-1])
    return np.asarray(_tinted(step[None, None], sheet.place.colour_share) * below[:, :, None], np.float32)


def _modelled(lit: Floats, trust: Mask, look: Look, width_px: float) -> Floats:
    """(h, w, 1) change of log light that makes the face brighter and its light and shade stronger or weaker."""
    broad = light.grey_of(skin_mean(lit, trust, SHADING_SCALE[0] * width_px))[:, :, None]
    middle = float((broad[:, :, 0] * trust).sum() / max(float(trust.sum()), 1.0))
    return np.asarray(look.glow + (look.modelling - 1.0) * (broad - middle), np.float32)


def _clash(change: Floats) -> float:
    """0 to 1: how differently the two faces are lit, from the (468, 3) change of log light over the skin."""
    over_skin = change.mean(axis=1)[light.skin_points() > 0]
    return float(np.clip((float(over_skin.std()) - 0.5) / 0.3, 0, 1))


def _brightness(wanted: Floats, trust: Mask) -> float:
    """0 to 0.5: how bright the template's skin is; on bright, even skin every stray shadow shows."""
    skin = trust > 0.9
    if not skin.any():
        return 0.0
    return float(np.clip((float(np.median(light.grey_of(wanted)[skin])) + 1.3) / 1.0, 0, 0.5))


def _between(ends: tuple[float, float], t: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * t


def _match_contrast(
    lit: Floats, wanted: Floats, place: Placement, sigma_px: float, *, firm: float, most_tint: float
) -> Floats:
    """(h, w, 3) detail finer than `sigma_px` made as strong as the template's skin shows it, within limits, and its
    colour on skin no stronger than `most_tint`.

    A bright, soft picture bends contrast down in its highlights, a hard one keeps it; features stay as they are.
    """
    trust = place.trust
    # A beard has a base of its own: else its colour would be detail, and held back.
    base = skin_mean(lit, np.maximum(trust, BEARD_TRUST), sigma_px)
    detail = lit - base
    solid = trust > 0.9
    if solid.sum() < 64:
        return lit
    theirs = wanted - skin_mean(wanted, trust, sigma_px)
    have, want = light.grey_of(detail)[solid], light.grey_of(theirs)[solid]
    gain = float(np.clip(_spread(want) / max(_spread(have), 1e-4), _between(LEAST_CONTRAST, firm), MOST_CONTRAST))
    per_pixel = (gain + (1.0 - gain) * (1 - place.skin))[:, :, None]
    grey = light.grey_of(detail)[:, :, None]
    # Shadows of a warm photo are far redder, as a ratio, than its skin: brightened, they would glow. As far as that
    # goes with brightness, it is the lamp; what is left is held back.
    excess = _slope(theirs[solid], want) - _slope(detail[solid], have)
    less = np.clip(excess - np.clip(excess, -SLOPE_SLACK, SLOPE_SLACK), -MOST_SLOPE, MOST_SLOPE)
    colour = (detail - grey + grey * place.skin[:, :, None] * less) * per_pixel
    limit = (most_tint + (1 - most_tint) * (1 - place.colour_share) * 2)[:, :, None]
    return np.asarray(base + grey * per_pixel + limit * np.tanh(colour / limit), np.float32)


def _slope(detail: Floats, grey: Floats) -> Floats:
    """(3,) how much redder, greener and bluer details (N, 3) are for each step that they are brighter, (N,)."""
    return np.asarray((detail - grey[:, None]).T @ grey / max(float(grey @ grey), 1e-3), np.float32)


def _spread(values: Floats) -> float:
    """Half the distance between the 5th and the 95th percentile: spots and stray hairs do not count."""
    low, high = np.percentile(values, [5, 95])
    return float(high - low) / 2


def _tinted(change: Floats, colour_share: Mask) -> Floats:
    """(h, w, 3) a change of log light, its colour (not its brightness) weakened where the share is below 1."""
    grey = light.grey_of(change)[:, :, None]
    return np.asarray(grey + (change - grey) * colour_share[:, :, None], np.float32)


def _rim_tone(gap: Floats, place: Placement, decay_px: float) -> Floats:
    """(h, w, 3) the gap at the rim carried inside, where it fades into the mean gap of all skin."""
    skin, grey = place.skin * place.small_alpha, light.grey_of(gap)
    # Far from the usual gap is not skin against skin; how large the usual one is, depends on the template's light.
    usual = float(np.median(grey[skin > 0.5])) if (skin > 0.5).any() else 0.0
    trust = skin * (np.abs(grey - usual) < 0.7)
    rim = trust * np.clip(1.0 - place.tone_alpha, 0, 1) * 4
    mean = (gap * trust[:, :, None]).sum(axis=(0, 1)) / max(float(trust.sum()), 1.0)
    weight = np.clip(rim + 0.02 * trust, 0, 1).astype(np.float32)
    carried = finish.spread_inward(np.clip(gap - mean, -0.7, 0.7).astype(np.float32), weight)
    depth = cv2.distanceTransform((place.small_alpha > 0.02).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(mean + carried * np.exp(-depth / decay_px)[:, :, None], np.float32)


def _soft_shoulder(lit: Floats, wanted: Floats, skin: Mask) -> Floats:
    """Highlights bent below the brightest skin of the template, so that nothing burns out that was not burnt out."""
    inside = skin > 0.5
    if inside.sum() < 64:
        return lit
    top = np.percentile(light.grey_of(wanted)[inside], 99.5)
    knee = top - 0.25
    luma = light.grey_of(lit)
    over = np.maximum(luma - knee, 0)
    bent = 0.35 * (1 - np.exp(-over / 0.35))
    return np.asarray(lit - (over - bent)[:, :, None], np.float32)
