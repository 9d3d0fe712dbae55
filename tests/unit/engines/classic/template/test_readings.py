"""A template that was read before is not read again, and is as if it were; its picture is not kept."""

from __future__ import annotations

import numpy as np
import pytest

from portraitd.engines.classic.face.region import Nearby
from portraitd.engines.classic.template import readings
from portraitd.engines.classic.template.readings import Readings
from portraitd.engines.classic.template.template_face import TemplateFace, read_template
from portraitd.errors import NoHumanFace
from portraitd.faces.mesh import FaceMesh
from portraitd.images import Image
from tests.fakes.heads import MESH, head


class Onlooker:
    """Looks at drawn heads, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, picture: Image) -> TemplateFace:
        self.asked += 1
        if not picture.any():
            raise NoHumanFace
        return read_template(picture, MESH)


def same(one: TemplateFace, other: TemplateFace) -> bool:
    pairs = (
        (one.picture, other.picture),
        (one.face.image, other.face.image),
        (one.face.light, other.face.light),
        (one.face.skin, other.face.skin),
        (one.face.hair, other.face.hair),
        (one.whole_mesh.points, other.whole_mesh.points),
        (one.covered, other.covered),
        (one.ground.alpha, other.ground.alpha),
        (one.ground.light, other.ground.light),
    )
    around = (one.around, other.around)
    alike = all(part is None for part in around) or np.array_equal(*around)  # type: ignore[arg-type]
    return alike and one.box == other.box and all(np.array_equal(a, b) for a, b in pairs)


def test_a_template_is_looked_at_once_and_told_from_others() -> None:
    look = Onlooker()
    kept, fair, dark = Readings(look), head(), head((60, 50, 45), (60, 50, 45))
    first, again, other = kept.read(fair), kept.read(fair.copy()), kept.read(dark)
    assert look.asked == 2
    assert same(first, again)
    assert same(again, read_template(fair, MESH))
    assert same(other, read_template(dark, MESH))
    one_pixel = fair.copy()
    one_pixel[0, 0] += 1
    kept.read(one_pixel)
    assert look.asked == 3


def test_a_picture_is_not_taken_for_one_of_another_shape() -> None:
    look = Onlooker()
    kept, square = Readings(look), head()
    kept.read(square)
    assert kept.read(square.reshape(320, 500, 3)).picture.shape == (320, 500, 3)
    assert look.asked == 2


def test_no_picture_is_kept() -> None:
    kept = Readings(Onlooker())
    kept.read(head())
    (known,) = kept._known.values()
    assert known.picture.size == known.face.image.size == 0


def test_what_was_not_asked_for_in_a_long_time_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Onlooker()
    kept, pictures = Readings(look), [head((code, 90, 80)) for code in (10, 40, 70)]
    monkeypatch.setattr(readings, "MOST_BYTES", round(2.5 * readings._size(kept.read(pictures[0]))))
    kept.read(pictures[1])
    kept.read(pictures[0])
    kept.read(pictures[2])
    assert look.asked == 3
    kept.read(pictures[0])
    assert look.asked == 3
    kept.read(pictures[1])
    assert look.asked == 4


def test_one_that_is_too_large_is_not_kept_and_pushes_none_out(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Onlooker()
    kept, small = Readings(look), head((10, 90, 80))
    kept.read(small)
    monkeypatch.setattr(readings, "MOST_BYTES", readings._size(kept.read(small)) + 10)
    whole = np.full((2000, 2000, 3), 100, np.uint8)
    kept._look = lambda _: read_template(whole, FaceMesh(MESH.points * 4, 1.0))
    large = kept.read(whole)
    assert readings._size(large) > readings.MOST_BYTES
    assert len(kept._known) == 1
    kept._look = look
    kept.read(small)
    assert look.asked == 1


def test_the_limit_is_one_of_bytes() -> None:
    template = read_template(head(), MESH)
    assert readings._size(template) == template.covered.nbytes + template.face.hair.nbytes
    assert template.covered.nbytes == 4 * template.covered.size


def test_how_a_picture_lies_in_memory_does_not_matter() -> None:
    look = Onlooker()
    kept = Readings(look)
    first, again = kept.read(head()), kept.read(np.asfortranarray(head()))
    assert same(first, again)
    assert look.asked == 1


def test_a_picture_without_a_face_is_refused_each_time() -> None:
    kept = Readings(Onlooker())
    for _ in range(2):
        with pytest.raises(NoHumanFace):
            kept.read(np.zeros((50, 50, 3), np.uint8))


def with_neck_in_shade(picture: Image) -> TemplateFace:
    everywhere = Nearby(np.ones((8, 8), np.float32), np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    return read_template(picture, MESH, lambda: everywhere)


def test_fill_light_is_kept_and_counted() -> None:
    kept, picture = Readings(with_neck_in_shade), head((168, 125, 105), (168, 125, 105))
    first, again = kept.read(picture), kept.read(picture)
    assert first.fill is not None
    assert again.fill is first.fill
    bytes_of_fill = first.fill.bare.nbytes + first.fill.lift.nbytes + first.fill.cast.nbytes
    assert readings._size(first) == first.covered.nbytes + first.face.hair.nbytes + bytes_of_fill
