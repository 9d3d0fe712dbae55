"""What colour somebody's skin is, whatever light they were photographed in."""

from __future__ import annotations

import cv2
import numpy as np

from portraitd.engines.classic.face import light
from portraitd.engines.classic.face.region import FaceRegion
from portraitd.faces import regions
from portraitd.images import Floats

#: Log linear light that the brighter eye's white reaches in a photo that is exposed for the face, from open eyes
#: (area over the width squared) on; how much of what a dim photo lacks of it is given back to the skin, and the most.
WHITE = -1.4
OPEN = 0.14
WHITE_SHARE = 0.8
MOST_DIM = 0.9


def complexion_of(face: FaceRegion) -> Floats:
    """(3,) log linear light of the bare skin of a photo's face, were the photo not too dark.

    A face before a window is dark, whoever it is. So are its eyes' whites then, but not those of dark skin.
    """
    grey, whites = light.grey_of(light.log_light(face.image)), []
    for ring in (regions.LEFT_EYE, regions.RIGHT_EYE):
        points = face.mesh.xy[list(ring)]
        if cv2.contourArea(points) < OPEN * float(np.ptp(points[:, 0])) ** 2:
            continue
        eye = np.zeros(grey.shape, np.uint8)
        cv2.fillPoly(eye, [np.rint(points).astype(np.int32)], 1)
        if eye.any():  # one beyond the picture's edge has none
            whites.append(float(np.percentile(grey[eye > 0], 90)))
    lacking = max(0.0, WHITE - max(whites)) if whites else 0.0
    return np.asarray(face.skin + np.float32(min(MOST_DIM, WHITE_SHARE * lacking)), np.float32)
