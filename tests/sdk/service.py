"""The whole service, as `portraitd serve` starts it, with an engine that needs no weights; and a site with pictures."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from portraitd.images import encode_jpeg
from tests.fakes.sites import Quiet, listening

FAKES = Path(__file__).parents[1] / "fakes"
#: How long the site takes over a picture called slow, in seconds.
SLOW_S = 2.0
#: How long it keeps one called held back, in seconds, where nobody asks for /let-go.
HELD_S = 30.0


def picture(grey: int, width: int = 768, height: int = 1024) -> bytes:
    """A JPEG of one grey; the fake engine sees a face in every picture that is not black."""
    return encode_jpeg(np.full((height, width, 3), grey, np.uint8))


def _handler(let_go: threading.Event) -> type[SimpleHTTPRequestHandler]:
    class Handler(Quiet, SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if "slow" in self.path:
                time.sleep(SLOW_S)
            if "held" in self.path:
                let_go.clear()
                let_go.wait(HELD_S)
            if self.path == "/let-go":
                let_go.set()
            super().do_GET()

    return Handler


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The URL of a site with face.jpg, template.jpg, black.jpg, on which there is no face, slow.jpg and held.jpg."""
    for name, grey in {"face": 180, "black": 0, "template": 90, "slow": 120, "held": 100}.items():
        (folder / f"{name}.jpg").write_bytes(picture(grey))
    (folder / "let-go").touch()
    with listening(partial(_handler(threading.Event()), directory=folder)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """The URL of `portraitd serve` in a new home, where it leaves a key. Its log holds no signatures."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PORTRAITD_")}
    env |= {
        "PORTRAITD_HOME": str(home),
        "PORTRAITD_PORT": str(port),
        "PORTRAITD_ENGINE": "engines:instant",
        "PORTRAITD_FETCH_ALLOW": "127.0.0.0/8",
        "FAKE_ENGINE_SLOW_S": "0.5",
        "PYTHONPATH": os.pathsep.join([str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    url = f"http://127.0.0.1:{port}"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "portraitd", "serve"], env=env, stdout=log, stderr=log)
    try:
        _until_ready(url, process, home / "log")
        yield url
    finally:
        process.terminate()
        assert process.wait(30) == 0
    written = (home / "log").read_text()
    assert "Signature" not in written
    assert "Expires" not in written


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:  # refused, or busy starting its workers
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
    pytest.fail(f"not ready:\n{log.read_text()}")
