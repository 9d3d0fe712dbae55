"""The person without the old backdrop, enlarged cleanly into the portrait's frame, cuts hidden."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from portraitd.engines.classic.face.geometry import normals
from portraitd.engines.classic.face.light import colours_at, fit_light, skin_points, skin_seen
from portraitd.engines.classic.face.skin import retouch
from portraitd.engines.classic.person.identity import View
from portraitd.engines.classic.presets.clothes.canvas import Canvas
from portraitd.engines.classic.presets.clothes.fitting import Fitting, fitting_for
from portraitd.engines.classic.presets.clothes.pattern import CLOSES_AT
from portraitd.engines.classic.presets.clothes.sight import sight_of
from portraitd.engines.classic.presets.clothes.tailor import Clothes, Outfit, tailored
from portraitd.engines.classic.presets.enlarge import resampled, textured
from portraitd.engines.classic.presets.framing import (
    PORTRAIT,
    Frame,
    Person,
    Wish,
    face_width,
    find_frame,
    head_is_cut_off,
    read_person,
    roll_of,
    shoulder_at,
    straightened,
    surely_shoulder,
)
from portraitd.engines.classic.presets.grade import LUMA
from portraitd.engines.classic.presets.turning import turned_to_camera
from portraitd.errors import AlgorithmFailed, HeadCutOff
from portraitd.faces import regions
from portraitd.faces.matte import estimate_foreground
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Floats, Image, Mask, Points

#: Clothes have the same folds, and waver about their pattern alike, in all pictures.
CLOTHES_SEED = 1
#: How soft the edges of clothes are, px of the photo, as far as it is enlarged; and how much of the light that falls
#: across the face falls across them.
SOFTNESS, SIDEWAYS = 0.5, 0.5
#: Mesh points along the chin, and how much of them something must hide.
CHIN_RING, HIDDEN = (150, 149, 176, 148, 152, 377, 400, 378, 379), 0.4
#: A head that is tilted less than this is upright, degrees.
UPRIGHT_DEG = 2.0
#: Most views of which it is kept that there is no cutout, or that there is one: a person has four with a matte, and
#: each keeps its photo.
MOST_KEPT = 8
#: How far below the chin a neck is stretched from, and below the collar's edge to, face widths.
BENEATH = 0.03


@dataclass(frozen=True)
class Cutout:
    """The person in the portrait's frame."""

    #: (H, W, 3) uint8 own colours, defined wherever alpha > 0.
    colours: Image
    #: (H, W). After `in_clothes` it is the dressed outline, and what clothes cover has no colours.
    alpha: Mask
    #: (468, 3) mesh, portrait pixels.
    points: Points
    #: Portrait pixels per photo pixel: above 1 the photo was enlarged.
    zoom: float
    #: What is drawn onto the person, if anything is. `alpha` is without it.
    clothes: Clothes | None = None

    @property
    def face_px(self) -> float:
        """Width of the face's mesh."""
        return float(np.ptp(self.points[:, 0]))

    def is_grey(self) -> bool:
        """Whether the person's photo is black and white."""
        some = self.colours[::6, ::6][self.alpha[::6, ::6] > 0.9].astype(np.int16)
        return some.size > 0 and float(np.ptp(some, axis=1).mean()) < 4.0

    def own_light(self) -> tuple[float, float]:
        """How the photo's light falls across the face: change of log luma from a normal (0, 0) to (1, 0) and (0, 1)."""
        colours = colours_at(self.colours, FaceMesh(self.points, 1.0))
        fit = fit_light(colours, normals(self.points), skin_seen(colours, skin_points()))
        return float(fit[1] @ LUMA), float(fit[2] @ LUMA)


class BareShoulders(Exception):
    """A photo whose person ought to wear something formal, has bare shoulders, and can't be dressed."""


def cut_out(view: View, wish: Wish, strength: float, outfit: Outfit | None = None, *, even_bare: bool = True) -> Cutout:
    """The person of a view, placed as wished, the skin retouched by `strength` (0 to 1).

    outfit: drawn onto who wears nothing like it, if it fits. Raises AlgorithmFailed for a view without matte,
    HeadCutOff for a photo that shows too little besides the face, and BareShoulders, unless `even_bare`.
    """
    view = turned_to_camera(view, wish.most_turn_deg)
    if view.alpha is None:
        raise AlgorithmFailed
    alpha = view.alpha()
    person, fitting = read_person(view, alpha), None
    if outfit is not None and not _chin_is_hidden(view):
        fitting, share = _fitting_of(view, alpha, person, wish.straighten)
    if fitting is not None:
        person, wish = person.covered_below_chin(), replace(wish.for_clothes(), straighten=share)
    frame = find_frame(person, wish)
    if head_is_cut_off(person, frame):
        raise HeadCutOff
    if outfit is not None and fitting is None and not even_bare:
        sight = sight_of(view.image(), alpha, view.mesh.points, straightened(person, 1.0))
        if sight.shoulders_are_bare():
            raise BareShoulders
    cutout = _cut_at(view, alpha, frame, strength, clothed=fitting is not None)
    if fitting is None or outfit is None:
        return cutout
    return replace(cutout, clothes=_clothes_for(cutout, fitting, outfit))


