"""The people and templates of a benchmark, each looked at once: face, embedding, trained identity."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from measures import Seen, see
from portraitd.engines.base import Engine, Photo
from portraitd.engines.classic.engine import ClassicEngine
from portraitd.faces.embed import DlibEmbedder
from portraitd.faces.models import FaceModels
from portraitd.images import Floats, decode
from portraitd.weights.store import WeightStore

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
#: Templates no face swap should be asked for: dark glasses, and a head turned far away.
HARD = ("Fashion_glasses", "Chinese_winter_hanfu")


class Studio:
    """Networks, embedder, and the engine twice: as served, and without the likeness score that follows each picture."""

    def __init__(self, weights: Path | None) -> None:
        store = WeightStore(weights)
        store.ensure(("classic", "embedder"))
        self.folder = store.folder
        self.models = FaceModels(store.folder)
        self.embedder = DlibEmbedder(self.models)
        self.engine: Engine = ClassicEngine(self.models)
        self._networks = tempfile.TemporaryDirectory()
        for file in store.folder.glob("*.tflite"):
            (Path(self._networks.name) / file.name).symlink_to(file.resolve())
        #: Scores are left out while the embedder's weights are missing: this one never has them.
        self.unscored: Engine = ClassicEngine(FaceModels(Path(self._networks.name)))
        self.engine.warm()
        self.unscored.warm()

    def embed(self, seen: Seen) -> Floats:
        """(128,) embedding of the face."""
        return self.embedder.embed(seen.image, seen.mesh)


@dataclass(frozen=True)
class Subject:
    """One photo of somebody, or one template."""

    #: Who is shown: photos with the same `person` show one person.
    person: str
    name: str
    seen: Seen
    #: (128,)
    embedding: Floats

    @property
    def photo(self) -> Photo:
        return Photo(self.name, self.seen.image)


def read_subjects(studio: Studio, files: Iterable[tuple[str, Path]]) -> tuple[Subject, ...]:
    """The (person, file) pairs in which a face is found."""
    found = []
    for person, file in files:
        seen = see(studio.models, decode(file.read_bytes()))
        if seen is not None:
            found.append(Subject(person, file.stem, seen, studio.embed(seen)))
    return tuple(found)


def numbered_photos(folder: Path) -> list[tuple[str, Path]]:
    """Files called PERSON_NUMBER, with the person."""
    matches = [(re.fullmatch(r"(.+)_\d+", file.stem), file) for file in _pictures(folder)]
    return [(match[1], file) for match, file in matches if match]


def photos_by_folder(folder: Path) -> list[tuple[str, Path]]:
    """Every picture in a folder's subfolders; each subfolder is one person."""
    return [(person.name, file) for person in sorted(folder.iterdir()) if person.is_dir() for file in _pictures(person)]


def templates_of(studio: Studio, folder: Path) -> tuple[Subject, ...]:
    """The usable templates of a folder; each shows a person of its own."""
    return read_subjects(studio, [(file.stem, file) for file in _pictures(folder) if file.stem not in HARD])


def by_person(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """The photos of each person."""
    return {person: [s for s in subjects if s.person == person] for person in dict.fromkeys(s.person for s in subjects)}


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
