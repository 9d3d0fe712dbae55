"""Where the person is: MediaPipe selfie segmentation, and its pose network, which knows one body from another (Google,
Apache-2.0; Bazarevsky et al. 2020, arXiv:2006.10204)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

from portraitd.faces.mesh import FaceMesh, crop_square
from portraitd.faces.models import FaceModels
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Size

NETWORK, POSE_NETWORK = "selfie_segmentation.tflite", "pose_landmark_full.tflite"
#: What both look at, px; and which of the pose network's outputs is the mask, log odds.
INPUT = 256
POSE_MASK = 2
#: Where a square's middle lies, in face heights below the top of the mesh.
MIDDLE = 0.42


class Square(NamedTuple):
    """A closer look: side in face heights, whether it is taken in the mirror, and where its middle lies."""

    side: float
    mirrored: bool
    middle: float = MIDDLE


#: Looks at a head. The network was trained on selfies: it is surest where the head fills the picture. Its errors in the
#: mirror are others.
CLOSER = (Square(2.0, False), Square(1.7, True))
#: How many face heights a picture may be long before all of it is too far away to be trusted as they are, and the side
#: of one more square that shows the shoulders then.
FAR, SHOULDERS = 4.0, Square(3.2, False)
#: Looks at a body. The pose network was trained on whole ones, and is wrong elsewhere in each.
BODY = (Square(5.0, False, 1.7), Square(7.0, True, 2.4))
#: What of a square is trusted, px: its rim knows nothing of what goes on beyond, least of all below.
TRUSTED = (slice(16, 208), slice(16, 240))
TRUSTED_FADE = 8
#: Nearest to certain that one look may be.
CERTAIN = 0.01


def person_probability(models: FaceModels, image: Image) -> Mask:
    """(H, W) float32 probability in [0, 1] that a pixel is a person. Soft: 256 x 256 pixels of detail at most."""
    height, width = image.shape[:2]
    small = shrunk(image, INPUT, INPUT)
    (raw,) = models.network(NETWORK)(small[None].astype(np.float32) / 255.0)
    large = cv2.resize(raw[0, :, :, 0], (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(large, 0.0, 1.0).astype(np.float32)


def head_probability(models: FaceModels, image: Image, mesh: FaceMesh, size: Size) -> Mask:
    """The same around the head with this mesh in the (H, W, 3) image, seen from near and far: (h, w), `size` pixels.

    The looks are averaged in log odds: one that is certain outvotes one that wavers.
    """
    far = max(image.shape[:2]) / mesh.box.height
    weight = np.full((size.height, size.width), min(1.0, (FAR / far) ** 2), np.float32)
    # Made small first: what it says comes at the size of what it is shown.
    whole = _person_odds(models, shrunk(image, INPUT, INPUT))
    odds = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_LINEAR), np.float32) * weight
    for square in (*CLOSER, SHOULDERS) if far > FAR else CLOSER:
        closer, trust = _seen_in_square(partial(_person_odds, models), image, mesh, square, size)
        odds += closer * trust
        weight += trust
    return np.asarray(1 / (1 + np.exp(-odds / weight)), np.float32)


def body_odds(models: FaceModels, image: Image, mesh: FaceMesh, size: Size) -> Floats:
    """(h, w), `size` pixels: log odds that a pixel of the (H, W, 3) image is the body of the face with this mesh, and
    not somebody's beside it. 0 where nothing is known. It loses dark clothes and curls."""

    most = float(np.log((1 - CERTAIN) / CERTAIN))

    def look(crop: Image) -> Floats:
        odds = models.network(POSE_NETWORK)(crop[None].astype(np.float32) / 255.0)[POSE_MASK][0, :, :, 0]
        return np.clip(odds, -most, most)

    seen = [_seen_in_square(look, image, mesh, square, size)[0] for square in BODY]
    return np.asarray(np.mean(seen, axis=0), np.float32)


def _seen_in_square(
    look: Callable[[Image], Floats], image: Image, mesh: FaceMesh, square: Square, size: Size
) -> tuple[Floats, Floats]:
    """(h, w) log odds seen in a square around the face, 0 beyond it, and how far to trust them.

    look: gives the log odds in a square of INPUT pixels.
    """
    box = mesh.box
    centre = ((box.x0 + box.x1) / 2, box.y0 + square.middle * box.height)
    crop = crop_square(image, centre, square.side * box.height, 0.0, INPUT)
    seen = look(np.ascontiguousarray(crop.image[:, ::-1]) if square.mirrored else crop.image)
    trust = np.zeros((INPUT, INPUT), np.float32)
    trust[TRUSTED] = 1
    # From the small picture's pixels to the square's.
    step = np.array([image.shape[1] / size.width, image.shape[0] / size.height])
    matrix = np.column_stack([crop.matrix[:, :2] * step, crop.matrix[:, :2] @ (step / 2 - 0.5) + crop.matrix[:, 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    odds, trusted = (
        np.asarray(cv2.warpAffine(values, matrix, size, flags=flags), np.float32)
        for values in (seen[:, ::-1] if square.mirrored else seen, cv2.GaussianBlur(trust, (0, 0), TRUSTED_FADE))
    )
    return odds, trusted


def _person_odds(models: FaceModels, image: Image) -> Floats:
    """(H, W) log odds that a pixel is a person."""
    return _log_odds(person_probability(models, image))


def _log_odds(probability: Mask) -> Floats:
    sure = np.clip(probability, CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(sure / (1 - sure)), np.float32)
