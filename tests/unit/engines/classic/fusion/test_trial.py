"""Of a person's photos the one comes first that is most like them in the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from portraitd.engines.classic.fusion import trial
from portraitd.engines.classic.fusion.fuse import ranked_views
from portraitd.engines.classic.fusion.trial import Distance, draft, views_by_trial
from portraitd.engines.classic.person.identity import Identity, view_of
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.errors import AlgorithmFailed
from portraitd.faces import regions
from portraitd.faces.mesh import FaceMesh
from portraitd.faces.shape import mean_face
from portraitd.images import Floats, Image
from tests.fakes import heads

RED, GREEN, BLUE = (190, 60, 60), (60, 190, 60), (60, 60, 190)
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "pale": (210, 200, 200)}
LOWER_LIP, CHEEK = 17, 50


def painted(lips: tuple[int, int, int]) -> Image:
    image = heads.head()
    heads.fill(image, regions.LIPS_OUTER, lips)
    return image


def person(*names: str, embedding: Floats | None) -> Identity:
    """Photos with lips of these colours, all alike else, the best first."""
    views = tuple(view_of(name, painted(COLOURS[name]), heads.MESH, 0.9 - 0.1 * k) for k, name in enumerate(names))
    return Identity(views, mean_face().points, embedding)


KNOWN = np.zeros(128, np.float32)


@pytest.fixture(scope="module")
def template() -> TemplateFace:
    return read_template(heads.head((90, 110, 120), (90, 110, 120)), heads.MESH)


def lips_in(image: Image, mesh: FaceMesh) -> str:
    """Whose lips these are."""
    x, y = np.rint(mesh.xy[[0, LOWER_LIP]].mean(axis=0)).astype(int)
    y += 2
    seen = image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
    hue = seen - seen.mean()
    return min(
        COLOURS, key=lambda name: float(np.linalg.norm(hue - (np.array(COLOURS[name]) - np.mean(COLOURS[name]))))
    )


class Recogniser:
    """Says how far the person is from faces with lips of each colour, and notes what it was shown."""

    def __init__(self, **far: float | None) -> None:
        self.far = far
        self.shown: list[str] = []

    def __call__(self, image: Image, mesh: FaceMesh) -> float | None:
        name = lips_in(image, mesh)
        self.shown.append(name)
        return self.far[name]


def names(template: TemplateFace, identity: Identity, distance: Distance | None) -> Sequence[str]:
    return [view.name for view in views_by_trial(template, identity, distance)]


def test_the_photo_that_is_most_like_the_person_comes_first(template: TemplateFace) -> None:
    seen = Recogniser(red=0.4, green=0.2, blue=0.3)
    assert names(template, person("red", "green", "blue", embedding=KNOWN), seen) == ["green", "blue", "red"]
    assert sorted(seen.shown) == ["blue", "green", "red"]


def test_between_two_that_are_nearly_as_alike_the_one_that_fits_better_does(template: TemplateFace) -> None:
    identity = person("red", "green", embedding=KNOWN)
    (red, _), (green, _) = ranked_views(identity, template.face.mesh)
    edge = trial.WORTH * (green - red)
    assert edge > 0
    assert names(template, identity, Recogniser(red=0.3, green=0.3 - 0.5 * edge)) == ["red", "green"]
    assert names(template, identity, Recogniser(red=0.3, green=0.3 - 2 * edge)) == ["green", "red"]


def test_only_the_few_that_fit_best_are_tried(template: TemplateFace) -> None:
    seen = Recogniser(red=0.4, green=0.2, blue=0.3, pale=0.0)
    found = names(template, person("red", "green", "blue", "pale", embedding=KNOWN), seen)
    assert found == ["green", "blue", "red", "pale"]
    assert "pale" not in seen.shown


def test_one_photo_alone_is_not_tried(template: TemplateFace) -> None:
    seen = Recogniser(red=0.4)
    assert names(template, person("red", embedding=KNOWN), seen) == ["red"]
    assert not seen.shown


def test_where_nobody_can_tell_they_come_as_they_fit(template: TemplateFace) -> None:
    assert names(template, person("red", "green", "blue", embedding=None), None) == ["red", "green", "blue"]
    blind = Recogniser(red=None, green=None, blue=None)
    assert names(template, person("red", "green", "blue", embedding=KNOWN), blind) == ["red", "green", "blue"]


def test_one_that_cannot_be_told_comes_last_of_those_tried(template: TemplateFace) -> None:
    seen = Recogniser(red=0.4, green=None, blue=0.3)
    assert names(template, person("red", "green", "blue", embedding=KNOWN), seen) == ["blue", "red", "green"]


def test_a_draft_has_the_person_s_features_in_the_template_s_tone_and_nothing_around_changes(
    template: TemplateFace,
) -> None:
    identity, ground = person("green", embedding=None), template.ground
    image = draft(template, identity, identity.views[0])
    assert image.shape == ground.image.shape
    cheek = np.rint(ground.points[CHEEK]).astype(int)
    assert lips_in(image, FaceMesh(np.column_stack([ground.points, np.zeros(468)]).astype(np.float32), 1.0)) == "green"
    assert image[cheek[1], cheek[0]] == pytest.approx(ground.image[cheek[1], cheek[0]], abs=6)
    assert np.array_equal(image[ground.depth == 0], ground.image[ground.depth == 0])


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_the_recogniser_sees_the_draft_where_its_mesh_lies_and_what_is_around_it(cut: int) -> None:
    """At the picture's edge, too."""
    x0, y0 = (int(v) for v in heads.MESH.xy.min(axis=0))
    x1, y1 = (int(v) + 1 for v in heads.MESH.xy.max(axis=0))
    left, top, right, bottom = ((x0 - 2, 0, 400, 400), (0, y0 - 2, 400, 400), (0, 0, x1 + 2, 400), (0, 0, 400, y1 + 2))[
        cut
    ]
    picture = np.ascontiguousarray(heads.head((90, 110, 120), (90, 110, 120))[top:bottom, left:right])
    mesh = FaceMesh(heads.MESH.points - np.array([left, top, 0], np.float32), 1.0)
    template = read_template(picture, mesh)
    shown: list[tuple[Image, FaceMesh]] = []

    def noted(image: Image, face: FaceMesh) -> float:
        shown.append((image, face))
        return 0.1

    views_by_trial(template, person("red", "blue", embedding=KNOWN), noted)
    assert {lips_in(image, face) for image, face in shown} == {"red", "blue"}
    image, face = shown[0]
    box = face.box
    assert box.width == pytest.approx(template.ground.width_px, rel=0.01)
    spare = {"left": box.x0, "top": box.y0, "right": image.shape[1] - box.x1, "bottom": image.shape[0] - box.y1}
    edge = ("left", "top", "right", "bottom")[cut]
    assert spare[edge] < 3
    assert min(room for side, room in spare.items() if side != edge) > 0.2 * box.width
    assert image[1, 1] == pytest.approx((90, 110, 120), abs=2) or edge in {"left", "top"}


