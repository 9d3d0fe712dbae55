"""A pack's pictures reach the styles' folders whole, whatever happens on the way, or not at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from portraitd.errors import SetupError
from portraitd.styles.pinned import Picture, PinnedPack
from portraitd.styles.pull import TRIES, from_folder, from_web, lacking, pull, remove
from tests.fakes.sites import Quiet, listening

CONTENTS = {"pics/one.jpg": b"one" * 5000, "pics/two.jpg": b"two" * 6000}
STYLES = {"pics/one.jpg": ("f_idcard_female", "f_business_female"), "pics/two.jpg": ("f_business_female",)}


@dataclass
class Host:
    """A running web server: what it serves, how it misbehaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(CONTENTS))
    #: Send only this many bytes of the next answers, then hang up.
    cuts: list[int] = field(default_factory=list)
    #: Seconds between two chunks of an answer.
    pause_s: float = 0.0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def host() -> Iterator[Host]:
    state = Host()
    with listening(_handler(state)) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state


def _handler(state: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            where, _, path = self.path[1:].partition("/")
            if where in {"moved", "circle"}:
                self.send_response(302)
                self.send_header("Location", f"{state.url}/{'raw' if where == 'moved' else 'circle'}/{path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif where == "raw" and path in state.files:
                self._send(state.files[path])
            else:
                self.send_error(404)

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            cut = state.cuts.pop(0) if state.cuts else len(content)
            try:
                for start in range(0, cut, 4096):
                    self.wfile.write(content[start : min(start + 4096, cut)])
                    time.sleep(state.pause_s)
            except OSError:
                pass  # the client had enough
            self.close_connection = cut < len(content)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler


@pytest.fixture
def pack(host: Host) -> PinnedPack:
    pictures = tuple(
        Picture(path, len(content), hashlib.sha256(content).hexdigest(), STYLES[path])
        for path, content in CONTENTS.items()
    )
    return PinnedPack("mine", "CC0-1.0", "https://pictures.example", "abc", f"{host.url}/raw", pictures)


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


ALL = {
    "f_idcard_female/mine-one.jpg": CONTENTS["pics/one.jpg"],
    "f_business_female/mine-one.jpg": CONTENTS["pics/one.jpg"],
    "f_business_female/mine-two.jpg": CONTENTS["pics/two.jpg"],
}


def pull_from_web(pack: PinnedPack, folder: Path, url: str | None = None, limit_s: float = 60.0) -> tuple[Path, ...]:
    with from_web(pack, url, limit_s) as source:
        return pull(pack, folder, source)


def test_each_picture_is_fetched_once_and_put_into_all_its_styles(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    written = pull_from_web(pack, tmp_path)
    assert files_in(tmp_path) == ALL
    assert {path.relative_to(tmp_path).as_posix() for path in written} == set(ALL)
    assert host.asked == ["/raw/pics/one.jpg", "/raw/pics/two.jpg"]


def test_what_is_there_is_not_fetched_again_and_what_is_broken_is(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    pull_from_web(pack, tmp_path)
    assert lacking(pack, tmp_path) == ()
    host.asked.clear()
    assert pull_from_web(pack, tmp_path) == ()
    (tmp_path / "f_idcard_female" / "mine-one.jpg").unlink()
    assert lacking(pack, tmp_path) == pack.pictures[:1]
    pull_from_web(pack, tmp_path)
    assert host.asked == [], "the other style has it"
    (tmp_path / "f_business_female" / "mine-two.jpg").write_bytes(b"x" * len(CONTENTS["pics/two.jpg"]))
    pull_from_web(pack, tmp_path)
    assert host.asked == ["/raw/pics/two.jpg"]
    assert files_in(tmp_path) == ALL


def test_a_cut_download_is_tried_again(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    host.cuts = [5000, 0]
    pull_from_web(pack, tmp_path)
    assert files_in(tmp_path) == ALL


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "sha256 differs"), (b"x" * 15000, "sha256 differs"), (b"one" * 5_000_000, "more than its 15000 bytes")],
    ids=["nothing", "other bytes", "too long"],
)
def test_another_file_is_refused_and_not_written(
    tmp_path: Path, pack: PinnedPack, host: Host, content: bytes, told: str
) -> None:
    host.files["pics/one.jpg"] = content
    with pytest.raises(SetupError, match=told):
        pull_from_web(pack, tmp_path)
    assert files_in(tmp_path) == {}
    assert len(host.asked) == TRIES


def test_a_picture_that_is_not_there_is_not_asked_for_again(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    del host.files["pics/two.jpg"]
    with pytest.raises(SetupError, match=r"pics/two.jpg could not be fetched: HTTP 404.*--mirror.*--from"):
        pull_from_web(pack, tmp_path)
    assert set(files_in(tmp_path)) == set(list(ALL)[:2]), "what came before is kept"
    assert host.asked.count("/raw/pics/two.jpg") == 1


def test_redirects_are_followed_but_not_in_circles(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    pull_from_web(pack, tmp_path / "a", f"{host.url}/moved/")
    assert files_in(tmp_path / "a") == ALL
    with pytest.raises(SetupError, match="redirects"):
        pull_from_web(pack, tmp_path / "b", f"{host.url}/circle")


def test_a_slow_server_is_given_up(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    host.pause_s = 0.2
    with pytest.raises(SetupError, match="took too long"):
        pull_from_web(pack, tmp_path, limit_s=0.3)
    assert files_in(tmp_path) == {}


def test_a_host_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path, pack: PinnedPack) -> None:
    with pytest.raises(SetupError, match="could not be fetched") as told:
        pull_from_web(pack, tmp_path, "http://anne:secret@127.0.0.1:1/raw")
    assert "secret" not in told.value.message
    with pytest.raises(SetupError, match="no web address"):
        pull_from_web(pack, tmp_path, "/srv/pictures")


def test_pictures_are_taken_from_a_folder_by_their_sha256(tmp_path: Path, pack: PinnedPack, host: Host) -> None:
    source, home = tmp_path / "source", tmp_path / "home"
    (source / "old").mkdir(parents=True)
    (source / "old" / "one.jpg").write_bytes(b"another one")
    (source / "one.jpg").write_bytes(CONTENTS["pics/one.jpg"])
    with pytest.raises(SetupError, match=r"has no two\.jpg"):
        pull(pack, home, from_folder(source))
    (source / "two.jpg").write_bytes(CONTENTS["pics/two.jpg"])
    pull(pack, home, from_folder(source))
    assert files_in(home) == ALL
    assert host.asked == []
    with pytest.raises(SetupError, match="no folder"):
        from_folder(source / "one.jpg")


def test_removing_leaves_the_operator_s_own(tmp_path: Path, pack: PinnedPack) -> None:
    pull_from_web(pack, tmp_path)
    own = tmp_path / "f_business_female" / "one.jpg"
    own.write_bytes(b"mine")
    assert len(remove(pack, tmp_path)) == 3
    assert files_in(tmp_path) == {"f_business_female/one.jpg": b"mine"}
    assert not (tmp_path / "f_idcard_female").exists()
    assert remove(pack, tmp_path) == ()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, pack: PinnedPack) -> None:
    (tmp_path / "f_idcard_female").write_text("a file where a folder must be")
    with pytest.raises(SetupError, match="cannot be written"):
        pull_from_web(pack, tmp_path)
