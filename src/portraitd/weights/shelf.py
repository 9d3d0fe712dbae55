"""Whole models on this machine: pulled file by file, each known by its sha256, and needing no network afterwards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from portraitd.errors import SetupError
from portraitd.weights.download import TIMEOUT, BrokenFile, download, part_of, settle, sha256_of
from portraitd.weights.index import without_secrets
from portraitd.weights.lock import file_lock
from portraitd.weights.models import Model, ModelFile, model_names, read_model
from portraitd.weights.progress import Progress, Silent

_SILENT = Silent()


@dataclass(frozen=True)
class Shelf:
    """Models, each in a folder of its name. Two processes may use the same shelf at once."""

    folder: Path
    #: Where the models' manifests lie; those that come with portraitd unless given.
    manifests: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return model_names(self.manifests) if self.manifests else model_names()

    def model(self, name: str) -> Model:
        """The model called `name`; raises SetupError."""
        return read_model(name, self.manifests) if self.manifests else read_model(name)

    def path(self, model: Model) -> Path:
        """The model's folder, laid out as it was published."""
        return self.folder / model.name

    def holds(self, model: Model) -> bool:
        """Is all of it here, judged by the lengths of its files?"""
        return not self.lacking(model)

    def lacking(self, model: Model, *, thorough: bool = False) -> tuple[ModelFile, ...]:
        """Files that are missing, or not of their length, or (thorough: minutes for gigabytes) not of their sha256."""
        return tuple(file for file in model.files if not _is(self.path(model) / file.path, file, thorough))

    def pull(self, model: Model, sources: Sequence[str] = (), progress: Progress = _SILENT) -> Path:
        """Fetch what is missing, from the model's own sources unless others are given; the model's folder.

        Raises SetupError that says what every source answered. What came before that is kept, half a file included.
        """
        with _locked(self.folder):
            lacking = self.lacking(model)
            self._check_room(model, lacking)
            bases = [base.rstrip("/") for base in sources or model.sources]
            with httpx.Client(headers=_HEADERS, timeout=TIMEOUT, follow_redirects=True) as client:
                for file in lacking:
                    used = _fetch(client, bases, file, self._place(model, file), progress)
                    # One that did not answer is not asked first for the next file.
                    bases.sort(key=lambda base: base != used)
        return self.path(model)

    def take_from(self, model: Model, source: Path) -> Path:
        """Take what is missing from a local folder that is laid out as published; the model's folder.

        On one disk nothing is copied. Raises SetupError when the folder does not hold all of it; what it holds is kept.
        """
        if not source.is_dir():
            raise SetupError(f"{source} is no folder.")
        with _locked(self.folder):
            for file in self.lacking(model, thorough=True):
                if _is(source / file.path, file, thorough=True):
                    _link(source / file.path, self._place(model, file), file)
        if lacking := self.lacking(model):
            names = ", ".join(file.path for file in lacking)
            raise SetupError(f"{source} lacks files of {model.title} that match their sha256: {names}")
        return self.path(model)

    def _place(self, model: Model, file: ModelFile) -> Path:
        place = self.path(model) / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _check_room(self, model: Model, lacking: Sequence[ModelFile]) -> None:
        wanted = sum(file.bytes for file in lacking)
        for file in lacking:
            with suppress(OSError):
                wanted -= part_of(self.path(model) / file.path).stat().st_size
        free = shutil.disk_usage(self.folder).free
        if wanted > free:
            raise SetupError(
                f"{self.folder}: {model.title} needs {wanted / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free. "
                "PORTRAITD_WEIGHTS names another folder."
            )


_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "portraitd"}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock"):
            yield
    except OSError as error:
        raise SetupError(f"The models' folder {folder} cannot be used: {error}") from error


def _fetch(client: httpx.Client, bases: Sequence[str], file: ModelFile, place: Path, progress: Progress) -> str:
    """The source that gave the file."""
    troubles = []
    for base in bases:
        url = f"{base}/{file.path}"
        try:
            download(client, url, place, file, progress)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, BrokenFile) as error:
            troubles.append(f"  - {without_secrets(url)}: {error or type(error).__name__}")
        else:
            return base
    raise SetupError(
        f"{file.path} could not be fetched:\n" + "\n".join(troubles) + "\n"
        "The same command goes on where it stopped. --mirror URL names another place with the same files; "
        "--from FOLDER takes them from a folder that you fetched by other means."
    )


def _is(path: Path, file: ModelFile, thorough: bool) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    return not thorough or sha256_of(path) == file.sha256


def _link(source: Path, place: Path, file: ModelFile) -> None:
    """The file a second time, as a copy where it lies on another disk."""
    part = part_of(place)
    part.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), part)
        part.replace(place)
    except OSError:
        shutil.copyfile(source, part)
        settle(place, file)
