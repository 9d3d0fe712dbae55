"""Where an archive can be had: links from a Simple API index (PEP 503, PEP 691) or a folder of package files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

import httpx

from portraitd.weights.manifest import Archive
from portraitd.weights.pip_settings import IndexSettings

#: PEP 691: JSON first, HTML from indexes that know nothing else.
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


@dataclass(frozen=True)
class Link:
    """One offer of a file."""

    filename: str
    url: str
    #: What the index says about the file, if it says anything.
    sha256: str | None


class Finder:
    """Finds an archive by its exact file name; `troubles` says what went wrong on the way."""

    def __init__(self, client: httpx.Client, settings: IndexSettings) -> None:
        self._client = client
        self._settings = settings
        self.troubles: list[str] = []

    def links(self, archive: Archive) -> Iterator[Link]:
        """Offers of the archive, best first; each place is asked only when the offers before it were used up."""
        project = re.sub(r"[-_.]+", "-", archive.project).lower()  # PEP 503's normal form
        places = [(place, _as_url(place)) for place in self._settings.find_links]
        places += [(index, f"{_as_url(index).rstrip('/')}/{project}/") for index in self._settings.indexes]
        for place, url in places:
            yield from self._matching(archive, place, url)

    def _matching(self, archive: Archive, place: str, url: str) -> Iterator[Link]:
        try:
            offers = [link for link in self._page(url) if link.filename == archive.filename]
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            self.troubles.append(f"{without_secrets(place)}: {error or type(error).__name__}")
            return
        if not offers:
            self.troubles.append(f"{without_secrets(place)}: has no {archive.filename}")
        for link in offers:
            if link.sha256 in {None, archive.sha256}:
                yield link
            else:
                self.troubles.append(f"{without_secrets(place)}: its {archive.filename} is another file (sha256)")

    def _page(self, url: str) -> list[Link]:
        """All links of the page or folder at `url`."""
        folder = local_path(url)
        if folder is not None:
            return _folder_links(folder)
        reply = self._client.get(url, headers={"Accept": ACCEPT}).raise_for_status()
        kind = reply.headers.get("content-type", "")
        links = _json_links(reply.json(), str(reply.url)) if "json" in kind else _html_links(reply.text, str(reply.url))
        return [_with_login(link, url) for link in links]


def local_path(url: str) -> Path | None:
    """The path behind a `file:` URL, else None."""
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def without_secrets(url: str) -> str:
    """The URL without user and password, fit for a message."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _as_url(place: str) -> str:
    """A URL of a place that may also be a plain path."""
    return place if re.match(r"(https?|file):", place) else Path(place).expanduser().absolute().as_uri()


def _folder_links(folder: Path) -> list[Link]:
    """The files in a folder, or the links of its `index.html` (an index kept on disk has one per project)."""
    if folder.is_file():
        return _html_links(folder.read_text("utf-8"), folder.as_uri())
    page = folder / "index.html"
    links = _html_links(page.read_text("utf-8"), page.as_uri()) if page.is_file() else []
    return links + [Link(path.name, path.as_uri(), None) for path in sorted(folder.iterdir()) if path.is_file()]


def _json_links(page: Any, base: str) -> list[Link]:
    """Links of a PEP 691 project page."""
    try:
        return [
            Link(file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256"))
            for file in page["files"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("its answer is no project page") from error


def _html_links(page: str, base: str) -> list[Link]:
    """Links of a PEP 503 project page."""
    parser = _Anchors(base)
    parser.feed(page)
    links = []
    for href in parser.hrefs:
        url, fragment = urldefrag(href)
        name = unquote(urlsplit(url).path).rpartition("/")[2]
        links.append(Link(name, url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None))
    return links


class _Anchors(HTMLParser):
    """Collects the targets of a page's links, made absolute."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "base" and href:
            self._base = urljoin(self._base, href)
        elif tag == "a" and href:
            self.hrefs.append(urljoin(self._base, href))


def _with_login(link: Link, index: str) -> Link:
    """The link with the index's user and password where both are on one host, as pip does."""
    theirs, ours = urlsplit(link.url), urlsplit(index)
    login = ours.netloc.rpartition("@")[0]
    if not login or "@" in theirs.netloc or theirs.hostname != ours.hostname:
        return link
    return Link(link.filename, urlunsplit(theirs._replace(netloc=f"{login}@{theirs.netloc}")), link.sha256)
