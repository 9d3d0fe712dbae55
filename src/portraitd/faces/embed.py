"""Who it is: a 128-d vector a face. dlib's ResNet (CC0), trained so that 0.6 separates people; see `distance`."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np

from portraitd.errors import SetupError
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.recogniser import CHIP_PX, Recogniser, load_recogniser
from portraitd.images import Floats, Image

RECOGNISER = "dlib_face_recognition_resnet_model_v1.dat"
ALIGNER = "shape_predictor_5_face_landmarks.dat"


class Embedder(Protocol):
    """The seam for identity embedders."""

    def embed(self, image: Image, mesh: FaceMesh) -> Floats:
        """(128,) float32 embedding of the face in the picture."""


class DlibEmbedder:
    """dlib's face recogniser; loads its files when first used and raises SetupError while they are missing.

    dlib itself only finds the face's corners and cuts it out; the network is run by `recogniser`.
    """

    def __init__(self, models: FaceModels) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._parts: tuple[Any, Recogniser] | None = None

    def embed(self, image: Image, mesh: FaceMesh) -> Floats:
        """(128,) float32 embedding of the face in the picture."""
        import dlib

        aligner, recogniser = self._loaded()
        image = np.ascontiguousarray(image)  # dlib takes no other
        face = aligner(image, dlib.rectangle(*_detector_box(mesh)))
        chip = np.asarray(dlib.get_face_chip(image, face, CHIP_PX, 0.25), np.uint8)
        # The mean over the face and its mirror image is steadier than either.
        return np.asarray(recogniser.describe(np.stack([chip, chip[:, ::-1]])).mean(axis=0), np.float32)

    def ready(self) -> bool:
        """Whether its files are there."""
        try:
            self._loaded()
        except SetupError:
            return False
        return True

    def _loaded(self) -> tuple[Any, Recogniser]:
        """The aligner and the network, the same ones for all threads."""
        import dlib

        with self._lock:
            if self._parts is None:
                recogniser = load_recogniser(self._models.path(RECOGNISER))
                self._parts = (dlib.shape_predictor(str(self._models.path(ALIGNER))), recogniser)
            return self._parts


def distance(a: Floats, b: Floats) -> float:
    """Euclidean distance of two embeddings: photos of one person lie about 0.3 apart, of two people about 0.8."""
    return float(np.linalg.norm(a - b))


def similarity(distance_: float) -> float:
    """0 to 1 from a distance: 0.5 at 0.6, where dlib draws the line; about 0.9 for photos of one person."""
    return float(1.0 / (1.0 + np.exp((distance_ - 0.6) / 0.1)))


def _detector_box(mesh: FaceMesh) -> tuple[int, int, int, int]:
    """The square dlib's own detector would have drawn: brows to chin, a little wider than the face's features."""
    box = mesh.box
    side = max(box.width, box.height) * 0.92
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2 + 0.06 * box.height
    return (round(x - side / 2), round(y - side / 2), round(x + side / 2), round(y + side / 2))
