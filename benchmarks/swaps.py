"""Every person in every template, by the engine and by the textbook, and the figures of each picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import measures
from baseline import textbook_swap
from measures import Seen, see
from portraitd.engines.base import Portrait, TemplateJob
from portraitd.errors import PortraitdError
from portraitd.faces.embed import distance
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, Image
from subjects import Studio, Subject, by_person

ENGINE, BASELINE, FROM_OTHERS = "engine", "textbook", "engine, other photos"


@dataclass(frozen=True)
class Swap:
    """One result and all its figures."""

    method: str
    #: The photo the person was taken from, or (FROM_OTHERS) the one photo of the person that was held back.
    source: str
    template: str
    image: Image
    #: Why there are no figures; "" when there are.
    failed: str = ""
    #: Identity distances: to the source; to each other photo of the person (FROM_OTHERS: to the one held back); to
    #: the template's own person; and from the source to the template's own person.
    to_source: float | None = None
    to_others: tuple[float, ...] = ()
    to_template: float = 0.0
    at_start: float = 0.0
    figures: dict[str, float | None] = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """What goes into the JSON file."""
        kept = asdict(self)
        del kept["image"]
        return kept


@dataclass(frozen=True)
class Person:
    """Who goes into the templates."""

    method: str
    source: Subject
    #: Identity bytes; None for the textbook, which knows none.
    identity: bytes | None
    #: Photos the result is held against.
    others: tuple[Floats, ...]


def people(studio: Studio, subjects: Sequence[Subject]) -> Iterator[Person]:
    """Each photo alone, by engine and textbook; and each photo held back from an identity of all the others."""
    for photos in by_person(subjects).values():
        for source in photos:
            others = tuple(s.embedding for s in photos if s is not source)
            yield Person(ENGINE, source, studio.engine.train([source.photo]).identity, others)
            yield Person(BASELINE, source, None, others)
            rest = [s.photo for s in photos if s is not source]
            if len(rest) > 1:
                yield Person(FROM_OTHERS, source, studio.engine.train(rest).identity, (source.embedding,))


def swap(studio: Studio, person: Person, template: Subject) -> Swap:
    """The person in the template, first look."""
    try:
        image = _picture(studio, person, template)
    except PortraitdError as error:
        return Swap(person.method, person.source.name, template.name, template.seen.image, error.message)
    return measured(studio, person, template, image)


def _picture(studio: Studio, person: Person, template: Subject) -> Image:
    if person.identity is None:
        source = person.source.seen
        return textbook_swap(source.image, source.mesh, template.seen.image, template.seen.mesh)
    (outcome,) = studio.engine.generate(TemplateJob(template.seen.image, person.identity, 1, 0))
    if isinstance(outcome, Portrait):
        return outcome.image
    raise outcome.error


def measured(studio: Studio, person: Person, template: Subject, image: Image) -> Swap:
    """The finished picture with its figures; the face is looked for anew."""
    result = see(studio.models, image)
    key = (person.method, person.source.name, template.name, image)
    if result is None:
        return Swap(*key, failed="no face found in the result")
    own = studio.embed(result)
    alone = person.method != FROM_OTHERS
    return Swap(
        *key,
        to_source=distance(own, person.source.embedding) if alone else None,
        to_others=tuple(distance(own, other) for other in person.others),
        to_template=distance(own, template.embedding),
        at_start=distance(person.source.embedding, template.embedding),
        figures=_figures(studio.models, result, template.seen),
    )


def _figures(models: FaceModels, result: Seen, template: Seen) -> dict[str, float | None]:
    pose, face = measures.pose_error(result, template), measures.expression_error(result, template)
    neck = measures.neck_and_ears(models, result, template)
    off = measures.cheek_colour(result) - measures.cheek_colour(template)
    return {
        **{f"pose_{key}": value for key, value in pose.items()},
        **{f"{key}_opening" if key != "smile" else key: value for key, value in face.items()},
        "seam": measures.seam(result.image, template),
        "contour_seam": measures.contour_seam(result, template),
        "wide_seam": measures.seam(result.image, template, measures.WIDE_SEAM_REACH),
        **measures.face_against_neck(result, template, neck),
        "brighter": float(off[0]),
        "yellower": float(off[2]),
        "outside": float(measures.changed_outside(models, result.image, template)),
        "sharpness": measures.sharpness_ratio(result.image, template),
        "detail": measures.detail_ratio(result.image, template),
    }
