"""What the segmentation network says of a jaw, and where its opinion gives way to the picture's colours."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.faces import regions
from portraitd.faces.matte import make_prior, make_trimap
from portraitd.faces.shape import mean_face
from portraitd.images import Floats

SKIN, DARK = (0.8, 0.6, 0.5), (0.05, 0.05, 0.06)
FACE_PX, SIDE = 150.0, 400


def face_points() -> Floats:
    points = mean_face().points[:, :2] * (FACE_PX / float(np.ptp(mean_face().points[:, 0])))
    return np.asarray(points - points.mean(axis=0) + SIDE / 2, np.float32)


@pytest.mark.parametrize(("depth", "believed"), [(0.02, False), (0.09, True)])
def test_what_is_of_the_backdrops_colour_at_the_jaw_is_backdrop_unless_it_lies_deep(
    depth: float, believed: bool
) -> None:
    """The network draws jaws a little too wide; a shadow in a collar lies deeper."""
    points = face_points()
    jaw_x, jaw_y = points[regions.FACE_OVAL[23]]  # on the left, between nose and chin
    assert points[regions.NOSE_TIP, 1] + 0.15 * FACE_PX < jaw_y < points[regions.CHIN, 1]
    edge = int(jaw_x - depth * FACE_PX)
    person = np.full((SIDE, SIDE), 0.02, np.float32)
    person[:, edge:] = 0.98
    colours = np.full((SIDE, SIDE, 3), DARK, np.float32)
    colours[:, int(jaw_x) + 2 :] = SKIN
    trimap = make_trimap(person, points, FACE_PX)
    opinion = make_prior(colours, person, trimap, points, FACE_PX).alpha[int(jaw_y), int(jaw_x)]
    assert (opinion > 0.9) == believed
