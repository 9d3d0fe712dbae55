"""A person's photos beside each other in a template: each looked at once, for all results of a job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from portraitd.engines.classic import light
from portraitd.engines.classic.identity import Identity, View
from portraitd.engines.classic.region import FaceRegion
from portraitd.engines.classic.texture import MIRRORED_QUALITY, Leaf, Table, agreed, best_lender, leaf_of, mirrored
from portraitd.faces.shrink import shrunk
from portraitd.images import Floats, Points

#: Photos of the person besides the chosen one that are looked at.
MOST_OTHERS = 3


@dataclass(frozen=True)
class Lender:
    """Another photo that shows what the chosen one does not."""

    face: FaceRegion
    #: (468,) 0 to 1: how much of each point is taken from it.
    lent: Floats
    #: (h, w, 3) on the table, to add to its log light.
    change: Floats


@dataclass(frozen=True)
class Texture:
    """What a person's photos say together."""

    #: (h, w, 3) on the table, to add to the chosen photo's log light.
    change: Floats
    lender: Lender | None
    #: (468, 2) px, where the points lie on the table.
    at: Points


class Album:
    """An identity's views, and what they say together. What several threads ask for may be worked out twice."""

    def __init__(self, identity: Identity, table: Table) -> None:
        self.identity = identity
        self._table = table
        # By number: a face is decoded when it is looked at.
        self._leaf = cache(lambda number: leaf_of(self._face(number), table))
        self._twin = cache(lambda number: leaf_of(mirrored(self._face(number)), table).counted(MIRRORED_QUALITY))
        self._grey = cache(lambda number: light.is_grey(shrunk(self._face(number).image, 64, 64)))

    def texture(self, view: View, face: FaceRegion) -> Texture:
        """What the view's face, which may have been retouched, and the person's best photos say together.

        Photos in colour count beside one in colour, black and white ones beside a black and white one.
        """
        views = self.identity.views
        own = next(number for number, other in enumerate(views) if other is view)
        others = [number for number in range(len(views)) if number != own][:MOST_OTHERS]
        others = [number for number in others if self._grey(number) == self._grey(own)]
        changes = agreed([self._leaf_of(own, face), *(self._beside(view, other) for other in others), self._twin(own)])
        found = best_lender(face, [self._face(number) for number in others])
        if found is None:
            return Texture(changes[0], None, self._table.points)
        best, lent = found
        return Texture(changes[0], Lender(self._face(others[best]), lent, changes[1 + best]), self._table.points)

    def _face(self, number: int) -> FaceRegion:
        return self.identity.views[number].face()

    def _leaf_of(self, number: int, face: FaceRegion) -> Leaf:
        return self._leaf(number) if face is self._face(number) else leaf_of(face, self._table)

    def _beside(self, view: View, number: int) -> Leaf:
        quality = self.identity.views[number].quality / max(view.quality, 0.05)
        return self._leaf(number).counted(max(0.05, quality))