def _fitting_of(view: View, alpha: Mask, person: Person, straighten: float) -> tuple[Fitting | None, float]:
    """The measures for drawn clothes, None where none fit; and the share of the head's tilt that is taken out for them.

    Clothes are drawn upright, and whether they fit at all is told from the head upright. Where they do not fit it as
    tilted as it should be, it is straightened.
    """
    image, points = view.image(), view.mesh.points
    as_wished = partial(fitting_for, image, alpha, points, straightened(person, straighten))
    if straighten == 1.0 or abs(roll_of(points[:, :2])) < UPRIGHT_DEG:
        return as_wished(), straighten
    upright = fitting_for(image, alpha, points, straightened(person, 1.0))
    tilted = None if upright is None else as_wished()
    return (upright, 1.0) if tilted is None else (tilted, straighten)


def _chin_is_hidden(view: View) -> bool:
    """Whether something lies before the chin: a hand, which a collar would cut off."""
    return bool(view.hidden()[list(CHIN_RING)].mean() > HIDDEN)


def _clothes_for(cutout: Cutout, fitting: Fitting, outfit: Outfit) -> Clothes:
    rng = np.random.default_rng(CLOTHES_SEED)
    unit = face_width(cutout.points)
    chin = cutout.points[regions.CHIN]
    canvas = Canvas.below((float(chin[0]) + fitting.aside * unit, float(chin[1])), unit, rng)
    clothes = tailored(fitting, outfit, canvas, rng, SIDEWAYS * cutout.own_light()[0])
    return clothes.softened(SOFTNESS * max(1.0, cutout.zoom))


def _cut_at(view: View, alpha: Mask, frame: Frame, strength: float, *, clothed: bool) -> Cutout:
    """The person of a view with this matte in this frame; clothed: what lies below the collar will be covered."""
    points = frame.apply(view.mesh.points)
    image, alpha, frame = _shown_part(view.image(), alpha, frame)
    back = cv2.invertAffineTransform(frame.matrix)
    face = np.asarray(points[:, :2] @ back[:, :2].T + back[:, 2], np.float32)
    x, y = _source_map(frame, alpha, face, clothed=clothed)
    alpha = _rounded_off(alpha, face)
    colours = resampled(estimate_foreground(image, alpha), x, y, frame.zoom)
    soft = np.clip(cv2.remap(alpha, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT), 0, 1)
    finished = textured(retouch(colours, points, strength), np.asarray(soft, np.float32), points, frame.zoom)
    return Cutout(finished.colours, finished.alpha, points, frame.zoom)


