"""pip's settings and the pages of an index, read as pip reads them."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from portraitd.weights.index import Finder, Link
from portraitd.weights.manifest import Archive
from portraitd.weights.pip_settings import PYPI, IndexSettings, read_index_settings

ARCHIVE = Archive("faces", "Faces_Kit", "1.0", "faces kit-1.0.whl", 3, "a" * 64)


def without_files(**variables: str) -> dict[str, str]:
    """An environment in which pip has no configuration file."""
    return {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, **variables}


def test_without_settings_it_is_pypi() -> None:
    assert read_index_settings(without_files()) == IndexSettings(indexes=(PYPI,))


def test_pips_variables_are_heeded() -> None:
    settings = read_index_settings(
        without_files(
            PIP_INDEX_URL="https://a/simple/",
            PIP_EXTRA_INDEX_URL="https://b/simple https://c/simple",
            PIP_FIND_LINKS="/wheels https://d/links",
            PIP_CERT="/cert.pem",
            PIP_PROXY="http://proxy:1",
        )
    )
    assert settings.indexes == ("https://a/simple", "https://b/simple", "https://c/simple")
    assert settings.find_links == ("/wheels", "https://d/links")
    assert (settings.cert, settings.proxy) == ("/cert.pem", "http://proxy:1")


def test_pips_file_is_heeded_and_its_variables_win(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://file/simple\nextra-index-url =\n  https://x/s\n  https://y/s\n")
    environ = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(config)}
    assert read_index_settings(environ).indexes == ("https://file/simple", "https://x/s", "https://y/s")
    environ["PIP_INDEX_URL"] = "https://variable/simple"
    assert read_index_settings(environ).indexes[0] == "https://variable/simple"


def test_no_index_leaves_the_folders() -> None:
    settings = read_index_settings(without_files(PIP_NO_INDEX="1", PIP_FIND_LINKS="/wheels"))
    assert settings == IndexSettings(indexes=(), find_links=("/wheels",))


def links(page: str, kind: str, index: str = "https://user:pw@host/simple") -> list[Link]:
    """What a Finder makes of one project page."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/simple/faces-kit/"
        return httpx.Response(200, text=page, headers={"content-type": kind})

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return list(Finder(client, IndexSettings(indexes=(index,))).links(ARCHIVE))


def test_html_links_with_a_base_an_escape_and_a_login() -> None:
    page = '<base href="/files/"><a href="faces%20kit-1.0.whl#sha256=' + "a" * 64 + '">x</a><a name="no"></a>'
    assert links(page, "text/html") == [
        Link("faces kit-1.0.whl", "https://user:pw@host/files/faces%20kit-1.0.whl", "a" * 64)
    ]


def test_a_login_is_not_given_to_another_host() -> None:
    page = '<a href="https://other/faces%20kit-1.0.whl">x</a>'
    assert links(page, "text/html") == [Link("faces kit-1.0.whl", "https://other/faces%20kit-1.0.whl", None)]


def test_a_page_that_is_none_is_a_trouble_not_a_crash() -> None:
    assert links('{"files": 3}', "application/json") == []
    assert links("[]", "application/json") == []
