"""An identity survives being stored, and nothing that is no identity is taken for one."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.engines.classic.person.identity import Identity, View, view_of
from portraitd.engines.classic.person.texture import uv_map
from portraitd.engines.classic.person.training import _same_person
from portraitd.errors import AlgorithmFailed
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, encode_jpeg, encode_png


def _view(name: str, embedding: Floats | None = None, *, matte: bool = False, alone: bool = True) -> View:
    rng = np.random.default_rng(len(name))
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    image = np.stack([np.tile(ramp, (80, 1)), np.tile(ramp[::-1], (80, 1)), np.full((80, 96), 128, np.uint8)], axis=2)
    points = (mean_face().points * 20 + np.array([48, 30, 0]) + rng.normal(0, 0.1, (468, 3))).astype(np.float32)
    alpha = (np.rint(rng.random((80, 96)) * 255) / 255).astype(np.float32) if matte else None
    view = view_of(name, image, FaceMesh(points, 0.97), 0.625)
    severed = np.array([] if alone else [(7, 9), (8, 11)], np.float32).reshape(-1, 2)
    cut = None if alpha is None else lambda: alpha
    return replace(view, embedding=embedding, alpha=cut, alone=alone, severed=severed)


def _embedding(*at: float) -> Floats:
    vector = np.zeros(128, np.float32)
    vector[: len(at)] = at
    return vector


@pytest.fixture(scope="module")
def identity() -> Identity:
    front, left = _view("front", _embedding(0.3), matte=True, alone=False), _view("left 左.jpg", _embedding(0.1, 0.2))
    views = (front, left, _view("bare"))
    return Identity(views, mean_face().points, _embedding(0.2, 0.1))


def test_an_identity_survives_being_stored(identity: Identity) -> None:
    read = Identity.from_bytes(identity.to_bytes())
    assert np.array_equal(read.shape, identity.shape)
    assert read.embedding is not None
    assert identity.embedding is not None
    assert np.array_equal(read.embedding, identity.embedding)
    assert [view.name for view in read.views] == ["front", "left 左.jpg", "bare"]
    for was, view in zip(identity.views, read.views, strict=True):
        assert np.array_equal(view.mesh.points, was.mesh.points)
        assert (view.mesh.score, view.quality, view.pose) == (was.mesh.score, was.quality, was.pose)
        assert view.image().dtype == np.uint8
        assert np.abs(view.image().astype(int) - was.image()).mean() < 1.5  # kept as a fine JPEG
        assert np.abs(view.face().image.astype(int) - was.face().image).mean() < 1.5
        assert np.array_equal(view.face().mesh.points, was.face().mesh.points)
        assert np.array_equal(view.face().light, was.face().light)
        assert np.allclose(view.face().hair, was.face().hair, atol=1 / 255)
        assert np.allclose(view.leaf().tone, was.leaf().tone, atol=0.01)
        assert np.allclose(view.leaf().lit, was.leaf().lit, atol=1e-5)
        assert np.allclose(view.leaf().weight, was.leaf().weight, atol=1 / 255)
        assert np.array_equal(view.leaf().level, was.leaf().level)
        assert view.leaf().weight.min() > 0
        assert np.allclose(view.hidden(), was.hidden(), atol=1e-3)
        assert (view.alpha is None, view.alone) == (was.alpha is None, was.alone)
        assert np.array_equal(view.severed, was.severed)
    first, was_first = read.views[0], identity.views[0]
    assert first.alpha is not None
    assert was_first.alpha is not None
    assert np.allclose(first.alpha(), was_first.alpha(), atol=1e-6)


def test_storing_is_stable(identity: Identity) -> None:
    """The same identity gives the same bytes: a retried training writes the same blob."""
    assert identity.to_bytes() == identity.to_bytes()


def test_no_embedder_is_not_forgotten() -> None:
    assert Identity.from_bytes(Identity((_view("a"),), mean_face().points, None).to_bytes()).embedding is None


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _card(**changes: Any) -> np.ndarray:
    return np.frombuffer(json.dumps({"format": 3, "engine": "classic", "views": [ENTRY]} | changes).encode(), np.uint8)


ENTRY = {
    "name": "a",
    "score": 0.9,
    "quality": 0.5,
    "size": (80, 96),
    "pose": (1.0, 2.0, 3.0),
    "matted": False,
    "grey": False,
}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The arrays of the least identity."""
    with np.load(io.BytesIO(Identity((_view("a"),), mean_face().points, None).to_bytes())) as arrays:
        return dict(arrays) | {"card": _card()}


