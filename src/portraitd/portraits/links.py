"""Signed links: whoever holds one may read one object until it expires, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from urllib.parse import parse_qs, quote, urlsplit

from portraitd.db.engine import Clock

#: Below this path of the server lies what links lead to.
PREFIX = "/results/"

#: Real links name an access key here; ours have none to tell.
_ACCESS_KEY_ID = "portraitd"


class Links:
    """Makes and checks links such as `<base>/results/tasks/<id>/1.jpg?Expires=...&OSSAccessKeyId=...&Signature=...`."""

    def __init__(self, base_url: str, secret: str, clock: Clock) -> None:
        self._base = base_url + PREFIX
        self._secret = secret.encode()
        self._clock = clock

    def make(self, path: str, expires_at: datetime) -> str:
        """The link to `path` that holds until `expires_at`."""
        expires = int(expires_at.timestamp())
        signature = quote(self._sign(path, expires), safe="")
        return f"{self._base}{quote(path)}?Expires={expires}&OSSAccessKeyId={_ACCESS_KEY_ID}&Signature={signature}"

    def holds(self, path: str, expires: int, signature: str) -> bool:
        """Is the signature ours for just this path and expiry (Unix seconds), and not yet expired?"""
        genuine = hmac.compare_digest(self._sign(path, expires).encode(), signature.encode())
        return genuine and self._clock().timestamp() < expires

    def split(self, url: str) -> tuple[str, int, str] | None:
        """Path, expiry and signature of a link of ours; None for any other URL. Checks nothing."""
        if not url.startswith(self._base):
            return None
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        path = url[len(self._base) :].partition("?")[0]
        return (path, int(expires), signature) if expires.isascii() and expires.isdigit() else None

    def _sign(self, path: str, expires: int) -> str:
        digest = hmac.new(self._secret, f"{expires}\n{path}".encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode("ascii")
