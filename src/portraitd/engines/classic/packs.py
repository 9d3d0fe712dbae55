"""Style packs: real pictures for a preset, cut to 768 x 1024 around the face, and which of them suits a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from portraitd.engines.classic.identity import Identity
from portraitd.engines.classic.template import TemplateFace, read_template
from portraitd.faces.detect import detect_faces
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.shape import pose_of
from portraitd.images import Image, Size, decode

SIZE = Size(768, 1024)
#: Where the face's centre lies in the cut picture, as a share of its height.
FACE_AT = 0.4


def read_pack(models: FaceModels, paths: Sequence[Path]) -> tuple[TemplateFace, ...]:
    """The pack's pictures that show exactly one face, cut to SIZE and read."""
    found = []
    for path in paths:
        picture = decode(path.read_bytes())
        faces = detect_faces(models, picture)
        if len(faces) == 1:
            found.append(read_template(*cut(picture, fit_mesh(models, picture, faces[0]))))
    return tuple(found)


def cut(picture: Image, mesh: FaceMesh) -> tuple[Image, FaceMesh]:
    """The largest 3:4 part of the picture with the face well placed, resampled to SIZE; and the mesh in it."""
    height, width = picture.shape[:2]
    part_width = min(width, int(height * SIZE.width / SIZE.height))
    part_height = min(height, int(part_width * SIZE.height / SIZE.width))
    box = mesh.box
    x0 = int(np.clip((box.x0 + box.x1) / 2 - part_width / 2, 0, width - part_width))
    y0 = int(np.clip((box.y0 + box.y1) / 2 - part_height * FACE_AT, 0, height - part_height))
    part = np.ascontiguousarray(picture[y0 : y0 + part_height, x0 : x0 + part_width])
    scale = SIZE.width / part_width
    large = cv2.resize(part, SIZE, interpolation=cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA)
    if scale > 1.2:  # enlarging softens edges; half of that is given back
        large = cv2.addWeighted(large, 1.5, cv2.GaussianBlur(large, (0, 0), 0.8 * scale), -0.5, 0)
    points = (mesh.points - np.array([x0, y0, 0], np.float32)) * np.float32(scale)
    points[:, :2] += np.float32((scale - 1) / 2)
    return np.asarray(large, np.uint8), FaceMesh(points.astype(np.float32), mesh.score)


def pick_template(pack: Sequence[TemplateFace], identity: Identity, seed: int) -> TemplateFace:
    """The pack's picture for this seed, from those whose pose a view of the person comes near; nearest first."""

    def turn(template: TemplateFace) -> float:
        pose = pose_of(template.face.mesh.points)
        return min(
            abs(view.pose.yaw_deg - pose.yaw_deg) + 0.7 * abs(view.pose.pitch_deg - pose.pitch_deg)
            for view in identity.views
        )

    ranked = sorted(pack, key=turn)
    near = [template for template in ranked if turn(template) < 25] or ranked[:1]
    return near[seed % len(near)]
