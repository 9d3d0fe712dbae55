"""What lies over a face from outside: fringe, strands, hats. Found as what is neither the face's skin nor a feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face.geometry import Raster, at_points, rasterise, rim_gap, rim_weights
from portraitd.engines.classic.face.light import grey_of, harmonics, log_light
from portraitd.faces import regions
from portraitd.faces.guided import Guidance, drawn_along
from portraitd.faces.shape import mean_face
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points

EYES_AND_LIPS = (regions.LEFT_EYE, regions.RIGHT_EYE, regions.LIPS_OUTER)
BROWS = (regions.LEFT_BROW, regions.RIGHT_BROW)
FEATURES = (*EYES_AND_LIPS, *BROWS)
#: How far around eyes and lips dark is no hair that hangs over a cheek, eye distances: make-up, and a moustache's tips.
AROUND_EYES, AROUND_LIPS = 0.12, 0.3
#: How high a brow is that hair may lie over, in diagonals of the face.
BROW = 0.08
#: Face width at which hair is looked for, px; its edges are then drawn along the full picture's.
WORK_PX = 128
#: How much darker than lit skin hair begins, and is certain (natural log of linear light).
DARK = (0.32, 0.75)
#: How far from skin's colour something coloured begins, and is certain.
COLOURED = (0.30, 0.60)
#: How much brighter than lit skin the backdrop beside a misplaced contour begins, and is certain.
BRIGHT = (0.3, 0.5)
#: How much darker than lit skin hair that hangs over a cheek begins, and is certain: a cheek has its own shade.
DARK_LOW = (0.6, 1.0)
#: How much darker than skin, in the middle, a chin and the skin above its mouth are bare, and surely bearded.
BEARDED = (0.2, 0.35)
#: How much darker both are in a full beard: a head that is lit from above has a dark upper lip, too.
FULL = 0.42
#: How much darker than the lips the darker of the two is in a beard: shade lies on all alike. What counts as lips.
DARKER_THAN_LIPS, MOSTLY_LIPS = 0.2, 0.7
#: How much brighter than skin, and how far from its colour, a chin is bare, and surely in a white beard.
WHITE, HOARY = (0.3, 0.45), (0.3, 0.4)
#: How far from lit skin in brightness or colour a beard begins, and surely is one, on a face that has one.
UNLIKE = (0.15, 0.4)
#: How broad a frame of glasses may be, face widths: what is dark and broader may be hair.
FRAME = 0.06
#: How much darker than skin the edge of hair is, and how wide it is, face widths.
DARK_EDGE = (0.2, 0.45)
EDGE = 0.035
#: How far in from the outline hair may hang over the jaw, or beside a mouth, face widths.
OUTLINE = (0.03, 0.07)
#: How far in from the contour hair may hang over a bare cheek, eye distances; and how much darker it must be beyond.
HANGING = (0.30, 0.45)
DEEPER = 0.3
#: How closely hair's edges follow the picture.
EDGES = Guidance(window_px=9, smoothness=1e-3, averaged_px=9)


@lru_cache(maxsize=1)
def cover_zone() -> Floats:
    """(468,) where hair may lie over a face: forehead, temples and the outer cheeks; 0 on the features and the chin."""
    points = mean_face().points
    brows = points[[*regions.LEFT_BROW, *regions.RIGHT_BROW]]
    above = np.clip((brows[:, 1].min() + 0.05 - points[:, 1]) / 0.15, 0, 1)
    outer = np.clip((np.abs(points[:, 0]) - 0.72) / 0.15, 0, 1)
    high = np.clip((0.75 - points[:, 1]) / 0.3, 0, 1)  # not on the jaw: a beard belongs to the face
    side = outer * high * (rim_weights() > 0.05)
    return np.asarray(np.maximum(above, side), np.float32)


@lru_cache(maxsize=1)
def hanging_zone() -> Floats:
    """(468, 3) where hair may hang over the cheeks of a face that has no beard, 0 on nose and chin; the same with the
    jaw; and 1 near the contour, where it mostly does."""
    points = mean_face().points
    near = np.clip((HANGING[1] - rim_gap()) / (HANGING[1] - HANGING[0]), 0, 1)
    aside = np.clip((np.abs(points[:, 0]) - 0.3) / 0.1, 0, 1)
    cheeks = aside * np.clip((1.4 - points[:, 1]) / 0.3, 0, 1)
    return np.asarray(np.column_stack([cheeks, aside, near]), np.float32)


@lru_cache(maxsize=1)
def _chin_points() -> NDArray[np.bool_]:
    """(468,) the chin."""
    x, y = np.abs(mean_face().points[:, 0]), mean_face().points[:, 1]
    lips = mean_face().points[[*regions.LIPS_OUTER], 1]
    return np.asarray((y > lips.max() + 0.08) & (x < 0.35) & (rim_gap() > 0.1), np.bool_)


@lru_cache(maxsize=1)
def _moustache_points() -> NDArray[np.bool_]:
    """(468,) the skin above the mouth."""
    x, y = np.abs(mean_face().points[:, 0]), mean_face().points[:, 1]
    lips = mean_face().points[[*regions.LIPS_OUTER], 1]
    return np.asarray((y < lips.min() - 0.02) & (y > lips.min() - 0.16) & (x < 0.3), np.bool_)


@lru_cache(maxsize=1)
def below_nose() -> Floats:
    """(468,) 1 where beards grow, to 0."""
    points = mean_face().points
    return np.asarray(np.clip((points[:, 1] - points[2, 1]) / 0.08 + 1, 0, 1), np.float32)


@dataclass(frozen=True)
class AgainstSkin:
    """A small copy of a face's region, held against its skin as the light on it would show it."""

    #: (h, w, 3) natural log of linear light, less that of skin.
    off: Floats
    #: (468, 3) px, the mesh in it, and that mesh drawn.
    at: Points
    raster: Raster

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.off.shape[0], self.off.shape[1]

    @cached_property
    def dark(self) -> Mask:
        """(h, w) how much darker than skin."""
        return -grey_of(self.off)

    @cached_property
    def tint(self) -> Mask:
        """(h, w) how far from skin's colour."""
        return tint_of(self.off)

    @cached_property
    def unlike(self) -> Mask:
        """(h, w) 0 to 1: how far a pixel is from lit skin, in brightness or colour."""
        off = np.maximum(np.abs(self.dark), self.tint)
        return np.asarray(np.clip((off - UNLIKE[0]) / (UNLIKE[1] - UNLIKE[0]), 0, 1), np.float32)

    @cached_property
    def bearded(self) -> float:
        """0 for a bare chin, 1 for a beard; what may be one, in between."""
        # Beards grow on both, hair of the head seldom hangs there.
        dark = np.median(at_points(self.dark, self.at[_chin_points() | _moustache_points(), :2]))
        return float(np.clip((dark - BEARDED[0]) / (BEARDED[1] - BEARDED[0]), 0, 1))

    @cached_property
    def full_beard(self) -> bool:
        """Whether chin and upper lip both are so dark, and the lips between them less so, or the chin so white, that it
        is no shade."""
        if self.white_bearded >= 0.5:
            return True
        dark = [
            np.median(at_points(self.dark, self.at[points, :2])) for points in (_chin_points(), _moustache_points())
        ]
        if min(dark) <= FULL:
            return False
        lips = features(self.at, self.shape, (regions.LIPS_OUTER,), 0.0)
        lips *= 1 - features(self.at, self.shape, (regions.LIPS_INNER,), 0.0)
        seen = self.dark[lips > MOSTLY_LIPS]
        return not seen.size or bool(max(dark) - np.median(seen) > DARKER_THAN_LIPS)

    @cached_property
    def white_bearded(self) -> float:
        """The same of a white beard."""
        chin = self.at[_chin_points(), :2]
        bright, tint = (np.median(at_points(values, chin)) for values in (-self.dark, self.tint))
        return float(
            np.clip(min((bright - WHITE[0]) / (WHITE[1] - WHITE[0]), (tint - HOARY[0]) / (HOARY[1] - HOARY[0])), 0, 1)
        )

    @cached_property
    def beard(self) -> Floats:
        """(468,) 0 to 1: how far each point below the nose, lips included, is unlike lit skin; all 0 without a full
        beard."""
        if not self.full_beard:
            return np.zeros(len(self.at), np.float32)
        return np.asarray(at_points(self.unlike, self.at[:, :2]) * below_nose(), np.float32)

    @cached_property
    def solid(self) -> Mask:
        """(h, w) 1 where what is dark is broad: hair that hangs over a cheek, not the frame of glasses."""
        reach = max(1, round(FRAME / 2 * float(np.ptp(self.at[:, 0]))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        broad = cv2.morphologyEx((self.dark > DARK_LOW[0]).astype(np.uint8), cv2.MORPH_OPEN, disc)
        return np.asarray(cv2.dilate(broad, np.ones((3, 3), np.uint8)), np.float32)

    @cached_property
    def inside(self) -> Mask:
        """(h, w) 1 inside the mesh, to 0."""
        return self.raster.coverage()

    @cached_property
    def depth(self) -> Floats:
        """(h, w) how deep inside the outline of the mesh, face widths."""
        inside = (self.inside > 0.5).astype(np.uint8)
        return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5) / np.ptp(self.at[:, 0]), np.float32)


