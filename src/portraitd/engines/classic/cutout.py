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

#: Beyond a cut the picture is continued by its mirror image, ever slower: at most this many photo pixels of it.
CONTINUE_PX = 48.0


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
    x, y = _source_map(frame, alpha)
    colours = _enlarged(estimate_foreground(image, alpha), x, y, frame.zoom)
    soft = cv2.remap(alpha, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    soft *= np.clip(y + 1, 0, 1)  # nobody goes on above the photo's top
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


def _source_map(frame: Frame, alpha: Mask) -> tuple[Floats, Floats]:
    """(H, W) x and y of the photo pixel that each portrait pixel shows.

    Beyond the photo's sides and bottom its mirror image is shown, drawn out ever longer, and lower the farther out, as
    shoulders go on falling where the photo ended.
    """
    height, width = alpha.shape
    back = cv2.invertAffineTransform(frame.matrix).astype(np.float32)
    columns = np.arange(PORTRAIT.width, dtype=np.float32)[None]
    rows = np.arange(PORTRAIT.height, dtype=np.float32)[:, None]
    x = back[0, 0] * columns + back[0, 1] * rows + back[0, 2]
    y = back[1, 0] * columns + back[1, 1] * rows + back[1, 2]
    left, right = np.clip(-x, 0, None), np.clip(x - (width - 1), 0, None)
    if left.any() or right.any():
        y = y - _fall(alpha[:, :24]) * left - _fall(alpha[:, ::-1][:, :24]) * right
        x = np.clip(x, 0, width - 1) + _drawn_out(left) - _drawn_out(right)
    below = np.clip(y - (height - 1), 0, None)
    y = y - below - _drawn_out(below)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _drawn_out(distance: Floats) -> Floats:
    return np.asarray(CONTINUE_PX * (1 - np.exp(-distance / CONTINUE_PX)), np.float32)


def _fall(edge: Mask) -> float:
    """How far the person's outline falls per pixel outwards, from the photo's outermost columns (edge first)."""
    tops = [int((column > 0.5).argmax()) for column in edge.T if (column > 0.5).any()]
    if len(tops) < edge.shape[1]:
        return 0.6
    return float(np.clip((tops[0] - tops[-1]) / (len(tops) - 1), 0.15, 1.5))


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
