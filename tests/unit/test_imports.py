"""Who may import whom (docs/architecture.md): data goes in along the top and back along the bottom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import portraitd

ROOT = Path(portraitd.__file__).parent

#: Rooms, and what each may import besides itself. The longest name that fits a module decides.
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "errors": set(),
    "images": {"errors"},
    "logs": set(),
    "settings": {"errors", "portraits.rates"},
    "weights": {"errors"},
    "faces": {"errors", "images", "weights"},
    "styles": {"errors", "images"},
    "engines": {"errors", "images", "faces", "styles", "engines.classic"},
    # The classic engine's own rooms, each of which may look into those before it.
    "engines.classic.face": {"errors", "images", "faces"},
    "engines.classic.person": {"errors", "images", "faces", "engines.base", "engines.classic.face"},
    "engines.classic.template": {"errors", "images", "faces", "styles"}
    | {f"engines.classic.{room}" for room in ("ahead", "looks", "face", "person")},
    "engines.classic.fusion": {"errors", "images", "faces"}
    | {f"engines.classic.{room}" for room in ("ahead", "looks", "face", "person", "template")},
    "engines.classic.presets": {"errors", "images", "faces", "styles"}
    | {f"engines.classic.{room}" for room in ("face", "person")},
    "blobs": {"errors"},
    # The words of requests and the doors of services are for everyone who needs them: they import nothing back.
    "portraits.hints": set(),
    "portraits.rates": set(),
    "portraits.requests": {"portraits.rates"},
    "portraits.services": {"portraits.rates", "portraits.requests", "styles"},
    "db": {"errors", "portraits.requests"},
    "tasks": {"errors", "logs", "db", "portraits.requests"},
    "portraits": {
        "portraits.requests",
        "portraits.rates",
        "errors",
        "logs",
        "images",
        "engines.base",
        "faces",
        "blobs",
        "db",
        "styles",
    }
    | {"tasks"},
    "api": {"", "errors", "logs", "portraits", "tasks", "styles"},
    "wiring": {"settings", "errors", "images", "weights", "faces", "styles", "engines", "blobs", "db", "tasks"}
    | {"portraits", "api"},
    "cli": {
        "wiring",
        "settings",
        "errors",
        "logs",
        "images",
        "styles",
        "engines.base",
        "engines.classic.presets.idchecks",
        "weights",
        "db",
        "tasks",
        "portraits",
    },
}

#: What may be imported by whom alone.
ONLY = {
    "dbos": {"tasks/queue.py"},
    "sqlalchemy": {"db/", "tasks/life.py", "tasks/queue.py", "portraits/identities.py", "portraits/finetune.py"}
    | {"portraits/limits.py"}
    | {"wiring.py"},
    "obstore": {"blobs/"},
    "fastapi": {"api/", "wiring.py"},
    "pydantic": {"api/"},
    "prometheus_client": {"api/"},
    "torch": {"engines/diffusion/"},
    "diffusers": {"engines/diffusion/"},
    "transformers": {"engines/diffusion/"},
    "cv2": {"faces/", "engines/classic/", "engines/diffusion/"},
    "PIL": {"images.py"},
}

MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's name without the package's, "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    fitting = [room for room in MAY_IMPORT if module == room or module.startswith(room + ".")]
    return max(fitting, key=len, default=module)


def imports_of(path: Path) -> Iterator[str]:
    """Full names of everything the module imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_import_in_the_house_s_directions(path: Path) -> None:
    here = room_of(name_of(path))
    allowed = MAY_IMPORT[here]
    for full in imports_of(path):
        if full.partition(".")[0] != "portraitd":
            continue
        target = full.partition(".")[2]
        there = room_of(target)
        fits = any(target == room or target.startswith(room + ".") for room in allowed if room)
        assert there == here or fits or ("" in allowed and "." not in target), f"{here} must not import {target}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_have_one_door(path: Path) -> None:
    inside = path.relative_to(ROOT).as_posix()
    for full in imports_of(path):
        doors = ONLY.get(full.partition(".")[0])
        assert doors is None or any(inside.startswith(door) for door in doors), f"{inside} must not import {full}"


def test_importing_portraitd_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'cv2', 'dbos', 'sqlalchemy', 'PIL', 'scipy', 'skimage', 'ai_edge_litert'}"
    code = f"import sys, portraitd; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_command_line_and_the_wiring_load_no_network_runtime() -> None:
    heavy = "{'torch', 'cv2', 'dbos', 'scipy', 'skimage', 'ai_edge_litert', '_dlib_pybind11'}"
    code = f"import sys, portraitd.cli, portraitd.wiring; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_settings_are_read_in_one_place() -> None:
    """Except the system's own variables and pip's, which the weights' fetcher has to follow."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        if any(full in {"os.environ", "os.getenv"} for full in attributes_of(path))
    }
    assert readers <= {"settings.py", "weights/pip_settings.py", "weights/store.py"}


def attributes_of(path: Path) -> Iterator[str]:
    """Every `name.attribute` in the module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
