"""An identity: what the classic engine knows of one person, trained from several photos.

Views (pictures with their mesh and pose), one 3D shape averaged over them, one mean embedding; kept as one `.npz`
without pickle.
"""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.base import LeftOut, Photo
from portraitd.errors import AlgorithmFailed, NoHumanFace, NoUsablePhoto, PortraitdError, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import Embedder
from portraitd.faces.matte import person_matte
from portraitd.faces.mesh import FaceMesh, fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.regions import POINT_COUNT
from portraitd.faces.shape import Pose, align_to_mean, mean_face, pose_of
from portraitd.images import Floats, Image, Mask, Points, decode, encode_jpeg, encode_png

FORMAT = 1
#: Longer side of a view, px: more than any result needs.
VIEW_SIDE = 1536
#: Room kept around the face, in face heights: to each side, above, below.
ROOM = (2.6, 1.4, 4.0)
#: Views that get a matte, best first: presets are made from these.
MATTES = 4
#: What reading bytes that are no identity may raise: numpy, zipfile and json each have their own ways.
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,  # numpy reads an array's header as Python literals
    zipfile.BadZipFile,
    zlib.error,
    PortraitdError,
)
#: Photos farther than this from the most central one are of somebody else: 0.414 is what 90 % of real pairs of one
#: person stay under, 0.69 what 99 % of pairs of two people lie above.
SAME_PERSON = 0.52


@dataclass(frozen=True)
class View:
    """One photo of the person, cut to size."""

    name: str
    #: (H, W, 3) sRGB.
    image: Image
    #: Where the face is in `image`.
    mesh: FaceMesh
    pose: Pose
    #: 0 to 1: size, sharpness and frontality of the face.
    quality: float
    #: (128,) or None when the embedder's weights were missing at training.
    embedding: Floats | None = None
    #: (H, W) matte of the person; None for views beyond the best few.
    alpha: Mask | None = None


