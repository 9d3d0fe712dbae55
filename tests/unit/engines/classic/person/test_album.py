"""Which of a person's photos are looked at before a portrait is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from portraitd.engines.classic.face.region import FaceRegion
from portraitd.engines.classic.person.album import MOST_OTHERS, open_faces
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.faces.shape import mean_face
from tests.fakes import heads


def test_the_best_photos_faces_are_decoded_and_no_others() -> None:
    decoded: list[str] = []

    def counted(name: str) -> FaceRegion:
        decoded.append(name)
        return plain.face()

    plain = view_of("plain", heads.head(), heads.MESH, 1.0)
    names = [f"photo_{i}" for i in range(9)]
    views = tuple(replace(plain, name=name, face=lambda name=name: counted(name)) for name in names)
    open_faces(Identity(views, np.asarray(mean_face().points, np.float32), None))
    assert decoded == names[: MOST_OTHERS + 1]
