"""Contact sheets: pictures in a grid, so that people look at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image, Size, encode_jpeg

Row = Sequence[Image | None]


def face_square(image: Image, mesh: FaceMesh, room: float = 0.45) -> Image:
    """The square around a face, `room` face heights more on every side, edges repeated."""
    box = mesh.box
    half = max(box.width, box.height) * (0.5 + room)
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    side = round(2 * half)
    shift = np.array([[1, 0, half - x], [0, 1, half - y]], np.float32)
    crop = cv2.warpAffine(image, shift, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def contact_sheet(rows: Sequence[Row], labels: Sequence[str], names: Sequence[str], cell: Size) -> Image:
    """The rows of pictures in cells, a label over each column and a name beside each row; None leaves a cell grey."""
    head, side = 18, 110
    columns = max(len(row) for row in rows)
    sheet = np.full((head + len(rows) * (cell.height + 2), side + columns * (cell.width + 2), 3), 40, np.uint8)
    for k, label in enumerate(labels):
        _write(sheet, label[: cell.width // 7], (side + k * (cell.width + 2) + 3, 13))
    for r, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = head + r * (cell.height + 2)
        _write(sheet, name, (3, y + cell.height // 2))
        for k, image in enumerate(row):
            if image is not None:
                x = side + k * (cell.width + 2)
                sheet[y : y + cell.height, x : x + cell.width] = fitted(image, cell)
    return sheet


def fitted(image: Image, cell: Size) -> Image:
    """The picture in the middle of a grey cell, as large as fits."""
    scale = min(cell.width / image.shape[1], cell.height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    out = np.full((cell.height, cell.width, 3), 40, np.uint8)
    x, y = (cell.width - size[0]) // 2, (cell.height - size[1]) // 2
    out[y : y + size[1], x : x + size[0]] = small
    return out


def save(path: Path, image: Image) -> None:
    """Write the picture, as the path's suffix says, folders made where missing."""
    from portraitd.images import encode_png

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image) if path.suffix == ".png" else encode_jpeg(image, 93))


def _write(sheet: Image, text: str, at: tuple[int, int]) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