@dataclass(frozen=True)
class Identity:
    """One person."""

    #: Best first.
    views: tuple[View, ...]
    #: (468, 3) in the mean face's frame (eye centres about 1 apart), averaged over the views.
    shape: Points
    #: (128,) mean embedding, or None.
    embedding: Floats | None

    def to_bytes(self) -> bytes:
        """The identity as one self-describing `.npz`."""
        arrays: dict[str, NDArray[Any]] = {"shape": self.shape}
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        cards = []
        for i, view in enumerate(self.views):
            arrays[f"image_{i}"] = np.frombuffer(encode_jpeg(view.image, 97), np.uint8)
            arrays[f"mesh_{i}"] = view.mesh.points
            if view.embedding is not None:
                arrays[f"embedding_{i}"] = view.embedding
            if view.alpha is not None:
                alpha = np.rint(view.alpha * 255).astype(np.uint8)
                arrays[f"alpha_{i}"] = np.frombuffer(encode_png(alpha), np.uint8)
            cards.append({"name": view.name, "score": view.mesh.score, "quality": view.quality})
        card = json.dumps({"format": FORMAT, "engine": "classic", "views": cards})
        out = io.BytesIO()
        np.savez(out, card=np.frombuffer(card.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Identity:
        """The identity in `to_bytes`' form; raises AlgorithmFailed for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return _read(dict(arrays))
        except _BROKEN as error:
            raise AlgorithmFailed from error


def _read(arrays: dict[str, NDArray[Any]]) -> Identity:
    card = json.loads(arrays["card"].tobytes())
    if card["format"] != FORMAT:
        raise ValueError(f"identity format {card['format']}, this version reads {FORMAT}")
    shape = _points(arrays["shape"])
    views = []
    for i, entry in enumerate(card["views"]):
        mesh = FaceMesh(_points(arrays[f"mesh_{i}"]), entry["score"])
        alpha = arrays.get(f"alpha_{i}")
        views.append(
            View(
                entry["name"],
                decode(arrays[f"image_{i}"].tobytes()),
                mesh,
                pose_of(mesh.points),
                entry["quality"],
                arrays.get(f"embedding_{i}"),
                None if alpha is None else decode(alpha.tobytes())[:, :, 0].astype(np.float32) / 255.0,
            )
        )
    if not views:
        raise ValueError("an identity without views")
    return Identity(tuple(views), shape, arrays.get("embedding"))


def _points(array: NDArray[Any]) -> Points:
    if array.shape != (POINT_COUNT, 3) or not np.isfinite(array).all():
        raise ValueError(f"a mesh has ({POINT_COUNT}, 3) finite numbers, this one {array.shape}")
    return array.astype(np.float32)


def train_identity(
    models: FaceModels, embedder: Embedder, photos: Sequence[Photo], mattes: int = MATTES
) -> tuple[Identity, tuple[LeftOut, ...]]:
    """The identity in the photos, and those that were of no use. Raises the first photo's error when none is usable.

    mattes: how many of the best views get a matte; only presets need one.
    """
    views: list[View] = []
    left_out: list[LeftOut] = []
    for photo in photos:
        try:
            views.append(make_view(models, embedder, photo))
        except PortraitdError as error:
            left_out.append(LeftOut(photo.name, error))
    if not views:
        raise left_out[0].error if left_out else NoUsablePhoto()
    views, strangers = _same_person(views)
    left_out += [LeftOut(view.name, NoUsablePhoto()) for view in strangers]
    views.sort(key=lambda view: -view.quality)
    views[:mattes] = [replace(view, alpha=person_matte(models, view.image, view.mesh)) for view in views[:mattes]]
    known = [view.embedding for view in views if view.embedding is not None]
    embedding = np.mean(known, axis=0).astype(np.float32) if known else None
    return Identity(tuple(views), _mean_shape(views), embedding), tuple(left_out)


def make_view(models: FaceModels, embedder: Embedder, photo: Photo) -> View:
    """The photo as a view; raises NoHumanFace."""
    faces = detect_faces(models, photo.image)
    if not faces:
        raise NoHumanFace
    mesh = fit_mesh(models, photo.image, faces[0])
    image, mesh = _cut_to_size(photo.image, mesh)
    try:
        embedding = embedder.embed(image, mesh)
    except SetupError:  # likeness comes later than pictures on a fresh machine
        embedding = None
    return View(photo.name, image, mesh, pose_of(mesh.points), _quality(image, mesh), embedding)


def _cut_to_size(image: Image, mesh: FaceMesh) -> tuple[Image, FaceMesh]:
    """The part of the photo that presets may show, its longer side at most VIEW_SIDE."""
    height, width = image.shape[:2]
    box = mesh.box
    beside, above, below = (room * box.height for room in ROOM)
    x0, x1 = max(0, int(box.x0 - beside)), min(width, int(box.x1 + beside) + 1)
    y0, y1 = max(0, int(box.y0 - above)), min(height, int(box.y1 + below) + 1)
    part = image[y0:y1, x0:x1]
    scale = min(1.0, VIEW_SIDE / max(part.shape[:2]))
    if scale < 1:
        size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    points = (mesh.points - np.array([x0, y0, 0], np.float32)) * np.float32(scale)
    # Pixel centres at integers: shrinking moves them by half of (1 - scale).
    points[:, :2] += np.float32((scale - 1) / 2)
    return np.ascontiguousarray(part), FaceMesh(points, mesh.score)


def _quality(image: Image, mesh: FaceMesh) -> float:
    """0 to 1: size (full marks from 300 px), sharpness of the face at that size, and frontality."""
    box, pose = mesh.box, pose_of(mesh.points)
    size = min(1.0, box.height / 300)
    turn = np.cos(np.deg2rad(pose.yaw_deg)) * np.cos(np.deg2rad(pose.pitch_deg))
    return float(size**0.5 * sharpness(image, mesh) ** 0.5 * np.clip(turn, 0, 1) ** 2)


def sharpness(image: Image, mesh: FaceMesh) -> float:
    """0 to 1: how much of the face's detail at 160 px a face is there (variance of the Laplacian over contrast)."""
    x0, y0, x1, y1 = (max(0, int(v)) for v in mesh.box)
    face = cv2.cvtColor(np.ascontiguousarray(image[y0:y1, x0:x1]), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(face, (160, 160), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = float(cv2.Laplacian(small, cv2.CV_32F).std()) / (float(small.std()) + 1.0)
    return float(np.clip(detail / 0.35, 0.05, 1.0))


def _same_person(views: list[View]) -> tuple[list[View], list[View]]:
    """The views of the person most of them show, and the strangers. Views without embedding are trusted."""
    known = [view for view in views if view.embedding is not None]
    if len(known) < 3:  # two photos that disagree: nobody can say which one is right
        return views, []
    vectors = np.stack([view.embedding for view in known if view.embedding is not None])
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    centre = int(np.argmin(np.median(apart, axis=1)))
    strange = {id(view) for view, d in zip(known, apart[centre], strict=True) if d > SAME_PERSON}
    return [v for v in views if id(v) not in strange], [v for v in views if id(v) in strange]


def _mean_shape(views: Sequence[View]) -> Points:
    """(468, 3) shape in the mean face's frame; frontal, sharp views count more, and each for the half it shows."""
    total = np.zeros((len(mean_face().points), 3))
    weight = np.zeros((len(mean_face().points), 1))
    for view in views:
        aligned = align_to_mean(view.mesh.points).inverse().apply(view.mesh.points)
        # The far side of a turned head is guessed by the network, not seen.
        lean = np.sin(np.deg2rad(view.pose.yaw_deg)) * mean_face().points[:, :1]
        w = view.quality * np.clip(1.0 - 1.5 * lean, 0.1, None)
        total += aligned * w
        weight += w
    return (total / weight).astype(np.float32)
