"""What the HTTP edge may know: the doors, the requests, the styles and the errors, and nothing behind them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import portraitd.api

API = Path(portraitd.api.__file__).parent
MODULES = sorted(API.rglob("*.py"))
ALLOWED = (
    "portraitd.api",
    "portraitd.errors",
    "portraitd.logs",
    "portraitd.portraits.fetch",
    "portraitd.portraits.hints",
    "portraitd.portraits.rates",
    "portraitd.portraits.requests",
    "portraitd.portraits.services",
    "portraitd.styles.catalog",
)


def imported(module: Path) -> set[str]:
    """The full names of the modules that `module` imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(API)))
def test_a_module_of_the_edge_knows_its_own_side_only(module: Path) -> None:
    ours = {name for name in imported(module) if name.startswith("portraitd.")}
    assert {name for name in ours if not name.startswith(ALLOWED)} == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(API)))
def test_pydantic_is_the_wires_alone(module: Path) -> None:
    uses = any(name.partition(".")[0] in {"pydantic", "pydantic_core"} for name in imported(module))
    assert not uses or module.parent == API / "wire"


def test_importing_the_edge_is_cheap() -> None:
    heavy = "{'cv2', 'torch', 'dlib', 'scipy', 'skimage', 'dbos', 'sqlalchemy', 'ai_edge_litert'}"
    code = f"import sys, portraitd.api.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
