"""The docs name what is there: every setting with its default, every verb, every style, the example that is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from portraitd.cli import app
from portraitd.cli.serve import EXAMPLE
from portraitd.settings import SETTINGS, Setting
from portraitd.styles.catalog import load_catalog

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def verbs() -> list[str]:
    """Every verb as it is typed, `key create` say."""
    found = []
    for name, command in typer.main.get_group(app).commands.items():
        inner = [f"{name} {verb}" for verb in command.commands] if isinstance(command, TyperGroup) else [name]
        found += inner
    return found


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_readme_s_table_has_each_setting(setting: Setting) -> None:
    (row,) = re.findall(rf"^\| `{setting.name}` \| (.+) \| (.+) \|$", README, re.MULTILINE)
    default, sentence = row
    assert sentence == setting.help
    if setting.default:
        assert default == f"`{setting.default}`"
    else:
        assert "`" not in default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_operator_s_page_explains_each_setting(setting: Setting) -> None:
    assert setting.name in (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {setting.name for setting in SETTINGS} | {"PORTRAITD_TEST_POSTGRES"}
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        named = set(re.findall(r"PORTRAITD_[A-Z_]+", page.read_text("utf-8")))
        assert named <= known, page.name


def test_there_are_verbs() -> None:
    assert {"serve", "worker", "generate", "detect", "doctor", "key create", "weights pull", "styles add"} <= {*verbs()}


@pytest.mark.parametrize("verb", verbs())
def test_the_readme_has_each_verb(verb: str) -> None:
    assert f"`{verb}`" in README


def test_readme_and_styles_page_have_each_style() -> None:
    styles_page = (ROOT / "docs" / "styles.md").read_text("utf-8")
    for style in load_catalog():
        assert f"`{style.id}`" in README
        assert f"| `{style.id}` | {style.name} |" in styles_page


def test_the_printed_example_is_the_readme_s() -> None:
    for part in EXAMPLE.strip().split("\n\n")[1::2]:
        assert part in README


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
