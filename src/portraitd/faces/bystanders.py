"""Who and what is beside the person: a neighbour's shoulder, a rail, a bunch of flowers.

To the segmentation network all people are one, and what they touch often is too. The pose network tells one body from
another, but in patches, and loses dark clothes. So what it says is first made to agree with the picture, within which
colours go together. What it leaves out then is somebody else's only where it comes in from a side, and either stands as
high as the head or has other colours than the person has who is beside it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.models import FaceModels
from portraitd.faces.segment import body_odds
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Image, Mask, Points, Size

#: Width of the face in the picture in which others are looked for, px.
WORK_PX = 48
#: How far around a pixel its colour tells whose it is, face widths; and how unlike colours count as one (variance, of
#: sRGB from 0 to 1).
TOGETHER, ALIKE = 0.25, 2e-3
#: What lies below the hairline, and so near to the middle of the face to either side, is the person's own; face widths.
OWN_COLUMN = 0.5
#: From how far beside the middle of the face, in its heights, what is not below the chin is hardly the person's; what
#: that takes from the log odds; and how much of it leaves no doubt, squares of the face's width.
BESIDE_HEAD, HARDLY, NO_DOUBT = 1.1, 1.0, 0.3
#: What is narrower is no neighbour but the edge of a coat, and what is smaller would not be seen; widths of the face
#: and their square.
NARROW, LEAST_AREA = 0.1, 0.1
#: How near to each other, in face widths, colours on either side are compared; how far apart they are (CIE76) where one
#: ends and another begins, and along what share of their border they must be.
NEARBY, OTHER_COLOUR, MOSTLY = 0.12, 15.0, 0.6
#: Least share of what is nearby that tells a colour.
TOLD = 0.15
#: How far around what was found its border is drawn anew, in finer pixels; face widths.
BORDER = 0.08

Flags = NDArray[np.bool_]


def without_bystanders(models: FaceModels, image: Image, mesh: FaceMesh, person: Mask) -> Mask:
    """(h, w) the probability that a pixel of the (H, W, 3) image is a person, without those who are beside the one with
    this mesh and the things they touch. What was given itself where there are none."""
    if not (person[:, [0, -1]] > 0.5).any():  # nobody comes in from there
        return person
    scale = min(WORK_PX / mesh.box.width, person.shape[1] / image.shape[1])
    size = Size(max(8, round(image.shape[1] * scale)), max(8, round(image.shape[0] * scale)))
    face = np.asarray((mesh.xy + 0.5) * scale - 0.5, np.float32)
    face_px = float(np.ptp(face[:, 0]))
    people = np.asarray(cv2.resize(person, size, interpolation=cv2.INTER_AREA), np.float32)
    small = shrunk(image, *size)
    odds = body_odds(models, image, mesh, size) - HARDLY * _beside_head(people.shape, face)
    lines = lines_of(small, np.asarray(odds, np.float32), people, TOGETHER * face_px)
    others = others_beside(small, people > 0.5, drawn(lines, small), face)
    if not others.any():
        return person
    around = cv2.dilate(others.astype(np.float32), _disc(2 * BORDER * face_px))
    full = Size(person.shape[1], person.shape[0])
    own = 1 / (1 + np.exp(-drawn(np.asarray(cv2.resize(lines, full), np.float32), shrunk(image, *full))))
    return np.asarray(person * (1 - cv2.resize(around, full) * (1 - own)), np.float32)


def lines_of(image: Image, odds: Floats, weight: Mask, reach_px: float) -> Floats:
    """(h, w, 4) of each pixel of an (h, w, 3) image: how the odds, (h, w), go with its three colours, and what is left.

    The guided filter's linear models in colour (He, Sun, Tang 2010, "Guided image filtering"), each pixel weighted.
    """
    side = 2 * max(1, round(reach_px)) + 1
    total = np.maximum(cv2.blur(weight, (side, side)), np.float32(1e-4))[..., None]

    def mean(values: Floats) -> Floats:
        flat = (values.reshape(*values.shape[:2], -1) * weight[..., None]).astype(np.float32)
        parts = [cv2.blur(np.ascontiguousarray(flat[..., k]), (side, side)) for k in range(flat.shape[2])]
        return np.asarray((np.stack(parts, axis=2) / total).reshape(values.shape), np.float32)

    colours = image.astype(np.float32) / np.float32(255)
    middle, level = mean(colours), mean(odds[..., None])
    spread = mean(colours[..., :, None] * colours[..., None, :]) - middle[..., :, None] * middle[..., None, :]
    along = mean(colours * odds[..., None]) - middle * level
    slope = np.linalg.solve(spread + ALIKE * np.eye(3, dtype=np.float32), along[..., None])[..., 0]
    return mean(np.concatenate([slope, level - (slope * middle).sum(axis=2, keepdims=True)], axis=2))


def drawn(lines: Floats, image: Image) -> Floats:
    """(h, w) the odds that (h, w, 4) lines give the colours of an (h, w, 3) image."""
    return np.asarray((lines[..., :3] * image).sum(axis=2) / np.float32(255) + lines[..., 3], np.float32)


def others_beside(image: Image, people: Flags, odds: Floats, face: Points) -> Flags:
    """(h, w) what of the people in an (h, w, 3) image is not the one with this (468, 2) face.

    odds: (h, w) log odds that a pixel is that one's.
    """
    face_px = float(np.ptp(face[:, 0]))
    own = people & ((odds > 0) | _own_column(people.shape, face))
    doubtful = cv2.morphologyEx((people & ~own).astype(np.uint8), cv2.MORPH_OPEN, _disc(NARROW * face_px))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(doubtful)
    colours = np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    window = 2 * max(1, round(NEARBY * face_px)) + 1
    mine, high = _mean_nearby(colours, own, window), _beside_head(people.shape, face)
    found = np.zeros(people.shape, bool)
    for label in range(1, count):
        x, _, width, _, area = stats[label]
        from_side = x == 0 or x + width == people.shape[1]
        if from_side and area >= LEAST_AREA * face_px**2:
            part = labels == label
            undoubted = np.count_nonzero(high & part) >= NO_DOUBT * face_px**2
            if undoubted or _of_other_colours(mine, _mean_nearby(colours, part, window), people):
                found |= part
    return found


def _beside_head(shape: tuple[int, ...], face: Points) -> Flags:
    """(h, w) what is beside the (468, 2) face, no lower than its chin and farther away than its hair."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.abs(x - float(face[:, 0].mean())) > BESIDE_HEAD * float(np.ptp(face[:, 1]))
    return np.asarray(away & (y < face[regions.CHIN, 1]))


