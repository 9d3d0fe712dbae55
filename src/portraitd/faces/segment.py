"""Where the person is: MediaPipe selfie segmentation (Google, Apache-2.0)."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.faces.models import FaceModels
from portraitd.faces.shrink import shrunk
from portraitd.images import Image, Mask

NETWORK = "selfie_segmentation.tflite"
INPUT = 256


def person_probability(models: FaceModels, image: Image) -> Mask:
    """(H, W) float32 probability in [0, 1] that a pixel is a person. Soft: 256 x 256 pixels of detail at most."""
    height, width = image.shape[:2]
    small = shrunk(image, INPUT, INPUT)
    (raw,) = models.network(NETWORK)(small[None].astype(np.float32) / 255.0)
    large = cv2.resize(raw[0, :, :, 0], (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(large, 0.0, 1.0).astype(np.float32)
