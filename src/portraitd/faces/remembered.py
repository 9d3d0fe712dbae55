"""Verdicts given before: one template is asked for again and again, and one photo is put into many."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from portraitd.images import Image, fingerprint

#: Verdicts that are remembered, each a few kB of numbers and nothing of the picture.
MOST = 256


class Judged(Protocol):
    """A verdict."""

    @property
    def error(self) -> Exception | None:
        """None where the picture can be used."""


Purpose = TypeVar("Purpose", bound=Hashable)
Verdict = TypeVar("Verdict", bound=Judged)


class Remembered(Generic[Purpose, Verdict]):
    """A judge that is asked once for a picture that can be used. As thread-safe as the judge is.

    A refusal is not remembered: it carries an error, and whoever raises that leaves the frames it went through in it.
    """

    def __init__(self, judge: Callable[[Image, Purpose], Verdict]) -> None:
        self._judge = judge
        #: By the picture's fingerprint and what it is for; least lately used first.
        self._known: OrderedDict[tuple[bytes, Purpose], Verdict] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, image: Image, purpose: Purpose) -> Verdict:
        """The verdict on an (H, W, 3) picture. Raises what the judge does."""
        key = (fingerprint(image), purpose)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        verdict = self._judge(image, purpose)
        if verdict.error is not None:
            return verdict
        with self._lock:
            self._known[key] = verdict
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return verdict