def _looked_at(data: bytes) -> Identity:
    """The identity, every picture in it looked at."""
    read = Identity.from_bytes(data)
    for view in read.views:
        view.image()
        view.face()
        view.leaf()
        view.hidden()
        if view.alpha is not None:
            view.alpha()
    return read


def test_the_least_identity_is_read(whole: dict[str, Any]) -> None:
    """What the broken ones below differ from, each in one thing."""
    assert len(_looked_at(_npz(**whole)).views) == 1


SHAPE = mean_face().points
PICTURE = np.frombuffer(encode_jpeg(np.full((40, 40, 3), 90, np.uint8)), np.uint8)
BROKEN: dict[str, dict[str, Any]] = {
    "a later format": {"card": _card(format=4)},
    "no views": {"card": _card(views=[])},
    "a view more than there is": {"card": _card(views=[ENTRY] * 2)},
    "a pose in words": {"card": _card(views=[ENTRY | {"pose": ("a", "b", "c")}])},
    "a quality in words": {"card": _card(views=[ENTRY | {"quality": "good"}])},
    "a card that is a list": {"card": np.frombuffer(b"[1, 2]", np.uint8)},
    "a card that is no JSON": {"card": np.frombuffer(b"\xff\xfe", np.uint8)},
    "a shape of 10 points": {"shape": SHAPE[:10]},
    "a mesh of 10 points": {"meshes": SHAPE[None, :10]},
    "a mesh that is not finite": {"meshes": np.full((1, 468, 3), np.nan, np.float32)},
    "a picture that is none": {"image_0": np.zeros(100, np.uint8)},
    "a picture cut short": {"image_0": PICTURE[: len(PICTURE) // 2]},
    "a face of another picture": {"face_0": PICTURE},
    "hair that is no mask": {"hair_0": np.zeros(7, np.uint8)},
    "a tone of another size": {"tones": np.zeros((1, 10, 10, 3), np.float16)},
    "a tone that is not finite": {"tones": np.full((1, *uv_map().size[::-1], 3), np.inf, np.float16)},
    "a weight that is no mask": {"weights": np.zeros((1, *uv_map().size[::-1]), np.float32)},
    "levels of two views": {"levels": np.zeros((2, 3), np.float32)},
    "what is hidden of 10 points": {"hidden": np.zeros((1, 10), np.float16)},
    "a matte that is missing": {"card": _card(views=[ENTRY | {"matted": True}])},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_identity_is_refused(whole: dict[str, Any], name: str) -> None:
    with pytest.raises(AlgorithmFailed):
        _looked_at(_npz(**(whole | BROKEN[name])))


def test_an_identity_of_the_first_format_is_still_read(whole: dict[str, Any]) -> None:
    entry = {"name": "a", "score": 0.9, "quality": 0.5}
    matte = np.frombuffer(encode_png(np.full((80, 96), 51, np.uint8)), np.uint8)
    old = {"card": _card(format=1, views=[entry]), "shape": SHAPE, "mesh_0": whole["meshes"][0], "alpha_0": matte}
    (view,) = _looked_at(_npz(image_0=whole["image_0"], **old)).views
    now = _looked_at(_npz(**whole)).views[0]
    assert np.allclose(view.face().light, now.face().light, atol=0.02)  # of a JPEG, and of the pixels before it
    assert view.alpha is not None
    assert np.allclose(view.alpha(), 0.2)


def test_each_view_of_the_second_format_says_what_its_own_photo_does(identity: Identity) -> None:
    with np.load(io.BytesIO(identity.to_bytes())) as arrays:
        old = {key: arrays[key] for key in arrays if key not in {"levels", "tones", "weights"}}
    card = json.loads(old["card"].tobytes()) | {"format": 2}
    read = _looked_at(_npz(**(old | {"card": np.frombuffer(json.dumps(card).encode(), np.uint8)})))
    for was, view in zip(identity.views, read.views, strict=True):
        assert np.abs(view.leaf().lit - was.leaf().lit).max() < 1e-4
        assert np.abs(view.leaf().tone - was.leaf().tone).mean() < 0.1


def test_somewhere_every_pixel_of_skin_counts(whole: dict[str, Any]) -> None:
    """Kept as 8 bits a small weight is 0, and all of them together would divide by it."""
    (view,) = _looked_at(_npz(**(whole | {"weights": np.zeros_like(whole["weights"])}))).views
    assert view.leaf().weight.min() > 0


def test_an_identity_of_the_second_format_is_still_read(whole: dict[str, Any]) -> None:
    """It kept nothing laid on the UV map: that is done anew."""
    old = {key: array for key, array in whole.items() if key not in {"tones", "weights", "levels"}}
    (was,) = _looked_at(_npz(**(old | {"card": _card(format=2)}))).views
    (now,) = _looked_at(_npz(**whole)).views
    assert np.abs(was.leaf().tone - now.leaf().tone).max() < 0.1  # of a JPEG, and of the pixels before it


@pytest.mark.parametrize(
    "severed",
    [[[1, 2], [3]], ["a", "b"], None, 7, [[1e39, 2]], [[1e300, 2]], [[float("nan"), 1]], [[0, 0]] * 1000, {"x": 1}],
)
def test_an_edge_that_is_none_is_no_identity(whole: dict[str, Any], severed: Any) -> None:
    card = json.loads(_card().tobytes())
    card["views"][0]["severed"] = severed
    with pytest.raises(AlgorithmFailed):
        Identity.from_bytes(_npz(**(whole | {"card": np.frombuffer(json.dumps(card).encode(), np.uint8)})))


def test_a_photo_of_which_nothing_is_said_has_no_bystanders(whole: dict[str, Any]) -> None:
    (view,) = _looked_at(_npz(**(whole | {"card": _card()}))).views
    assert view.alone
    assert view.severed.shape == (0, 2)


def test_an_identity_that_does_not_say_what_its_photos_hide_is_still_read(identity: Identity) -> None:
    with np.load(io.BytesIO(identity.to_bytes())) as arrays:
        read = _looked_at(_npz(**{key: arrays[key] for key in arrays if key != "hidden"}))
    for was, view in zip(identity.views, read.views, strict=True):
        assert np.abs(view.hidden() - was.hidden()).mean() < 0.05


def test_what_is_hidden_is_a_share(whole: dict[str, Any]) -> None:
    odd = np.full((1, 468), 7, np.float16)
    odd[0, :10] = -3
    (view,) = _looked_at(_npz(**(whole | {"hidden": odd}))).views
    assert (view.hidden()[:10] == 0).all()
    assert (view.hidden()[10:] == 1).all()


class Trap:
    """Does harm when unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_spring, ("harm",))


def _spring(_word: str) -> None:
    Trap.sprung = True


def test_nothing_is_ever_unpickled(whole: dict[str, Any]) -> None:
    trapped = np.array([Trap()], dtype=object)
    for data in (pickle.dumps(Trap()), _npz(**(whole | {"card": trapped})), _npz(**(whole | {"hair_0": trapped}))):
        with pytest.raises(AlgorithmFailed):
            _looked_at(data)
    assert not Trap.sprung


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(AlgorithmFailed):
        Identity.from_bytes(data)


@given(st.binary(max_size=120), st.sampled_from([b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x80\x04"]))
def test_random_bytes_that_begin_well_are_refused(data: bytes, start: bytes) -> None:
    with pytest.raises(AlgorithmFailed):
        Identity.from_bytes(start + data)


@given(st.floats(0, 0.999))
def test_a_truncated_identity_is_refused(whole: dict[str, Any], share: float) -> None:
    data = _npz(**whole)
    with pytest.raises(AlgorithmFailed):
        Identity.from_bytes(data[: int(share * len(data))])


@given(st.integers(0, 10**9), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_harmless(whole: dict[str, Any], at: int, change: int) -> None:
    """A flipped byte gives the identity back or AlgorithmFailed, and never any other exception."""
    data = bytearray(_npz(**whole))
    data[at % len(data)] ^= change
    try:
        read = _looked_at(bytes(data))
    except AlgorithmFailed:
        return
    assert np.array_equal(read.shape, SHAPE)
    assert np.array_equal(read.views[0].mesh.points, whole["meshes"][0])


def test_strangers_are_told_from_the_person_most_photos_show() -> None:
    anne = [_view(name, _embedding(x)) for name, x in (("a1", 0.0), ("a2", 0.2), ("a3", 0.35))]
    stranger, blank = _view("b", _embedding(0.1, 0.9)), _view("unknown")
    kept, left_out = _same_person([anne[0], stranger, anne[1], blank, anne[2]])
    assert [view.name for view in kept] == ["a1", "a2", "unknown", "a3"]
    assert [view.name for view in left_out] == ["b"]


def test_two_photos_that_disagree_are_both_kept() -> None:
    """Nobody can say which of two is the wrong one."""
    views = [_view("a", _embedding(0.0)), _view("b", _embedding(1.0))]
    assert _same_person(views) == (views, [])


@pytest.mark.parametrize("seat", range(4))
def test_the_stranger_is_found_wherever_it_stands(seat: int) -> None:
    views = [_view(f"a{i}", _embedding(0.1 * i)) for i in range(3)]
    views.insert(seat, _view("stranger", _embedding(0.0, 0.0, 0.8)))
    _, left_out = _same_person(views)
    assert [view.name for view in left_out] == ["stranger"]
