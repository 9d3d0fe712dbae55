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
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.face.geometry import normals
from portraitd.engines.classic.face.region import FaceRegion, read_region, region_box
from portraitd.engines.classic.person.complexion import complexion_of
from portraitd.engines.classic.person.texture import Leaf, hidden, leaf_of, light_on_map, uv_map
from portraitd.errors import AlgorithmFailed, PortraitdError
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.regions import POINT_COUNT
from portraitd.faces.shape import Pose, pose_of
from portraitd.images import Floats, Image, Mask, Points, decode, encode_jpeg, encode_png, no_points

FORMAT = 3
#: More points of an edge than training ever keeps.
MOST_SEVERED = 64
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
    #: Whether nobody and nothing that touches the person had to be left out of the matte.
    alone: bool = True
    #: (N, 2) px, where the matte ends because somebody or something left out of it stands before the person.
    severed: Points = field(default_factory=no_points)
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
                "alone": view.alone,
                "severed": np.rint(view.severed).astype(int).tolist(),
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
                alone=bool(entry.get("alone", True)),  # earlier versions left nobody out
                severed=_points(entry.get("severed", ())),
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
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if array.shape != shape or not np.isfinite(numbers).all():
        raise ValueError(f"expected finite numbers {shape}, found {array.shape}")
    return numbers


def _points(listed: Sequence[Sequence[float]]) -> Points:
    """(N, 2) the points in a card, of which there are a few."""
    if len(listed) > MOST_SEVERED:
        raise ValueError(f"{len(listed)} points of an edge")
    return _floats(np.array(listed, np.float64).reshape(-1, 2), (len(listed), 2))


def _bytes(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _grey(mask: Mask) -> NDArray[np.uint8]:
    return np.rint(mask * 255).astype(np.uint8)
