"""The docs name what is there: every setting with its default, every verb, every style, the example that is printed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
from standardwebhooks import WebhookVerificationError
from typer.core import TyperGroup

from portraitd.cli import app
from portraitd.cli.serve import EXAMPLE
from portraitd.portraits.webhooks import new_secret, signed
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


def blocks_of(page: str) -> list[str]:
    """The Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks_of("webhooks.md"), ids=["library", "by hand"])
def test_the_receivers_on_the_webhooks_page_tell_ours_from_others(code: str) -> None:
    there: dict[str, Any] = {}
    exec(code, there)
    secret, body, now = new_secret(), b'{"a": "\xe4\xbd\xa0"}', datetime.now(UTC)
    headers = dict(signed(secret, "msg_1", now, body))
    assert there["event_of"](secret, headers, body) == {"a": "你"}
    several = headers | {"webhook-signature": "v1,bm8= " + headers["webhook-signature"]}
    assert there["event_of"](secret, several, body) == {"a": "你"}
    old = signed(secret, "msg_1", now - timedelta(minutes=6), body)
    for key, given, text in (
        (new_secret(), headers, body),
        (secret, headers, body + b" "),
        (secret, headers | {"webhook-id": "msg_2"}, body),
        (secret, dict(old), body),
    ):
        with pytest.raises((ValueError, WebhookVerificationError)):
            there["event_of"](key, given, text)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
