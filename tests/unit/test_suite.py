"""The suite's own runner: no test is left out or run twice, a room that fails is a failure, nothing is left running."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from tools import run_tests
from tools.run_tests import ROOMS, ended, start, stop

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rooms of these tests need no plugins, and start sooner without."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def arguments(path: Path, body: str) -> list[str]:
    """A room of one test file, apart from this project."""
    path.write_text(body)
    return ["-c", "/dev/null", "--rootdir", str(path.parent), "-p", "no:cacheprovider", str(path)]


def test_rooms_are_there_and_none_is_part_of_another() -> None:
    paths = [ROOT / room for room in ROOMS]
    assert [path for path in paths if not path.exists()] == []
    assert [(one, other) for one in paths for other in paths if one in other.parents] == []


def test_the_rest_is_what_no_room_has() -> None:
    rooms = run_tests.all_rooms()
    assert [name for name, _ in rooms] == [*ROOMS, "the rest"]
    assert rooms[-1][1] == [word for room in ROOMS for word in ("--ignore", room)]


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("def test(): pass", True),
        ("def test(): assert False", False),
        ("def test(:", False),
        ("", sys.platform != "linux"),
    ],
)
def test_a_room_passes_when_all_of_it_does(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str, passes: bool
) -> None:
    room = start("a room", arguments(tmp_path / "test_it.py", body))
    room.process.wait(60)
    assert ended(room) is passes
    told = capfd.readouterr().out
    assert "test session starts" in told
    assert f"a room: {'passed' if passes else 'FAILED'} after" in told


def test_a_room_that_is_stopped_takes_down_what_it_started(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    body = f"""
import time, pathlib, pytest
here = pathlib.Path({str(tmp_path)!r})
@pytest.fixture
def server():
    (here / "up").touch()
    yield
    (here / "down").touch()
def test(server):
    time.sleep(60)
"""
    room = start("a room", arguments(tmp_path / "test_it.py", body))
    give_up_at = time.monotonic() + 60
    while not (tmp_path / "up").exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    stop([room])
    assert (tmp_path / "down").exists()
    assert "KeyboardInterrupt" in capfd.readouterr().out
