"""A person's photos beside each other: what the chosen one takes from the others and from its own mirror image."""

from __future__ import annotations

from dataclasses import dataclass

from portraitd.engines.classic.face.region import FaceRegion, mirrored
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.texture import (
    MIRRORED_QUALITY,
    WORTH_POINTS,
    agreed,
    best_lender,
    leaf_of,
    lent_by_mirror,
)
from portraitd.images import Floats

#: Photos of the person besides the chosen one that are looked at.
MOST_OTHERS = 3
#: How much more than any other photo the chosen one's mirror image must show to be taken instead: a face is only nearly
#: symmetric.
MIRROR_WORTH = 2.0


@dataclass(frozen=True)
class Lender:
    """Another photo that shows what the chosen one does not, or the chosen one's own mirror image."""

    face: FaceRegion
    #: (468,) 0 to 1: how much of each point is taken from it.
    lent: Floats
    #: (h, w, 3) on the UV map, to add to its log light.
    change: Floats


@dataclass(frozen=True)
class Texture:
    """What a person's photos say together."""

    #: (h, w, 3) on the UV map, to add to the chosen photo's log light.
    change: Floats
    lender: Lender | None


def open_faces(identity: Identity) -> None:
    """Decode the faces of the person's best photos: portraits take from them."""
    for view in identity.views[: MOST_OTHERS + 1]:
        view.face()


def texture_of(identity: Identity, view: View, face: FaceRegion) -> Texture:
    """What the view's face, which may have been retouched, and the person's best photos say together.

    Photos in colour count beside one in colour, black and white ones beside a black and white one.
    """
    own = view.leaf()
    others = [other for other in identity.views if other is not view][:MOST_OTHERS]
    others = [other for other in others if other.leaf().grey == own.grey]
    beside = [other.leaf().counted(max(0.05, other.quality / max(view.quality, 0.05))) for other in others]
    shown = own if face is view.face() else leaf_of(face)
    changes = agreed([shown, *beside, own.mirrored().counted(MIRRORED_QUALITY)])
    found = best_lender(view.hidden(), (other.hidden() for other in others))
    mirror = lent_by_mirror(view.hidden())
    if float(mirror.sum()) >= max(WORTH_POINTS, 0.0 if found is None else MIRROR_WORTH * float(found[1].sum())):
        return Texture(changes[0], Lender(mirrored(view.face()), mirror, changes[-1]))
    if found is None:
        return Texture(changes[0], None)
    best, lent = found
    return Texture(changes[0], Lender(others[best].face(), lent, changes[1 + best]))
