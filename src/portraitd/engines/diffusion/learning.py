"""A person learnt from photos, and the best of what was learnt: judged by pictures painted from it, as a client would.

The score is the likeness that results are ranked by. An identity that paints somebody else is not handed out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np

from portraitd.engines.base import Progress
from portraitd.engines.classic.person.identity import Identity, View
from portraitd.engines.classic.person.people import People
from portraitd.engines.diffusion.crop import Square
from portraitd.engines.diffusion.painter import Draft, Lesson, Painter, Person
from portraitd.engines.diffusion.prompt import NAME
from portraitd.errors import NoHumanFace, NotAlike

_log = logging.getLogger(__name__)

#: Sides of the squares cut from each photo, in longer sides of the face's box, and what they show. Not mirrored: no
#: face is its own mirror image.
FRAMES = (
    (1.5, f"A close photograph of the face of {NAME}."),
    (2.4, f"A photograph of {NAME}, head and shoulders."),
)
#: Pictures that a state is judged by: nothing of the photos is in them but the person.
TRIALS = (
    f"A photograph of {NAME}, head and shoulders, looking into the camera, in soft light before a plain grey wall.",
    f"A photograph of {NAME} in a white shirt, smiling a little, outdoors on a bright day.",
)
#: Mean likeness from which on the pictures are the person: where the recogniser draws the line.
ALIKE = 0.5


def learn_person(painter: Painter, people: People, identity: Identity) -> Iterator[Progress | bytes]:
    """Tells how far it is, and at last gives the best LoRA. Raises NotAlike where even that paints somebody else.

    The painter must be one that learns.
    """
    best: tuple[float, bytes] | None = None
    with closing(painter.learn(_lessons(identity.views, painter.lesson_px or 0))) as steps:
        for learnt in steps:
            yield Progress(learnt.step / learnt.steps)
            if learnt.lora is None:
                continue
            likeness = _likeness(painter, people, identity, learnt.lora)
            _log.info("step %d of %d: loss %.4f, likeness %.2f", learnt.step, learnt.steps, learnt.loss, likeness)
            if best is None or likeness > best[0]:
                best = (likeness, learnt.lora)
    if best is None or best[0] < ALIKE:
        raise NotAlike
    yield best[1]


def _likeness(painter: Painter, people: People, identity: Identity, lora: bytes) -> float:
    """Mean over the trials, 0 to 1; a picture without a face counts 0."""
    found = []
    drafts = [Draft(prompt, seed) for seed, prompt in enumerate(TRIALS)]
    for image in painter.paint(drafts, Person(lora=lora)):
        try:
            found.append(people.likeness(identity, image, people.mesh(image)) or 0.0)
        except NoHumanFace:
            found.append(0.0)
    return float(np.mean(found))


def _lessons(views: Sequence[View], side_px: int) -> list[Lesson]:
    return [
        Lesson(Square.within(view.image(), view.mesh, room).cut_from(view.image(), side_px), prompt)
        for view in views
        for room, prompt in FRAMES
    ]
