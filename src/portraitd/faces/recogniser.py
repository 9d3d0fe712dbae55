"""Face descriptors from dlib's recogniser, by matrix products: ten times as fast as dlib built without a BLAS.

Network: King 2017, dlib's `dlib_face_recognition_resnet_model_v1` (CC0), a ResNet (He et al. 2015, arXiv:1512.03385)
with 29 convolutions. Photos of one person lie less than 0.6 apart.

File: dlib's serialisation. An integer is a byte that holds how many bytes follow (low four bits) and its sign (highest
bit), then these bytes, little-endian. A text is its length and its bytes; a layer begins with its name. A tensor is a
version, four sizes (samples, channels, rows, columns) and its values, little-endian float32.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from portraitd.errors import SetupError
from portraitd.faces import blas
from portraitd.images import Floats
from portraitd.weights.manifest import read_manifest

#: Side of the square face picture the network takes, px.
CHIP_PX = 150
#: Length of a descriptor.
DESCRIPTOR = 128

_WEIGHT = "dlib_face_recognition_resnet_model_v1"
#: Mean R, G, B of the training photos, and the divisor that follows.
_AVERAGE = np.array([122.782, 117.001, 104.298], np.float32)
_SPREAD = 256.0
_STEM_CHANNELS, _STEM_SIDE = 32, 7
#: (channels, stride) of each residual block, from the picture on.
_BLOCKS = (
    *((32, 1),) * 3,
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((128, 2), (128, 1), (128, 1)),
    *((256, 2), (256, 1), (256, 1)),
    (256, 2),
)
#: Before and between the layers that matter lie flags and empty tensors, never more than this many bytes.
_GAP_BYTES = 400


class BadRecogniser(ValueError):
    """These bytes are not the recogniser's file; the text says where they part from it."""


@dataclass(frozen=True)
class Convolution:
    """A square convolution with the affine layer behind it folded in."""

    #: (side * side * channels in, channels out); rows in the order y, x, channel.
    weights: Floats
    #: (channels out,)
    bias: Floats
    side: int
    stride: int

    def __call__(self, maps: Floats) -> Floats:
        """(N, H, W, channels in) -> (N, H', W', channels out); stride 1 keeps the size, stride 2 adds no border."""
        pad = self.side // 2 if self.stride == 1 else 0
        patches = _patches(_bordered(maps, pad), self.side, self.stride)
        flat = patches.reshape(-1, self.weights.shape[0]) @ self.weights
        flat += self.bias
        return flat.reshape(*patches.shape[:3], len(self.bias))


@dataclass(frozen=True)
class Recogniser:
    """The network. It keeps nothing between calls: threads may share it."""

    stem: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]
    #: (256, 128)
    last: Floats

    def describe(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, 128) float32 descriptors of (N, 150, 150, 3) uint8 RGB chips, cut as `embed` does."""
        if chips.ndim != 4 or chips.shape[1:] != (CHIP_PX, CHIP_PX, 3):
            raise ValueError(f"chips are (N, {CHIP_PX}, {CHIP_PX}, 3), not {chips.shape}")
        with blas.one_thread():
            maps = _relu(_max_pool(self.stem((chips - _AVERAGE) * np.float32(1 / _SPREAD))))
            for first, second in self.blocks:
                residual = second(_relu(first(maps)))
                maps = _relu(_sum(residual, maps if first.stride == 1 else _halved(maps)))
            return np.asarray(maps.mean(axis=(1, 2)) @ self.last, np.float32)


def load_recogniser(path: Path) -> Recogniser:
    """The network in dlib's file; raises SetupError when the file is not the one the manifest names."""
    data = path.read_bytes()
    (weight,) = read_manifest().select((_WEIGHT,))
    if hashlib.sha256(data).hexdigest() != weight.sha256:
        raise SetupError(_refusal(path, "its sha256 is another"))
    try:
        return read_recogniser(data)
    except BadRecogniser as error:
        raise SetupError(_refusal(path, str(error))) from error


def _refusal(path: Path, reason: str) -> str:
    return f"{path} is not the face recogniser portraitd knows ({reason}): run `portraitd weights verify`"


def read_recogniser(data: bytes) -> Recogniser:
    """The network in the bytes of dlib's file; raises BadRecogniser. Allocates no more than the network takes."""
    reader = _Reader(data)
    stem = _read_convolution(reader, 3, _STEM_CHANNELS, (_STEM_SIDE, 2))
    blocks = []
    channels_in = _STEM_CHANNELS
    for channels, stride in _BLOCKS:
        first = _read_convolution(reader, channels_in, channels, (3, stride))
        blocks.append((first, _read_convolution(reader, channels, channels, (3, 1))))
        channels_in = channels
    reader.layer("fc_2")
    reader.expect("size of the last layer", (DESCRIPTOR, channels_in))
    last = reader.tensor((channels_in, DESCRIPTOR)).reshape(channels_in, DESCRIPTOR)
    return Recogniser(stem, tuple(blocks), last.copy())