@pytest.mark.parametrize("right", range(275, 291))
def test_a_region_that_ends_where_the_picture_does_is_laid_in_whatever_rounding_does(right: int) -> None:
    """At 283 the small region is a pixel wider than what is left for it."""
    picture = np.ascontiguousarray(heads.head((90, 110, 120), (90, 110, 120))[:, :right])
    shown: list[Image] = []

    def noted(image: Image, _mesh: FaceMesh) -> float:
        shown.append(image)
        return 0.1

    views_by_trial(read_template(picture, heads.MESH), person("red", "blue", embedding=KNOWN), noted)
    assert len(shown) == 2
    assert shown[0].shape == shown[1].shape


def test_the_region_is_laid_back_where_it_was(template: TemplateFace) -> None:
    around, _, corner = trial._surroundings(template)
    there = trial._laid_in(around, template.ground.image, corner)
    # Less than a pixel aside: only edges differ.
    assert np.abs(there.astype(int) - around).mean() < 0.7


def test_what_lies_over_the_template_s_face_stays_over_the_draft(template: TemplateFace) -> None:
    identity = person("green", embedding=None)
    hidden = replace(template, covered=np.ones_like(template.covered))
    assert np.array_equal(draft(hidden, identity, identity.views[0]), hidden.ground.image)


def test_a_draft_is_as_bright_as_it_can_be_and_no_brighter(template: TemplateFace) -> None:
    """A pale brow in a dark photo, put into a bright template, is white: not black."""
    dark = (heads.head() // 4).astype(np.uint8)
    heads.fill(dark, regions.LEFT_BROW, (255, 255, 255))
    identity = Identity((view_of("dark", dark, heads.MESH, 0.5),), mean_face().points, None)
    image = draft(template, identity, identity.views[0])
    x, y = np.rint(template.ground.points[list(regions.LEFT_BROW)].mean(axis=0)).astype(int)
    assert image[y, x].min() > 245


def test_a_photo_that_is_broken_comes_last_of_those_tried(template: TemplateFace) -> None:
    def broken() -> None:
        raise AlgorithmFailed

    identity = person("red", "green", "blue", embedding=KNOWN)
    views = list(identity.views)
    views[1] = replace(views[1], face=broken)  # type: ignore[arg-type]
    found = views_by_trial(template, replace(identity, views=tuple(views)), lambda _image, _mesh: 0.1)
    assert [view.name for view in found] == ["red", "blue", "green"]


def turned(yaw: float = 0.0, pitch: float = 0.0) -> FaceMesh:
    """The head turned by so many degrees."""
    a, b = np.deg2rad(yaw), np.deg2rad(pitch)
    around_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    middle = heads.MESH.points.mean(axis=0)
    return FaceMesh(((heads.MESH.points - middle) @ (around_x @ around_y).T + middle).astype(np.float32), 1.0)


@pytest.mark.parametrize(("turn", "cost"), [({"yaw": 20.0}, 1.0), ({"pitch": 20.0}, 0.7)])
def test_twenty_degrees_of_turn_cost_one_up_or_down_less(turn: dict[str, float], cost: float) -> None:
    views = (view_of("straight", heads.head(), heads.MESH, 0.5), view_of("turned", heads.head(), turned(**turn), 0.5))
    (least, first), (most, second) = ranked_views(Identity(views, mean_face().points, None), heads.MESH)
    assert (first.name, second.name) == ("straight", "turned")
    assert most - least == pytest.approx(cost, abs=0.3)
