"""Style packs: real pictures for a preset, cut to 768 x 1024 around the face, and which of them suits a person.

A pack's pictures stay the same for as long as its files do: where their faces are is found out once, and what takes
long to find out is kept for the pictures used last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from portraitd.engines.classic.person.identity import Identity
from portraitd.engines.classic.template.template_face import TemplateFace, look_at
from portraitd.errors import AlgorithmFailed, PortraitdError
from portraitd.faces.detect import detect_faces
from portraitd.faces.matte import person_matte
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import POSE_NETWORK
from portraitd.faces.shape import pose_of
from portraitd.images import Image, Size, decode

SIZE = Size(768, 1024)
#: Least of a picture below the chin, heights of the face.
LEAST_NECK = 0.1
#: Where the face's centre lies in the cut picture, as a share of its height.
FACE_AT = 0.4
#: How many pictures are kept as read: about 5 MB each, and one more with its matte.
MOST_READ = 4


@dataclass(frozen=True)
class PackPicture:
    """One picture of a pack, cut to SIZE."""

    template: TemplateFace
    _models: FaceModels

    @property
    def shows_neck(self) -> bool:
        """Whether it goes on below the chin: what ends there has no clothes to put on."""
        box = self.template.whole_mesh.box
        return bool(self.template.picture.shape[0] - box.y1 > LEAST_NECK * box.height)

    @cached_property
    def matte(self) -> Image:
        """(H, W) the matte of whom it shows, 0 to 255; found when first asked for, which takes long."""
        alpha = person_matte(self._models, self.template.picture, self.template.whole_mesh)
        self._models.forget(POSE_NETWORK)
        return np.asarray(np.rint(alpha * 255), np.uint8)


class _File(NamedTuple):
    """A picture's file, and when it was written: another file of the same name is another picture."""

    path: Path
    written_ns: int
    size: int


def _file(path: Path) -> _File | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _File(path, found.st_mtime_ns, found.st_size)


def _decoded(file: _File) -> Image | None:
    """The picture in the file; None where it is gone, or no picture."""
    try:
        return decode(file.path.read_bytes())
    except (OSError, PortraitdError):
        return None


class Packs:
    """The pictures of all packs. Not thread-safe."""

    def __init__(self, models: FaceModels) -> None:
        self._models = models
        #: The one face in each picture ever looked at; None where there is none, or more.
        self._meshes: dict[_File, FaceMesh | None] = {}
        #: Least lately used first.
        self._read: OrderedDict[_File, PackPicture] = OrderedDict()

    def of(self, paths: Sequence[Path]) -> Pack:
        """A pack's pictures that show exactly one face; what has been taken away, or is no picture, is left out."""
        files = [file for path in paths if (file := _file(path)) is not None]
        meshes = {file: self._meshes[file] if file in self._meshes else self._find(file) for file in files}
        return Pack({file: mesh for file, mesh in meshes.items() if mesh is not None}, self)

    def read(self, file: _File, mesh: FaceMesh) -> PackPicture | None:
        """The picture in the file, whose face has this mesh; None where the file is another by now."""
        if file not in self._read:
            picture = _decoded(file)
            if picture is None or _file(file.path) != file:
                return None
            self._read[file] = PackPicture(look_at(self._models, *cut(picture, mesh)), self._models)
        self._read.move_to_end(file)
        while len(self._read) > MOST_READ:
            self._read.popitem(last=False)
        return self._read[file]

    def _find(self, file: _File) -> FaceMesh | None:
        picture = _decoded(file)
        faces = () if picture is None else detect_faces(self._models, picture)
        mesh = fit_mesh(self._models, picture, faces[0]) if picture is not None and len(faces) == 1 else None
        # What a file of this path showed before is of no more use.
        for known in [known for known in self._meshes if known.path == file.path]:
            del self._meshes[known]
        self._meshes[file] = mesh
        return mesh


class Pack:
    """One pack's pictures."""

    def __init__(self, meshes: dict[_File, FaceMesh], packs: Packs) -> None:
        self._meshes = meshes
        self._packs = packs

    def __bool__(self) -> bool:
        return bool(self._meshes)

    def pick(self, identity: Identity, seed: int) -> PackPicture:
        """The picture for this seed, from those whose pose a view of the person comes near; nearest first.

        Raises AlgorithmFailed when all that were there have gone.
        """
        near = self._near(identity)
        for k in range(len(near)):
            file = near[(seed + k) % len(near)]
            if (picture := self._packs.read(file, self._meshes[file])) is not None:
                return picture
        raise AlgorithmFailed

    def choices(self, identity: Identity) -> int:
        """How many pictures come near the person's pose."""
        return len(self._near(identity))

    def _near(self, identity: Identity) -> list[_File]:
        def turn(mesh: FaceMesh) -> float:
            pose = pose_of(mesh.points)
            return min(
                abs(view.pose.yaw_deg - pose.yaw_deg) + 0.7 * abs(view.pose.pitch_deg - pose.pitch_deg)
                for view in identity.views
            )

        ranked = sorted((turn(mesh), number, file) for number, (file, mesh) in enumerate(self._meshes.items()))
        return [file for away, _, file in ranked if away < 25] or [ranked[0][2]]


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
