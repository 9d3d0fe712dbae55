"""`dashscope` 1.26.2, unmodified: the tests of the newer version, one by one, with the older one in its place."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

VERSION = "1.26.2"
WHEEL_SHA256 = "6ca4eefc34bcfd54cc58a58aac6ba4a1dfdb65906a599a2b436ccc8ba08d9cbd"
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: What does not need the second version of the client's own classes.
MODULES = ("test_calls", "test_real_service", "test_client_cli")


def names_of(module: str) -> list[str]:
    parsed = ast.parse((HERE / f"{module}.py").read_text("utf-8"))
    return [node.name for node in parsed.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@pytest.fixture(scope="module")
def older(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the older client in it, fetched once; what it depends on, the newer one brought already."""
    assert pytestconfig.cache is not None
    folder = pytestconfig.cache.mkdir("clients") / f"dashscope-{VERSION}"
    if not folder.is_dir():
        wanted = tmp_path_factory.mktemp("older") / "requirements.txt"
        wanted.write_text(f"dashscope=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")
        part = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-deps",
            "--retries=1",
        ]
        command = [*pip, "--only-binary=:all:", "--require-hashes", "--target", str(part), "--requirement", str(wanted)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
        if done.returncode:
            pytest.skip(f"dashscope {VERSION} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        part.rename(folder)
    return folder


@pytest.fixture(scope="module")
def outcomes(older: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[str]]:
    """By module and test, what went wrong in each run of it; nothing where it passed."""
    report = tmp_path_factory.mktemp("older") / "report.xml"
    path = os.pathsep.join([str(older), *filter(None, [os.environ.get("PYTHONPATH")])])
    modules = [str(HERE / f"{module}.py") for module in MODULES]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *modules]
    environ = os.environ | {"PYTHONPATH": path, "DASHSCOPE_UNDER_TEST": VERSION}
    done = subprocess.run(command, check=False, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=400)
    assert report.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    found: dict[tuple[str, str], list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").partition("[")[0]
        wrong = found.setdefault((case.get("classname", "").rpartition(".")[2], name), [])
        wrong += [f"{told.tag}: {told.text}" for told in case if told.tag in {"failure", "error", "skipped"}]
    return found


@pytest.mark.timeout(600)  # the first one's runs them all
@pytest.mark.parametrize(("module", "name"), [(module, name) for module in MODULES for name in names_of(module)])
def test_with_the_older_client(outcomes: dict[tuple[str, str], list[str]], module: str, name: str) -> None:
    assert outcomes[module, name] == []
