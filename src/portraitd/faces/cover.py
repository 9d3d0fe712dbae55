"""Whether a face is hidden: by dark glasses, a mask, a hand, a thing, or the picture's edge.

Each hint is a ratio to the person's own skin, so that skin tone, exposure and black-and-white do not matter. The limits
lie between what good portraits and their covered copies measured (`benchmarks/verdicts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.look import CROP_PX, FaceCrop, part_likeness, skin_patches
from portraitd.images import Floats, Points

_AROUND_LIPS = (57, 186, 92, 165, 167, 164, 393, 391, 322, 410, 287, 273, 335, 406, 313, 18, 83, 182, 106, 43)

#: Lightness (Lab's L) of skin in good light: in worse light all colours are nearer to each other.
LIT = 60.0
#: Area between the lips, over its width squared, from which on a mouth is open.
OPEN = 0.08


@dataclass(frozen=True)
class EyeHints:
    """One eye against the skin of its side of the face."""

    #: Correlation with an average eye, -1 to 1.
    likeness: float
    #: Lightness under the eye over the skin's: about 0.9 on bare skin, below 0.6 behind dark glass.
    under: float
    #: Lightest part of the eye and its lids over the skin's.
    lightest: float
    #: Lightest minus darkest over the skin's: lashes and iris make it 0.4 and more.
    contrast: float

    @property
    def white_seen(self) -> bool:
        """The white of an eye beside its iris. Strands of hair are less bright, dark glasses less contrasting."""
        return self.contrast > 1.05 and self.lightest > 1.3 and self.under > 0.8


@dataclass(frozen=True)
class CoverHints:
    """What speaks for a covered face."""

    left_eye: EyeHints
    right_eye: EyeHints
    #: Correlation with average noses and mouths, -1 to 1.
    nose_likeness: float
    mouth_likeness: float
    #: Lightness around the lips over that of forehead and cheeks.
    around_lips: float
    #: Distance in Lab between the lips and what is around them, as it would be in good light: a cloth has no lips.
    lips_apart: float
    #: How much redder (Lab's a) the lips are than what is around them.
    lips_redder: float
    #: How much lighter (Lab's L) what is between open lips is than these: teeth; 0 where they are shut.
    teeth: float
    #: Distance in Lab's a, b between cheeks and forehead: a coloured mask lies on the cheeks.
    cheek_colour: float
    #: Share of the mesh outside the picture.
    outside_share: float

    @property
    def eyes_hidden(self) -> bool:
        """Dark or mirrored glasses, or something else before an eye."""
        eyes = (self.left_eye, self.right_eye)
        behind_glass = max(e.under for e in eyes) < 0.62 and max(e.lightest for e in eyes) < 0.65
        blank = all(e.contrast < 0.25 and e.likeness < 0.6 for e in eyes)
        one_covered = any(e.likeness < 0.45 and e.contrast < 0.25 for e in eyes)
        unlike = any(e.likeness < 0.24 and not e.white_seen for e in eyes)
        return behind_glass or blank or one_covered or unlike

    @property
    def lips_seen(self) -> bool:
        """Lips below a bare nose: whatever is around them is a beard; or teeth between them. Pale lips go unseen, which
        proves nothing."""
        in_dark_beard = self.around_lips < 0.85 and self.lips_apart > 15 and self.nose_likeness > 0.0
        open_or_red = (self.lips_redder > 8 or self.teeth > 10) and self.nose_likeness > 0.15
        return in_dark_beard or open_or_red or (self.lips_apart > 8 and self.nose_likeness > 0.3)

    @property
    def mouth_hidden(self) -> bool:
        """A mask, a hand or a thing before mouth and nose."""
        if self.lips_seen:
            return False
        odd_skin = self.cheek_colour > 16 or not 0.45 < self.around_lips < 1.04
        doubtful = self.mouth_likeness < 0.45 and (odd_skin or self.nose_likeness < 0.3)
        return doubtful or self.mouth_likeness < 0.26

    @property
    def cut_off(self) -> bool:
        """The picture ends inside the face."""
        return self.outside_share > 0.08

    @property
    def score(self) -> float:
        """1 when anything is hidden, else how near the nearest hint is to its limit, 0 to 1."""
        if self.eyes_hidden or self.mouth_hidden or self.cut_off:
            return 1.0
        weakest = min(self.left_eye.likeness - 0.24, self.right_eye.likeness - 0.24, self.mouth_likeness - 0.26)
        return float(np.clip(1 - weakest / 0.5, 0, 1))


def measure_cover(crop: FaceCrop, outside_share: float) -> CoverHints:
    """The hints in a face's crop; `outside_share`: of its mesh, outside the picture."""
    calm = cv2.GaussianBlur(crop.image, (0, 0), 1.2)
    lab = np.asarray(cv2.cvtColor(calm.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    skin = {name: [_median(lab, side) for side in pair] for name, pair in skin_patches(crop).items()}
    upper = np.mean([*skin["forehead"], *skin["cheek"]], axis=0)
    lips = crop.polygon(regions.LIPS_OUTER) & ~crop.polygon(regions.LIPS_INNER)
    around = crop.polygon(_AROUND_LIPS) & ~crop.polygon(regions.LIPS_OUTER)
    likeness = part_likeness(crop)
    sides = [float(np.median([pair[side][0] for pair in skin.values()])) for side in (0, 1)]
    apart = _median(lab, lips) - _median(lab, around)
    dimmed = float(np.clip(LIT / max(float(upper[0]), 1.0), 1, 2))
    colour_step = np.mean(skin["forehead"], axis=0)[1:] - np.mean(skin["cheek"], axis=0)[1:]
    return CoverHints(
        left_eye=_eye_hints(lab, crop.points[list(regions.LEFT_EYE)], sides[0], likeness["left_eye"]),
        right_eye=_eye_hints(lab, crop.points[list(regions.RIGHT_EYE)], sides[1], likeness["right_eye"]),
        nose_likeness=likeness["nose"],
        mouth_likeness=likeness["mouth"],
        around_lips=float(_median(lab, around)[0] / max(float(upper[0]), 1.0)),
        lips_apart=float(np.linalg.norm(apart)) * dimmed,
        lips_redder=float(apart[1]) * dimmed,
        teeth=_teeth(lab, crop, float(_median(lab, lips)[0])),
        cheek_colour=float(np.linalg.norm(colour_step)),
        outside_share=outside_share,
    )


def _teeth(lab: Floats, crop: FaceCrop, lips_lightness: float) -> float:
    """How much lighter than the lips the lighter part of what is between them is; 0 where they are as good as shut."""
    ring = crop.points[list(regions.LIPS_INNER)]
    between = crop.polygon(regions.LIPS_INNER)
    if cv2.contourArea(cv2.convexHull(ring)) < OPEN * float(np.ptp(ring[:, 0])) ** 2 or not between.any():
        return 0.0
    return float(np.percentile(lab[..., 0][between], 75)) - lips_lightness


def _eye_hints(lab: Floats, ring: Points, skin_lightness: float, likeness: float) -> EyeHints:
    """Hints of the eye with this ring of points."""
    x, y = ring.mean(axis=0)
    width = float(np.ptp(ring[:, 0]))
    under = lab[..., 0][_ellipse(x, y + 0.42 * width, 0.4 * width, 0.13 * width)]
    darkest, lightest = np.percentile(lab[..., 0][_ellipse(x, y, 0.6 * width, 0.3 * width)], (5, 90))
    skin = max(skin_lightness, 1.0)
    return EyeHints(
        likeness=likeness,
        under=float(np.median(under)) / skin,
        lightest=float(lightest) / skin,
        contrast=float(lightest - darkest) / skin,
    )


def _ellipse(x: float, y: float, half_width: float, half_height: float) -> NDArray[np.bool_]:
    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    axes = (max(1, int(half_width)), max(1, int(half_height)))
    cv2.ellipse(mask, (int(np.clip(x, 0, CROP_PX - 1)), int(np.clip(y, 0, CROP_PX - 1))), axes, 0, 0, 360, 1, -1)
    return mask > 0


def _median(lab: Floats, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(3,) median Lab of the masked pixels; black where the mask is empty."""
    return np.asarray(np.median(lab[mask], axis=0), np.float64) if mask.any() else np.zeros(3)