def _own_column(shape: tuple[int, ...], face: Points) -> Flags:
    """(h, w) the middle of the (468, 2) face, and what lies below it."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    near = np.abs(x - float(face[:, 0].mean())) < OWN_COLUMN * float(np.ptp(face[:, 0]))
    return np.asarray(near & (y > face[regions.FOREHEAD_TOP, 1]))


def _of_other_colours(own: tuple[Floats, Mask], theirs: tuple[Floats, Mask], people: Flags) -> bool:
    """Whether two regions, of which mean colours nearby and shares of what is nearby are given, differ where they meet.

    So do those that do not meet.
    """
    border = people & (own[1] > TOLD) & (theirs[1] > TOLD)
    if not border.any():
        return True
    apart = np.linalg.norm(own[0][border] - theirs[0][border], axis=1)
    return float((apart > OTHER_COLOUR).mean()) > MOSTLY


def _mean_nearby(colours: Floats, flags: Flags, window: int) -> tuple[Floats, Mask]:
    """(h, w, 3) mean colour of what is flagged around each pixel, and (h, w) what share of its surroundings that is."""
    share = flags.astype(np.float32)
    nearby, total = (cv2.blur(values, (window, window)) for values in (share, colours * share[..., None]))
    return np.asarray(total / np.maximum(nearby, 1e-3)[..., None], np.float32), np.asarray(nearby, np.float32)


def _disc(across_px: float) -> NDArray[np.uint8]:
    """An odd number of pixels across, at least 3."""
    side = 2 * max(1, round(across_px / 2)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