class _Once:
    """A cutout that one thread makes while others that want it wait; or why there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: Cutout | type[Exception] | None = None

    @property
    def is_small(self) -> bool:
        """Whether it is known that there is none."""
        return isinstance(self._made, type)

    def get(self, make: Callable[[], Cutout]) -> Cutout:
        with self._lock:
            if self._made is None:
                try:
                    self._made = make()
                except (HeadCutOff, BareShoulders) as error:
                    self._made = type(error)
            if isinstance(self._made, Cutout):
                return self._made
            raise self._made


class Cutouts:
    """The last few cutouts made: results of one job often show one view in one frame.

    Why there is no cutout of a view is kept until those that were made before are gone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        #: The view is kept with its cutout, so that its id cannot become another view's.
        self._kept: OrderedDict[tuple[int, Wish, float, Outfit | None, bool], tuple[View, _Once]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, view: View, wish: Wish, strength: float, outfit: Outfit | None, *, even_bare: bool) -> Cutout:
        """What `cut_out` gives or raises for these; its arrays must not be written to."""
        key = (id(view), wish, strength, outfit, even_bare)
        with self._lock:
            _, once = self._kept.setdefault(key, (view, _Once()))
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT or sum(not one.is_small for _, one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return once.get(lambda: cut_out(view, wish, strength, outfit, even_bare=even_bare))


def _shown_part(image: Image, alpha: Mask, frame: Frame) -> tuple[Image, Mask, Frame]:
    """The part of the photo the frame can show, shrunk if the portrait is smaller, and the frame of that part."""
    height, width = alpha.shape
    corners = np.array([(0, 0), (PORTRAIT.width, 0), (0, PORTRAIT.height), PORTRAIT], np.float64)
    back = cv2.invertAffineTransform(frame.matrix)
    reached = corners @ back[:, :2].T + back[:, 2]
    low = np.floor(reached.min(axis=0)).astype(int) - 8
    high = np.ceil(reached.max(axis=0)).astype(int) + 8
    x0, y0 = (int(v) for v in np.clip(low, 0, (width - 16, height - 16)))
    x1, y1 = (int(v) for v in np.clip(high, (x0 + 16, y0 + 16), (width, height)))
    image, alpha = image[y0:y1, x0:x1], alpha[y0:y1, x0:x1]
    matrix = frame.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    if frame.zoom < 0.75:  # averaged first: sampling every other pixel would alias
        size = (round(image.shape[1] * frame.zoom), round(image.shape[0] * frame.zoom))
        ratio = np.array([image.shape[1] / size[0], image.shape[0] / size[1]])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
        matrix[:, 2] += matrix[:, :2] @ ((ratio - 1) / 2)
        matrix[:, :2] *= ratio
    return np.ascontiguousarray(image), np.ascontiguousarray(alpha), Frame(matrix)


def _source_map(frame: Frame, alpha: Mask, face: Points, *, clothed: bool) -> tuple[Floats, Floats]:
    """(H, W) x and y of the photo pixel that each portrait pixel shows; face: (N, 2) photo pixels that must not change.

    Where a side or the bottom cut the person and the portrait reaches beyond, what lies between face and cut is
    stretched to the portrait's edge: shoulders and hair go on instead of ending in a line. Clothed, only a neck is,
    down to where the collar closes.
    """
    height, width = alpha.shape
    back = cv2.invertAffineTransform(frame.matrix).astype(np.float32)
    columns = np.arange(PORTRAIT.width, dtype=np.float32)[None]
    rows = np.arange(PORTRAIT.height, dtype=np.float32)[:, None]
    x = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    y = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    if clothed:
        return x, _neck_rows(y, height - 1, face)
    low, high = face.min(axis=0), face.max(axis=0)
    room = 0.12 * float(high[0] - low[0])
    if _cut(alpha[:, :2]):
        stretched = (width - 1) - _stretched((width - 1) - x, width - 1, (width - 1) - (float(low[0]) - room))
        x = np.asarray(x + (stretched - x) * _share_stretched(y, alpha[:, :2], face), np.float32)
    if _cut(alpha[:, -2:]):
        stretched = _stretched(x, width - 1, float(high[0]) + room)
        x = np.asarray(x + (stretched - x) * _share_stretched(y, alpha[:, -2:], face), np.float32)
    if _cut(alpha[-2:]):
        y = _stretched(y, height - 1, float(high[1]) + room)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _neck_rows(y: Floats, end: float, face: Points) -> Floats:
    """(H, W) the photo's rows, of which the last is `end`, with a neck that ends too soon stretched to where a drawn
    collar closes; below that, one row."""
    chin, face_px = float(face[:, 1].max()), float(np.ptp(face[:, 0]))
    collar = chin + (CLOSES_AT + BENEATH) * face_px
    return _stretched(np.minimum(y, collar), end, chin + BENEATH * face_px)


def _share_stretched(rows: Floats, edge: Mask, face: Points) -> Floats:
    """(...) 0 to 1: how much of the way out is gone at these rows with what an (H, N) edge of the photo cuts: all of it
    with shoulders; hair beside the face would be smeared."""
    face_px, shoulder = float(np.ptp(face[:, 0])), shoulder_at(edge, face)
    share = np.clip((rows - surely_shoulder(face)) / (0.35 * face_px), 0, 1)
    if shoulder is not None:
        share = np.maximum(share, np.clip((rows - shoulder) / (0.1 * face_px) + 1, 0, 1))
    return np.asarray(share, np.float32)


def _rounded_off(alpha: Mask, face: Points) -> Mask:
    """The matte with hair that a side of the photo cut ending in a soft curve, not in the photo's straight edge."""
    height, width = alpha.shape
    low, high = face.min(axis=0), face.max(axis=0)
    face_px = float(high[0] - low[0])
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None]
    head = np.clip((float(high[1]) + 0.1 * face_px - rows) / (0.35 * face_px), 0, 1)
    bulge = ((rows - float(low[1]) - 0.25 * face_px) / face_px) ** 2
    for edge, depth, room in (
        (alpha[:, :2], columns, float(low[0])),
        (alpha[:, -2:], width - 1 - columns, width - 1 - float(high[0])),
    ):
        if not _cut(edge[: max(1, int(high[1]))]) or room <= 2:
            continue
        inset = np.minimum(0.12 * face_px * bulge, 0.5 * room)
        kept = np.clip((depth - inset) / min(0.06 * face_px, 0.5 * room), 0, 1)
        shoulder = shoulder_at(edge, face)
        above = 1.0 if shoulder is None else np.clip((shoulder - rows) / (0.1 * face_px), 0, 1)
        alpha = np.asarray(alpha * (1 - head * above * (1 - kept)), np.float32)
    return alpha


def _cut(edge: Mask) -> bool:
    return bool((edge > 0.3).any())


def _stretched(at: Floats, end: float, start: float) -> Floats:
    """Coordinates with those beyond `end` brought inside: the stretch from `start` to `end` covers all of it.

    Smooth at `start`, where it is still life-size, ever longer towards the end.
    """
    beyond = float(at.max()) - end
    if beyond <= 0:
        return at
    start = min(start, end - 4.0)
    length = end - start
    t = np.clip((at - start) / (length + beyond), 0, 1)
    far = start + length * (1 - (1 - t) ** ((length + beyond) / length))
    return np.asarray(np.where(at > start, far, at), np.float32)
