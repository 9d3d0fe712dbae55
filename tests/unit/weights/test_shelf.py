"""Whole models: from the web, from another source, from a folder; and what is never taken."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from portraitd.engines.diffusion.klein_files import PARTS
from portraitd.errors import SetupError
from portraitd.weights.models import model_names, read_model
from portraitd.weights.shelf import Shelf
from tests.fakes.sites import Quiet, listening
from tests.unit.weights.conftest import sha256

FILES = {"model_index.json": b"{}", "vae/config.json": b'{"a": 1}', "vae/weights.safetensors": bytes(range(256)) * 4000}


@dataclass
class Hub:
    """Two sources: what lies at /first and /second, and what was asked for."""

    url: str = ""
    first: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    second: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    #: Send only this many bytes of the next answers that are longer, then hang up.
    cuts: list[int] = field(default_factory=list)
    #: (path, Range header) of each request.
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    found = Hub()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers["Range"]))
            _, source, path = self.path.split("/", 2)
            content = getattr(found, source).get(path)
            if content is None:
                self.send_error(404)
                return
            start = int((self.headers["Range"] or "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            cut = found.cuts.pop(0) if found.cuts and len(content) > found.cuts[0] else None
            self.wfile.write(content[start:][:cut])
            if cut:
                self.close_connection = True

    with listening(Handler) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found


def manifest(folder: Path, sources: list[str], **changed: str) -> Path:
    """A folder with a manifest of FILES; entries of `changed` replace text of it."""
    head = {"title": "Tiny", "publisher": "us", "licence": "CC0-1.0", "origin": "https://x", "commit": "0" * 40}
    lines = [f'{key} = "{value}"' for key, value in head.items()] + [f"sources = {sources}", "[files]"]
    lines += [f'"{path}" = {{ bytes = {len(data)}, sha256 = "{sha256(data)}" }}' for path, data in FILES.items()]
    text = "\n".join(lines)
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(text)
    return folder


@pytest.fixture
def shelf(tmp_path: Path, hub: Hub) -> Shelf:
    sources = [f"{hub.url}/first", f"{hub.url}/second"]
    return Shelf(tmp_path / "models", manifest(tmp_path / "manifests", sources))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_model_is_pulled_once_and_needs_no_network_then(shelf: Shelf, hub: Hub) -> None:
    model = shelf.model("tiny")
    assert not shelf.holds(model)
    assert contents(shelf.pull(model)) == FILES
    assert shelf.holds(model)
    hub.asked.clear()
    shelf.pull(model)
    assert hub.asked == []


def test_what_was_cut_off_goes_on_where_it_stopped(shelf: Shelf, hub: Hub) -> None:
    hub.cuts = [100_000]
    assert contents(shelf.pull(shelf.model("tiny"))) == FILES
    assert ("/first/vae/weights.safetensors", "bytes=100000-") in hub.asked


@pytest.mark.parametrize("wrong", ["gone", "another file"])
def test_another_source_gives_what_the_first_does_not_have(shelf: Shelf, hub: Hub, wrong: str) -> None:
    if wrong == "gone":
        hub.first.clear()
    else:
        hub.first = {path: b"x" * len(data) for path, data in FILES.items()}
    assert contents(shelf.pull(shelf.model("tiny"))) == FILES
    assert [path for path, _ in hub.asked][-1].startswith("/second/"), "the one that served is asked first"


def test_where_no_source_has_it_all_answers_are_told(shelf: Shelf, hub: Hub) -> None:
    hub.first.clear()
    hub.second.clear()
    with pytest.raises(
        SetupError, match=r"(?s)/first/model_index.json.*404.*/second/.*404.*--mirror URL.*--from FOLDER"
    ):
        shelf.pull(shelf.model("tiny"))


def test_a_mirror_takes_the_place_of_the_sources(shelf: Shelf, hub: Hub) -> None:
    shelf.pull(shelf.model("tiny"), [f"{hub.url}/second/"])
    assert {path.split("/")[1] for path, _ in hub.asked} == {"second"}


def test_a_login_in_a_mirror_s_address_is_not_told(shelf: Shelf, hub: Hub) -> None:
    with pytest.raises(SetupError) as refused:
        shelf.pull(shelf.model("tiny"), [f"http://anne:secret@{hub.url[7:]}/none"])
    assert "secret" not in refused.value.message


def test_a_full_disk_is_told_before_anything_is_fetched(
    shelf: Shelf, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(shelf.manifests or Path())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(SetupError, match=r"Tiny needs 0\.0 GB more"):
        shelf.pull(shelf.model("tiny"))
    assert hub.asked == []


def test_a_folder_serves_too_without_a_copy(shelf: Shelf, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for path, data in FILES.items():
        (mine / path).parent.mkdir(parents=True, exist_ok=True)
        (mine / path).write_bytes(data)
    model = shelf.model("tiny")
    assert contents(shelf.take_from(model, mine)) == FILES
    assert (shelf.path(model) / "model_index.json").samefile(mine / "model_index.json")


def test_a_folder_with_another_file_is_refused_by_its_name(shelf: Shelf, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "vae").mkdir(parents=True)
    for path, data in FILES.items():
        (mine / path).write_bytes(data[::-1])
    with pytest.raises(SetupError, match=r"sha256: model_index\.json, vae/config\.json, vae/weights\.safetensors"):
        shelf.take_from(shelf.model("tiny"), mine)
    assert contents(shelf.folder) == {".lock": b""}


def test_a_file_that_was_changed_is_found_when_looked_at_thoroughly(shelf: Shelf) -> None:
    model = shelf.model("tiny")
    path = shelf.pull(model) / "vae/weights.safetensors"
    path.write_bytes(path.read_bytes()[::-1])
    assert shelf.holds(model)
    assert [file.path for file in shelf.lacking(model, thorough=True)] == ["vae/weights.safetensors"]


@pytest.mark.parametrize(
    "changed",
    [
        {'"vae/config.json"': '"../config.json"'},
        {'"vae/config.json"': '"/etc/config.json"'},
        {'"vae/config.json"': '"vae/.config.json"'},
        {'"vae/config.json"': '"vae/modeling.py"'},
        {"weights.safetensors": "weights.bin"},
        {"bytes = 2,": "bytes = 0,"},
        {"0" * 40: "main"},
        {'licence = "CC0-1.0"\n': ""},
        {"title": "unknown_key = 1\ntitle"},
        {"[files]": "[files"},
    ],
)
def test_a_mistake_in_a_manifest_is_refused_by_its_file(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match=r"tiny\.toml"):
        read_model("tiny", manifest(tmp_path / "manifests", ["https://x"], **changed))


def test_an_unknown_model_is_refused(shelf: Shelf) -> None:
    with pytest.raises(SetupError, match=r"No model is called big\. Known: tiny"):
        shelf.model("big")


def test_the_models_that_come_with_portraitd_can_be_read() -> None:
    assert model_names() == ("klein-4b",)
    model = read_model("klein-4b")
    assert model.licence == "Apache-2.0"
    assert model.sources[0].endswith(model.commit)


def test_all_that_the_engine_loads_of_klein_is_pulled() -> None:
    paths = {file.path for file in read_model("klein-4b").files}
    for part in PARTS:
        assert {f"{part.name}/{name}" for name in part.files} <= paths
        if part.weights:
            assert any(path.startswith(f"{part.name}/{part.weights}") for path in paths)
