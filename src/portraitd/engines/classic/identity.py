"""An identity: what the classic engine knows of one person, trained from several photos.

Views (pictures with their mesh and pose), one 3D shape averaged over them, one mean embedding; kept as one `.npz`
without pickle. A portrait needs one view of many, and mostly its face: pictures are decoded when looked at.
"""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.base import LeftOut, Photo
from portraitd.engines.classic.complexion import complexion_of
from portraitd.engines.classic.geometry import normals
from portraitd.engines.classic.over import over_face
from portraitd.engines.classic.region import FaceRegion, has_room, read_region, region_box
from portraitd.engines.classic.texture import Leaf, hidden, leaf_of, light_on_map, uv_map
from portraitd.errors import AlgorithmFailed, NoHumanFace, NoUsablePhoto, PortraitdError, SetupError
from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import Embedder
from portraitd.faces.matte import person_matte
from portraitd.faces.mesh import FaceMesh, main_mesh
from portraitd.faces.models import FaceModels
from portraitd.faces.regions import POINT_COUNT
from portraitd.faces.shape import Pose, align_to_mean, mean_face, pose_of
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points, decode, encode_jpeg, encode_png

FORMAT = 3
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

#: What is said of a photo of somebody else.
STRANGER = "it shows somebody else than the other photos"

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """One photo of the person, cut to size. What is called is worked out once, then remembered."""

    name: str
    #: Where the face is in the image.
    mesh: FaceMesh
    pose: Pose
    #: 0 to 1: size, sharpness and frontality of the face.
    quality: float
    #: Gives the (H, W, 3) sRGB image.
    image: Callable[[], Image]
    #: Gives the face, cut out of the image.
    face: Callable[[], FaceRegion]
    #: Gives the (3,) log linear light of the face's bare skin, were the photo not too dark.
    skin: Callable[[], Floats]
    #: Gives what the photo says of the person's skin.
    leaf: Callable[[], Leaf]
    #: Gives (468,) 0 to 1: how much of each point of the mesh the photo does not show.
    hidden: Callable[[], Floats]
    #: Gives the (H, W) matte of the person; None for views beyond the best few.
    alpha: Callable[[], Mask] | None = None
    #: (128,) while training, unless the embedder's weights are missing; stored is the mean of all views.
    embedding: Floats | None = None


def view_of(name: str, image: Image, mesh: FaceMesh, quality: float, over: Sequence[Mask] = ()) -> View:
    """The (H, W, 3) image with this face as a view without matte and embedding.

    over: what `over_face` says of it, if it was asked.
    """
    face = cache(lambda: read_region(image, mesh, over=over))
    pose, leaf = pose_of(mesh.points), cache(lambda: leaf_of(face()))
    gone = cache(lambda: hidden(face(), leaf()))
    return View(name, mesh, pose, quality, lambda: image, face, lambda: complexion_of(face()), leaf, gone)


@dataclass(frozen=True)
class Identity:
    """One person."""

    #: Best first.
    views: tuple[View, ...]
    #: (468, 3) in the mean face's frame (eye centres about 1 apart), averaged over the views.
    shape: Points
    #: (128,) mean embedding, or None.
    embedding: Floats | None

    @property
    def skin(self) -> Floats:
        """(3,) log linear light of the person's bare skin, the middle of all views: they are lit differently."""
        return np.median([view.skin() for view in self.views], axis=0).astype(np.float32)

    def to_bytes(self) -> bytes:
        """The identity as one self-describing `.npz`."""
        arrays: dict[str, NDArray[Any]] = {
            "shape": self.shape,
            "meshes": np.stack([view.mesh.points for view in self.views]),
            "lights": np.stack([view.face().light for view in self.views]),
            "skins": np.stack([view.skin() for view in self.views]),
            "levels": np.stack([view.leaf().level for view in self.views]),
            # Together: each array is a file in the archive, which takes a while to open.
            "tones": np.stack([view.leaf().tone for view in self.views]).astype(np.float16),
            "weights": np.stack([_grey(view.leaf().weight) for view in self.views]),
            "hidden": np.stack([view.hidden() for view in self.views]).astype(np.float16),
        }
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        for i, view in enumerate(self.views):
            arrays[f"image_{i}"] = _bytes(encode_jpeg(view.image(), 97))
            arrays[f"face_{i}"] = _bytes(encode_jpeg(view.face().image, 97))
            arrays[f"hair_{i}"] = _grey(view.face().hair)
            if view.alpha is not None:
                arrays[f"alpha_{i}"] = _bytes(encode_png(_grey(view.alpha())))
        cards = [
            {
                "name": view.name,
                "score": view.mesh.score,
                "quality": view.quality,
                "size": view.image().shape[:2],
                "pose": (view.pose.yaw_deg, view.pose.pitch_deg, view.pose.roll_deg),
                "matted": view.alpha is not None,
                "grey": view.leaf().grey,
            }
            for view in self.views
        ]
        card = json.dumps({"format": FORMAT, "engine": "classic", "views": cards})
        out = io.BytesIO()
        np.savez(out, card=_bytes(card.encode()), **arrays)  # type: ignore[arg-type]
        return out.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Identity:
        """The identity in `to_bytes`' form.

        Raises AlgorithmFailed for anything else; so does a view's picture that turns out broken when looked at.
        """
        return _sound(lambda: _read(np.load(io.BytesIO(data), allow_pickle=False)))


def _sound(read: Callable[[], T]) -> T:
    """What `read` gives; AlgorithmFailed where the identity is broken."""
    try:
        return read()
    except _BROKEN as error:
        raise AlgorithmFailed from error


def _read(archive: Any) -> Identity:
    """The identity in an open `.npz`, its pictures still in there."""
    card = json.loads(archive["card"].tobytes())
    if card["format"] not in {1, 2, FORMAT}:
        raise ValueError(f"identity format {card['format']}, this version reads {FORMAT}")
    cards = card["views"]
    if not cards:
        raise ValueError("an identity without views")
    shape = _floats(archive["shape"], (POINT_COUNT, 3))
    mean = _floats(archive["embedding"], (128,)) if "embedding" in archive else None
    if card["format"] == 1:
        return Identity(tuple(_first_view(archive, i, entry) for i, entry in enumerate(cards)), shape, mean)
    meshes = _floats(archive["meshes"], (len(cards), POINT_COUNT, 3))
    lights = _floats(archive["lights"], (len(cards), 9, 3))
    skins = _floats(archive["skins"], (len(cards), 3))
    leaves = _read_leaves(archive, cards, meshes, lights) if card["format"] == FORMAT else None
    gone = np.clip(_floats(archive["hidden"], (len(cards), POINT_COUNT)), 0, 1) if "hidden" in archive else None
    views = []
    for i, entry in enumerate(cards):
        mesh = FaceMesh(meshes[i], float(entry["score"]))
        face = _later(_face, archive, i, mesh, entry["size"], lights[i], skins[i])
        # What earlier versions kept none of is found anew.
        leaf = leaves[i] if leaves else _later(_laid, face)
        views.append(
            View(
                name=entry["name"],
                mesh=mesh,
                pose=Pose(*(float(angle) for angle in entry["pose"])),
                quality=float(entry["quality"]),
                image=_later(_picture, archive, f"image_{i}"),
                face=face,
                skin=partial(skins.__getitem__, i),
                leaf=leaf,
                hidden=_later(_not_shown, face, leaf) if gone is None else partial(gone.__getitem__, i),
                alpha=_later(_matte, archive, f"alpha_{i}") if entry["matted"] else None,
            )
        )
    return Identity(tuple(views), shape, mean)


def _first_view(archive: Any, i: int, entry: dict[str, Any]) -> View:
    """A view of format 1, which kept no face apart from its picture."""
    mesh = FaceMesh(_floats(archive[f"mesh_{i}"], (POINT_COUNT, 3)), entry["score"])
    view = view_of(entry["name"], _picture(archive, f"image_{i}"), mesh, entry["quality"])
    return replace(view, alpha=_later(_matte, archive, f"alpha_{i}")) if f"alpha_{i}" in archive else view


def _later(read: Callable[..., T], *arguments: object) -> Callable[[], T]:
    """Reads when first called."""
    return cache(lambda: _sound(lambda: read(*arguments)))


def _picture(archive: Any, key: str) -> Image:
    return decode(archive[key].tobytes())


def _matte(archive: Any, key: str) -> Mask:
    return _picture(archive, key)[:, :, 0].astype(np.float32) / np.float32(255.0)


def _face(  # noqa: PLR0917
    archive: Any, i: int, mesh: FaceMesh, size: tuple[int, int], light: Floats, skin: Floats
) -> FaceRegion:
    image, hair = _picture(archive, f"face_{i}"), archive[f"hair_{i}"]
    box = region_box(mesh, tuple(size))
    if image.shape[:2] != (box.height, box.width) or hair.ndim != 2 or not hair.size:
        raise ValueError("a face that does not fit its picture")
    points = mesh.points - np.array([box.x0, box.y0, 0], np.float32)
    return FaceRegion(image, FaceMesh(points, mesh.score), light, skin, hair.astype(np.float32) / np.float32(255.0))


def _laid(face: Callable[[], FaceRegion]) -> Leaf:
    return leaf_of(face())


def _not_shown(face: Callable[[], FaceRegion], leaf: Callable[[], Leaf]) -> Floats:
    return hidden(face(), leaf())


def _read_leaves(
    archive: Any, cards: Sequence[dict[str, Any]], meshes: Floats, lights: Floats
) -> list[Callable[[], Leaf]]:
    """What each view's photo says of the skin."""
    (width, height), count = uv_map().size, len(cards)
    levels, tones = _floats(archive["levels"], (count, 3)), _floats(archive["tones"], (count, height, width, 3))
    weights = archive["weights"]
    if weights.shape != (count, height, width) or weights.dtype != np.uint8:
        raise ValueError("what a photo says of the skin does not fit the UV map")
    # As 8 bits a small weight may have become 0, and somewhere one must count.
    shares = np.maximum(weights, 1).astype(np.float32) / np.float32(255.0)

    def leaf(i: int) -> Leaf:
        lit = light_on_map(normals(meshes[i]), lights[i])
        return Leaf(lit, tones[i], levels[i], shares[i], bool(cards[i]["grey"]))

    return [_later(leaf, i) for i in range(count)]


def _floats(array: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers {shape}, found {array.shape}")
    return array.astype(np.float32)


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _grey(mask: Mask) -> NDArray[np.uint8]:
    return np.rint(mask * 255).astype(np.uint8)


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
    known = [view.embedding for view in views if view.embedding is not None]
    embedding = np.mean(known, axis=0).astype(np.float32) if known else None
    return Identity(tuple(views), _mean_shape(views), embedding), tuple(left_out)


def make_view(models: FaceModels, embedder: Embedder, photo: Photo) -> View:
    """The photo as a view; raises NoHumanFace."""
    mesh = main_mesh(models, photo.image, detect_faces(models, photo.image))
    if mesh is None:
        raise NoHumanFace
    image, mesh = _cut_to_size(photo.image, mesh)
    try:
        embedding = embedder.embed(image, mesh)
    except SetupError:  # likeness comes later than pictures on a fresh machine
        embedding = None
    # Asked now: later, faces are read side by side, and the networks serve one at a time.
    view = view_of(photo.name, image, mesh, _quality(image, mesh), over_face(models, image, mesh))
    return replace(view, embedding=embedding)


def _matted(models: FaceModels, view: View) -> View:
    matte = person_matte(models, view.image(), view.mesh)
    return replace(view, alpha=lambda: matte)


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