def against_skin(image: Image, points: Points, normals: Floats, light: Floats) -> AgainstSkin:
    """The (H, W, 3) image of a face, WORK_PX to its width at most, against its skin.

    points: (468, 3) the face's mesh in the image. normals: (468, 3) of that mesh. light: (9, 3) from `light.fit_light`.
    """
    shrink = min(1.0, WORK_PX / float(np.ptp(points[:, 0])))
    size = (max(8, round(image.shape[1] * shrink)), max(8, round(image.shape[0] * shrink)))
    at = (points * np.float32(shrink)).astype(np.float32)
    at[:, :2] += np.float32((shrink - 1) / 2)  # pixel centres at integers: shrinking moves them
    raster = rasterise(at, size[::-1], step=3)
    skin = raster.interpolate(harmonics(normals) @ light)
    return AgainstSkin(np.asarray(log_light(shrunk(image, *size)) - skin, np.float32), at, raster)


def hair_over(seen: AgainstSkin) -> Mask:
    """(h, w) in [0, 1]: what covers the face.

    Only what is not skin as lit by the light, lies where hair (or, at the rim, a bright backdrop) may lie, and reaches
    in from the rim counts, so that brows, moles and shadows stay part of the face.
    """
    spread = seen.raster.interpolate(np.column_stack([cover_zone(), hanging_zone(), rim_weights()]))
    zone, hanging, aside, near, rim = cv2.split(spread)
    dark, free = seen.dark, 1 - features(seen.at, seen.shape, FEATURES, 0.01)
    clear = 1 - features(seen.at, seen.shape, (regions.LEFT_EYE, regions.RIGHT_EYE), AROUND_EYES)
    # Along the outline of what is drawn hair hangs over the jaw, too, and beside the mouth of a head that is turned.
    along = np.clip((OUTLINE[1] - seen.depth) / (OUTLINE[1] - OUTLINE[0]), 0, 1)
    clear *= 1 - features(seen.at, seen.shape, (regions.LIPS_OUTER,), AROUND_LIPS) * (1 - along)
    hanging = np.maximum(hanging, aside * along)
    zone, hanging = zone * free, hanging * free * clear * np.float32(1 - seen.bearded)
    beyond = np.clip((rim - 0.4) / 0.3, 0, 1)
    bright = _step(-dark, *BRIGHT) * beyond
    if seen.white_bearded > 0:  # what goes on to the chin is no backdrop
        chin = seen.raster.interpolate(_chin_points().astype(np.float32)) > 0.5
        beard = _reaches_in((-dark > BRIGHT[0]) & (seen.inside > 0.5), chin)
        bright *= 1 - np.float32(seen.white_bearded) * beard
    hair = np.maximum(np.maximum(_step(dark, *DARK), _step(seen.tint, *COLOURED)) * zone, bright)
    deep = np.float32(DEEPER) * (1 - np.maximum(near, along))
    hair = np.maximum(hair, _step(dark - deep, *DARK_LOW) * hanging * seen.solid) * seen.inside
    # Low on the cheeks the contour's own points are out of sight: there the outline of what is drawn tells as much.
    outline = (rim > 0.5) | (seen.inside - cv2.erode(seen.inside, np.ones((5, 5), np.uint8)) > 0.5)
    hair *= _reaches_in(hair > 0.3, outline & (np.maximum(np.maximum(zone, hanging), beyond) > 0.5))
    return np.asarray(np.maximum(hair, over_brows(hair, seen)), np.float32)


