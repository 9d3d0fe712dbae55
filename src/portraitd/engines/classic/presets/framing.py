"""Where the person stands in the portrait: one similarity from the photo's pixels to the portrait's.

The photo may cut the person anywhere. Of many frames the one is taken that costs least: what is off the wish costs, and
what shows of cuts. Clothes may be stretched a little beyond one, which the cutout does; a head may not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitd.engines.classic.person.identity import View
from portraitd.faces import regions
from portraitd.images import Floats, Mask, Points, Size

PORTRAIT = Size(768, 1024)
#: Farther than this, in lengths of what there is of it, a body is not stretched; and this many px of a crown that the
#: photo cuts may show.
MOST_STRETCHED = 1.0
CROWN_PX = 4.0
#: Up to this, stretched clothes look like clothes; and from this on they are hardly any.
WELL_STRETCHED, NEARLY_MOST = 0.6, 0.9
#: How far above the chin a shoulder may begin, and from where on what a side cuts is taken for one anyway; how long a
#: gap in it may be, as at the photo's rim; all in face widths.
SHOULDER, SURELY_SHOULDER, GAP = 0.4, 0.25, 0.06
#: What it costs a face to be larger than the greatest width, per natural log.
LARGER = 20.0
#: What it costs to show all of an edge at which somebody was cut away; and how deep inside, px, it shows wholly.
SEVERED_SEEN, SEVERED_WHOLLY = 1.6, 40.0
#: Nearer to the face than this, in widths of the face, a cut leaves nothing to stretch.
LEAST_LENGTH = 0.05
#: Least width wished for a face above clothes that are drawn, px.
CLOTHED_PX = 290.0
#: Mesh points at the widest part of the face, before the ears.
CHEEK_SIDES = (234, 454)


@dataclass(frozen=True)
class Person:
    """What framing needs to know of a view; photo pixels."""

    #: (468, 2) mesh.
    points: Points
    #: Of the photo.
    size: Size
    #: (N, 2) points on the photo's border at which the person is cut off.
    cuts: Points
    #: (M, 2) upper outline of the head, hair included.
    crown: Points
    #: (K, 2) points at which the person is severed from somebody who was left out.
    severed: Points
    #: From which row on what the left side cuts, and the right one, can be stretched.
    stretchable_from: tuple[float, float]

    def covered_below_chin(self) -> Person:
        """The person with clothes drawn over all that is below the chin: what is cut there is hidden."""
        low = self.points[regions.CHIN, 1]
        severed = self.severed[self.severed[:, 1] < low] if self.severed.size else self.severed
        return replace(self, cuts=self.cuts[self.cuts[:, 1] < low], severed=severed)


@dataclass(frozen=True)
class Wish:
    """Where the face should be; portrait pixels, each with the limits within which it may move."""

    #: Width of the face before the ears: wished, least and greatest.
    face_px: tuple[float, float, float]
    #: Middle of the eyes, x: wished, and how far off it may be.
    centre_x: tuple[float, float]
    #: Room above the hair: wished, least and greatest.
    headroom: tuple[float, float, float]
    #: The eyes' line at most this far down.
    eyes_at_most: float = 1024.0
    #: The chin should be at most this far down: no portrait is one of a head at the bottom.
    chin_at_most: float = 880.0
    #: Share of the head's own tilt that is taken out.
    straighten: float = 0.0
    #: The head is turned towards the camera by this much at most, degrees.
    most_turn_deg: float = 0.0
    #: The face may be this much larger than the greatest width where only that hides a deep cut; 1 forbids it.
    emergency: float = 1.0
    #: What that costs, per natural log of the face's width; LARGER or more.
    larger: float = LARGER

    def for_clothes(self) -> Wish:
        """The wish for somebody in drawn clothes: a larger face, for they look best at the collar."""
        wished, least, most = self.face_px
        return replace(self, face_px=(max(wished, CLOTHED_PX), max(least, 0.85 * CLOTHED_PX), most))


@dataclass(frozen=True)
class Frame:
    """A place for the person in the portrait."""

    #: (2, 3): photo pixels -> portrait pixels.
    matrix: NDArray[np.float64]

    @property
    def zoom(self) -> float:
        """Portrait pixels per photo pixel."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    def apply(self, points: Points) -> Points:
        """(N, 2) or (N, 3) photo points in the portrait; z scales along."""
        flat = points[:, :2] @ self.matrix[:, :2].T + self.matrix[:, 2]
        if points.shape[1] == 2:
            return np.asarray(flat, np.float32)
        return np.column_stack([flat, points[:, 2] * self.zoom]).astype(np.float32)


def read_person(view: View, alpha: Mask) -> Person:
    """The person of a view with its matte."""
    points, edges = view.mesh.xy, (alpha[:, :2], alpha[:, -2:])
    left, right = (min(surely_shoulder(points), shoulder_at(edge, points) or np.inf) for edge in edges)
    size = Size(alpha.shape[1], alpha.shape[0])
    return Person(points, size, _cuts(alpha), _crown(alpha, points), view.severed, (left, right))


def surely_shoulder(face: Points) -> float:
    """The row from which on what a side of the photo cuts is taken for a shoulder; face: (N, 2) of it."""
    return float(face[:, 1].max() - SURELY_SHOULDER * np.ptp(face[:, 0]))


def shoulder_at(edge: Mask, face: Points) -> float | None:
    """The row at which a shoulder begins that an (H, N) edge of the photo cuts; None where hair goes on above it, or
    hides it. face: (N, 2) of the face."""
    face_px = float(np.ptp(face[:, 0]))
    shown = (edge.max(axis=1) > 0.3).astype(np.uint8)
    gap = 2 * max(1, round(GAP / 2 * face_px)) + 1
    gone = np.flatnonzero(cv2.morphologyEx(shown[:, None], cv2.MORPH_CLOSE, np.ones((gap, 1), np.uint8))[:, 0] == 0)
    begins = float(gone[-1] + 1) if gone.size else 0.0
    return begins if begins > max(0.0, float(face[:, 1].max()) - SHOULDER * face_px) else None


def _cuts(alpha: Mask) -> Points:
    """(N, 2) border pixels, every few, where the matte says person."""
    height, width = alpha.shape
    # The outermost pixels of photos are often a rim or a resampling artefact: look one pixel inside too.
    left, right = np.maximum(alpha[:, 0], alpha[:, 1]), np.maximum(alpha[:, -1], alpha[:, -2])
    top, bottom = np.maximum(alpha[0], alpha[1]), np.maximum(alpha[-1], alpha[-2])
    found = [
        np.column_stack([np.full(k.size, x), k]) for x, edge in ((0, left), (width - 1, right)) for k in [_hits(edge)]
    ]
    found += [
        np.column_stack([k, np.full(k.size, y)]) for y, edge in ((0, top), (height - 1, bottom)) for k in [_hits(edge)]
    ]
    return np.concatenate(found).astype(np.float32)