class _Reader:
    """Reads what is expected, front to back, and raises BadRecogniser at anything else."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def layer(self, name: str) -> None:
        """Go behind the name of the next layer called so."""
        tag = _tag(name)
        found = self._data.find(tag, self._position, self._position + _GAP_BYTES)
        if found < 0:
            raise BadRecogniser(f"no layer {name} behind byte {self._position}")
        self._position = found + len(tag)

    def expect(self, what: str, values: tuple[int, ...]) -> None:
        """Read these integers."""
        start = self._position
        found = tuple(self._integer() for _ in values)
        if found != values:
            raise BadRecogniser(f"{what} at byte {start} is {found}, not {values}")

    def tensor(self, sizes: tuple[int, ...]) -> Floats:
        """A tensor of these sizes (missing ones are 1), flat; a view into the file's bytes."""
        self.expect("tensor", (2, *sizes, *(1,) * (4 - len(sizes))))
        count = int(np.prod(sizes))
        if len(self._data) - self._position < 4 * count:
            raise BadRecogniser(f"it ends inside the tensor at byte {self._position}")
        values = np.frombuffer(self._data, "<f4", count, self._position)
        self._position += 4 * count
        return values

    def _integer(self) -> int:
        head = self._data[self._position : self._position + 1]
        count = head[0] & 0x0F if head else 0
        digits = self._data[self._position + 1 : self._position + 1 + count]
        if not 0 < count <= 8 or len(digits) < count or head[0] & 0x70:
            raise BadRecogniser(f"no integer at byte {self._position}")
        self._position += 1 + count
        value = int.from_bytes(digits, "little")
        return -value if head[0] & 0x80 else value


def _tag(name: str) -> bytes:
    """A text as dlib writes it."""
    return bytes((1, len(name))) + name.encode()


def _read_convolution(reader: _Reader, channels_in: int, channels: int, shape: tuple[int, int]) -> Convolution:
    """The next convolution of this (side, stride) and the affine layer behind it: gamma (W x + b) + beta, as one."""
    side, stride = shape
    pad = side // 2 if stride == 1 else 0
    count = channels * channels_in * side * side
    reader.layer("con_4")
    values = reader.tensor((count + channels,))
    reader.expect("convolution", (channels, side, side, stride, stride, pad, pad))
    filters, bias = values[:count].reshape(channels, channels_in, side, side), values[count:]
    reader.layer("affine_")
    gamma, beta = reader.tensor((2 * channels,)).reshape(2, channels)
    weights = np.empty((side, side, channels_in, channels), np.float32)
    np.multiply(filters.transpose(2, 3, 1, 0), gamma, out=weights)
    return Convolution(weights.reshape(-1, channels), gamma * bias + beta, side, stride)


def _bordered(maps: Floats, pad: int) -> Floats:
    """The maps with `pad` px of zeros around them."""
    if pad == 0:
        return np.ascontiguousarray(maps)
    count, height, width, channels = maps.shape
    wide = np.zeros((count, height + 2 * pad, width + 2 * pad, channels), np.float32)
    wide[:, pad:-pad, pad:-pad] = maps
    return wide


def _patches(maps: Floats, side: int, stride: int) -> Floats:
    """(N, H', W', side, side * C): the square below each place of a filter; `maps` is C-contiguous.

    A row of a patch is one run of memory (x and channel together), which makes the copy cheap.
    """
    count, height, width, channels = maps.shape
    rows, columns = (height - side) // stride + 1, (width - side) // stride + 1
    by_image, by_row, by_column, by_channel = maps.strides
    shape = (count, rows, columns, side, side * channels)
    strides = (by_image, by_row * stride, by_column * stride, by_row, by_channel)
    return np.ascontiguousarray(as_strided(maps, shape, strides, writeable=False))


def _relu(maps: Floats) -> Floats:
    """The maps themselves, negative values set to 0."""
    return np.maximum(maps, 0, out=maps)


def _max_pool(maps: Floats) -> Floats:
    """Maximum over 3 x 3 px at stride 2, without a border."""
    for axis in (1, 2):
        places = (maps.shape[axis] - 3) // 2 + 1
        first, second, third = (maps[(slice(None),) * axis + (slice(at, at + 2 * places - 1, 2),)] for at in range(3))
        maps = np.maximum(np.maximum(first, second), third)
    return maps


def _halved(maps: Floats) -> Floats:
    """Mean over 2 x 2 px at stride 2; an odd last row or column is left out."""
    height, width = (size // 2 * 2 for size in maps.shape[1:3])
    even = maps[:, :height, :width]
    total = even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]
    return np.asarray(total * np.float32(0.25), np.float32)


def _sum(residual: Floats, shortcut: Floats) -> Floats:
    """Their sum; where one is smaller or has fewer channels it counts as 0 there, as dlib's add_prev does."""
    if residual.shape == shortcut.shape:
        residual += shortcut
        return residual
    total = np.zeros(np.maximum(residual.shape, shortcut.shape), np.float32)
    for part in (residual, shortcut):
        total[tuple(slice(size) for size in part.shape)] += part
    return total
