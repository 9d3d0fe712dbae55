"""A package index on this machine, two tiny archives in it, and faults to order."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from portraitd.weights.manifest import Manifest, read_manifest
from portraitd.weights.pip_settings import IndexSettings
from tests.fakes.sites import Quiet, listening

#: Long enough that a cut in the middle leaves something to resume.
FACE = bytes(range(256)) * 2000
VOICE = b"voice" * 1000


@dataclass
class Index:
    """A running package index: what it serves, how it misbehaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    #: Send only this many bytes of the next answers, one entry per request, then hang up.
    cuts: list[int] = field(default_factory=list)
    #: Flip the first byte of this many file answers.
    broken_answers: int = 0
    knows_json: bool = True
    knows_ranges: bool = True
    #: Claimed in the project page instead of the true sha256.
    claimed_sha256: str | None = None
    #: (path, Range header) of each file request.
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def settings(self) -> IndexSettings:
        return IndexSettings(indexes=(f"{self.url}/simple",))


def wheel(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if len(members) > 2 else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def sdist(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FILES = {
    "faces-1.0-py3-none-any.whl": wheel({"faces/face.tflite": FACE, "../escape.txt": b"no"}),
    "voices-2.0.tar.gz": sdist({"voices-2.0/voice.dat": VOICE, "voices-2.0/setup.py": b"raise SystemExit"}),
}


def manifest_text() -> str:
    """A manifest of the two archives above, one weight of each."""
    text = ""
    for name, version, file in (
        ("faces", "1.0", "faces-1.0-py3-none-any.whl"),
        ("voices", "2.0", "voices-2.0.tar.gz"),
    ):
        text += (
            f'[archives.{name}]\nproject = "{name.title()}"\nversion = "{version}"\nfilename = "{file}"\n'
            f'bytes = {len(FILES[file])}\nsha256 = "{sha256(FILES[file])}"\n\n'
        )
    for name, kind, archive, member, content in (
        ("face", "classic", "faces", "faces/face.tflite", FACE),
        ("voice", "embedder", "voices", "voices-2.0/voice.dat", VOICE),
    ):
        text += (
            f'[weights.{name}]\nset = "{kind}"\narchive = "{archive}"\nmember = "{member}"\nbytes = {len(content)}\n'
            f'sha256 = "{sha256(content)}"\nlicence = "CC0-1.0"\nvendor = "us"\nyear = 2026\npurpose = "tests"\n\n'
        )
    return text


@pytest.fixture
def manifest_path(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.toml"
    path.write_text(manifest_text(), "utf-8")
    return path


@pytest.fixture
def manifest(manifest_path: Path) -> Manifest:
    return read_manifest(manifest_path)


@pytest.fixture
def index() -> Iterator[Index]:
    """A package index that serves FILES."""
    state = Index(files=dict(FILES))
    with listening(_handler(state)) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state


def _handler(state: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            if self.path.startswith("/files/") and name in state.files:
                self._file(name)
            elif self.path in {"/simple/faces/", "/simple/voices/"}:
                self._project(name)
            else:
                self.send_error(404)

        def _project(self, project: str) -> None:
            offers = {
                name: state.claimed_sha256 or sha256(content)
                for name, content in state.files.items()
                if name.startswith(project)
            }
            if state.knows_json and "simple.v1+json" in self.headers.get("Accept", ""):
                kind = "application/vnd.pypi.simple.v1+json"
                files = [{"filename": n, "url": f"/files/{n}", "hashes": {"sha256": s}} for n, s in offers.items()]
                page = json.dumps({"files": files})
            else:
                kind = "text/html"
                page = "".join(f'<a href="../../files/{n}#sha256={s}">{n}</a>' for n, s in offers.items())
            self._answer(200, page.encode(), {"Content-Type": kind})

        def _file(self, name: str) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            content = state.files[name]
            if state.broken_answers:
                state.broken_answers -= 1
                content = bytes([content[0] ^ 255]) + content[1:]
            if wanted and state.knows_ranges:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self._answer(206, content[start:], {"Content-Range": span})
            else:
                self._answer(200, content, {})

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts and self.path.startswith("/files/") else len(content)
            self.wfile.write(content[:cut])
            if cut < len(content):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler
