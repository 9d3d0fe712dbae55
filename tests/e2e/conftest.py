"""The real service on a free port, a site with pictures beside it, and eyes to look at what comes out.

All pictures are made here from scikit-image's (an astronaut, a cup of coffee), so that these tests need nothing but the
weights.
"""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image as Pillow
from skimage.data import astronaut, coffee

from portraitd.faces.detect import detect_faces
from portraitd.faces.embed import DlibEmbedder, distance
from portraitd.faces.mesh import fit_mesh
from portraitd.faces.models import FaceModels
from portraitd.images import Image, decode, encode_jpeg, encode_png
from tests.e2e.service import Customer, environment, run, until
from tests.fakes.sites import Quiet, listening


def scaled(image: Image, scale: float) -> Image:
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)


def as_webp(image: Image) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(image).save(out, "WEBP")
    return out.getvalue()


def pictures_by_name() -> dict[str, bytes]:
    person, nobody = astronaut(), scaled(coffee(), 1.5)
    tall = scaled(person, 1.3)[:, :600]
    return {
        "me.jpg": encode_jpeg(person),
        "me-mirrored.png": encode_png(np.ascontiguousarray(person[:, ::-1])),
        "me-darker.jpg": encode_jpeg((person * 0.8).astype(np.uint8)),
        "template.jpg": encode_jpeg(tall),
        "template.webp": as_webp(tall),
        "nobody.jpg": encode_jpeg(nobody),
        "two.jpg": encode_jpeg(np.hstack([person, np.ascontiguousarray(person[:, ::-1])])),
        "small.jpg": encode_jpeg(scaled(person, 0.7)),
        "stamp.jpg": encode_jpeg(scaled(person, 0.3)),
        "broken.jpg": encode_jpeg(person)[:20_000],
        "words.jpg": b"this is no picture",
    }


class QuietHandler(Quiet, SimpleHTTPRequestHandler):
    """Files of a folder."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder the site serves."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, data in pictures_by_name().items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def site(pictures: Path) -> Iterator[str]:
    """The URL of a site with the pictures on it."""
    with listening(partial(QuietHandler, directory=pictures)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "home"


@pytest.fixture(scope="session")
def env(home: Path, embedder_folder: Path) -> dict[str, str]:
    """The environment of the service, for commands beside it."""
    settings = {"PORTRAITD_PORT": str(free_port()), "PORTRAITD_FETCH_ALLOW": "127.0.0.0/8", "PORTRAITD_LEASE_S": "6"}
    return environment(home, embedder_folder, **settings)


@pytest.fixture(scope="session")
def service(env: dict[str, str], home: Path) -> Iterator[str]:
    """The URL of `portraitd serve`, ready to work. At the end it drains and exits 0."""
    url = f"http://127.0.0.1:{env['PORTRAITD_PORT']}"
    log = home.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "portraitd", "serve"], env=env, stdout=file, stderr=file)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(ready)
        yield url
    finally:
        process.terminate()
        status = process.wait(60)
    assert status == 0, log.read_text()


@pytest.fixture(scope="session")
def anne(service: str, home: Path) -> Iterator[Customer]:
    """The holder of the first key."""
    customer = Customer(service, (home / "api-key").read_text().strip())
    yield customer
    customer.close()


@pytest.fixture(scope="session")
def bob(service: str, env: dict[str, str]) -> Iterator[Customer]:
    """Somebody of another account, whose key was made while the service ran."""
    made = run(env, "key", "create", "bob's laptop", "--account", "bob")
    assert made.returncode == 0, made.stderr
    customer = Customer(service, made.stdout.strip())
    yield customer
    customer.close()


@pytest.fixture(scope="session")
def gap(embedder_folder: Path) -> Callable[[Image, Image], float]:
    """The distance of two pictures' faces: photos of one person lie about 0.3 apart, of two people about 0.8."""
    models = FaceModels(embedder_folder)
    embedder = DlibEmbedder(models)

    def embed(image: Image) -> Any:
        (face,) = detect_faces(models, image)
        return embedder.embed(image, fit_mesh(models, image, face))

    return lambda a, b: distance(embed(a), embed(b))


def download(link: str) -> Image:
    """The JPEG behind a link, fetched as anybody can."""
    reply = httpx.get(link, timeout=30)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.content.startswith(b"\xff\xd8\xff")
    return decode(reply.content)
