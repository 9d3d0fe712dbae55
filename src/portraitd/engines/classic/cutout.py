"""The person without the old backdrop, enlarged cleanly into the portrait's frame, cuts hidden."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portraitd.engines.classic.framing import PORTRAIT, Frame, Wish, find_frame, read_person
from portraitd.engines.classic.identity import View
from portraitd.errors import AlgorithmFailed
from portraitd.faces.matte import estimate_foreground
from portraitd.images import Floats, Image, Mask, Points


@dataclass(frozen=True)
class Cutout:
    """The person in the portrait's frame."""

    #: (H, W, 3) uint8 own colours, defined wherever alpha > 0.
    colours: Image
    #: (H, W).
    alpha: Mask
    #: (468, 3) mesh, portrait pixels.
    points: Points
    #: Portrait pixels per photo pixel: above 1 the photo was enlarged.
    zoom: float

    @property
    def face_px(self) -> float:
        """Width of the face's mesh."""
        return float(np.ptp(self.points[:, 0]))


def cut_out(view: View, wish: Wish) -> Cutout:
    """The person of a view, placed as wished."""
    if view.alpha is None:
        raise AlgorithmFailed
    frame = find_frame(read_person(view, view.alpha), wish)
    points = frame.apply(view.mesh.points)
    image, alpha, frame = _shown_part(view.image, view.alpha, frame)
    back = cv2.invertAffineTransform(frame.matrix)
    x, y = _source_map(frame, alpha, np.asarray(points[:, :2] @ back[:, :2].T + back[:, 2], np.float32))
    colours = _enlarged(estimate_foreground(image, alpha), x, y, frame.zoom)
    soft = cv2.remap(alpha, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return Cutout(colours, _firmed(np.clip(soft, 0, 1), frame.zoom), points, frame.zoom)


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


def _source_map(frame: Frame, alpha: Mask, face: Points) -> tuple[Floats, Floats]:
    """(H, W) x and y of the photo pixel that each portrait pixel shows; face: (N, 2) photo pixels that must not change.

    Where a side or the bottom cut the person and the portrait reaches beyond, what lies between face and cut is drawn
    out to the portrait's edge: shoulders and hair go on instead of ending in a line.
    """
    height, width = alpha.shape
    back = cv2.invertAffineTransform(frame.matrix).astype(np.float32)
    columns = np.arange(PORTRAIT.width, dtype=np.float32)[None]
    rows = np.arange(PORTRAIT.height, dtype=np.float32)[:, None]
    x = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    y = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    low, high = face.min(axis=0), face.max(axis=0)
    room = 0.12 * float(high[0] - low[0])
    if _cut(alpha[:, :2]):
        x = (width - 1) - _drawn_out((width - 1) - x, width - 1, (width - 1) - (float(low[0]) - room))
    if _cut(alpha[:, -2:]):
        x = _drawn_out(x, width - 1, float(high[0]) + room)
    if _cut(alpha[-2:]):
        y = _drawn_out(y, height - 1, float(high[1]) + room)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _cut(edge: Mask) -> bool:
    return bool((edge > 0.3).any())


def _drawn_out(at: Floats, end: float, start: float) -> Floats:
    """Coordinates with those beyond `end` brought inside: the stretch from `start` to `end` covers all of it.

    Smooth at `start`, where it is still life-size, ever longer towards the end.
    """
    beyond = float(at.max()) - end
    if beyond <= 0:
        return at
    start = min(start, end - 4.0)
    length = end - start
    t = np.clip((at - start) / (length + beyond), 0, 1)
    drawn = start + length * (1 - (1 - t) ** ((length + beyond) / length))
    return np.asarray(np.where(at > start, drawn, at), np.float32)


def _enlarged(image: Image, x: Floats, y: Floats, zoom: float) -> Image:
    """The photo sampled at the map. Enlarged edges are steepened, but hardly past the colours beside them: no ringing.

    The photo's own noise goes before it is enlarged to worms; the portrait's grain takes its place.
    """
    if zoom > 1.6:
        image = np.asarray(cv2.bilateralFilter(image, 5, min(22.0, 5 * zoom), 1.3), np.uint8)
    kernel = cv2.INTER_LANCZOS4 if zoom < 1.6 else cv2.INTER_CUBIC
    colours = np.asarray(cv2.remap(image, x, y, kernel, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
    if zoom < 1.25:
        return colours
    old = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).astype(np.float32)
    reach = np.ones((2 * round(0.5 * zoom) + 1,) * 2, np.uint8)
    middle = cv2.GaussianBlur(old, (0, 0), 0.4 * zoom)
    low, high = cv2.erode(middle, reach), cv2.dilate(middle, reach)
    sharp = old + min(1.1, 0.5 * (zoom - 1)) * (old - cv2.GaussianBlur(old, (0, 0), 0.6 * zoom))
    # A quarter of the overshoot stays: clipped flat, edges would look painted.
    kept = np.clip(sharp, low, high)
    change = kept + 0.25 * (sharp - kept) - old
    return np.asarray(np.clip(colours + change[..., None], 0, 255), np.uint8)


def _firmed(alpha: Mask, zoom: float) -> Mask:
    """The matte with its ramp as narrow as in a photo of this size, its outline free of the photo's pixel steps."""
    if zoom < 1.25:
        return alpha
    gain = min(2.2, 1 + 0.4 * (zoom - 1))
    smooth = cv2.GaussianBlur(alpha, (0, 0), 0.35 * zoom)
    return np.asarray(np.clip((smooth - 0.5) * gain + 0.5, 0, 1), np.float32)