def _hits(edge: Floats) -> NDArray[np.int64]:
    hits = np.flatnonzero(edge > 0.3)
    return np.asarray(hits[:: max(1, hits.size // 32)], np.int64)


def _crown(alpha: Mask, points: Points) -> Points:
    """(M, 2) topmost person pixel of each column over the face's width."""
    height, width = alpha.shape
    eyes_y = int(np.clip(points[list(regions.LEFT_EYE + regions.RIGHT_EYE), 1].mean(), 1, height - 1))
    margin = 0.15 * np.ptp(points[:, 0])
    x0 = int(np.clip(points[:, 0].min() - margin, 0, width - 2))
    x1 = int(np.clip(points[:, 0].max() + margin, x0 + 1, width))
    inside = alpha[:eyes_y, x0:x1] > 0.5
    tops = np.where(inside.any(axis=0), inside.argmax(axis=0), eyes_y)
    return np.column_stack([np.arange(x0, x1), tops]).astype(np.float32)


def find_frame(person: Person, wish: Wish) -> Frame:
    """The frame nearest to the wish that shows no cut, or as little of one as the limits allow."""
    head = straightened(person, wish.straighten)
    places = _candidates(head, wish, crown_is_cut=bool((person.cuts[:, 1] <= 1).any()))
    cost = _off_wish(head, wish, places) + _face_outside(head.points, *places)
    cost += _cuts_shown(person, head.turn, places) + _stretching(person, head.turn, wish, places)
    best = int(np.argmin(cost))
    return Frame(np.column_stack([places.s[best] * head.turn, (places.tx[best], places.ty[best])]))


class _Places(NamedTuple):
    """Candidate frames: (K,) each, zoom, and what is added to x and y after it."""

    s: NDArray[np.float64]
    tx: NDArray[np.float64]
    ty: NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """A head some of whose tilt was taken out; photo pixels, turned."""

    #: (2, 2) that turned it.
    turn: NDArray[np.float64]
    #: (468, 2) mesh.
    points: NDArray[np.float64]
    #: Its width; the top of its hair, y; and the middle of the eyes, x and y.
    width: float
    top: float
    eyes: NDArray[np.float64]


def straightened(person: Person, share: float) -> Head:
    """The person's head, that share of its tilt taken out."""
    eyes = _eyes(person.points)
    turn = _upright(eyes, share)
    points = person.points @ turn.T
    return Head(
        turn, points, face_width(points), float((person.crown @ turn.T)[:, 1].min()), eyes.mean(axis=0) @ turn.T
    )


def face_width(points: NDArray[Any]) -> float:
    """How wide the face of an (N, 2) or (N, 3) mesh is, px: between the cheeks, or by what a turned head shows."""
    left, right = points[list(CHEEK_SIDES), 0]
    return max(float(right - left), 0.8 * float(np.ptp(points[:, 0])))


def _candidates(head: Head, wish: Wish, *, crown_is_cut: bool) -> _Places:
    wished, least, most = wish.face_px
    widths = np.unique([wished, *np.linspace(least, most, 20), *np.linspace(most, most * wish.emergency, 12)])
    middles = np.linspace(-wish.centre_x[1], wish.centre_x[1], 9) + wish.centre_x[0]
    rooms = np.unique([wish.headroom[0], *np.linspace(wish.headroom[1], wish.headroom[2], 8)])
    if crown_is_cut:  # a head without its crown: the frame must cut it too
        rooms = np.concatenate([np.linspace(-60, -2, 5), rooms])
    grids = np.meshgrid(widths / head.width, middles, rooms, indexing="ij")
    s, x, room = (grid.ravel() for grid in grids)
    return _Places(s, x - s * head.eyes[0], np.minimum(room - s * head.top, wish.eyes_at_most - s * head.eyes[1]))


def _off_wish(head: Head, wish: Wish, places: _Places) -> NDArray[np.float64]:
    """(K,) cost of a face of another size, or elsewhere, than wished."""
    s, tx, ty = places
    wished, _, most = wish.face_px
    cost = 3 * np.abs(np.log(s * head.width / wished))
    cost += wish.larger * np.clip(np.log(s * head.width / most), 0, None)
    cost += np.abs(s * head.eyes[0] + tx - wish.centre_x[0]) / 120
    cost += np.abs(s * head.top + ty - wish.headroom[0]) / 150
    cost += np.clip(s * head.points[regions.CHIN, 1] + ty - wish.chin_at_most, 0, None) / 50
    return np.asarray(cost, np.float64)


def _cuts_shown(person: Person, turn: NDArray[np.float64], places: _Places) -> NDArray[np.float64]:
    """(K,) cost of what shows of cuts beyond which nothing can be stretched."""
    cuts = person.cuts @ turn.T
    cost = _seen(cuts[~_stretchable(person)], *places)
    crown = cuts[person.cuts[:, 1] <= 1]
    if crown.size:  # a head would end in a line
        cost += 0.1 * np.clip(places.s * float(np.median(crown[:, 1])) + places.ty, 0, None)
    if person.severed.size:
        depth = _depths(person.severed @ turn.T, *places)
        cost += SEVERED_SEEN * np.clip(depth / SEVERED_WHOLLY, 0, 1).mean(axis=1)
    return np.asarray(cost, np.float64)


def _stretching(person: Person, turn: NDArray[np.float64], wish: Wish, places: _Places) -> NDArray[np.float64]:
    """(K,) cost of stretching clothes beyond the other cuts."""
    far = np.clip(_stretch(person, turn, *places), 0, 20)
    cost = 3 * far + 8 * np.clip(far - WELL_STRETCHED, 0, None)
    # Who is strict about the face's width must not end with no picture where others have a close-up.
    nearly = np.clip(far - NEARLY_MOST, 0, MOST_STRETCHED - NEARLY_MOST)
    return np.asarray(cost + 1.5 * (wish.larger - LARGER) * nearly, np.float64)


def _stretchable(person: Person) -> NDArray[np.bool_]:
    """(N,) the cuts beyond which the body can be stretched: those below, and at the sides those of shoulders."""
    left, right = _cut_shoulders(person)
    return np.asarray((person.cuts[:, 1] >= person.size.height - 1) | left | right)


def _cut_shoulders(person: Person) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) each: the cuts of the left shoulder, and of the right."""
    x, y = person.cuts.T
    left, right = person.stretchable_from
    return np.asarray((x <= 0) & (y > left)), np.asarray((x >= person.size.width - 1) & (y > right))


def _seen(cuts: NDArray[Any], s: NDArray[Any], tx: NDArray[Any], ty: NDArray[Any]) -> NDArray[Any]:
    """Cost of the cut points that each candidate frame shows: how many, and how deep inside they lie."""
    if cuts.size == 0:
        return np.zeros_like(s)
    depth = _depths(cuts, s, tx, ty)
    return np.asarray((depth > 0).sum(axis=1) * 0.2 + depth.mean(axis=1) * 0.05)


def _depths(points: NDArray[Any], s: NDArray[Any], tx: NDArray[Any], ty: NDArray[Any]) -> NDArray[Any]:
    """(K, N) how deep inside each of K candidate frames each of (N, 2) points lies, px; 0 outside."""
    x = s[:, None] * points[None, :, 0] + tx[:, None]
    y = s[:, None] * points[None, :, 1] + ty[:, None]
    width, height = PORTRAIT
    depth = np.minimum(np.minimum(x + 2, width + 1 - x), np.minimum(y + 2, height + 1 - y))
    return np.asarray(np.clip(depth, 0, None))


def head_is_cut_off(person: Person, frame: Frame) -> bool:
    """Whether the photo ends so near to the face that the frame shows it: the crown ends in a line, or what should be
    neck and shoulders would be stretched from next to nothing."""
    turn = frame.matrix[:, :2] / frame.zoom
    tx, ty = frame.matrix[:, 2]
    far = _stretch(person, turn, *(np.array([value]) for value in (frame.zoom, tx, ty)))
    crown = frame.apply(person.cuts[person.cuts[:, 1] <= 1])[:, 1]
    return bool(far[0] > MOST_STRETCHED or (crown.size and float(np.median(crown)) > CROWN_PX))


def _face_outside(face: NDArray[Any], s: NDArray[Any], tx: NDArray[Any], ty: NDArray[Any]) -> NDArray[Any]:
    """Cost of the parts of the (468, 2) face, from the brows down, that each candidate frame leaves out: more than any
    cut is worth."""
    (left, _), (right, bottom) = face.min(axis=0), face.max(axis=0)
    top = face[list(regions.LEFT_BROW + regions.RIGHT_BROW), 1].min()
    beyond = np.clip(-s * left - tx, 0, None) + np.clip(s * right + tx - PORTRAIT.width, 0, None)
    beyond = beyond + np.clip(-s * top - ty, 0, None) + np.clip(s * bottom + ty - PORTRAIT.height, 0, None)
    return np.asarray(beyond, np.float64)


def _stretch(person: Person, turn: NDArray[Any], s: NDArray[Any], tx: NDArray[Any], ty: NDArray[Any]) -> NDArray[Any]:
    """How far each candidate frame reaches beyond the photo where it cuts the person, at the side where it is most: in
    lengths of what lies there between the face and the cut, all of which must be stretched to fill it."""
    cuts, face = person.cuts @ turn.T, person.points @ turn.T
    (left, _), (right, bottom) = face.min(axis=0), face.max(axis=0)
    most = np.zeros_like(s)
    # Beside the face itself nothing is stretched: shoulders are, and what lies below.
    left_cuts, right_cuts = _cut_shoulders(person)
    for where, axis, start, way, end in (
        (left_cuts, 0, left, -1, 0),
        (right_cuts, 0, right, 1, PORTRAIT.width),
        (person.cuts[:, 1] >= person.size.height - 1, 1, bottom, 1, PORTRAIT.height),
    ):
        if where.any():
            at = float(np.median(cuts[where, axis]))
            shift = tx if axis == 0 else ty
            gap = way * (end - (s * at + shift))
            length = max(way * (at - start), LEAST_LENGTH * float(right - left))
            most = np.maximum(most, np.clip(gap, 0, None) / (s * length))
    return most


def _eyes(points: Points) -> Points:
    return np.stack([points[list(ring)].mean(axis=0) for ring in (regions.LEFT_EYE, regions.RIGHT_EYE)])


def roll_of(points: Points) -> float:
    """Tilt of the line through the eyes of a (468, 2) mesh, degrees, clockwise positive."""
    left, right = _eyes(points)
    return float(np.rad2deg(np.arctan2(right[1] - left[1], right[0] - left[0])))


def _upright(eyes: Points, share: float) -> NDArray[np.float64]:
    """(2, 2) rotation that takes out `share` of the eyes' tilt."""
    across = eyes[1] - eyes[0]
    angle = -share * float(np.arctan2(across[1], across[0]))
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