def hair_and_edge(seen: AgainstSkin) -> Mask:
    """(h, w) the same of a photo, whose hair must not come along: with what is half dark right beside it, hair's edge
    and skin in its shadow."""
    hair, reach = hair_over(seen), max(1, round(EDGE * float(np.ptp(seen.at[:, 0]))))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    beside = cv2.dilate((hair > 0.5).astype(np.float32) * seen.solid, disc) * (
        1 - features(seen.at, seen.shape, FEATURES, 0.01)
    )
    return np.asarray(np.maximum(hair, beside * _step(seen.dark, *DARK_EDGE) * seen.inside), np.float32)


def over_brows(hair: Mask, seen: AgainstSkin) -> Mask:
    """(h, w) the brows where they lie in hair: what is dark above them and below is dark in between, too."""
    reach = max(3, round(BROW * float(np.linalg.norm(np.ptp(seen.at[:, :2], axis=0)))) | 1)
    closed = cv2.morphologyEx(hair, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(closed * features(seen.at, seen.shape, BROWS, 0.02), np.float32)


def tint_of(off: Floats) -> Floats:
    """(h, w) how far colours are off in hue and saturation, of (h, w, 3) differences of log light."""
    tint = off - grey_of(off)[:, :, None]
    return np.asarray(np.sqrt(3 * grey_of(tint * tint)), np.float32)


def at_full_size(hair: Mask, image: Image) -> Mask:
    """(H, W) the small mask of `hair_over` at the size of its (H, W, 3) image, its edges drawn along the image's."""
    return np.clip(drawn_along(hair, image, EDGES), 0, 1)


def features(points: Points, shape: tuple[int, int], rings: tuple[tuple[int, ...], ...], grow: float) -> Mask:
    """(H, W) 1 inside the given rings of a (468, 2+) px mesh, grown by `grow` eye distances, with soft edges."""
    eyes = [points[list(ring), :2].mean(axis=0) for ring in (regions.LEFT_EYE, regions.RIGHT_EYE)]
    eye_gap = float(np.linalg.norm(eyes[0] - eyes[1]))
    mask = np.zeros(shape, np.uint8)
    for ring in rings:
        hull = cv2.convexHull(np.rint(points[list(ring), :2]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 255)
    reach = max(1, round(grow * eye_gap))
    if grow > 0:
        mask = np.asarray(
            cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))), np.uint8
        )
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, reach / 2))
    return np.asarray(soft, np.float32) / np.float32(255.0)


def _reaches_in(hair: np.ndarray, gate: np.ndarray) -> Mask:
    """(H, W) 1 on the connected parts of `hair` that touch `gate`, slightly grown."""
    count, labels = cv2.connectedComponents(hair.astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(labels[gate & hair])] = True
    touching[0] = False
    parts = touching[labels].astype(np.uint8)
    return np.asarray(cv2.dilate(parts, np.ones((3, 3), np.uint8)), np.float32)


def _step(x: Floats, low: float, high: float) -> Floats:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
