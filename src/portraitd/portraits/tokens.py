"""Short-lived keys: a token carries its key's id and its end, signed; nothing is kept of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime

from portraitd.db.engine import Clock
from portraitd.errors import InvalidApiKey

#: What tells a token from a key.
PREFIX = "st-"

_TOKEN = re.compile(PREFIX + r"([0-9a-f]{1,64})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


class Tokens:
    """Makes and reads tokens such as `st-<key id>.<expiry>.<signature>`."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self._secret = secret.encode()
        self._clock = clock

    def make(self, key_id: str, ends_at: datetime) -> str:
        """The token for the key that ends then; always the same one."""
        expires = int(ends_at.timestamp())
        return f"{PREFIX}{key_id}.{expires}.{self._sign(key_id, expires)}"

    def key_id(self, token: str) -> str:
        """The key that a token stands for; raises InvalidApiKey when it is not ours or has ended."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            raise InvalidApiKey
        key_id, expires, signature = found[1], int(found[2]), found[3]
        genuine = hmac.compare_digest(self._sign(key_id, expires), signature)
        if not genuine or self._clock().timestamp() >= expires:
            raise InvalidApiKey
        return key_id

    def _sign(self, key_id: str, expires: int) -> str:
        digest = hmac.new(self._secret, f"token\n{key_id}\n{expires}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
