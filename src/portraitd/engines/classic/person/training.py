"""How an identity is trained: each photo looked at as a view, strangers left out, the best cut out of their photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from portraitd.engines.base import LeftOut, Photo
from portraitd.engines.classic.face.redeye import without_red_eyes
from portraitd.engines.classic.face.region import has_room
from portraitd.engines.classic.person.identity import Identity, View, view_of
from portraitd.engines.classic.person.over import over_face
from portraitd.errors import NoHumanFace, NoUsablePhoto, PortraitdError, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import Embedder
from portraitd.faces.matte import matte_of
from portraitd.faces.mesh import FaceMesh, main_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import POSE_NETWORK
from portraitd.faces.shape import align_to_mean, mean_face, pose_of
from portraitd.faces.shrink import shrunk
from portraitd.images import Image, Points

#: Longer side of a view, px: more than any result needs.
VIEW_SIDE = 1536
#: Room kept around the face, in face heights: to each side, above, below.
ROOM = (2.6, 1.4, 4.0)
#: Views that get a matte, best first: presets are made from these.
MATTES = 4
#: Photos farther than this from the most central one are of somebody else: 0.414 is what 90 % of real pairs of one
#: person stay under, 0.69 what 99 % of pairs of two people lie above.
SAME_PERSON = 0.52

#: What is said of a photo of somebody else.
STRANGER = "it shows somebody else than the other photos"


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
    left_out += [LeftOut(view.name, NoUsablePhoto(), STRANGER) for view in strangers]
    views.sort(key=lambda view: -view.quality)
    # Presets are made from these: photos with nothing around the face come last, however large it is.
    shown = sorted(views, key=lambda view: not has_room(view.mesh, view.image().shape))[:mattes]
    views = [_matted(models, view) if any(view is one for one in shown) else view for view in views]
    models.forget(POSE_NETWORK)  # 43 MB that no portrait needs
    known = [view.embedding for view in views if view.embedding is not None]
    embedding = np.mean(known, axis=0).astype(np.float32) if known else None
    return Identity(tuple(views), _mean_shape(views), embedding), tuple(left_out)


def make_view(models: FaceModels, embedder: Embedder, photo: Photo) -> View:
    """The photo as a view; raises NoHumanFace."""
    mesh = main_mesh(models, photo.image, detect_faces(models, photo.image))
    if mesh is None:
        raise NoHumanFace
    image, mesh = _cut_to_size(photo.image, mesh)
    image = without_red_eyes(image, mesh)
    try:
        embedding = embedder.embed(image, mesh)
    except SetupError:  # likeness comes later than pictures on a fresh machine
        embedding = None
    # Asked now: later, faces are read side by side, and the networks serve one at a time.
    view = view_of(photo.name, image, mesh, _quality(image, mesh), over_face(models, image, mesh))
    return replace(view, embedding=embedding)


def _matted(models: FaceModels, view: View) -> View:
    matte = matte_of(models, view.image(), view.mesh)
    return replace(view, alpha=lambda: matte.alpha, alone=matte.alone, severed=matte.severed)


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
        part = shrunk(part, *size)
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
